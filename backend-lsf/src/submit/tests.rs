use reflow_core::command::Exit;

use super::*;
use crate::render::tests::request;

fn output(exit: Exit, stdout: &str, stderr: &str) -> Output {
    Output {
        argv: vec!["bsub".into()],
        exit,
        stdout: stdout.into(),
        stderr: stderr.into(),
        elapsed: Duration::ZERO,
    }
}

fn accepted(output: &Output) -> Result<JobId, SubmitError> {
    client::accepted(output, job_id, |output| refusal(output, false))
}

/// The lines of openlava 2.2; the greetings are what sites' `esub` programs print.
#[test]
fn the_id_is_found_among_greetings() {
    for (stdout, id) in [
        ("Job <5> is submitted to default queue <normal>.\n", "5"),
        ("Job <89> is submitted to queue <normal>.\n", "89"),
        (
            "Welcome! Job <name> is checked.\nYour Job <12> is submitted to queue <a>.\nBye, Job <13>\n",
            "12",
        ),
    ] {
        let id = JobId::new(id).expect("is an id");
        assert_eq!(accepted(&output(Exit::Code(0), stdout, "")).ok(), Some(id));
    }
}

#[test]
fn a_missing_id_is_no_proof_that_nothing_was_queued() {
    for (exit, stdout) in [
        (Exit::Code(0), ""),
        (Exit::Code(0), "Job <x> is submitted to queue <normal>.\n"),
        (Exit::Signal(15), ""),
    ] {
        let error = accepted(&output(exit, stdout, "")).expect_err("has no id");
        assert!(error.may_exist);
        assert_eq!(error.error.kind(), SchedulerErrorKind::UnexpectedOutput);
    }
}

/// The refusals of openlava 2.2.
#[test]
fn a_refusal_has_lsfs_words() {
    let refused = |stderr: &str, kind| {
        let error = accepted(&output(Exit::Code(255), "", stderr)).expect_err("is refused");
        assert!(!error.may_exist);
        assert_eq!(error.error.kind(), kind, "{stderr}");
        error.error.message().to_owned()
    };
    let rejected = SchedulerErrorKind::Rejected;
    insta::assert_snapshot!(refused("nosuch: No such queue. Job not submitted.\n", rejected), @"LSF refused the job: nosuch: No such queue");
    insta::assert_snapshot!(refused("Greetings from the site\nToo many processors requested. Job not submitted.\n", rejected), @"LSF refused the job: Too many processors requested");
    insta::assert_snapshot!(refused("RUNLIMIT: Cannot exceed queue's hard limit(s). Job not submitted.\n", rejected), @"LSF refused the job: RUNLIMIT: Cannot exceed queue's hard limit(s)");
    insta::assert_snapshot!(refused("Unknown batch system error number 131. Job not submitted.\n", rejected), @"LSF refused the job: Unknown batch system error number 131");
    // Between the question about the parents and the submission.
    insta::assert_snapshot!(refused("43: No matching job found. Job not submitted.\n", SchedulerErrorKind::Busy), @"LSF refused the job: 43: No matching job found");
    insta::assert_snapshot!(refused("User permission denied. Job not submitted.\n", SchedulerErrorKind::Permission), @"LSF refused the job: User permission denied");
    insta::assert_snapshot!(refused("Pending job threshold reached. Retrying in 60 seconds...\n", SchedulerErrorKind::LimitReached), @"LSF takes no more jobs until some have ended: a limit on pending jobs is reached");
}

#[test]
fn root_is_told_that_it_is_root() {
    let denied = output(
        Exit::Code(255),
        "",
        "User permission denied. Job not submitted.\n",
    );
    let error = refusal(&denied, true);
    insta::assert_snapshot!(error.error.message(), @"LSF takes no jobs from root: submit as another user");
    assert_eq!(error.error.kind(), SchedulerErrorKind::Permission);
}

#[test]
fn an_answer_that_was_lost_leaves_the_job_open() {
    let lost = "Contacting batch daemon: Communication timeout. Job not submitted.\n";
    let error = accepted(&output(Exit::Code(255), "", lost)).expect_err("is lost");
    assert!(error.may_exist);
    assert_eq!(error.error.kind(), SchedulerErrorKind::TimedOut);
}

#[test]
fn an_earliest_start_that_has_come_is_left_out_and_none_comes_early() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_366_785); // 16:59:45
    let of = |time: SystemTime| {
        let mut request = request();
        request.not_before = Some(time);
        start(&request, now).not_before
    };
    assert_eq!(of(now), None);
    assert_eq!(of(now - Duration::from_secs(1)), None);
    // 17:00:00 is 15 seconds ahead: `bsub` may come too late for it, so 17:01.
    let soon = now + Duration::from_secs(5);
    assert_eq!(of(soon), Some(soon + Duration::from_mins(1)));
    let later = now + Duration::from_mins(2);
    assert_eq!(of(later), Some(later));
}
