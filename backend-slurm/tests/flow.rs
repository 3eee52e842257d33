//! What the backend asks of Slurm's programs, and what it makes of their answers: stand-ins that print
//! captured output, for what a real Slurm cannot be made to show.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    Command, ConnectOptions, EndReason, Found, JobRequest, JobState, OutputPaths, Resources,
    Scheduler, SchedulerErrorKind, Target,
};
use tempfile::TempDir;

const QUEUE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/squeue-ended-22.05.txt"
);
const ACCOUNTING: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/sacct-ended-22.05.txt"
);
const CONFIG: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/scontrol-config-22.05.txt"
);

const PARTITIONS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/sinfo-22.05.txt"
);

struct Rig {
    scheduler: Arc<dyn Scheduler>,
    directory: TempDir,
}

impl Rig {
    /// Stand-ins that log their arguments and then run the given lines of bash.
    async fn new(programs: &[(&str, &str)]) -> Self {
        Self::with_settings(programs, serde_json::Map::new()).await
    }

    async fn with_settings(
        programs: &[(&str, &str)],
        settings: serde_json::Map<String, serde_json::Value>,
    ) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let config = format!("cat '{CONFIG}'");
        let sinfo = format!("cat '{PARTITIONS}'");
        let defaults = [
            (
                "sbatch",
                "[ \"$1\" != --version ] || { echo slurm 22.05.8; exit; }; cat > \"$LOG.stdin\"; echo 7",
            ),
            ("scontrol", config.as_str()),
            ("squeue", ""),
            ("sacct", ""),
            ("scancel", ""),
            ("sinfo", sinfo.as_str()),
        ];
        for (name, script) in defaults.iter().chain(programs) {
            write_program(directory.path(), name, script);
        }
        let path = "/usr/bin:/bin".to_owned();
        let scheduler = reflow_backend_slurm::connect(ConnectOptions {
            bin_dir: Some(directory.path().to_owned()),
            environment: BTreeMap::from([("PATH".to_owned(), path)]),
            partitions: BTreeMap::from([("quick".to_owned(), "gpu".to_owned())]),
            settings,
            ..ConnectOptions::default()
        })
        .await
        .expect("the stand-ins answer");
        Self {
            scheduler,
            directory,
        }
    }

    /// The command lines of `program`, one a line.
    fn calls(&self, program: &str) -> Vec<String> {
        let path = self.directory.path().join(format!("{program}.log"));
        let log = fs_err::read_to_string(path).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

fn write_program(directory: &Path, name: &str, script: &str) {
    let path = directory.join(name);
    let log = directory.join(format!("{name}.log"));
    let text = format!(
        "#!/bin/bash\nLOG='{0}'\necho \"$*\" >> \"$LOG\"\n{script}\n",
        log.display()
    );
    fs_err::write(&path, text).expect("is writable");
    let executable = std::fs::Permissions::from_mode(0o755);
    fs_err::set_permissions(&path, executable).expect("is ours");
}

fn job(text: &str) -> JobId {
    JobId::new(text).expect("is an id")
}

fn request() -> JobRequest {
    JobRequest {
        tag: Tag::new("rabcdefghijklmn").expect("is a tag"),
        comment: None,
        command: Command {
            argv: vec!["true".into()],
            directory: "/".into(),
            environment: BTreeMap::new(),
            setup: Vec::new(),
            serves_indices: false,
        },
        array: None,
        dependencies: Vec::new(),
        resources: Resources::default(),
        not_before: None,
        output: OutputPaths {
            stdout: "/tmp/o".into(),
            stderr: "/tmp/e".into(),
        },
        requeue: false,
        extra: Vec::new(),
    }
}

fn reason(state: &JobState) -> Option<EndReason> {
    match state {
        JobState::Ended(end) => Some(end.reason),
        _ => None,
    }
}

#[tokio::test]
async fn a_thousand_jobs_are_one_question_to_the_queue_and_one_to_the_accounting() {
    let rig = Rig::new(&[
        ("squeue", &format!("grep '^32|' '{QUEUE}'")),
        ("sacct", &format!("cat '{ACCOUNTING}'")),
    ])
    .await;
    let jobs: Vec<JobId> = (1..=1000).map(|number| job(&number.to_string())).collect();
    let status = rig.scheduler.status(&jobs).await.expect("both answer");
    assert_eq!(status.len(), 1000);
    assert_eq!(reason(&status[27].state), Some(EndReason::Failed));
    assert_eq!(reason(&status[30].state), Some(EndReason::Memory));
    assert_eq!(status[24].elements.len(), 8);
    assert_eq!(status[999].state, JobState::Unknown);
    assert_eq!(rig.calls("squeue").len(), 1);
    let asked = rig.calls("sacct");
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].contains(",32,"), "the queue had answered for it");
    assert!(asked[0].contains(",28,"));
}

