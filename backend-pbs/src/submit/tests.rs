use std::time::Duration;

use reflow_core::command::Exit;

use super::*;

fn output(exit: Exit, stdout: &str, stderr: &str) -> Output {
    Output {
        argv: vec!["qsub".into()],
        exit,
        stdout: stdout.into(),
        stderr: stderr.into(),
        elapsed: Duration::ZERO,
    }
}

#[test]
fn the_id_is_kept_whole() {
    for (stdout, id) in [
        ("0.localhost\n", "0.localhost"),
        ("20[].localhost\n", "20[].localhost"),
        ("Welcome!\n9.pbs.site.org\n", "9.pbs.site.org"),
    ] {
        let id = JobId::new(id).expect("is an id");
        assert_eq!(accepted(&output(Exit::Code(0), stdout, "")).ok(), Some(id));
    }
}

#[test]
fn a_missing_id_is_no_proof_that_nothing_was_queued() {
    for (exit, stdout) in [
        (Exit::Code(0), ""),
        (Exit::Code(0), "Submitted!\n"),
        (Exit::Code(0), "12\n"),
        (Exit::Code(1), ""),
        (Exit::Signal(15), ""),
    ] {
        let error = accepted(&output(exit, stdout, "")).expect_err("has no id");
        assert!(error.may_exist);
        assert_eq!(error.error.kind(), SchedulerErrorKind::UnexpectedOutput);
    }
}

#[test]
fn a_refusal_has_pbss_words() {
    let refused = |code, stderr: &str| {
        let error = accepted(&output(Exit::Code(code), "", stderr)).expect_err("is refused");
        assert!(!error.may_exist, "{stderr}");
        (error.error.kind(), error.error.message().to_owned())
    };
    // Observed with OpenPBS 23.06.06.
    assert_eq!(
        refused(170, "qsub: Unknown queue\n"),
        (
            SchedulerErrorKind::Rejected,
            "PBS refused the job: Unknown queue".to_owned()
        )
    );
    assert_eq!(
        refused(
            188,
            "qsub: Job violates queue and/or server resource limits\n"
        )
        .0,
        SchedulerErrorKind::Rejected
    );
    // `pbs_messages.c`.
    assert_eq!(
        refused(38, "qsub: would exceed queue workq's per-user limit\n"),
        (
            SchedulerErrorKind::LimitReached,
            "PBS takes no more jobs until some have ended: would exceed queue workq's per-user limit"
                .to_owned()
        )
    );
}
