//! Elements that are tried again, by the task itself or because somebody asks.

use insta::assert_snapshot;
use serde_json::json;

use super::case::{Case, array, single, takes, with};
use crate::engine::ElementState;
use crate::engine::plan::Room;
use crate::journal::Record;

/// A fan-out whose elements are tried `retries` times again, a chain behind it and a gather.
fn chain(retries: u32) -> Case {
    let again = |task| with(task, "retry", json!({"retries": retries}));
    let square = array("square", "int", &[takes("split", "int")]);
    Case::new(&[
        again(single("split", "list[int]", &[])),
        again(square),
        array("half", "int", &[takes("square", "int")]),
        single("sum", "int", &[takes("half", "list[int]")]),
    ])
}

fn under_way(retries: u32) -> Case {
    let mut case = chain(retries);
    case.plan();
    case.succeed("split", &[4]);
    case.planned_by("d1");
    case
}

#[test]
fn a_failed_element_is_tried_again_and_what_was_queued_behind_it_follows() {
    let mut case = under_way(1);
    case.end("square", &[1], ElementState::Failed);
    // The other elements of the chain go on; the gather needs the new try, and so does the dispatch that
    // ends the run.
    assert_snapshot!(case.plan(), @"
    reopen square[1..2] retries
    send square#2[1..2] try 2 after -
    back half[1..2] replaced
    withdraw half[1..2]
    send half#2[1..2] after square#2:ok
    back sum[0..1] replaced
    withdraw sum[0..1]
    send sum#2[0..1] after half:any half#2:ok
    ");
}

#[test]
fn after_the_last_try_a_failure_is_final() {
    let mut case = under_way(1);
    case.end("square", &[1], ElementState::Failed);
    case.plan();
    case.end("square", &[1], ElementState::Lost);
    assert_snapshot!(case.plan(), @"
    end half[1..2] skipped: it needs the element of `square` of the same index, which has no result
    end sum[0..1] skipped: it needs all of `half`, of which 1 have no result
    ");
}

#[test]
fn what_the_batch_system_refused_is_not_sent_again_by_itself() {
    let mut case = chain(3);
    case.plan();
    case.refused("split");
    assert_snapshot!(case.plan(), @"
    never square skipped: it needs `split`, which has no result
    never half skipped: it needs `square`, which has no result
    end sum[0..1] skipped: it needs `half`, which has no result
    cancel d1
    finished failed
    ");
}

#[test]
fn a_request_runs_what_failed_and_what_was_skipped_for_it() {
    let mut case = under_way(0);
    case.end("square", &[1, 2], ElementState::Failed);
    case.end("square", &[0, 3], ElementState::Succeeded);
    case.plan();
    case.end("half", &[0, 3], ElementState::Succeeded);
    case.plan();
    assert_snapshot!(case.retry(&[("square", Some(&[2]))]), @"
    reopen square[2..3] request
    ");
    assert_snapshot!(case.plan(), @"
    send square#2[2..3] try 2 after -
    reopen half[2..3] upstream
    send half#2[2..3] after square#2:ok
    send d3 after half#2:any
    ");
}

#[test]
fn a_run_that_has_ended_is_driven_again() {
    let mut case = chain(0);
    case.plan();
    case.succeed("split", &[1]);
    case.planned_by("d1");
    case.end("square", &[0], ElementState::Failed);
    // `d2` was cancelled with the end of the run, and drives nothing any more.
    assert_snapshot!(case.plan(), @"
    end half[0..1] skipped: it needs the element of `square` of the same index, which has no result
    end sum[0..1] skipped: it needs all of `half`, of which 1 have no result
    cancel d2
    finished failed
    ");
    case.retry(&[]);
    assert_snapshot!(case.plan(), @"
    send square#2[0..1] try 2 after -
    send half#2[0..1] after square#2:ok
    send sum#2[0..1] after half#2:ok
    send d3 after sum#2:any
    ");
    assert_eq!(case.retry(&[]), "", "nothing has ended without a value");
}

#[test]
fn to_ask_for_a_skipped_element_asks_for_what_it_needs() {
    let mut case = under_way(0);
    case.end("square", &[1], ElementState::Failed);
    case.end("square", &[0, 2, 3], ElementState::Succeeded);
    case.plan();
    case.end("half", &[0, 2, 3], ElementState::Succeeded);
    case.plan();
    assert_snapshot!(case.retry(&[("sum", None)]), @"
    reopen square[1..2] request
    reopen half[1..2] request
    reopen sum[0..1] request
    ");
    assert_eq!(case.retry(&[("split", None)]), "", "it has succeeded");
}

#[test]
fn a_cancelled_run_goes_on_with_everything_it_had_left() {
    let mut case = under_way(0);
    case.end("square", &[0, 1], ElementState::Succeeded);
    case.state.apply(&Record::CancelRequested);
    case.plan();
    assert_snapshot!(case.retry(&[]), @"
    reopen square[2..4] request
    reopen half[0..4] request
    reopen sum[0..1] request
    ");
    assert_snapshot!(case.plan(), @"
    send square#2[2..4] try 2 after -
    send half#2[0..2] try 2 after -
    send half#3[2..4] try 2 after square#2:element
    send sum#2[0..1] try 2 after half#2:ok half#3:ok
    send d3 after sum#2:any
    ");
}

#[test]
fn a_width_that_a_failure_had_taken_comes_back_with_the_retry() {
    let mut case = chain(0);
    case.plan();
    case.end("split", &[0], ElementState::Failed);
    case.planned_by("d1");
    assert_snapshot!(case.retry(&[("split", None)]), @"
    reopen split[0..1] request
    ");
    assert_snapshot!(case.plan(), @"
    send split#2[0..1] try 2 after -
    reopen square[] upstream
    reopen half[] upstream
    reopen sum[0..1] upstream
    send d2 after split#2:any
    ");
}

#[test]
fn a_window_is_filled_part_by_part_and_the_driver_waits_for_the_first() {
    let mut case = Case::new(&[
        single("split", "list[int]", &[]),
        array("square", "int", &[takes("split", "int")]),
    ]);
    case.room = Room {
        jobs: Some(13),
        at_once: None,
    };
    case.plan();
    case.succeed("split", &[100]);
    assert_snapshot!(case.planned_by("d1"), @"
    width square = 100
    send square[0..3] after -
    send square#2[3..6] after -
    send square#3[6..8] after -
    send d2 after square:any
    ");
    case.end("square", &[0, 1, 2], ElementState::Succeeded);
    assert_snapshot!(case.planned_by("d2"), @"
    send square#4[8..11] after -
    send d3 after square#2:any
    ");
}

#[test]
fn a_window_counts_an_index_as_long_as_one_of_its_elements_is_open() {
    let mut case = Case::new(&[
        single("split", "list[int]", &[]),
        with(array("square", "int", &[takes("split", "int")]), "batch", 2),
    ]);
    case.room = Room {
        jobs: Some(9),
        at_once: None,
    };
    case.plan();
    case.succeed("split", &[20]);
    assert_snapshot!(case.planned_by("d1"), @"
    width square = 20
    send square[0..4] by 2 after -
    send square#2[4..8] by 2 after -
    send d2 after square:any
    ");
    // One element of each index has ended: four indices are still there.
    case.end("square", &[0, 2, 4, 6], ElementState::Succeeded);
    assert_snapshot!(case.plan(), @"");
}

#[test]
fn where_the_batch_system_takes_no_more_nothing_but_the_driver_is_sent() {
    let mut case = Case::new(&[
        single("split", "list[int]", &[]),
        with(array("square", "int", &[takes("split", "int")]), "batch", 2),
    ]);
    case.plan();
    case.succeed("split", &[10]);
    case.room.at_once = Some(2);
    case.planned_by("d1");
    case.room.at_once = Some(0);
    case.end("square", &[0, 1], ElementState::Succeeded);
    assert_snapshot!(case.plan(), @"
    
    ");
}
