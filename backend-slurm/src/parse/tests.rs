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
            "350|CANCELLED|DependencyNeverSatisfied|0|1795398204|1795398204||\n",
            "350|CANCELLED|0:0|1795398204|1795398204|0||None assigned\n",
            EndReason::DependencyFailed,
        ),
        (
            "355|CANCELLED|Dependency|0|1795398202|1795398202||\n",
            "355|CANCELLED by 0|0:0|1795398202|1795398202|0||None assigned\n",
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

const REQUEUED: &str = include_str!("../../tests/fixtures/squeue-requeued-22.05.txt");
const REQUEUED_RECORDED: &str = include_str!("../../tests/fixtures/sacct-requeued-22.05.txt");
const CANCELLED: &str = include_str!("../../tests/fixtures/squeue-cancelled-22.05.txt");
const PREEMPTED: &str = include_str!("../../tests/fixtures/squeue-preempted-22.05.txt");

#[test]
fn requeued_suspended_and_stopped_jobs_have_not_ended() {
    insta::assert_snapshot!(show(&queue(REQUEUED).expect("is understood")), @r#"
    17 Running { since: Some(SystemTime { tv_sec: 1795407726, tv_nsec: 0 }) }
    18 Running { since: Some(SystemTime { tv_sec: 1795407726, tv_nsec: 0 }) }
    19 Pending { reason: Some("job requeued in held state"), never: false }
    20 NodeFailure code=None signal=None node="ac3" ran=Some(3) peak=None
    21 Pending { reason: Some("BeginTime"), never: false }
    22 Running { since: Some(SystemTime { tv_sec: 1795407721, tv_nsec: 0 }) }
    23 Running { since: Some(SystemTime { tv_sec: 1795407721, tv_nsec: 0 }) }
    24 Pending { reason: Some("JobHeldUser"), never: false }
    25_0 NodeFailure code=None signal=None node="ac4" ran=Some(3) peak=None
    25_1 NodeFailure code=None signal=None node="ac4" ran=Some(3) peak=None
    25_2 Running { since: Some(SystemTime { tv_sec: 1795407724, tv_nsec: 0 }) }
    25_3 Running { since: Some(SystemTime { tv_sec: 1795407724, tv_nsec: 0 }) }
    25_[4, 5] Pending { reason: Some("JobArrayTaskLimit"), never: false }
    26 Memory code=None signal=None node="ac1" ran=Some(1) peak=None
    27 Completed code=Some(0) signal=None node="ac1" ran=Some(1) peak=None
    28 Failed code=Some(3) signal=None node="ac1" ran=Some(1) peak=None
    29_0 Pending { reason: Some("JobArrayTaskLimit"), never: false }
    29_1 Running { since: Some(SystemTime { tv_sec: 1795407724, tv_nsec: 0 }) }
    29_2 Running { since: Some(SystemTime { tv_sec: 1795407724, tv_nsec: 0 }) }
    29_3 Pending { reason: Some("JobArrayTaskLimit"), never: false }
    30 Memory code=None signal=None node="ac3" ran=Some(1) peak=None
    35 Pending { reason: Some("BeginTime"), never: false }
    "#);
}

#[test]
fn the_accounting_has_an_end_for_a_requeued_job_until_it_starts_again() {
    let of = |job: &str| {
        let rows = accounting(REQUEUED_RECORDED).expect("is understood");
        rows.into_iter()
            .filter(|row| row.job == job)
            .collect::<Vec<_>>()
    };
    insta::assert_snapshot!(show(&of("17")), @"17 Pending { reason: None, never: false }");
    // Which is why the queue is asked first, where it waits.
    insta::assert_snapshot!(show(&of("21")), @r#"21 NodeFailure code=None signal=None node="ac3" ran=Some(3) peak=None"#);
    insta::assert_snapshot!(show(&of("28")), @r#"28 Memory code=Some(3) signal=None node="ac1" ran=Some(1) peak=Some(2708)"#);
}

#[test]
fn preempted_jobs_end_unless_they_are_requeued() {
    insta::assert_snapshot!(show(&queue(PREEMPTED).expect("is understood")), @r#"
    21 Preempted code=None signal=Some(15) node="bc1" ran=Some(3) peak=None
    22 Pending { reason: Some("BeginTime"), never: false }
    23_0 Preempted code=None signal=Some(15) node="bc3" ran=Some(3) peak=None
    23_1 Pending { reason: Some("Resources"), never: false }
    24 Pending { reason: Some("ReqNodeNotAvail, UnavailableNodes:bc4"), never: false }
    26 Running { since: Some(SystemTime { tv_sec: 1795408086, tv_nsec: 0 }) }
    "#);
}

#[test]
fn what_was_cancelled_while_it_waited_or_was_held_is_cancelled() {
    insta::assert_snapshot!(show(&queue(CANCELLED).expect("is understood")), @r#"
    17 Cancelled code=None signal=Some(15) node="ac4" ran=Some(35) peak=None
    18 Cancelled code=None signal=None node="-" ran=None peak=None
    19 Cancelled code=None signal=None node="-" ran=None peak=None
    21 Cancelled code=None signal=Some(15) node="ac3" ran=Some(37) peak=None
    22 Cancelled code=None signal=Some(9) node="ac1" ran=Some(3) peak=None
    23 Cancelled code=None signal=Some(15) node="ac1" ran=Some(161) peak=None
    24 Cancelled code=None signal=None node="-" ran=None peak=None
    29_0 Cancelled code=None signal=None node="-" ran=None peak=None
    29_1 Cancelled code=None signal=Some(15) node="ac4" ran=Some(158) peak=None
    29_2 Cancelled code=None signal=Some(15) node="ac4" ran=Some(158) peak=None
    29_3 Cancelled code=None signal=None node="-" ran=None peak=None
    35 Cancelled code=None signal=None node="-" ran=None peak=None
    "#);
}

/// Captured, but for those after the empty line, which are from the sources of Slurm.
#[test]
fn reasons_for_which_a_job_can_never_start_are_told_from_those_that_pass() {
    for (reason, expected) in [
        ("DependencyNeverSatisfied", true),
        // 2 days of at most 1; 64 cores of 8; an account or QOS that the partition does not take.
        ("PartitionTimeLimit", true),
        ("PartitionConfig", true),
        // A feature that no node has any more.
        ("BadConstraints", true),
        ("QOSMaxWallDurationPerJobLimit", true),
        ("QOSMaxCpuPerJobLimit", true),
        ("QOSMaxMemoryPerJob", true),
        ("QOSMaxNodePerJobLimit", true),
        ("QOSMinCpuNotSatisfied", true),
        ("AssocMaxWallDurationPerJobLimit", true),
        ("AssocMaxCpuPerJobLimit", true),
        ("AssocMaxCpuMinutesPerJobLimit", true),
        ("QOSMaxCpuPerUserLimit", false),
        ("QOSGrpCpuLimit", false),
        ("PartitionNodeLimit", false),
        ("PartitionDown", false),
        ("ReqNodeNotAvail, UnavailableNodes:bc4", false),
        (
            "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
            false,
        ),
        ("Resources", false),
        ("Priority", false),
        ("BeginTime", false),
        ("JobArrayTaskLimit,None", false),
        ("JobHeldUser", false),
        ("job requeued in held state", false),
        ("None", false),
        //
        ("AccountNotAllowed", true),
        ("QOSNotAllowed", true),
        ("JobHoldMaxRequeue", true),
        ("PartitionTimeLimit,Resources", false),
        ("QOSMaxJobsPerUserLimit", false),
        ("AssocGrpCPUMinutesLimit", false),
        ("JobHeldAdmin", false),
        ("ReqNodeNotAvail, May be reserved for other job", false),
    ] {
        let line = format!("7|PENDING|{reason}|0|N/A|N/A||\n");
        let rows = queue(&line).expect("is understood");
        let JobState::Pending { never, .. } = rows[0].state else {
            panic!("{rows:?}");
        };
        assert_eq!(never, expected, "{reason}");
    }
}

#[test]
fn a_state_never_heard_of_is_no_end() {
    let line = |word: &str, nodes: &str| format!("7|{word}|None|0|1795397600|N/A|{nodes}|\n");
    let state = |line: &str| queue(line).expect("is understood")[0].state.clone();
    assert!(matches!(
        state(&line("EXPEDITING", "c1")),
        JobState::Running { since: Some(_) }
    ));
    assert_eq!(
        state(&line("REVOKED", "")),
        JobState::Pending {
            reason: Some("REVOKED".into()),
            never: false
        }
    );
    let recorded = accounting("7|REVOKED|0:0|None|1795397600|0||None assigned\n");
    assert_eq!(recorded.expect("is understood")[0].state, JobState::Unknown);
}

#[test]
fn half_an_answer_is_none() {
    // Everything after any byte of a real answer is missing.
    for end in 1..RUNNING.len() {
        let cut = &RUNNING[..end];
        assert_eq!(queue(cut).is_ok(), cut.ends_with('\n'), "{cut}");
    }
    for end in 1..ACCOUNTING.len() {
        let cut = &ACCOUNTING[..end];
        assert_eq!(accounting(cut).is_ok(), cut.ends_with('\n'), "{cut}");
    }
}

#[test]
fn bytes_that_are_no_text_are_read_around() {
    let text = String::from_utf8_lossy(
        b"7|PENDING|\xff\xfe|0|N/A|N/A||\n8|RUNNING|None|0|1795397600|N/A|c1|\n",
    )
    .into_owned();
    let rows = queue(&text).expect("is understood");
    assert!(matches!(
        rows[0].state,
        JobState::Pending { never: false, .. }
    ));
    assert!(matches!(rows[1].state, JobState::Running { .. }));
}
