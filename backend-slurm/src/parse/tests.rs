use super::*;

const RUNNING: &str = include_str!("../../tests/fixtures/squeue-running-22.05.txt");
const ENDED: &str = include_str!("../../tests/fixtures/squeue-ended-22.05.txt");
const ACCOUNTING: &str = include_str!("../../tests/fixtures/sacct-ended-22.05.txt");

fn show(rows: &[Row]) -> String {
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let part = match &row.part {
                Part::Whole => String::new(),
                Part::Element(index) => format!("_{index}"),
                Part::Elements(indices) => format!("_{indices:?}"),
            };
            let state = match &row.state {
                JobState::Ended(end) => format!(
                    "{:?} code={:?} signal={:?} node={:?} ran={:?} peak={:?}",
                    end.reason,
                    end.code,
                    end.signal,
                    end.node.as_deref().unwrap_or("-"),
                    end.elapsed.map(|time| time.as_secs()),
                    end.peak_memory.map(Memory::kibibytes),
                ),
                other => format!("{other:?}"),
            };
            format!("{}{part} {state}", row.job)
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn the_queue_tells_waiting_running_and_ended_jobs() {
    insta::assert_snapshot!(show(&queue(RUNNING).expect("is understood")), @r#"
    25_0 Running { since: Some(SystemTime { tv_sec: 1795397589, tv_nsec: 0 }) }
    25_1 Running { since: Some(SystemTime { tv_sec: 1795397589, tv_nsec: 0 }) }
    25_2 Running { since: Some(SystemTime { tv_sec: 1795397589, tv_nsec: 0 }) }
    25_[3, 4, 5, 6, 7] Pending { reason: Some("JobArrayTaskLimit"), never: false }
    26 Pending { reason: Some("Dependency"), never: false }
    27 StartFailure code=None signal=None node="c1" ran=Some(0) peak=None
    28 Failed code=None signal=Some(9) node="c1" ran=Some(0) peak=None
    29 Pending { reason: Some("JobHeldUser"), never: false }
    30 Running { since: Some(SystemTime { tv_sec: 1795397589, tv_nsec: 0 }) }
    31 Memory code=None signal=None node="c1" ran=Some(0) peak=None
    32 Completed code=Some(0) signal=None node="c1" ran=Some(1) peak=None
    33 Pending { reason: Some("Dependency"), never: false }
    "#);
    insta::assert_snapshot!(show(&queue(ENDED).expect("is understood")), @r#"
    25_0 Completed code=Some(0) signal=None node="c1" ran=Some(4) peak=None
    25_1 Failed code=Some(3) signal=None node="c1" ran=Some(4) peak=None
    25_2 Completed code=Some(0) signal=None node="c1" ran=Some(4) peak=None
    25_3 Completed code=Some(0) signal=None node="c1" ran=Some(5) peak=None
    25_4 Completed code=Some(0) signal=None node="c1" ran=Some(5) peak=None
    25_5 Completed code=Some(0) signal=None node="c1" ran=Some(5) peak=None
    25_6 Completed code=Some(0) signal=None node="c1" ran=Some(4) peak=None
    25_7 Completed code=Some(0) signal=None node="c1" ran=Some(4) peak=None
    26 DependencyFailed code=None signal=None node="-" ran=None peak=None
    27 StartFailure code=None signal=None node="c1" ran=Some(0) peak=None
    28 Failed code=None signal=Some(9) node="c1" ran=Some(0) peak=None
    29 Pending { reason: Some("JobHeldUser"), never: false }
    30 Cancelled code=None signal=Some(15) node="c1" ran=Some(1) peak=None
    31 Memory code=None signal=None node="c1" ran=Some(0) peak=None
    32 Completed code=Some(0) signal=None node="c1" ran=Some(1) peak=None
    33 Pending { reason: Some("DependencyNeverSatisfied"), never: true }
    "#);
}

#[test]
fn the_accounting_tells_ends_and_peak_memory() {
    insta::assert_snapshot!(show(&accounting(ACCOUNTING).expect("is understood")), @r#"
    25_0 Completed code=Some(0) signal=None node="c1" ran=Some(4) peak=Some(3248)
    25_1 Failed code=Some(3) signal=None node="c1" ran=Some(4) peak=Some(3276)
    25_2 Completed code=Some(0) signal=None node="c1" ran=Some(4) peak=Some(3132)
    25_3 Completed code=Some(0) signal=None node="c1" ran=Some(5) peak=Some(3088)
    25_4 Completed code=Some(0) signal=None node="c1" ran=Some(5) peak=Some(3156)
    25_5 Completed code=Some(0) signal=None node="c1" ran=Some(5) peak=Some(3192)
    25_6 Completed code=Some(0) signal=None node="c1" ran=Some(4) peak=Some(3192)
    25_7 Completed code=Some(0) signal=None node="c1" ran=Some(4) peak=Some(3248)
    26 DependencyFailed code=None signal=None node="-" ran=None peak=None
    27 StartFailure code=None signal=None node="c1" ran=Some(0) peak=None
    28 Failed code=None signal=Some(9) node="c1" ran=Some(0) peak=Some(1096)
    29 Pending { reason: None, never: false }
    30 Cancelled code=None signal=None node="c1" ran=Some(1) peak=Some(3472)
    31 Memory code=None signal=None node="c1" ran=Some(0) peak=Some(3408)
    32 Completed code=Some(0) signal=None node="c1" ran=Some(1) peak=Some(3228)
    33 Pending { reason: None, never: false }
    "#);
}

#[test]
fn lists_of_elements_in_all_spellings() {
    for (text, expected) in [
        ("3-5%2]", vec![3, 4, 5]),
        ("1,3-5,9]", vec![1, 3, 4, 5, 9]),
        ("0-6:3]", vec![0, 3, 6]),
        ("7]", vec![7]),
        ("", vec![]),
        ("x-y,2]", vec![2]),
        ("4294967295-4294967295]", vec![]),
    ] {
        assert_eq!(elements(text), expected, "{text}");
    }
}

#[test]
fn the_end_of_a_list_that_was_cut_is_not_believed() {
    assert_eq!(elements("0,2-3,32-3..."), [0, 2, 3]);
    assert_eq!(elements("0,2-3,32-3...]"), [0, 2, 3]);
    assert_eq!(elements("0,2-3,1"), [0, 2, 3]);
}

#[test]
fn ends_that_other_versions_and_sites_report() {
    let end = |word: &str, exit: &str, start: &str| {
        let node = if start == "None" {
            "None assigned"
        } else {
            "c1"
        };
        let line = format!("7|{word}|{exit}|{start}|1795397602|0||{node}\n");
        match &accounting(&line).expect("is understood")[..] {
            [row] => row.state.clone(),
            rows => panic!("{rows:?}"),
        }
    };
    let reason = |state: JobState| match state {
        JobState::Ended(end) => Some(end.reason),
        _ => None,
    };
    for (word, exit, start, expected) in [
        ("CANCELLED by 30065", "0:0", "None", EndReason::Cancelled),
        (
            "CANCELLED by 30065",
            "0:0",
            "1795397600",
            EndReason::Cancelled,
        ),
        ("CANCELLED", "0:0", "None", EndReason::DependencyFailed),
        ("CANCELLED", "0:15", "1795397600", EndReason::Cancelled),
        ("TIMEOUT", "0:0", "1795397600", EndReason::Walltime),
        ("NODE_FAIL", "0:0", "1795397600", EndReason::NodeFailure),
        ("BOOT_FAIL", "0:0", "1795397600", EndReason::NodeFailure),
        ("PREEMPTED", "0:0", "1795397600", EndReason::Preempted),
        ("DEADLINE", "0:0", "None", EndReason::Cancelled),
        ("FAILED", "0:53", "1795397600", EndReason::StartFailure),
        ("COMPLETED+", "0:0", "1795397600", EndReason::Completed),
    ] {
        assert_eq!(
            reason(end(word, exit, start)),
            Some(expected),
            "{word} {exit}"
        );
    }
    assert_eq!(end("SOMETHING_NEW", "0:0", "None"), JobState::Unknown);
}

#[test]
fn a_child_that_slurm_cancelled_is_told_from_one_that_somebody_cancelled() {
    let reason = |rows: Vec<Row>| match &rows[0].state {
        JobState::Ended(end) => (end.reason, end.started),
        other => panic!("{other:?}"),
    };
    // Captured: the start is the time of the cancellation, and both have the same time.
    for (queued, recorded, expected) in [
        (
            "350|CANCELLED|DependencyNeverSatisfied|0|1795398204|1795398204||",
            "350|CANCELLED|0:0|1795398204|1795398204|0||None assigned",
            EndReason::DependencyFailed,
        ),
        (
            "355|CANCELLED|Dependency|0|1795398202|1795398202||",
            "355|CANCELLED by 0|0:0|1795398202|1795398202|0||None assigned",
            EndReason::Cancelled,
        ),
    ] {
        let found = reason(queue(queued).expect("is understood"));
        assert_eq!(found, (expected, None));
        let found = reason(accounting(recorded).expect("is understood"));
        assert_eq!(found, (expected, None));
    }
}

#[test]
fn the_first_of_several_nodes() {
    for (nodes, first) in [
        ("c1", "c1"),
        ("c[1-4]", "c1"),
        ("a,b", "a"),
        ("a,c[1-2]", "a"),
        ("c[7,9],d1", "c7"),
    ] {
        assert_eq!(first_node(nodes), first);
    }
}

#[test]
fn what_is_no_answer_is_handed_back() {
    assert_eq!(queue("hello\n"), Err("hello".to_owned()));
    assert_eq!(accounting("7|RUNNING\n"), Err("7|RUNNING".to_owned()));
    assert_eq!(queue("CLUSTER: rig\n\n"), Ok(Vec::new()));
    // Parts of heterogeneous jobs, which reflow never submits.
    assert_eq!(queue("7+0|RUNNING|None|0|1|2|c1|\n"), Ok(Vec::new()));
}
