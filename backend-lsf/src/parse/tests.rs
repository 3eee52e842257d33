use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use reflow_core::scheduler::{EndReason, ExitStatus, Memory};

use super::*;

/// 2026-11-22 17:00:00.
fn now() -> SystemTime {
    at(1_795_366_800)
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Breaks lines as `bjobs -l` of openlava 2.2 does: at 80 columns, inside words, a blank at the break
/// dropped, 21 blanks before the rest.
fn broken(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        let mut column = 0;
        for c in line.chars() {
            if column == 80 {
                shown.push_str("\n                     ");
                column = 21;
                if c == ' ' {
                    continue;
                }
            }
            shown.push(c);
            column += 1;
        }
        shown.push('\n');
    }
    shown
}

fn only(text: &str) -> Row {
    let rows = long(text, now());
    assert_eq!(rows.len(), 1, "{text}");
    rows.into_iter().next().expect("has one")
}

fn end(row: &Row) -> &ExitStatus {
    match &row.state {
        JobState::Ended(end) => end,
        state => panic!("{state:?}"),
    }
}

/// A job of `bjobs -l`, its end as given, in the words of openlava 2.2.
fn ended(status: &str, limit: &str, last: &str) -> String {
    broken(&format!(
        "\nJob <43[2]>, Job Name <pa[2]>, User <reflowt>, Project <default>, Status <{status}>, Queue <normal>, Command <#!/bin/bash;echo a; exit 4>\nSun Nov 22 16:45:01: Submitted from host <vm>, CWD <$HOME>, Output File </dev/null>;\n{limit}Sun Nov 22 16:45:02: [2] started on <vm>, Execution Home </home/reflowt>, Execution CWD </home/reflowt>;\n{last}\n\n SCHEDULING PARAMETERS:\n           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem\n loadSched   -     -     -     -       -     -    -     -     -      -      -\n"
    ))
}

/// The words after `Status` are those that openlava 2.2 was seen to say.
#[test]
fn an_end_has_its_code_signal_and_times() {
    let row = only(&ended(
        "EXIT",
        "",
        "Sun Nov 22 16:45:09: Exited with exit code 4. The CPU time used is 0.1 seconds.",
    ));
    assert_eq!((row.job.as_str(), row.index), ("43", 2));
    let expected = ExitStatus {
        code: Some(4),
        native: Some("EXIT".into()),
        started: Some(at(1_795_365_902)),
        ended: Some(at(1_795_365_909)),
        elapsed: Some(Duration::from_secs(7)),
        node: Some("vm".into()),
        ..ExitStatus::new(EndReason::Failed)
    };
    assert_eq!(row.state, JobState::Ended(expected));

    let row = only(&ended(
        "DONE",
        "",
        "Sun Nov 22 16:45:09: Done successfully. The CPU time used is 0.1 seconds.",
    ));
    assert_eq!(end(&row).reason, EndReason::Completed);
    assert_eq!(end(&row).code, Some(0));
}

#[test]
fn signals_are_told_from_codes() {
    for (words, code, signal) in [
        ("Exited by signal 9.", None, Some(9)),
        // The shell around the script says so of a script that was killed.
        ("Exited with exit code 137.", None, Some(9)),
        ("Exited with exit code 139.", None, Some(11)),
        ("Exited with exit code 130.", None, Some(2)),
        ("Exited with exit code 200.", Some(200), None),
        ("Exited with exit code 127.", Some(127), None),
        // Of a job that used no processor time worth the name, openlava does not tell the code.
        ("Exited.", None, None),
    ] {
        let row = only(&ended(
            "EXIT",
            "",
            &format!("Sun Nov 22 16:45:09: {words} The CPU time used is 0.1 seconds."),
        ));
        assert_eq!(end(&row).reason, EndReason::Failed, "{words}");
        assert_eq!(
            (end(&row).code, end(&row).signal),
            (code, signal),
            "{words}"
        );
        assert!(row.is_doubtful, "somebody may have asked for it: {words}");
    }
}