#[tokio::test]
async fn without_accounting_the_queue_alone_tells_and_nothing_fails() {
    let off = "echo 'Slurm accounting storage is disabled' >&2; exit 1";
    let rig = Rig::new(&[("squeue", &format!("cat '{QUEUE}'")), ("sacct", off)]).await;
    let status = rig
        .scheduler
        .status(&[job("25"), job("28"), job("9999")])
        .await;
    let status = status.expect("the queue answers");
    assert_eq!(status[0].elements.len(), 8);
    assert_eq!(reason(&status[1].state), Some(EndReason::Failed));
    assert_eq!(status[2].state, JobState::Unknown);
    let tag = request().tag;
    assert!(
        rig.scheduler
            .find(&[tag])
            .await
            .is_ok_and(|found| found == [Found::Unknowable])
    );
}

#[tokio::test]
async fn a_job_that_the_queue_has_forgotten_is_no_failure_of_the_question() {
    let forgotten = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1";
    let rig = Rig::new(&[
        ("squeue", forgotten),
        ("sacct", &format!("cat '{ACCOUNTING}'")),
    ])
    .await;
    let status = rig
        .scheduler
        .status(&[job("28")])
        .await
        .expect("it is an answer");
    assert_eq!(reason(&status[0].state), Some(EndReason::Failed));
    assert_eq!(rig.calls("squeue").len(), 1);
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_asked_again_and_is_then_an_error() {
    let away = "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1";
    let rig = Rig::new(&[("squeue", away)]).await;
    let error = rig
        .scheduler
        .status(&[job("28")])
        .await
        .expect_err("nothing is known");
    assert_eq!(error.kind(), SchedulerErrorKind::Unreachable);
    assert_eq!(rig.calls("squeue").len(), 3);
    let once = "[ -e \"$LOG.once\" ] || { touch \"$LOG.once\"; echo 'slurm_load_jobs error: Socket timed out on send/recv operation' >&2; exit 1; }";
    let rig = Rig::new(&[("squeue", once)]).await;
    let status = rig
        .scheduler
        .status(&[job("28")])
        .await
        .expect("the second answers");
    assert_eq!(status[0].state, JobState::Unknown);
}

#[tokio::test]
async fn garbage_is_an_error_with_the_line_and_no_verdict() {
    let rig = Rig::new(&[("squeue", "printf 'hello \\xff\\n'")]).await;
    let error = rig
        .scheduler
        .status(&[job("28")])
        .await
        .expect_err("is no answer");
    assert_eq!(error.kind(), SchedulerErrorKind::UnexpectedOutput);
    assert!(error.to_string().contains("hello"), "{error}");
}

#[tokio::test]
async fn submitting_is_tried_once_and_says_whether_a_job_may_exist() {
    let version = "[ \"$1\" != --version ] || { echo slurm 22.05.8; exit; }";
    for (answer, kind, may_exist) in [
        (
            "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1",
            SchedulerErrorKind::TimedOut,
            true,
        ),
        (
            "echo 'sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)' >&2; exit 1",
            SchedulerErrorKind::Unreachable,
            false,
        ),
        (
            "echo 'sbatch: error: Batch job submission failed: Invalid qos specification' >&2; exit 1",
            SchedulerErrorKind::Rejected,
            false,
        ),
        (
            "echo 'Thank you'",
            SchedulerErrorKind::UnexpectedOutput,
            true,
        ),
        ("kill -9 $$", SchedulerErrorKind::UnexpectedOutput, true),
    ] {
        let rig = Rig::new(&[("sbatch", &format!("{version}; {answer}"))]).await;
        let error = rig.scheduler.submit(&request()).await.expect_err(answer);
        assert_eq!(
            (error.error.kind(), error.may_exist),
            (kind, may_exist),
            "{answer}"
        );
        assert_eq!(rig.calls("sbatch").len(), 2, "the version, and one attempt");
    }
}

#[tokio::test]
async fn the_script_goes_in_by_standard_input() {
    let rig = Rig::new(&[]).await;
    assert_eq!(rig.scheduler.submit(&request()).await.ok(), Some(job("7")));
    let stdin = rig.directory.path().join("sbatch.log.stdin");
    let rendered = rig.scheduler.render(&request()).expect("is valid");
    assert_eq!(fs_err::read_to_string(stdin).ok(), Some(rendered.stdin));
}

#[tokio::test]
async fn many_elements_are_cancelled_in_one_call() {
    let rig = Rig::new(&[]).await;
    let targets: Vec<Target> = (0..5000)
        .filter(|index| *index != 17)
        .map(|index| Target::element(job("12"), index))
        .collect();
    rig.scheduler.cancel(&targets).await.expect("it answers");
    assert_eq!(rig.calls("scancel"), ["12_[0-16,18-4999]"]);
}

#[tokio::test]
async fn a_slurm_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().display().to_string();
    let error = reflow_backend_slurm::connect(ConnectOptions {
        environment: BTreeMap::from([("PATH".to_owned(), path.clone())]),
        ..ConnectOptions::default()
    })
    .await
    .expect_err("nothing is there");
    assert_eq!(error.kind(), SchedulerErrorKind::NotInstalled);
    let expected = format!("`sbatch` is not on the PATH (searched: {path})");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn partitions_are_asked_for_once_and_are_no_condition() {
    let rig = Rig::new(&[]).await;
    let limits = &rig.scheduler.capabilities().partitions;
    let names: Vec<&str> = limits.iter().map(|limits| limits.name.as_str()).collect();
    assert_eq!(names, ["compute", "gpu", "endless", "quick"]);
    assert_eq!(limits[3].time, "01:00:00".parse().ok());
    rig.scheduler.status(&[job("28")]).await.expect("answers");
    rig.scheduler.submit(&request()).await.expect("is taken");
    assert_eq!(rig.calls("sinfo").len(), 1);
    for answer in ["exit 1", "echo gibberish", "sleep 60"] {
        let seconds = [("command_timeout".to_owned(), 2.into())]
            .into_iter()
            .collect();
        let rig = Rig::with_settings(&[("sinfo", answer)], seconds).await;
        assert!(rig.scheduler.capabilities().partitions.is_empty());
    }
}

#[tokio::test]
async fn a_question_that_hangs_comes_back_as_an_error() {
    let seconds = || {
        [("command_timeout".to_owned(), 1.into())]
            .into_iter()
            .collect()
    };
    let rig = Rig::with_settings(
        &[("squeue", "sleep 600"), ("scancel", "sleep 600")],
        seconds(),
    )
    .await;
    let started = std::time::Instant::now();
    let error = rig.scheduler.status(&[job("28")]).await.expect_err("hangs");
    assert_eq!(error.kind(), SchedulerErrorKind::TimedOut);
    let error = rig.scheduler.cancel(&[Target::whole(job("28"))]).await;
    assert_eq!(
        error.expect_err("hangs").kind(),
        SchedulerErrorKind::TimedOut
    );
    assert!(started.elapsed() < std::time::Duration::from_secs(30));
    // The accounting costs what it alone knows.
    let queue = format!("cat '{QUEUE}'");
    let rig = Rig::with_settings(&[("squeue", &queue), ("sacct", "sleep 600")], seconds()).await;
    let status = rig
        .scheduler
        .status(&[job("28"), job("9999")])
        .await
        .expect("answers");
    assert_eq!(reason(&status[0].state), Some(EndReason::Failed));
    assert_eq!(status[1].state, JobState::Unknown);
}

#[tokio::test]
async fn a_controller_that_is_away_when_connecting_is_a_temporary_error() {
    for (words, kind) in [
        (
            "Unable to contact slurm controller (connect failure)",
            SchedulerErrorKind::Unreachable,
        ),
        (
            "Socket timed out on send/recv operation",
            SchedulerErrorKind::TimedOut,
        ),
    ] {
        let directory = tempfile::tempdir().expect("temporary directory");
        write_program(directory.path(), "sbatch", "echo slurm 22.05.8");
        for name in ["scontrol", "sinfo"] {
            let away = format!("echo 'slurm_load_ctl_conf error: {words}' >&2; exit 1");
            write_program(directory.path(), name, &away);
        }
        let error = reflow_backend_slurm::connect(ConnectOptions {
            bin_dir: Some(directory.path().to_owned()),
            environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            ..ConnectOptions::default()
        })
        .await
        .expect_err("nobody is there");
        assert_eq!(error.kind(), kind);
        assert!(error.kind().is_temporary());
    }
}

#[tokio::test]
async fn with_the_accounting_off_history_is_what_the_controller_remembers() {
    let off = format!("sed 's,accounting_storage/slurmdbd,accounting_storage/none,' '{CONFIG}'");
    let queue = format!("cat '{QUEUE}'");
    let rig = Rig::new(&[("scontrol", &off), ("squeue", &queue)]).await;
    let history = rig.scheduler.capabilities().history;
    assert_eq!(history, Some(std::time::Duration::from_secs(30)));
    let jobs = [job("28"), job("31"), job("9999")];
    let status = rig.scheduler.status(&jobs).await;
    let status = status.expect("the queue answers");
    assert_eq!(reason(&status[0].state), Some(EndReason::Failed));
    assert_eq!(reason(&status[1].state), Some(EndReason::Memory));
    assert_eq!(status[2].state, JobState::Unknown);
    assert!(rig.calls("sacct").is_empty());
}
