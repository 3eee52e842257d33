//! What the backend asks of PBS's programs, and what it makes of their answers: stand-ins that print what
//! was seen of OpenPBS 23.06.06.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    Command, ConnectOptions, Dependency, DependencyKind, EndReason, Found, JobRequest, JobState,
    OutputPaths, Resources, Scheduler, SchedulerErrorKind, Target,
};
use serde_json::{Map, Value};
use tempfile::TempDir;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

const OPENPBS: &str = r#"
case "$*" in
  --version) echo 'pbs_version = 23.06.06' ;;
  *-B*) cat "$FIXTURES/server.json" ;;
  *-Q*) cat "$FIXTURES/queues.json" ;;
  *) JOBS ;;
esac"#;

const TORQUE: &str = r#"
case "$*" in
  --version) echo 'Version: 6.1.2' >&2 ;;
  *json*) echo 'qstat: illegally formed destination: json' >&2; exit 2 ;;
  *-B*) cat "$FIXTURES/server-torque-6.1.txt" ;;
  *-Q*) cat "$FIXTURES/queues-torque-6.1.txt" ;;
  *) JOBS ;;
esac"#;

struct Rig {
    scheduler: Arc<dyn Scheduler>,
    directory: TempDir,
}

impl Rig {
    /// Stand-ins of OpenPBS: `qstat` runs `jobs` when it is asked about jobs.
    async fn openpbs(jobs: &str, programs: &[(&str, &str)]) -> Self {
        let qstat = OPENPBS.replace("JOBS", jobs);
        Self::with(&qstat, programs, Map::new()).await
    }

    async fn with(qstat: &str, programs: &[(&str, &str)], settings: Map<String, Value>) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let defaults = [
            ("qsub", "cat > \"$LOG.stdin\"; echo 7.localhost"),
            ("qstat", qstat),
            ("qselect", ""),
            ("qdel", ""),
        ];
        for (name, script) in defaults.iter().chain(programs) {
            write_program(directory.path(), name, script);
        }
        let scheduler = connect(directory.path(), settings)
            .await
            .expect("the stand-ins answer");
        Self {
            scheduler,
            directory,
        }
    }

    /// The command lines of `program`, one a line, since connecting.
    fn calls(&self, program: &str) -> Vec<String> {
        let path = self.directory.path().join(format!("{program}.log"));
        let log = fs_err::read_to_string(path).unwrap_or_default();
        let probes = ["--version", "-B ", "-Q "];
        log.lines()
            .filter(|line| !probes.iter().any(|probe| line.starts_with(probe)))
            .map(str::to_owned)
            .collect()
    }

    async fn state(&self, id: &str) -> JobState {
        let status = self.scheduler.status(&[job(id)]).await.expect("answers");
        status[0].state.clone()
    }
}

async fn connect(
    directory: &Path,
    settings: Map<String, Value>,
) -> Result<Arc<dyn Scheduler>, reflow_core::scheduler::SchedulerError> {
    reflow_backend_pbs::connect(ConnectOptions {
        bin_dir: Some(directory.to_owned()),
        environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        partitions: BTreeMap::from([("quick".to_owned(), "short".to_owned())]),
        settings,
        ..ConnectOptions::default()
    })
    .await
}