/// openlava 2.2 has no word for it: `USR2` at the run limit ends a job with 140.
#[test]
fn a_signal_counts_as_the_run_limit_only_once_that_was_reached() {
    let limit = "\n RUNLIMIT                \n 1.0 min of vm\n";
    let reason = |ended_at: &str, words: &str| {
        let row = only(&ended(
            "EXIT",
            limit,
            &format!("Sun Nov 22 {ended_at}: {words} The CPU time used is 0.1 seconds."),
        ));
        end(&row).reason
    };
    let usr2 = "Exited with exit code 140.";
    assert_eq!(reason("16:46:04", usr2), EndReason::Walltime);
    assert_eq!(reason("16:45:30", usr2), EndReason::Failed);
    // Killed by the guard of the script.
    assert_eq!(
        reason("16:47:04", "Exited by signal 9."),
        EndReason::Walltime
    );
    assert_eq!(
        reason("16:47:04", "Exited with exit code 3."),
        EndReason::Failed
    );
}

/// The limits may share a line: the first number is that of `CPULIMIT`.
#[test]
fn the_run_limit_is_found_among_others() {
    let limit = "\n CPULIMIT                 RUNLIMIT                 PROCLIMIT               \n 600.0 min of vm          1.0 min of vm           4\n";
    let row = only(&ended(
        "EXIT",
        limit,
        "Sun Nov 22 16:46:04: Exited with exit code 140. The CPU time used is 0.1 seconds.",
    ));
    assert_eq!(end(&row).reason, EndReason::Walltime);
}

#[test]
fn what_never_started_and_has_ended_was_cancelled() {
    let text = broken(
        "\nJob <7>, Job Name <x>, User <reflowt>, Project <default>, Status <EXIT>, Queue <normal>, Command <sleep 1>\nSun Nov 22 16:45:01: Submitted from host <vm>, CWD <$HOME>;\nSun Nov 22 16:45:05: Exited\n\n SCHEDULING PARAMETERS:\n",
    );
    assert_eq!(end(&only(&text)).reason, EndReason::Cancelled);
}

/// Both reasons are openlava 2.2's.
#[test]
fn a_job_that_waits_for_ever_is_told_from_one_that_waits() {
    let pending = |reason: &str| {
        let text = broken(&format!(
            "\nJob <8>, Job Name <x>, User <reflowt>, Project <default>, Status <PEND>, Queue <normal>, Command <sleep 1>\nSun Nov 22 16:45:01: Submitted from host <vm>, CWD <$HOME>, Dependency Condition <done(43)>;\n PENDING REASONS:\n {reason}\n\n SCHEDULING PARAMETERS:\n           r15s   r1m\n"
        ));
        only(&text).state
    };
    for (reason, expected) in [
        (
            "Dependency condition invalid or never satisfied: 1 host;",
            true,
        ),
        ("Job dependency condition not satisfied: 1 host;", false),
        (
            "Job requirements for reserving resource (mem) not satisfied: 1 host;",
            false,
        ),
    ] {
        let JobState::Pending {
            reason: Some(said),
            never,
        } = pending(reason)
        else {
            panic!("waits");
        };
        assert_eq!((said.as_str(), never), (reason, expected));
    }
}

#[test]
fn jobs_that_run_or_hang_have_not_ended() {
    for status in ["RUN", "USUSP", "SSUSP", "UNKWN"] {
        let text = ended(
            status,
            "",
            "Sun Nov 22 16:46:00: Resource usage collected.\n                     MEM: 6 Mbytes;  SWAP: 243 Mbytes\n                     PGID: 51348;  PIDs: 51348",
        );
        let since = Some(at(1_795_365_902));
        assert_eq!(only(&text).state, JobState::Running { since }, "{status}");
    }
    for status in ["PSUSP", "WAIT"] {
        let state = only(&ended(status, "", "")).state;
        assert!(matches!(state, JobState::Pending { never: false, .. }));
    }
    let state = only(&ended("ERROR", "", "")).state;
    assert_eq!(state, JobState::Unknown);
}

