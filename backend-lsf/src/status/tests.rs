use reflow_core::scheduler::ExitStatus;

use super::*;

fn row(index: u32, state: JobState) -> Row {
    Row {
        job: "43".into(),
        index,
        state,
        is_doubtful: false,
        was_killed: false,
    }
}

fn ended(reason: EndReason) -> JobState {
    JobState::Ended(ExitStatus::new(reason))
}

fn by_signal(signal: i32) -> JobState {
    JobState::Ended(ExitStatus::from_signal(signal))
}

fn combined(queued: &[Row], recorded: &[Row]) -> JobStatus {
    combine(&JobId::new("43").expect("is an id"), queued, recorded)
}

const WAITS: JobState = JobState::Pending {
    reason: None,
    never: false,
};

#[test]
fn elements_count_from_0() {
    let status = combined(&[row(1, ended(EndReason::Completed)), row(2, WAITS)], &[]);
    let indices: Vec<u32> = status
        .elements
        .iter()
        .map(|element| element.index)
        .collect();
    assert_eq!(indices, [0, 1]);
    assert_eq!(status.state, WAITS);
    let single = combined(&[row(0, ended(EndReason::Failed))], &[]);
    assert!(single.elements.is_empty());
    assert_eq!(single.state, ended(EndReason::Failed));
}

#[test]
fn the_history_knows_what_bjobs_has_forgotten() {
    let status = combined(&[], &[row(0, ended(EndReason::Completed))]);
    assert_eq!(status.state, ended(EndReason::Completed));
    // Of two elements, the first was forgotten.
    let second = [row(2, ended(EndReason::Completed))];
    assert!(needs_history(&second));
    assert_eq!(combined(&second, &[]).state, JobState::Unknown);
    let status = combined(&second, &[row(1, ended(EndReason::Failed))]);
    assert_eq!(status.elements[0].state, ended(EndReason::Failed));
    assert!(status.state.is_ended());
    // What has not ended there is out of date.
    let status = combined(&[], &[row(0, JobState::Running { since: None })]);
    assert_eq!(status.state, JobState::Unknown);
}

#[test]
fn the_history_tells_a_cancelled_job_from_one_that_killed_itself() {
    let killed = |was_killed| {
        let recorded = Row {
            was_killed,
            ..row(0, by_signal(2))
        };
        let status = combined(&[row(0, by_signal(2))], &[recorded]);
        match status.state {
            JobState::Ended(end) => (end.reason, end.signal),
            state => panic!("{state:?}"),
        }
    };
    assert_eq!(killed(true), (EndReason::Cancelled, Some(2)));
    assert_eq!(killed(false), (EndReason::Failed, Some(2)));
    // What bjobs is sure of stays.
    let recorded = Row {
        was_killed: true,
        ..row(0, by_signal(9))
    };
    let status = combined(&[row(0, ended(EndReason::Walltime))], &[recorded]);
    assert_eq!(status.state, ended(EndReason::Walltime));
}

#[test]
fn what_nobody_knows_is_unknown() {
    let status = combined(&[], &[]);
    assert_eq!(status.state, JobState::Unknown);
    assert!(status.elements.is_empty());
}