fn write_program(directory: &Path, name: &str, script: &str) {
    let path = directory.join(name);
    let log = directory.join(format!("{name}.log"));
    let text = format!(
        "#!/bin/bash\nLOG='{}'\nFIXTURES='{FIXTURES}'\necho \"$*\" >> \"$LOG\"\n{script}\n",
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

fn waiting_for(parents: &[(&str, DependencyKind)]) -> JobRequest {
    let dependencies = parents.iter().map(|(id, kind)| Dependency {
        job: job(id),
        kind: *kind,
    });
    JobRequest {
        dependencies: dependencies.collect(),
        ..request()
    }
}

fn reason(state: &JobState) -> Option<EndReason> {
    match state {
        JobState::Ended(end) => Some(end.reason),
        _ => None,
    }
}

#[tokio::test]
async fn a_thousand_jobs_are_one_question() {
    // Some are not known, which PBS says with an exit status of 153.
    let rig = Rig::openpbs(
        "cat \"$FIXTURES/qstat-ended.json\"; echo 'qstat: Unknown Job Id 99.localhost' >&2; exit 153",
        &[],
    )
    .await;
    let jobs: Vec<JobId> = (0..1000)
        .map(|number| job(&format!("{number}.localhost")))
        .collect();
    let status = rig.scheduler.status(&jobs).await.expect("answers");
    assert_eq!(status.len(), 1000);
    assert_eq!(reason(&status[2].state), Some(EndReason::Failed));
    assert_eq!(reason(&status[5].state), Some(EndReason::Walltime));
    assert_eq!(status[999].state, JobState::Unknown);
    let calls = rig.calls("qstat");
    assert_eq!(calls.len(), 1);
    assert!(calls[0].starts_with("-x -t -f -F json 0.localhost 1.localhost 10.localhost"));
}

#[tokio::test]
async fn where_no_job_is_known_nothing_is() {
    for answer in [
        "cat \"$FIXTURES/qstat-none.json\"; echo 'qstat: Unknown Job Id 9.localhost' >&2; exit 153",
        "echo 'qstat: Unknown Job Id 9.localhost' >&2; exit 153",
    ] {
        let rig = Rig::openpbs(answer, &[]).await;
        assert_eq!(rig.state("9.localhost").await, JobState::Unknown);
    }
    let rig = Rig::openpbs("exit 1", &[]).await;
    assert!(
        rig.scheduler
            .status(&[])
            .await
            .expect("asks nothing")
            .is_empty()
    );
    let strange = rig.scheduler.status(&[job("7;slurm")]).await;
    assert_eq!(strange.expect("asks nothing")[0].state, JobState::Unknown);
    assert!(rig.calls("qstat").is_empty());
}

#[tokio::test]
async fn garbage_and_half_an_answer_are_errors_and_no_verdict() {
    for answer in [
        "printf 'hello \\xff\\n'",
        "",
        "head -c 3000 \"$FIXTURES/qstat-ended.json\"",
        "kill -9 $$",
    ] {
        let rig = Rig::openpbs(answer, &[]).await;
        let error = rig.scheduler.status(&[job("1.localhost")]).await;
        assert_eq!(
            error.expect_err(answer).kind(),
            SchedulerErrorKind::UnexpectedOutput
        );
    }
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_asked_again_and_is_then_an_error() {
    let away = "echo 'Connection refused' >&2; echo 'qstat: cannot connect to server localhost (errno=111)' >&2; exit 111";
    let rig = Rig::openpbs(away, &[]).await;
    let error = rig.scheduler.status(&[job("1.localhost")]).await;
    assert_eq!(
        error.expect_err("nothing is known").kind(),
        SchedulerErrorKind::Unreachable
    );
    assert_eq!(rig.calls("qstat").len(), 3);
    let seconds = Map::from_iter([("command_timeout".to_owned(), 1.into())]);
    let rig = Rig::with(&OPENPBS.replace("JOBS", "sleep 600"), &[], seconds).await;
    let error = rig.scheduler.status(&[job("1.localhost")]).await;
    assert_eq!(
        error.expect_err("hangs").kind(),
        SchedulerErrorKind::TimedOut
    );
}

#[tokio::test]
async fn a_server_that_has_stopped_to_keep_history_is_asked_without() {
    let answer = "case \"$*\" in -x*) echo 'qstat: PBS is not configured to maintain job history' >&2; exit 36 ;; *) cat \"$FIXTURES/qstat-array-running.json\" ;; esac";
    let rig = Rig::openpbs(answer, &[]).await;
    assert!(matches!(
        rig.state("20[].localhost").await,
        JobState::Running { .. }
    ));
}

#[tokio::test]
async fn parents_of_held_jobs_are_asked_about_once_and_only_then() {
    let known = "sed 's/9999.localhost@/41.localhost@/' \"$FIXTURES/qstat-held.json\"";
    let rig = Rig::openpbs(known, &[]).await;
    let state = rig.state("40.localhost").await;
    assert!(matches!(state, JobState::Pending { never: true, .. }));
    let calls = rig.calls("qstat");
    assert_eq!(calls.len(), 2);
    assert!(calls[1].starts_with("-x -f -F json 39.localhost 41.localhost 40.localhost"));
    let rig = Rig::openpbs("cat \"$FIXTURES/qstat-ended.json\"", &[]).await;
    rig.state("1.localhost").await;
    assert_eq!(rig.calls("qstat").len(), 1);
}

#[tokio::test]
async fn an_unknown_parent_is_a_proof_where_the_child_is_held_a_moment_later_still() {
    let held = "sed 's/39.localhost@/9998.localhost@/' \"$FIXTURES/qstat-held.json\"";
    let rig = Rig::openpbs(held, &[]).await;
    let state = rig.state("40.localhost").await;
    assert!(matches!(state, JobState::Pending { never: true, .. }));
    assert_eq!(rig.calls("qstat").len(), 3);
    let released = format!(
        "echo >> \"$LOG.n\"; {held} | if [ $(wc -l < \"$LOG.n\") -lt 3 ]; then cat; else sed 's/\"H\"/\"Q\"/'; fi"
    );
    let rig = Rig::openpbs(&released, &[]).await;
    let state = rig.state("40.localhost").await;
    assert!(matches!(state, JobState::Pending { never: false, .. }));
    assert_eq!(rig.calls("qstat").len(), 3);
}

#[tokio::test]
async fn submitting_is_tried_once_and_says_whether_a_job_may_exist() {
    for (answer, kind, may_exist) in [
        (
            "echo 'qsub: Unknown queue' >&2; exit 170",
            SchedulerErrorKind::Rejected,
            false,
        ),
        (
            "echo 'Connection refused' >&2; echo 'qsub: cannot connect to server localhost (errno=111)' >&2; exit 111",
            SchedulerErrorKind::Unreachable,
            false,
        ),
        (
            "echo 'qsub: Maximum number of jobs already in complex' >&2; exit 38",
            SchedulerErrorKind::LimitReached,
            false,
        ),
        (
            "echo 'Thank you'",
            SchedulerErrorKind::UnexpectedOutput,
            true,
        ),
        ("exit 1", SchedulerErrorKind::UnexpectedOutput, true),
        ("kill -9 $$", SchedulerErrorKind::UnexpectedOutput, true),
    ] {
        let rig = Rig::openpbs("exit 1", &[("qsub", answer)]).await;
        let error = rig.scheduler.submit(&request()).await.expect_err(answer);
        assert_eq!(
            (error.error.kind(), error.may_exist),
            (kind, may_exist),
            "{answer}"
        );
        assert_eq!(rig.calls("qsub").len(), 1);
    }
}

#[tokio::test]
async fn the_script_goes_in_by_standard_input() {
    let rig = Rig::openpbs("exit 1", &[]).await;
    assert_eq!(
        rig.scheduler.submit(&request()).await.ok(),
        Some(job("7.localhost"))
    );
    let stdin = rig.directory.path().join("qsub.log.stdin");
    let rendered = rig.scheduler.render(&request()).expect("is valid");
    assert_eq!(fs_err::read_to_string(stdin).ok(), Some(rendered.stdin));
}

#[tokio::test]
async fn conditions_that_hold_already_are_left_out() {
    let rig = Rig::openpbs("cat \"$FIXTURES/qstat-held.json\"", &[]).await;
    // 39 was deleted before it ran, 41 runs, 9999 is unknown.
    let request = waiting_for(&[
        ("39.localhost", DependencyKind::Any),
        ("41.localhost", DependencyKind::Any),
        ("9999.localhost", DependencyKind::Any),
        ("39.localhost", DependencyKind::NotOk),
        ("41.localhost", DependencyKind::Ok),
    ]);
    rig.scheduler.submit(&request).await.expect("is taken");
    let calls = rig.calls("qsub");
    assert!(
        calls[0].contains("-W depend=afterany:41.localhost,afterok:41.localhost -r"),
        "{calls:?}"
    );
    assert_eq!(rig.calls("qstat").len(), 1, "one question for all parents");
}

#[tokio::test]
async fn nothing_is_sent_that_waits_for_the_result_of_an_unknown_job_or_of_one_not_asked_about() {
    let rig = Rig::openpbs("cat \"$FIXTURES/qstat-none.json\"", &[]).await;
    let request = waiting_for(&[("9999.localhost", DependencyKind::Ok)]);
    let error = rig
        .scheduler
        .submit(&request)
        .await
        .expect_err("is unknown");
    assert_eq!(error.error.kind(), SchedulerErrorKind::Rejected);
    assert!(!error.may_exist && rig.calls("qsub").is_empty());
    let rig = Rig::openpbs("echo nonsense", &[]).await;
    let error = rig
        .scheduler
        .submit(&request)
        .await
        .expect_err("is not known");
    assert!(error.error.kind().is_temporary() && !error.may_exist);
    assert!(rig.calls("qsub").is_empty());
}

#[tokio::test]
async fn one_job_is_deleted_at_a_time_and_ended_ones_are_no_error() {
    let ended = "case $1 in 1.*) echo 'qdel: Job has finished 1.localhost' >&2; exit 35 ;; 2.*) echo 'qdel: Unknown Job Id 2.localhost' >&2; exit 153 ;; esac";
    let rig = Rig::openpbs("exit 1", &[("qdel", ended)]).await;
    let mut targets: Vec<Target> = (0..5000)
        .filter(|index| *index != 17)
        .map(|index| Target::element(job("12[].localhost"), index))
        .collect();
    targets.push(Target::whole(job("1.localhost")));
    targets.push(Target::whole(job("2.localhost")));
    targets.push(Target::whole(job("1.localhost")));
    rig.scheduler.cancel(&targets).await.expect("it answers");
    let mut calls = rig.calls("qdel");
    calls.sort_unstable();
    assert_eq!(
        calls,
        [
            "1.localhost",
            "12[0-16].localhost",
            "12[18-4999].localhost",
            "2.localhost"
        ]
    );
    for (answer, kind) in [
        (
            "echo 'qdel: Unauthorized Request  134.localhost' >&2; exit 159",
            SchedulerErrorKind::Permission,
        ),
        ("exit 1", SchedulerErrorKind::UnexpectedOutput),
        ("kill -9 $$", SchedulerErrorKind::UnexpectedOutput),
    ] {
        let rig = Rig::openpbs("exit 1", &[("qdel", answer)]).await;
        let result = rig
            .scheduler
            .cancel(&[Target::whole(job("134.localhost"))])
            .await;
        assert_eq!(result.expect_err(answer).kind(), kind);
    }
}

#[tokio::test]
async fn a_name_is_absent_only_where_ended_jobs_are_remembered() {
    let select = "case \"$*\" in *rabcdefghijklmn) echo '20[].localhost' ;; esac";
    let tags = ["rabcdefghijklmn", "rbbbbbbbbbbbbbb"].map(|tag| Tag::new(tag).expect("is a tag"));
    let rig = Rig::openpbs("exit 1", &[("qselect", select)]).await;
    let found = rig.scheduler.find(&tags).await.expect("answers");
    assert_eq!(
        found,
        [Found::Present(vec![job("20[].localhost")]), Found::Absent]
    );
    assert!(
        rig.calls("qselect")
            .iter()
            .all(|call| call.starts_with("-x -N "))
    );
    let forgetful = OPENPBS.replace(
        "cat \"$FIXTURES/server.json\"",
        "sed 's/\"job_history_enable\":\"True\"/\"job_history_enable\":\"False\"/' \"$FIXTURES/server.json\"",
    );
    let rig = Rig::with(&forgetful, &[("qselect", select)], Map::new()).await;
    assert_eq!(rig.scheduler.capabilities().history, None);
    let found = rig.scheduler.find(&tags).await.expect("answers");
    assert_eq!(
        found,
        [
            Found::Present(vec![job("20[].localhost")]),
            Found::Unknowable
        ]
    );
    let rig = Rig::openpbs("exit 1", &[("qselect", "printf '20[].loc'")]).await;
    let error = rig.scheduler.find(&tags).await.expect_err("is cut off");
    assert_eq!(error.kind(), SchedulerErrorKind::UnexpectedOutput);
}

#[tokio::test]
async fn the_server_says_its_limits() {
    let rig = Rig::openpbs("exit 1", &[]).await;
    let capabilities = rig.scheduler.capabilities();
    assert_eq!(capabilities.array_limit, Some(10_000));
    assert_eq!(capabilities.history, Some(Duration::from_hours(336)));
    assert!(capabilities.concurrency_limit);
    let limits = &capabilities.partitions;
    let names: Vec<&str> = limits.iter().map(|limits| limits.name.as_str()).collect();
    assert_eq!(names, ["workq", "short", "closed", "quick"]);
    assert!(limits[0].is_default && !limits[1].is_default);
    assert_eq!(limits[3].time, "00:02:00".parse().ok());
    assert_eq!(limits[2].mem, "4G".parse().ok());
    // PBS Professional 19 has no `%`.
    let old = OPENPBS.replace(
        "cat \"$FIXTURES/server.json\"",
        "sed 's/23.06.06/19.1.3/' \"$FIXTURES/server.json\"",
    );
    let rig = Rig::with(&old, &[], Map::new()).await;
    assert!(!rig.scheduler.capabilities().concurrency_limit);
}

#[tokio::test]
async fn torque_is_found_out_and_spoken_to_in_its_own_way() {
    let qstat = TORQUE.replace("JOBS", "cat \"$FIXTURES/qstat-torque-6.1.txt\"");
    let dialect = Map::from_iter([("dialect".to_owned(), "torque".into())]);
    let unnamed = qstat.replace("echo 'Version: 6.1.2' >&2", "exit 1");
    for (qstat, settings) in [
        (&qstat, Map::new()),
        (&unnamed, Map::new()),
        (&qstat, dialect),
    ] {
        let rig = Rig::with(qstat, &[], settings).await;
        let capabilities = rig.scheduler.capabilities();
        assert_eq!(capabilities.array_limit, Some(5000));
        assert_eq!(capabilities.history, Some(Duration::from_mins(5)));
        assert_eq!(capabilities.partitions[0].mem, "64G".parse().ok());
        let status = rig
            .scheduler
            .status(&[job("1098[].torque.example.org")])
            .await
            .expect("answers");
        assert_eq!(status[0].elements.len(), 2);
        assert_eq!(rig.calls("qstat"), ["-t -f 1098[].torque.example.org"]);
        let tags = ["rabcdefghijklmn", "rbbbbbbbbbbbbbb"].map(|t| Tag::new(t).expect("is a tag"));
        let found = rig.scheduler.find(&tags).await.expect("answers");
        let known = ["1097.torque.example.org", "1098[].torque.example.org"].map(job);
        assert_eq!(found, [Found::Present(known.into()), Found::Absent]);
    }
}

#[tokio::test]
async fn a_pbs_that_is_not_there_or_away_is_named() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let error = connect(directory.path(), Map::new()).await;
    let error = error.expect_err("nothing is there");
    assert_eq!(error.kind(), SchedulerErrorKind::NotInstalled);
    write_program(directory.path(), "qsub", "");
    let away = "case $1 in --version) echo 'pbs_version = 23.06.06' ;; *) echo 'qstat: cannot connect to server localhost (errno=111)' >&2; exit 111 ;; esac";
    write_program(directory.path(), "qstat", away);
    let error = connect(directory.path(), Map::new()).await;
    assert_eq!(
        error.expect_err("nobody is there").kind(),
        SchedulerErrorKind::Unreachable
    );
    let unknown = Map::from_iter([("dialekt".to_owned(), "torque".into())]);
    let error = connect(directory.path(), unknown).await;
    insta::assert_snapshot!(error.expect_err("is unknown"), @"unknown key `backend.pbs.dialekt` (nearest key: `dialect`)");
}