/// IBM's own, of a published example of `bjobs -l` of LSF 10.1.
#[test]
fn the_long_form_of_ibms_lsf_is_read() {
    let text = "
Job <1>, User <lsfadmin>, Project <default>, Status <DONE>, Queue <test>, Comma
                     nd <sleep 60>, Share group charged </lsfadmin>
Mon Aug 28 14:13:30: Submitted from host <lsfmaster>, CWD </usr/local/lsf/work/
                     cluster1>, Requested Resources <azurehost>;
Mon Aug 28 14:18:06: Started 1 Task(s) on Host(s) <host-10-1-2-4>, Allocated 1
                     Slot(s) on Host(s) <host-10-1-2-4>, Execution Home </home/
                     lsfadmin>, Execution CWD </usr/local/lsf/work/cluster1>;
Mon Aug 28 14:19:06: Done successfully. The CPU time used is 0.1 seconds.

MEMORY USAGE:
MAX MEM: 2 Mbytes;  AVG MEM: 2 Mbytes

SCHEDULING PARAMETERS:
           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem
loadSched   -     -     -     -       -     -    -     -     -      -      -
loadStop    -     -     -     -       -     -    -     -     -      -      -

RESOURCE REQUIREMENT DETAILS:
Combined: select[(azurehost) && (type == any)] order[r15s:pg]
Effective: select[(azurehost) && (type == any)] order[r15s:pg]
";
    let row = only(text);
    let end = end(&row);
    assert_eq!(end.reason, EndReason::Completed);
    assert_eq!(end.node.as_deref(), Some("host-10-1-2-4"));
    assert_eq!(end.elapsed, Some(Duration::from_mins(1)));
    assert_eq!(end.peak_memory, Some(Memory::from_mebibytes(2)));
}

/// In the words of IBM's documentation of `bhist -l` and `bacct -l`; lines are broken after 26 blanks.
#[test]
fn the_history_tells_who_ended_a_job() {
    let text = "
Job <102>, Job Name <rabc>, User <u>, Project <default>, Command <z.sh>
Sun Nov 22 11:10:05: Submitted from host <h>, to Queue <regress>, CWD <$HOME>;
Sun Nov 22 11:10:30: Dispatched 1 Task(s) on Host(s) <p1-r01-n4>, Allocate
                          d 1 Slot(s) on Host(s) <p1-r01-n4>;
Sun Nov 22 11:10:30: Starting (Pid 124);
Sun Nov 22 11:11:00: Signal <KILL> requested by user or administrator <u>;
Sun Nov 22 11:11:01: Exited by signal 9. The CPU time used is 0.0 seconds;

Summary of time in seconds spent in various states by  Sun Nov 22 11:11:01
  PEND     PSUSP    RUN      USUSP    SSUSP    UNKWN    TOTAL
  25       0        31       0        0        0        56
------------------------------------------------------------------------------

Job <103>, Job Name <rabd>, User <u>, Project <default>, Command <w.sh>
Sun Nov 22 11:10:05: Submitted from host <h>, to Queue <regress>, CWD <$HOME>;
Sun Nov 22 11:10:30: Starting (Pid 125);
Sun Nov 22 13:10:35: Exited with exit code 140. The CPU time used is 1.0 secon
                          ds;
Sun Nov 22 13:10:35: Completed <exit>; TERM_RUNLIMIT: job killed after reaching
                           LSF run time limit;

Job <104>, Job Name <rabe>, User <u>, Project <default>, Command <w.sh>
Sun Nov 22 11:10:05: Submitted from host <h>, to Queue <regress>, CWD <$HOME>;
Sun Nov 22 11:10:30: Starting (Pid 126);
";
    let rows = long(text, now());
    let of = |index: usize| end(&rows[index]);
    assert_eq!(of(0).reason, EndReason::Cancelled);
    assert_eq!(of(0).node.as_deref(), Some("p1-r01-n4"));
    assert!(rows[0].was_killed);
    assert_eq!(of(1).reason, EndReason::Walltime);
    assert_eq!(of(1).native.as_deref(), Some("TERM_RUNLIMIT"));
    assert_eq!(
        (of(1).code, of(1).elapsed),
        (None, Some(Duration::from_secs(7205)))
    );
    // What has not ended in the history is not known from it.
    assert_eq!(rows[2].state, JobState::Unknown);
}

