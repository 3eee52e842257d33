use super::*;

fn answer(job: &str, queue: &str, accounting: &str) -> JobStatus {
    let id = JobId::new(job).expect("is an id");
    let of =
        |rows: Vec<Row>| -> Vec<Row> { rows.into_iter().filter(|row| row.job == job).collect() };
    combine(
        &id,
        &of(parse::queue(queue).expect("is understood")),
        &of(parse::accounting(accounting).expect("is understood")),
    )
}

fn reason(state: &JobState) -> Option<EndReason> {
    match state {
        JobState::Ended(end) => Some(end.reason),
        _ => None,
    }
}

#[test]
fn elements_of_a_running_array_are_told_apart() {
    let queue = include_str!("../../tests/fixtures/squeue-running-22.05.txt");
    let status = answer("25", queue, "");
    assert!(matches!(status.state, JobState::Running { .. }));
    let indices: Vec<u32> = status
        .elements
        .iter()
        .map(|element| element.index)
        .collect();
    assert_eq!(indices, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(matches!(status.elements[2].state, JobState::Running { .. }));
    assert!(matches!(
        status.elements[3].state,
        JobState::Pending { never: false, .. }
    ));
}

#[test]
fn an_ended_array_is_judged_by_its_worst_element_wherever_it_is_remembered() {
    let queue = include_str!("../../tests/fixtures/squeue-ended-22.05.txt");
    let accounting = include_str!("../../tests/fixtures/sacct-ended-22.05.txt");
    for (queue, accounting) in [(queue, ""), ("", accounting), (queue, accounting)] {
        let status = answer("25", queue, accounting);
        assert_eq!(reason(&status.state), Some(EndReason::Failed));
        assert_eq!(status.elements.len(), 8);
        assert_eq!(reason(&status.elements[1].state), Some(EndReason::Failed));
        assert_eq!(
            reason(&status.elements[7].state),
            Some(EndReason::Completed)
        );
    }
}

#[test]
fn an_accounting_that_is_behind_is_no_verdict() {
    let behind = "7|RUNNING|0:0|1795397600|Unknown|0||c1\n";
    assert_eq!(answer("7", "", behind).state, JobState::Unknown);
    let array = "7_0|COMPLETED|0:0|1795397600|1795397601|1||c1\n7_[1-3]|PENDING|0:0|Unknown|Unknown|0||None assigned\n";
    let status = answer("7", "", array);
    assert_eq!(status.state, JobState::Unknown);
    assert_eq!(status.elements.len(), 1);
    assert_eq!(answer("7", "", "").state, JobState::Unknown);
}

#[test]
fn the_queue_is_believed_over_the_accounting() {
    let queue = "7_1|RUNNING|None|0|1795397600|N/A|c1|\n";
    let accounting =
        "7_0|FAILED|3:0|1795397600|1795397601|1||c1\n7_1|PENDING|0:0|Unknown|Unknown|0||\n";
    let status = answer("7", queue, accounting);
    assert!(matches!(status.state, JobState::Running { .. }));
    assert_eq!(reason(&status.elements[0].state), Some(EndReason::Failed));
    assert!(matches!(status.elements[1].state, JobState::Running { .. }));
}

#[test]
fn a_job_that_can_never_start_is_said_to_be_one() {
    let queue = include_str!("../../tests/fixtures/squeue-ended-22.05.txt");
    let state = answer("33", queue, "").state;
    assert!(matches!(state, JobState::Pending { never: true, .. }));
    assert_eq!(
        reason(&answer("26", queue, "").state),
        Some(EndReason::DependencyFailed)
    );
}

const REQUEUED: &str = include_str!("../../tests/fixtures/squeue-requeued-22.05.txt");
const REQUEUED_RECORDED: &str = include_str!("../../tests/fixtures/sacct-requeued-22.05.txt");
const CANCELLED: &str = include_str!("../../tests/fixtures/squeue-cancelled-22.05.txt");
const CANCELLED_RECORDED: &str = include_str!("../../tests/fixtures/sacct-cancelled-22.05.txt");

#[test]
fn a_requeued_job_has_not_ended_although_the_accounting_says_so() {
    // Both are captured, 1 s after nodes were set down and jobs requeued: the accounting says REQUEUED
    // of 17 to 19 and 35, and NODE_FAIL of 21, which all wait or are about to.
    for job in ["17", "18", "19", "21", "35", "22", "23"] {
        let state = answer(job, REQUEUED, REQUEUED_RECORDED).state;
        assert!(
            matches!(
                state,
                JobState::Pending { never: false, .. } | JobState::Running { .. }
            ),
            "{job}: {state:?}"
        );
    }
    // An element of an array, the same: the others of it run.
    let status = answer("29", REQUEUED, REQUEUED_RECORDED);
    assert!(matches!(
        status.elements[0].state,
        JobState::Pending { never: false, .. }
    ));
    assert!(matches!(status.elements[1].state, JobState::Running { .. }));
    // Without `--requeue` the end is one.
    let state = answer("20", REQUEUED, REQUEUED_RECORDED).state;
    assert_eq!(reason(&state), Some(EndReason::NodeFailure));
    let JobState::Ended(end) = state else {
        unreachable!("has a reason")
    };
    assert_eq!(end.node.as_deref(), Some("ac3"));
}

#[test]
fn a_requeued_job_that_only_the_accounting_knows_is_unknown() {
    for job in ["17", "18", "19", "35"] {
        assert_eq!(
            answer(job, "", REQUEUED_RECORDED).state,
            JobState::Unknown,
            "{job}"
        );
    }
}

#[test]
fn a_memory_kill_of_a_step_explains_a_failed_script_and_no_other() {
    let of = |queue, job| reason(&answer(job, queue, REQUEUED_RECORDED).state);
    for queue in [REQUEUED, ""] {
        // 26 ended with 0 after the kill, 30 was killed itself.
        assert_eq!(of(queue, "26"), Some(EndReason::Memory));
        assert_eq!(of(queue, "30"), Some(EndReason::Memory));
        // A step of both was killed: 27 ended with 0, 28 with 3.
        assert_eq!(of(queue, "27"), Some(EndReason::Completed));
        assert_eq!(of(queue, "28"), Some(EndReason::Memory));
    }
}

#[test]
fn the_accounting_adds_the_peak_memory_of_what_the_queue_knows_to_have_failed() {
    let JobState::Ended(end) = answer("30", REQUEUED, REQUEUED_RECORDED).state else {
        panic!("has ended");
    };
    assert_eq!(
        end.peak_memory
            .map(reflow_core::scheduler::Memory::kibibytes),
        Some(3304)
    );
    assert_eq!(end.node.as_deref(), Some("ac3"));
}

#[test]
fn elements_that_waited_together_do_not_hide_the_ends_of_their_own() {
    // Captured: `29_[2-3]` is cancelled, and lists 29_2, which had run on c4.
    for (queue, accounting) in [(CANCELLED, ""), ("", CANCELLED_RECORDED)] {
        let status = answer("29", queue, accounting);
        let indices: Vec<u32> = status
            .elements
            .iter()
            .map(|element| element.index)
            .collect();
        assert_eq!(indices, [0, 1, 2, 3]);
        for element in &status.elements {
            let JobState::Ended(end) = &element.state else {
                panic!("{element:?}")
            };
            assert_eq!(end.reason, EndReason::Cancelled);
            assert_eq!(
                end.node.is_some(),
                matches!(element.index, 1 | 2),
                "{element:?}"
            );
        }
    }
    let turned: String = CANCELLED_RECORDED
        .lines()
        .rev()
        .fold(String::new(), |text, line| text + line + "\n");
    assert_eq!(
        answer("29", "", &turned),
        answer("29", "", CANCELLED_RECORDED)
    );
}
