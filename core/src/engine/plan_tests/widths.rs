//! How wide arrays become.

use insta::assert_snapshot;

use super::case::{Case, array, single, takes, with};
use crate::engine::ElementState;

#[test]
fn lists_of_different_lengths_fail_naming_both() {
    let mut case = Case::new(&[
        single("names", "list[str]", &[]),
        single("sizes", "list[int]", &[]),
        array(
            "pair",
            "int",
            &[takes("names", "str"), takes("sizes", "int")],
        ),
        single("sum", "int", &[takes("pair", "list[int]")]),
    ]);
    // One dispatch for both: the width needs both.
    assert_snapshot!(case.plan(), @"
    send names[0..1] after -
    send sizes[0..1] after -
    send d1 after sizes:any names:any
    ");
    case.succeed("names", &[3]);
    case.succeed("sizes", &[2]);
    assert_snapshot!(case.planned_by("d1"), @"
    never pair failed: its parameters run over lists of different lengths: `of_names` has 3, `of_sizes` has 2
    end sum[0..1] skipped: it needs `pair`, which has no result
    finished failed
    ");
}

#[test]
fn an_empty_fan_out_has_no_elements_and_its_gather_is_sent_all_the_same() {
    let mut case = Case::new(&[
        single("split", "list[int]", &[]),
        array("each", "int", &[takes("split", "int")]),
        array("again", "int", &[takes("each", "int")]),
        single("sum", "int", &[takes("again", "list[int]")]),
    ]);
    case.plan();
    case.succeed("split", &[0]);
    assert_snapshot!(case.planned_by("d1"), @"
    width each = 0
    width again = 0
    send sum[0..1] after -
    send d2 after sum:any
    ");
}

#[test]
fn an_array_over_all_entries_of_all_lists_waits_for_the_whole_array() {
    let mut case = Case::new(&[
        single("split", "list[int]", &[]),
        array("parts", "list[int]", &[takes("split", "int")]),
        array("each", "int", &[takes("parts", "int")]),
    ]);
    case.plan();
    case.succeed("split", &[3]);
    assert_snapshot!(case.planned_by("d1"), @"
    width parts = 3
    send parts[0..3] after -
    send d2 after parts:any
    ");
    case.succeed("parts", &[2, 0, 5]);
    assert_snapshot!(case.planned_by("d2"), @"
    width each = 7
    send each[0..7] after -
    send d3 after each:any
    ");
}

/// Element 0 of `each` takes `one`; the others take those of `left`, from 0 on.
fn steps() -> Case {
    let both = serde_json::json!({
        "name": "item", "type": "int", "kind": "result", "steps": ["one", "left"], "concatenate": true});
    Case::new(&[
        single("one", "int", &[]),
        single("split", "list[int]", &[]),
        array("left", "int", &[takes("split", "int")]),
        array("each", "int", &[both]),
    ])
}

#[test]
fn a_failed_step_skips_the_one_element_that_takes_it() {
    let mut case = steps();
    case.plan();
    case.end("one", &[0], ElementState::Failed);
    case.succeed("split", &[2]);
    assert_snapshot!(case.planned_by("d1"), @"
    width left = 2
    send left[0..2] after -
    width each = 3
    end each[0..1] skipped: it needs `one`, which has no result
    send each[1..3] after left:any
    send d2 after each:any
    ");
}

#[test]
fn steps_are_put_one_behind_the_other() {
    let mut case = steps();
    case.plan();
    case.succeed("split", &[2]);
    // No element-wise edge: the indices of `left` and `each` differ by one.
    assert_snapshot!(case.planned_by("d1"), @"
    width left = 2
    send left[0..2] after -
    width each = 3
    send each[0..1] after one:ok
    send each#2[1..3] after left:any
    send d2 after each#2:any each:any
    ");
    // A failure hits the element that stands one further.
    case.end("one", &[0], ElementState::Succeeded);
    case.end("left", &[0], ElementState::Failed);
    assert_snapshot!(case.plan(), @"end each[1..2] skipped: it needs an element of `left`, which has no result");
}

#[test]
fn a_broadcast_value_comes_to_every_element() {
    let mut case = Case::new(&[
        single("split", "list[int]", &[]),
        single("model", "list[int]", &[]),
        array(
            "each",
            "int",
            &[
                takes("split", "int"),
                with(takes("model", "list[int]"), "broadcast", true),
            ],
        ),
    ]);
    // The width needs `split` alone.
    assert_snapshot!(case.plan(), @"
    send split[0..1] after -
    send model[0..1] after -
    send d1 after split:any
    ");
    case.succeed("split", &[2]);
    assert_snapshot!(case.planned_by("d1"), @"
    width each = 2
    send each[0..2] after model:ok
    send d2 after each:any
    ");
}