#[test]
fn a_job_that_was_started_again_is_judged_by_its_last_try() {
    let text = "
Job <9>, Job Name <rabc>, User <u>, Project <default>, Command <z.sh>
Sun Nov 22 11:10:30: Started on <a>;
Sun Nov 22 11:11:00: Signal <KILL> requested by user or administrator <u>;
Sun Nov 22 11:11:01: Exited by signal 9. The CPU time used is 0.0 seconds;
Sun Nov 22 11:11:01: Pending: Requeued job is waiting for rescheduling;
Sun Nov 22 11:12:30: Started on <b>;
Sun Nov 22 11:13:30: Done successfully. The CPU time used is 0.0 seconds;
";
    let row = only(text);
    assert_eq!(end(&row).reason, EndReason::Completed);
    assert_eq!(end(&row).node.as_deref(), Some("b"));
    assert!(!row.was_killed);
}

/// The lines are built from IBM's documentation of `bjobs -o`; the reason at the end of a job is one that
/// LSF 10.1 was seen to print there.
#[test]
fn the_fields_of_ibms_lsf_are_read() {
    let text = "43^1^DONE^-^-^2 Mbytes^12 second(s)^Nov 22 16:45^vm^-\n\
43^2^EXIT^4^-^1.5 Gbytes^3 second(s)^Nov 22 16:45^4*vm:2*vn^-\n\
44^0^EXIT^12^TERM_RUNLIMIT: job killed after reaching LSF run time limit^-^61 second(s)^Nov 22 16:45^vm^-\n\
45^0^EXIT^130^TERM_OWNER: job killed by owner^-^5 second(s)^Nov 22 16:45^vm^-\n\
46^0^EXIT^137^TERM_MEMLIMIT: job killed after reaching LSF memory usage limit^-^5 second(s)^Nov 22 16:45^vm^-\n\
47^0^EXIT^-^TERM_ORPHAN_SYSTEM: The orphan job was automatically terminated by LSF^-^0 second(s)^-^-^-\n\
48^0^EXIT^-^-^-^0 second(s)^-^-^-\n\
49^0^RUN^-^-^-^9 second(s)^Nov 22 16:45^vm^-\n\
50^0^PEND^-^-^-^0 second(s)^-^-^Dependency condition invalid or never satisfied;\n\
51[3]^3^PEND^-^-^-^0 second(s)^-^-^New job is waiting for scheduling; x^y\n\
52^0^ZOMBI^-^-^-^9 second(s)^Nov 22 16:45^vm^-\n";
    let rows = custom(text, now()).expect("fits");
    let reasons: Vec<Option<EndReason>> = rows
        .iter()
        .map(|row| match &row.state {
            JobState::Ended(end) => Some(end.reason),
            _ => None,
        })
        .collect();
    assert_eq!(
        reasons,
        [
            Some(EndReason::Completed),
            Some(EndReason::Failed),
            Some(EndReason::Walltime),
            Some(EndReason::Cancelled),
            Some(EndReason::Memory),
            Some(EndReason::DependencyFailed),
            Some(EndReason::Cancelled),
            None,
            None,
            None,
            Some(EndReason::Cancelled),
        ]
    );
    assert_eq!((rows[1].job.as_str(), rows[1].index), ("43", 2));
    let failed = end(&rows[1]);
    assert_eq!((failed.code, failed.signal), (Some(4), None));
    assert_eq!(failed.node.as_deref(), Some("vm"));
    assert_eq!(failed.peak_memory, Some(Memory::from_mebibytes(1536)));
    assert_eq!(failed.ended, Some(at(1_795_365_903)));
    assert_eq!(end(&rows[2]).code, None, "a job that LSF ended has no code");
    let since = Some(at(1_795_365_900));
    assert_eq!(rows[7].state, JobState::Running { since });
    assert!(matches!(
        rows[8].state,
        JobState::Pending { never: true, .. }
    ));
    assert!(matches!(
        &rows[9].state,
        JobState::Pending { never: false, reason: Some(reason) } if reason.ends_with("x^y")
    ));
    assert_eq!(rows[9].index, 3);
}

#[test]
fn half_an_answer_is_none() {
    for text in ["43^1^DONE^-^-^-^1 second(s)^-^-^-\n43^2^DO", "hello\n"] {
        assert!(custom(text, now()).is_err(), "{text}");
    }
    // Of the long form, what is there is right; an end that is cut off is not known.
    let whole = ended(
        "EXIT",
        "",
        "Sun Nov 22 16:45:09: Exited with exit code 130. The CPU time used is 0.1 seconds.",
    );
    for cut in 0..whole.len() {
        for row in long(&whole[..cut], now()) {
            let is_right = match &row.state {
                JobState::Unknown => true,
                JobState::Ended(end) => end.signal == Some(2),
                _ => false,
            };
            assert!(is_right, "{cut}: {row:?}");
        }
    }
}

