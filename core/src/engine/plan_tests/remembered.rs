//! What earlier runs remember is not sent.

use insta::assert_snapshot;

use super::case::{Case, array, single, takes};

fn chain() -> Case {
    Case::new(&[
        single("split", "list[int]", &[]),
        array("square", "int", &[takes("split", "int")]),
        array("half", "int", &[takes("square", "int")]),
        single("sum", "int", &[takes("half", "list[int]")]),
    ])
}

fn remember(case: &mut Case, task: &str, elements: &[(u32, u32)]) {
    let task = case.task(task);
    case.remembered.insert(task, elements.to_vec());
}

#[test]
fn a_run_of_which_everything_is_remembered_ends_at_once() {
    let mut case = chain();
    remember(&mut case, "split", &[(0, 3)]);
    remember(&mut case, "square", &[(0, 0), (1, 0), (2, 0)]);
    remember(&mut case, "half", &[(0, 0), (1, 0), (2, 0)]);
    remember(&mut case, "sum", &[(0, 0)]);
    assert_snapshot!(case.plan(), @"
    take split[0..1]
    width square = 3
    take square[0..3]
    width half = 3
    take half[0..3]
    take sum[0..1]
    finished succeeded
    ");
}

#[test]
fn only_what_is_not_remembered_is_sent_and_the_chain_behind_it() {
    let mut case = chain();
    remember(&mut case, "split", &[(0, 4)]);
    remember(&mut case, "square", &[(0, 0), (1, 0), (3, 0)]);
    remember(&mut case, "half", &[(0, 0), (1, 0), (3, 0)]);
    assert_snapshot!(case.plan(), @"
    take split[0..1]
    width square = 4
    take square[0..2,3..4]
    send square[2..3] after -
    width half = 4
    take half[0..2,3..4]
    send half[2..3] after square:ok
    send sum[0..1] after half:ok
    send d1 after sum:any
    ");
}

#[test]
fn what_failed_before_can_be_taken_when_it_is_tried_again() {
    let mut case = chain();
    remember(&mut case, "split", &[(0, 2)]);
    case.plan();
    case.end("square", &[1], crate::engine::ElementState::Failed);
    case.plan();
    // Meanwhile another run had that very element.
    remember(&mut case, "square", &[(1, 0)]);
    assert_snapshot!(case.retry(&[("square", Some(&[1]))]), @"reopen square[1..2] request");
    assert_snapshot!(case.plan(), @"
    take square[1..2]
    reopen half[1..2] upstream
    send half#2[1..2] after -
    reopen sum[0..1] upstream
    send sum#2[0..1] after half:any half#2:ok
    ");
}
