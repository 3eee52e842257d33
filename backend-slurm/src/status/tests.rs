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