/// The table is openlava 2.2's; the second has hosts that are missing or many.
#[test]
fn names_are_found_whatever_stands_before_them() {
    let text = "JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME\n\
43      reflowt DONE  normal     vm          vm          pa[1]      Nov 22 16:45\n\
43      reflowt EXIT  normal     vm          vm          pa[2]      Nov 22 16:45\n\
44      reflowt PEND  normal     vm             -        plain      Nov 22 16:45\n\
45      reflowt PEND  normal     vm                      name with space Nov 22 16:45\n\
46      reflowt RUN   normal     vm          a:a:b       wide       Nov 22 16:45\n";
    let read = names(Format::Long, text);
    let shown: Vec<(&str, &str, bool)> = read
        .iter()
        .map(|row| (row.job.as_str(), row.name.as_str(), row.is_element))
        .collect();
    assert_eq!(
        shown,
        [
            ("43", "pa", true),
            ("43", "pa", true),
            ("44", "plain", false),
            ("45", "space", false),
            ("46", "wide", false),
        ]
    );
    let read = names(
        Format::Custom,
        "43^1^pa[1]\n44^0^a^b\n45^-^c\nhello\n46^0^cut",
    );
    let shown: Vec<(&str, &str, bool)> = read
        .iter()
        .map(|row| (row.job.as_str(), row.name.as_str(), row.is_element))
        .collect();
    assert_eq!(
        shown,
        [("43", "pa", true), ("44", "a^b", false), ("45", "c", false)]
    );
}

/// In the form of openlava's `bhist.c`.
#[test]
fn names_are_found_in_the_history() {
    let text = "Summary of time in seconds spent in various states:\nJOBID   USER    JOB_NAME  PEND    PSUSP   RUN     USUSP   SSUSP   UNKWN   TOTAL\n43[2]   reflowt rabcdefghijklmn[2] 1       0       2       0       0       0       3         \n44      reflowt plain     1       0       2       0       0       0       3         \n\n";
    let read = history_names(text);
    let shown: Vec<(&str, &str)> = read
        .iter()
        .map(|row| (row.job.as_str(), row.name.as_str()))
        .collect();
    assert_eq!(shown, [("43", "rabcdefghijklmn"), ("44", "plain")]);
}

#[test]
fn unknown_jobs_are_named_by_bjobs() {
    let missing = not_found("Job <99999> is not found\nJob <7[2]> is not found\nhello\n");
    assert_eq!(missing, ["99999", "7"].map(str::to_owned).into());
}

proptest! {
    /// Wherever the lines break.
    #[test]
    fn breaks_in_lines_change_nothing(
        name in "[a-z0-9]{1,60}",
        user in "[a-z]{1,30}",
        home in "(/[a-z]{1,12}){1,8}",
        host in "[a-z0-9.-]{1,50}",
        code in 1..=120i32,
    ) {
        let text = broken(&format!(
            "\nJob <43[2]>, Job Name <{name}[2]>, User <{user}>, Project <default>, Status <EXIT>, Queue <normal>, Command <sleep 1>\nSun Nov 22 16:45:01: Submitted from host <vm>, CWD <{home}>;\nSun Nov 22 16:45:02: [2] started on <{host}>, Execution Home <{home}>, Execution CWD <{home}>;\nSun Nov 22 16:45:09: Exited with exit code {code}. The CPU time used is 0.1 seconds.\n"
        ));
        let row = only(&text);
        prop_assert_eq!(end(&row).code, Some(code));
        if host != "-" {
            prop_assert_eq!(end(&row).node.as_deref(), Some(host.as_str()));
        }
    }

    #[test]
    fn foreign_text_is_no_reason_to_panic(text in "(Job <|Sun Nov |Status <|TERM_|Exited with exit code |[0-9]|\\^|>|: |\n|[ -~é]){0,60}") {
        let _rows = long(&text, now());
        let _rows = custom(&text, now());
        let _names = (names(Format::Custom, &text), names(Format::Long, &text), history_names(&text));
        let _queues = crate::partition::parse(&text);
    }
}
