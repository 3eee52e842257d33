//! What is sent at once, and what waits for what.

use insta::assert_snapshot;

use super::case::{Case, array, single, takes, with};
use crate::engine::ElementState;
use crate::rundir::DispatchMode;
use crate::scheduler::{Capabilities, FailedParent};

/// A list, an array over it, and an array chained to that.
fn chain() -> Case {
    Case::new(&[
        single("split", "list[int]", &[]),
        array("square", "int", &[takes("split", "int")]),
        array("half", "int", &[takes("square", "int")]),
        single("sum", "int", &[takes("half", "list[int]")]),
    ])
}

/// Returns what is planned for [`chain`] once its width is known, by a batch system like that.
fn planned_chain(change: impl FnOnce(&mut Capabilities)) -> String {
    let mut case = chain();
    change(&mut case.capabilities);
    case.plan();
    case.succeed("split", &[4]);
    case.planned_by("d1")
}

#[test]
fn known_widths_are_sent_at_once_with_native_dependencies() {
    let mut case = Case::new(&[
        single("a", "int", &[]),
        single("b", "int", &[takes("a", "int")]),
        single("c", "int", &[takes("a", "int")]),
        single("join", "int", &[takes("b", "int"), takes("c", "int")]),
        with(single("e", "int", &[]), "after", vec!["a"]),
    ]);
    // The last dispatch waits for whatever nobody else waits for.
    assert_snapshot!(case.plan(), @"
    send a[0..1] after -
    send b[0..1] after a:ok
    send c[0..1] after a:ok
    send join[0..1] after b:ok c:ok
    send e[0..1] after a:ok
    send d1 after e:any join:any
    ");
}

#[test]
fn an_unknown_width_gets_a_dispatch_after_that_upstream_alone() {
    let mut case = chain();
    assert_snapshot!(case.plan(), @"
    send split[0..1] after -
    send d1 after split:any
    ");
    case.succeed("split", &[50]);
    assert_snapshot!(case.planned_by("d1"), @"
    width square = 50
    send square[0..50] after -
    width half = 50
    send half[0..50] after square:element
    send sum[0..1] after half:ok
    send d2 after sum:any
    ");
    // prepare, dispatch, array, array, gather, dispatch: six jobs.
    assert_eq!(case.jobs(), 6);
    case.succeed("square", &[]);
    case.succeed("half", &[]);
    case.succeed("sum", &[]);
    assert_snapshot!(case.planned_by("d2"), @"finished succeeded");
}

#[test]
fn branches_do_not_wait_for_each_other() {
    let mut case = Case::new(&[
        single("left", "list[int]", &[]),
        single("right", "list[int]", &[]),
        array("left_each", "int", &[takes("left", "int")]),
        array("right_each", "int", &[takes("right", "int")]),
    ]);
    assert_snapshot!(case.plan(), @"
    send left[0..1] after -
    send right[0..1] after -
    send d1 after left:any
    send d2 after right:any
    ");
    // `right` still runs: nothing of what follows is after it.
    case.succeed("left", &[2]);
    assert_snapshot!(case.planned_by("d1"), @"
    width left_each = 2
    send left_each[0..2] after -
    ");
}

#[test]
fn element_wise_only_between_arrays_of_the_same_elements_and_batch() {
    let mut case = chain();
    case.plan();
    case.succeed("split", &[4]);
    case.planned_by("d1");
    // Handed back, so `half` is sent again for one element, while `square` has all four.
    case.succeed("square", &[]);
    case.hand_back("half", &[2]);
    assert_snapshot!(case.planned_by("d2"), @"
    send half#2[2..3] after -
    back sum[0..1] replaced
    withdraw sum[0..1]
    send sum#2[0..1] after half:any half#2:ok
    send d3 after sum#2:any
    ");

    let mut case = Case::new(&[
        single("split", "list[int]", &[]),
        with(array("square", "int", &[takes("split", "int")]), "batch", 2),
        array("half", "int", &[takes("square", "int")]),
        with(array("third", "int", &[takes("square", "int")]), "batch", 2),
    ]);
    case.plan();
    case.succeed("split", &[4]);
    assert_snapshot!(case.planned_by("d1"), @"
    width square = 4
    send square[0..4] by 2 after -
    width half = 4
    send half[0..4] after square:any
    width third = 4
    send third[0..4] by 2 after square:element
    send d2 after third:any half:any
    ");
}

#[test]
fn whole_arrays_where_the_batch_system_knows_no_elements() {
    let plan = planned_chain(|capabilities| capabilities.element_wise = false);
    assert_snapshot!(plan, @"
    width square = 4
    send square[0..4] after -
    width half = 4
    send half[0..4] after square:any
    send sum[0..1] after half:ok
    send d2 after sum:any
    ");
}

/// As on LSF, where the child of a failed element would wait for ever: its end releases it, and its worker
/// finds that it has failed.
#[test]
fn elements_wait_for_the_end_of_theirs_where_failures_hold_their_children() {
    let plan = planned_chain(|capabilities| {
        capabilities.failed_parent = FailedParent::PendForever;
        capabilities.element_wise_any = true;
    });
    assert_snapshot!(plan, @"
    width square = 4
    send square[0..4] after -
    width half = 4
    send half[0..4] after square:element_any
    send sum[0..1] after half:any
    send d2 after sum:any
    ");
}

/// Where nothing but success releases an element, and failures delete or hold what waits for them, whole
/// arrays are waited for.
#[test]
fn nothing_waits_for_an_element_that_may_never_release_it() {
    for failed_parent in [FailedParent::Deleted, FailedParent::PendForever] {
        let plan = planned_chain(|capabilities| capabilities.failed_parent = failed_parent);
        insta::allow_duplicates! {
            assert_snapshot!(plan, @"
            width square = 4
            send square[0..4] after -
            width half = 4
            send half[0..4] after square:any
            send sum[0..1] after half:any
            send d2 after sum:any
            ");
        }
    }
}

#[test]
fn after_ok_only_where_a_failed_parent_cancels_its_child() {
    for failed_parent in [
        FailedParent::Deleted,
        FailedParent::PendForever,
        FailedParent::Runs,
    ] {
        let mut case = Case::new(&[
            single("a", "int", &[]),
            single("b", "int", &[takes("a", "int")]),
        ]);
        case.capabilities.failed_parent = failed_parent;
        let plan = case.plan();
        insta::allow_duplicates! {
            assert_snapshot!(plan, @"
            send a[0..1] after -
            send b[0..1] after a:any
            send d1 after b:any
            ");
        }
    }
}

#[test]
fn an_array_longer_than_the_limit_is_sent_in_parts() {
    let mut case = chain();
    case.capabilities.array_limit = Some(20);
    case.plan();
    case.succeed("split", &[50]);
    // Each part of `half` depends on the part of `square` of the same elements alone.
    assert_snapshot!(case.planned_by("d1"), @"
    width square = 50
    send square[0..20] after -
    send square#2[20..40] after -
    send square#3[40..50] after -
    width half = 50
    send half[0..20] after square:element
    send half#2[20..40] after square#2:element
    send half#3[40..50] after square#3:element
    send sum[0..1] after half:ok half#2:ok half#3:ok
    send d2 after sum:any
    ");
}

#[test]
fn a_limit_holds_over_all_submissions_of_a_task_by_taking_turns() {
    let limited = with(
        array("each", "int", &[takes("split", "int")]),
        "array_parallelism",
        3,
    );
    let tasks = [single("split", "list[int]", &[]), limited];
    let mut case = Case::new(&tasks);
    case.capabilities.array_limit = Some(4);
    case.plan();
    case.succeed("split", &[9]);
    assert_snapshot!(case.planned_by("d1"), @"
    width each = 9
    send each[0..4] at most 3 after -
    send each#2[4..8] at most 3 after each:any
    send each#3[8..9] after each:any each#2:any
    send d2 after each#3:any
    ");

    // A batch system that keeps no such limit gets arrays of that size, one after the other.
    let mut case = Case::new(&tasks);
    case.capabilities.concurrency_limit = false;
    case.plan();
    case.succeed("split", &[9]);
    assert_snapshot!(case.planned_by("d1"), @"
    width each = 9
    send each[0..3] after -
    send each#2[3..6] after each:any
    send each#3[6..9] after each:any each#2:any
    send d2 after each#3:any
    ");
}

#[test]
fn a_batch_runs_several_elements_in_one_index() {
    let batched = with(array("each", "int", &[takes("split", "int")]), "batch", 4);
    let mut case = Case::new(&[single("split", "list[int]", &[]), batched]);
    // Two indices of four elements are an array that the batch system takes.
    case.capabilities.array_limit = Some(2);
    case.plan();
    case.succeed("split", &[10]);
    assert_snapshot!(case.planned_by("d1"), @"
    width each = 10
    send each[0..8] by 4 after -
    send each#2[8..10] by 4 after -
    send d2 after each#2:any each:any
    ");
}

#[test]
fn every_dispatch_has_a_guard_where_a_job_can_depend_on_a_failure() {
    let mut case = chain();
    case.capabilities.after_not_ok = true;
    assert_snapshot!(case.plan(), @"
    send split[0..1] after -
    send d1 after split:any
    send g1 after d1:not_ok
    ");
    // The dispatch was killed: its guard plans instead, and guards itself first.
    case.succeed("split", &[2]);
    let tag = case.state.submissions[1].record.tag.clone();
    case.state.apply(&crate::journal::Record::Closed { tag });
    assert_snapshot!(case.planned_by("g1"), @"
    send g2 after g1:not_ok
    width square = 2
    send square[0..2] after -
    width half = 2
    send half[0..2] after square:element
    send sum[0..1] after half:ok
    send d2 after sum:any
    send g3 after d2:not_ok
    ");
}

#[test]
fn login_mode_sends_no_dispatch_jobs() {
    let mut case = chain();
    case.dispatch = DispatchMode::Login;
    case.capabilities.after_not_ok = true;
    assert_snapshot!(case.plan(), @"send split[0..1] after -");
    case.succeed("split", &[3]);
    assert_snapshot!(case.plan(), @"
    width square = 3
    send square[0..3] after -
    width half = 3
    send half[0..3] after square:element
    send sum[0..1] after half:ok
    ");
}

#[test]
fn an_element_that_came_back_goes_again_only_when_its_inputs_are_there() {
    let mut case = Case::new(&[
        single("a", "int", &[]),
        single("b", "int", &[takes("a", "int")]),
    ]);
    case.plan();
    // The batch system let `b` start although `a` is still on its way.
    case.hand_back("b", &[0]);
    assert_snapshot!(case.planned_by("d1"), @"send d2 after a:any");
    case.end("a", &[0], ElementState::Succeeded);
    assert_snapshot!(case.planned_by("d2"), @"
    send b#2[0..1] after -
    send d3 after b#2:any
    ");
}

#[test]
fn what_the_batch_system_did_not_take_goes_again() {
    let mut case = Case::new(&[single("a", "int", &[]), single("b", "int", &[])]);
    case.plan();
    case.not_sent("b");
    // The dispatch after `a` plans again in any case: no further one is needed.
    assert_snapshot!(case.plan(), @"send b#2[0..1] after -");
}
