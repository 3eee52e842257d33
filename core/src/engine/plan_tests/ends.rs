//! Failures, cancellation, pauses and the end of a run.

use insta::assert_snapshot;

use super::case::{Case, array, single, takes, with};
use crate::engine::ElementState;
use crate::journal::Record;

fn chain() -> Case {
    Case::new(&[
        single("split", "list[int]", &[]),
        array("square", "int", &[takes("split", "int")]),
        array("half", "int", &[takes("square", "int")]),
        single("sum", "int", &[takes("half", "list[int]")]),
        single("aside", "int", &[takes("split", "list[int]")]),
    ])
}

#[test]
fn a_failure_skips_exactly_the_elements_that_need_the_value() {
    let mut case = chain();
    case.plan();
    case.succeed("split", &[5]);
    case.planned_by("d1");
    case.end("square", &[1, 3], ElementState::Failed);
    case.end("square", &[0, 2, 4], ElementState::Succeeded);
    // 1 and 3 of `half`, and the gather that needs all of it; `aside` needs `split` alone.
    assert_snapshot!(case.plan(), @"
    end half[1..2,3..4] skipped: it needs the element of `square` of the same index, which has no result
    end sum[0..1] skipped: it needs all of `half`, of which 2 have no result
    ");
    case.end("half", &[0, 2, 4], ElementState::Succeeded);
    assert_snapshot!(case.plan(), @"");
    case.end("aside", &[0], ElementState::Succeeded);
    assert_snapshot!(case.plan(), @"
    cancel d2
    finished failed
    ");
    assert_eq!(case.plan(), "", "a finished run");
}

#[test]
fn a_task_without_a_result_leaves_arrays_over_it_without_a_width() {
    let mut case = chain();
    case.plan();
    case.end("split", &[0], ElementState::Lost);
    assert_snapshot!(case.planned_by("d1"), @"
    never square skipped: it needs `split`, which has no result
    never half skipped: it needs `square`, which has no result
    end sum[0..1] skipped: it needs `half`, which has no result
    end aside[0..1] skipped: it needs `split`, which has no result
    finished failed
    ");
}

#[test]
fn after_without_data_skips_too() {
    let mut case = Case::new(&[
        single("a", "int", &[]),
        with(single("b", "int", &[]), "after", vec!["a"]),
        single("c", "int", &[]),
    ]);
    case.plan();
    case.end("a", &[0], ElementState::Failed);
    assert_snapshot!(case.plan(), @"end b[0..1] skipped: it needs `a`, which has no result");
}

#[test]
fn a_cancelled_run_ends_everything_and_cancels_guards_first() {
    let mut case = chain();
    case.capabilities.after_not_ok = true;
    case.plan();
    case.state.apply(&Record::CancelRequested);
    assert_snapshot!(case.plan(), @"
    end split[0..1] cancelled: the run was cancelled
    never square cancelled: the run was cancelled
    never half cancelled: the run was cancelled
    end sum[0..1] cancelled: the run was cancelled
    end aside[0..1] cancelled: the run was cancelled
    cancel g1, split, aside, d1
    finished cancelled
    ");
}

#[test]
fn the_dispatch_that_ends_a_run_does_not_cancel_itself_or_its_guard() {
    let mut case = Case::new(&[single("a", "int", &[])]);
    case.capabilities.after_not_ok = true;
    case.plan();
    case.succeed("a", &[]);
    assert_snapshot!(case.planned_by("d1"), @"finished succeeded");
}

#[test]
fn a_paused_run_sends_nothing_and_goes_on_when_resumed() {
    let mut case = chain();
    case.state.apply(&Record::Paused {
        message: "no more jobs".to_owned(),
    });
    assert_eq!(case.plan(), "");
    case.state.apply(&Record::Resumed);
    assert_snapshot!(case.plan(), @"
    send split[0..1] after -
    send aside[0..1] after split:ok
    send d1 after split:any
    ");
    // What ends while it is paused is still told.
    case.state.apply(&Record::Paused {
        message: "no more jobs".to_owned(),
    });
    case.end("split", &[0], ElementState::Failed);
    assert_snapshot!(case.plan(), @"
    never square skipped: it needs `split`, which has no result
    never half skipped: it needs `square`, which has no result
    end sum[0..1] skipped: it needs `half`, which has no result
    end aside[0..1] skipped: it needs `split`, which has no result
    cancel d1
    finished failed
    ");
}
