use reflow_core::scheduler::{EndReason, ExitStatus};

use super::*;
use crate::parse;

const ENDED: &str = include_str!("../../tests/fixtures/qstat-ended.json");
const RUNNING: &str = include_str!("../../tests/fixtures/qstat-array-running.json");
const ARRAY_ENDED: &str = include_str!("../../tests/fixtures/qstat-array-ended.json");
const HELD: &str = include_str!("../../tests/fixtures/qstat-held.json");
const TORQUE: &str = include_str!("../../tests/fixtures/qstat-torque-6.1.txt");

fn status_in(answer: &Answer, dialect: Dialect, job: &str) -> JobStatus {
    let id = JobId::new(job).expect("is an id");
    let held = held::forgotten(answer)
        .map(|(record, _)| record.id.clone())
        .collect();
    let mut states = read(dialect, &[id], answer, &held);
    states.pop().expect("one for each job")
}

fn status_of(text: &str, job: &str) -> JobStatus {
    let answer = parse::json(text).expect("is an answer");
    status_in(&answer, Dialect::OpenPbs, job)
}

fn end(state: &JobState) -> &ExitStatus {
    match state {
        JobState::Ended(end) => end,
        other => panic!("has not ended: {other:?}"),
    }
}

fn reasons(status: &JobStatus) -> Vec<Option<EndReason>> {
    let of = |state: &JobState| match state {
        JobState::Ended(end) => Some(end.reason),
        _ => None,
    };
    status
        .elements
        .iter()
        .map(|element| of(&element.state))
        .collect()
}

#[test]
fn each_end_has_its_reason() {
    for (job, reason, code, signal) in [
        ("1", EndReason::Completed, Some(0), None),
        ("2", EndReason::Failed, Some(7), None),
        ("3", EndReason::Failed, None, Some(9)),
        ("4", EndReason::Cancelled, None, Some(15)),
        ("5", EndReason::Walltime, None, None),
        ("6", EndReason::DependencyFailed, None, None),
        ("7", EndReason::Cancelled, None, None),
        ("8", EndReason::Failed, None, Some(9)),
    ] {
        let status = status_of(ENDED, &format!("{job}.localhost"));
        let end = end(&status.state);
        assert_eq!(
            (end.reason, end.code, end.signal),
            (reason, code, signal),
            "{job}"
        );
        assert!(status.elements.is_empty());
    }
    let status = status_of(ENDED, "5");
    assert_eq!(
        end(&status.state).native.as_deref(),
        Some("JOB_EXEC_KILL_WALLTIME")
    );
    assert_eq!(status_of(ENDED, "99999.localhost").state, JobState::Unknown);
    assert_eq!(status_of(ENDED, "1.other").state, JobState::Unknown);
    assert_eq!(status_of(ENDED, "1[].localhost").state, JobState::Unknown);
}

#[test]
fn elements_are_told_apart_and_the_array_runs_while_one_does() {
    let status = status_of(RUNNING, "20[].localhost");
    assert!(matches!(status.state, JobState::Running { .. }));
    assert_eq!(
        reasons(&status),
        [
            Some(EndReason::Completed),
            Some(EndReason::Failed),
            None,
            // Deleted before it ran, although it has an exit status.
            Some(EndReason::Cancelled),
            None
        ]
    );
    assert!(matches!(
        status.elements[4].state,
        JobState::Pending { never: false, .. }
    ));
    assert_eq!(end(&status.elements[1].state).code, Some(3));
    assert_eq!(end(&status.elements[3].state).signal, None);
}

#[test]
fn the_exit_status_of_an_array_is_not_believed() {
    // The array says 0, as it was observed although an element failed.
    let status = status_of(ARRAY_ENDED, "20[].localhost");
    assert_eq!(end(&status.state).reason, EndReason::Failed);
    assert_eq!(end(&status.state).code, Some(3));
    assert_eq!(reasons(&status)[3], Some(EndReason::Cancelled));
}

#[test]
fn elements_that_were_deleted_with_their_array_have_not_succeeded() {
    let text = r#"{"timestamp":1,"Jobs":{
        "54[].localhost":{"job_state":"F","substate":92,"Hold_Types":"s","depend":"afterok:53[].localhost@localhost"},
        "54[0].localhost":{"job_state":"F","substate":92,"Exit_status":0},
        "54[1].localhost":{"job_state":"F","substate":92}}}"#;
    let status = status_of(text, "54[].localhost");
    assert_eq!(reasons(&status), [Some(EndReason::DependencyFailed); 2]);
    assert_eq!(end(&status.state).reason, EndReason::DependencyFailed);
}

#[test]
fn what_can_never_start_is_said_to_be_so() {
    let never = |job: &str| match status_of(HELD, job).state {
        JobState::Pending { never, .. } => never,
        other => panic!("{job} does not wait: {other:?}"),
    };
    // 39 was deleted before it ran, 9999 is unknown, 41 runs.
    assert!(never("40.localhost"));
    assert!(!never("42.localhost"));
    assert!(never("43.localhost"));
    assert!(never("44.localhost"));
    assert!(never("45.localhost"));
    let JobState::Pending { reason, .. } = status_of(HELD, "44.localhost").state else {
        panic!("it waits");
    };
    assert!(reason.is_some_and(|reason| reason.starts_with("Can Never Run: ")));
}

#[test]
fn a_held_child_is_given_time_to_be_released() {
    let answer = |now: u64, ended: u64| {
        let text = format!(
            r#"{{"timestamp":{now},"Jobs":{{
            "1.a":{{"job_state":"F","substate":92,"Exit_status":0,"stime":{ended},"history_timestamp":{ended}}},
            "2.a":{{"job_state":"H","Hold_Types":"s","depend":"afterok:1.a@a"}}}}}}"#
        );
        held::forgotten(&parse::json(&text).expect("is an answer")).count()
    };
    assert_eq!(answer(1_795_365_700, 1_795_365_690), 0);
    assert_eq!(answer(1_795_365_700, 1_795_365_600), 1);
}

#[test]
fn torque_tells_the_same_in_its_own_words() {
    let answer = parse::text(TORQUE).expect("is an answer");
    let of = |job: &str| status_in(&answer, Dialect::Torque, job);
    assert_eq!(end(&of("1097.torque.example.org").state).code, Some(7));
    let array = of("1098[].torque.example.org");
    assert!(matches!(array.state, JobState::Running { .. }));
    assert_eq!(reasons(&array), [None, Some(EndReason::Walltime)]);
}

#[test]
fn exit_statuses_of_pbs_itself_have_their_reasons() {
    let reason = |dialect, exit: i64| {
        let text = format!(
            r#"{{"timestamp":1,"Jobs":{{"1.a":{{"job_state":"F","substate":93,"Exit_status":{exit},"stime":1}}}}}}"#
        );
        let answer = parse::json(&text).expect("is an answer");
        end(&status_in(&answer, dialect, "1.a").state).reason
    };
    for (exit, expected) in [
        (-1, EndReason::StartFailure),
        (-2, EndReason::StartFailure),
        (-4, EndReason::NodeFailure),
        (-10, EndReason::StartFailure),
        (-20, EndReason::NodeFailure),
        (-27, EndReason::Memory),
        (-29, EndReason::Walltime),
    ] {
        assert_eq!(reason(Dialect::OpenPbs, exit), expected, "{exit}");
    }
    for (exit, expected) in [
        (-9, EndReason::StartFailure),
        (-10, EndReason::Memory),
        (-11, EndReason::Walltime),
    ] {
        assert_eq!(reason(Dialect::Torque, exit), expected, "{exit}");
    }
}
