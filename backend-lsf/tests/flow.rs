//! What the backend asks of LSF's programs, and what it makes of their answers: stand-ins that print what
//! LSF was seen to print.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    ArrayRequest, Command, ConnectOptions, Dependency, DependencyKind, EndReason, FailedParent,
    Found, JobRequest, JobState, OutputPaths, Resources, Scheduler, SchedulerError,
    SchedulerErrorKind, Target,
};
use tempfile::TempDir;

const IBM: &str = "IBM Spectrum LSF Standard 10.1.0.11, Jul 16 2021";
const OPENLAVA: &str = "openlava project 2.2, Jan 1 2015";

struct Rig {
    scheduler: Arc<dyn Scheduler>,
    directory: TempDir,
}

/// Stand-ins that log their arguments and then run the given lines of bash.
async fn connect(
    directory: &Path,
    version: &str,
    programs: &[(&str, &str)],
    settings: serde_json::Value,
) -> Result<Arc<dyn Scheduler>, SchedulerError> {
    let bsub = format!(
        "[ \"$1\" != -V ] || {{ echo '{version}' >&2; exit; }}; cat > \"$LOG.stdin\"; echo 'Job <7> is submitted to default queue <normal>.'"
    );
    let nothing = "echo 'No unfinished job found' >&2; exit 254";
    let defaults = [
        ("bsub", bsub.as_str()),
        ("bjobs", nothing),
        ("bkill", ""),
        ("bhist", "echo 'No matching job found'; exit 255"),
        ("bparams", "echo '    MAX_JOB_ARRAY_SIZE = 2000'"),
        (
            "bqueues",
            "printf 'QUEUE: normal\\n  -- x  This is the default queue.\\n\\n RUNLIMIT\\n 60.0 min of vm\\n'",
        ),
    ];
    for (name, script) in defaults.iter().chain(programs) {
        write_program(directory, name, script);
    }
    let serde_json::Value::Object(settings) = settings else {
        panic!("settings are an object");
    };
    reflow_backend_lsf::connect(ConnectOptions {
        bin_dir: Some(directory.to_owned()),
        environment: [
            ("PATH", "/usr/bin:/bin"),
            ("LSF_ENVDIR", "/nowhere"),
            ("LSB_JOBINDEX", "3"),
            ("BSUB_QUIET", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        partitions: BTreeMap::from([("quick".to_owned(), "normal".to_owned())]),
        settings,
        ..ConnectOptions::default()
    })
    .await
}

impl Rig {
    async fn new(version: &str, programs: &[(&str, &str)]) -> Self {
        Self::with_settings(version, programs, serde_json::json!({})).await
    }

    async fn with_settings(
        version: &str,
        programs: &[(&str, &str)],
        settings: serde_json::Value,
    ) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let scheduler = connect(directory.path(), version, programs, settings)
            .await
            .expect("the stand-ins answer");
        Self {
            scheduler,
            directory,
        }
    }

    /// The command lines of `program` since it was connected, one a line.
    fn calls(&self, program: &str) -> Vec<String> {
        let path = self.directory.path().join(format!("{program}.log"));
        let log = fs_err::read_to_string(path).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Replaces a stand-in.
    fn now(&self, program: &str, script: &str) {
        write_program(self.directory.path(), program, script);
        let log = self.directory.path().join(format!("{program}.log"));
        fs_err::write(log, "").expect("is writable");
    }
}

fn write_program(directory: &Path, name: &str, script: &str) {
    let path = directory.join(name);
    let log = directory.join(format!("{name}.log"));
    let text = format!(
        "#!/bin/bash\nLOG='{0}'\necho \"$*\" >> \"$LOG\"\n{script}\n",
        log.display()
    );
    // Written beside and renamed, so that a program that runs is not written to.
    let beside = directory.join(format!(".{name}"));
    fs_err::write(&beside, text).expect("is writable");
    let executable = std::fs::Permissions::from_mode(0o755);
    fs_err::set_permissions(&beside, executable).expect("is ours");
    fs_err::rename(&beside, &path).expect("is ours");
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

fn after(parents: &[(&str, DependencyKind)]) -> JobRequest {
    JobRequest {
        array: Some(ArrayRequest {
            count: 3,
            at_most: None,
        }),
        dependencies: parents
            .iter()
            .map(|(id, kind)| Dependency {
                job: job(id),
                kind: *kind,
            })
            .collect(),
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
async fn the_dialect_is_found_out_and_can_be_set() {
    let fields = |rig: &Rig| {
        let asked = rig.calls("bjobs");
        asked.iter().any(|call| call.contains("-o jobid jobindex"))
    };
    assert!(fields(&Rig::new(IBM, &[]).await));
    assert!(!fields(&Rig::new(OPENLAVA, &[]).await));
    let named = serde_json::json!({"dialect": "openlava"});
    assert!(!fields(&Rig::with_settings(IBM, &[], named).await));
    // A site's own banner in place of a version: `bjobs` is asked for what only IBM's has.
    let usage = "echo \"bjobs: invalid option -- 'o'\" >&2; echo 'Usage: bjobs [-h]' >&2; exit 255";
    let rig = Rig::new("Welcome", &[("bjobs", usage)]).await;
    assert_eq!(rig.calls("bjobs"), ["-noheader -o jobid"]);
    assert!(fields(&Rig::new("Welcome", &[]).await));
    // Fields that it does not have: the long form.
    let bad = "[[ $* == *-l* ]] || { echo 'Unknown field name <pend_reason>' >&2; exit 255; }; echo 'No unfinished job found' >&2";
    let rig = Rig::new(IBM, &[("bjobs", bad)]).await;
    let _nothing = rig.scheduler.status(&[job("7")]).await;
    assert_eq!(
        rig.calls("bjobs").last().map(String::as_str),
        Some("-a -l 7")
    );
}

#[tokio::test]
async fn limits_are_asked_for_once_and_are_no_condition() {
    let rig = Rig::new(OPENLAVA, &[]).await;
    let capabilities = rig.scheduler.capabilities();
    assert_eq!(capabilities.array_limit, Some(2000));
    assert_eq!(capabilities.failed_parent, FailedParent::PendForever);
    let ibm = Rig::new(IBM, &[]).await;
    let failed_parent = ibm.scheduler.capabilities().failed_parent;
    assert_eq!(failed_parent, FailedParent::Cancelled, "by `-ti`");
    let names: Vec<&str> = (capabilities.partitions.iter())
        .map(|limits| limits.name.as_str())
        .collect();
    assert_eq!(names, ["normal", "quick"]);
    assert_eq!(capabilities.partitions[1].time, "01:00:00".parse().ok());
    for answer in ["exit 1", "echo gibberish"] {
        let rig = Rig::new(OPENLAVA, &[("bqueues", answer), ("bparams", answer)]).await;
        let capabilities = rig.scheduler.capabilities();
        assert!(capabilities.partitions.is_empty());
        assert_eq!(capabilities.array_limit, Some(1000));
        assert_eq!(capabilities.history, Some(Duration::from_hours(1)));
    }
}

#[tokio::test]
async fn an_lsf_that_is_not_there_or_down_is_named() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().display().to_string();
    let error = reflow_backend_lsf::connect(ConnectOptions {
        environment: BTreeMap::from([("PATH".to_owned(), path.clone())]),
        ..ConnectOptions::default()
    })
    .await
    .expect_err("nothing is there");
    assert_eq!(error.kind(), SchedulerErrorKind::NotInstalled);
    let expected = format!("`bsub` is not on the PATH (searched: {path})");
    assert_eq!(error.to_string(), expected);
    let down = "echo 'LSF is down. Please wait ...' >&2; exit 255";
    for version in [IBM, OPENLAVA] {
        let all = [("bjobs", down), ("bparams", down), ("bqueues", down)];
        let error = connect(directory.path(), version, &all, serde_json::json!({})).await;
        let kind = error.expect_err("is down").kind();
        assert_eq!(kind, SchedulerErrorKind::Unreachable);
    }
}

#[tokio::test]
async fn the_script_goes_in_by_standard_input_and_the_client_does_not_wait() {
    let print = "[ \"$1\" != -V ] || { echo openlava 2.2; exit; }; echo \"${LSB_NTRIES-none} ${LSB_JOBINDEX-none} ${BSUB_QUIET-none} $LSF_ENVDIR\" > \"$LOG.environment\"; cat > \"$LOG.stdin\"; echo 'Job <7> is submitted to queue <normal>.'";
    let rig = Rig::new(OPENLAVA, &[("bsub", print)]).await;
    assert_eq!(rig.scheduler.submit(&request()).await.ok(), Some(job("7")));
    let written = |name: &str| {
        let path = rig.directory.path().join(format!("bsub.log.{name}"));
        fs_err::read_to_string(path).expect("was written")
    };
    let rendered = rig.scheduler.render(&request()).expect("is valid");
    assert_eq!(written("stdin"), rendered.stdin);
    assert_eq!(written("environment"), "1 none none /nowhere\n");
    assert!(
        rig.calls("bjobs").is_empty(),
        "there are no parents to ask about"
    );
}

#[tokio::test]
async fn conditions_on_parents_that_lsf_has_forgotten_are_left_out() {
    let known = [
        (
            OPENLAVA,
            "echo '42 u DONE normal vm vm plain Nov 22 16:45'; echo '43 u DONE normal vm vm pa[1] Nov 22 16:45'",
        ),
        (IBM, "echo '42^0^plain'; echo '43^1^pa[1]'"),
    ];
    for (version, answer) in known {
        let rig = Rig::new(version, &[]).await;
        rig.now(
            "bjobs",
            &format!("{answer}; echo 'Job <99> is not found' >&2; exit 255"),
        );
        let request = after(&[
            ("42", DependencyKind::Any),
            ("43", DependencyKind::NotOk),
            ("99", DependencyKind::Any),
            ("99", DependencyKind::ElementWiseAny),
        ]);
        rig.scheduler.submit(&request).await.expect("is taken");
        assert_eq!(rig.calls("bjobs").len(), 1, "all parents are one question");
        let sent = rig.calls("bsub").pop().expect("was sent");
        assert!(
            sent.contains("-w ended(42) && numexit(43, > 0) -"),
            "{sent}"
        );
        let shown = rig
            .scheduler
            .render(&request)
            .expect("is valid")
            .argv
            .join(" ");
        assert!(
            shown.contains("ended(42) && exit(43) && ended(99) && ended(99[*])"),
            "{shown}"
        );
        for kind in [
            DependencyKind::Ok,
            DependencyKind::NotOk,
            DependencyKind::ElementWise,
        ] {
            let error = rig.scheduler.submit(&after(&[("99", kind)])).await;
            let error = error.expect_err("nobody knows how it ended");
            let found = (error.error.kind(), error.may_exist);
            assert_eq!(found, (SchedulerErrorKind::Rejected, false));
        }
        assert_eq!(
            rig.calls("bsub").len(),
            2,
            "the version, and one submission"
        );
    }
}

#[tokio::test]
async fn with_parents_that_cannot_be_asked_about_nothing_is_sent() {
    for answer in [
        "echo 'LSF is down. Please wait ...' >&2; exit 255",
        "exit 0",
        "echo gibberish",
        "head -c 100 /dev/urandom",
    ] {
        let rig = Rig::new(OPENLAVA, &[]).await;
        rig.now("bjobs", answer);
        let request = after(&[("42", DependencyKind::Any)]);
        let error = rig.scheduler.submit(&request).await.expect_err(answer);
        assert!(error.error.kind().is_temporary(), "{answer}");
        assert!(!error.may_exist);
        assert_eq!(rig.calls("bsub"), ["-V"]);
    }
}

#[tokio::test]
async fn a_submission_is_tried_once_and_its_failure_says_whether_a_job_may_exist() {
    let version = format!("[ \"$1\" != -V ] || {{ echo '{OPENLAVA}'; exit; }}");
    for (answer, kind, may_exist) in [
        (
            "echo 'Contacting batch daemon: Communication timeout. Job not submitted.' >&2; exit 255",
            SchedulerErrorKind::TimedOut,
            true,
        ),
        (
            "echo 'Failed in an LSF library call: LIM is down; try later. Job not submitted.' >&2; exit 255",
            SchedulerErrorKind::Unreachable,
            false,
        ),
        (
            "echo 'nosuch: No such queue. Job not submitted.' >&2; exit 255",
            SchedulerErrorKind::Rejected,
            false,
        ),
        (
            "echo 'Thank you'",
            SchedulerErrorKind::UnexpectedOutput,
            true,
        ),
        ("kill -9 $$", SchedulerErrorKind::UnexpectedOutput, true),
        ("sleep 600", SchedulerErrorKind::TimedOut, true),
    ] {
        let rig = Rig::with_settings(
            OPENLAVA,
            &[("bsub", &format!("{version}; {answer}"))],
            serde_json::json!({"command_timeout": 2}),
        )
        .await;
        let error = rig.scheduler.submit(&request()).await.expect_err(answer);
        let found = (error.error.kind(), error.may_exist);
        assert_eq!(found, (kind, may_exist), "{answer}");
        assert_eq!(rig.calls("bsub").len(), 2, "the version, and one attempt");
    }
}

/// One job in the long form.
fn long(id: &str, status: &str, last: &str) -> String {
    format!(
        "\nJob <{id}>, Job Name <x>, User <u>, Project <default>, Status <{status}>, Queue \n                     <normal>, Command <true>\nSun Nov 22 16:45:01: Submitted from host <vm>, CWD <$HOME>;\nSun Nov 22 16:45:02: Started on <vm>;\nSun Nov 22 16:45:09: {last}\n"
    )
}

#[tokio::test]
async fn a_thousand_jobs_are_one_question_to_bjobs_and_one_to_the_history() {
    let rig = Rig::new(OPENLAVA, &[]).await;
    let answer = [
        long(
            "28",
            "EXIT",
            "Exited with exit code 4. The CPU time used is 0.1 seconds.",
        ),
        long(
            "29",
            "EXIT",
            "Exited with exit code 130. The CPU time used is 0.1 seconds.",
        ),
        long(
            "32",
            "DONE",
            "Done successfully. The CPU time used is 0.1 seconds.",
        ),
    ]
    .join("------------------------------------------------------------------------------\n");
    let file = rig.directory.path().join("answer");
    fs_err::write(&file, answer).expect("is writable");
    rig.now(
        "bjobs",
        &format!(
            "cat '{}'; echo 'Job <99> is not found' >&2; exit 255",
            file.display()
        ),
    );
    let history = [
        "Job <29>, Job Name <x>, User <u>, Project <default>, Command <true>",
        "Sun Nov 22 16:45:02: Started on <vm>;",
        "Sun Nov 22 16:45:05: Signal <KILL> requested by user or administrator <u>;",
        "Sun Nov 22 16:45:09: Exited with exit code 130. The CPU time used is 0.1 seconds;",
        "",
        "Job <31>, Job Name <x>, User <u>, Project <default>, Command <true>",
        "Sun Nov 22 16:45:09: Exited with exit code 7. The CPU time used is 0.1 seconds;",
    ]
    .join("\n");
    rig.now("bhist", &format!("cat <<'E'\n{history}\nE"));
    let jobs: Vec<JobId> = (1..=1000).map(|number| job(&number.to_string())).collect();
    let status = rig.scheduler.status(&jobs).await.expect("both answer");
    assert_eq!(status.len(), 1000);
    assert_eq!(reason(&status[27].state), Some(EndReason::Failed));
    assert_eq!(reason(&status[28].state), Some(EndReason::Cancelled));
    assert_eq!(reason(&status[30].state), Some(EndReason::Failed));
    assert_eq!(reason(&status[31].state), Some(EndReason::Completed));
    assert_eq!(status[999].state, JobState::Unknown);
    assert_eq!(rig.calls("bjobs").len(), 1);
    let asked = rig.calls("bhist");
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].contains(" 32 "), "bjobs had answered for it");
    assert!(asked[0].contains(" 29 "), "somebody may have killed it");
}

#[tokio::test]
async fn without_a_history_bjobs_alone_tells_and_nothing_fails() {
    let rig = Rig::new(IBM, &[]).await;
    rig.now(
        "bjobs",
        "echo '28^0^EXIT^4^-^-^1 second(s)^Nov 22 16:45^vm^-'; echo 'Job <99> is not found' >&2",
    );
    for history in [
        "exit 1",
        "echo gibberish; exit 255",
        "head -c 100 /dev/urandom",
    ] {
        rig.now("bhist", history);
        let status = rig.scheduler.status(&[job("28"), job("99")]).await;
        let status = status.expect("bjobs answers");
        assert_eq!(reason(&status[0].state), Some(EndReason::Failed));
        assert_eq!(status[1].state, JobState::Unknown);
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_and_no_verdict() {
    for version in [IBM, OPENLAVA] {
        let rig = Rig::new(version, &[]).await;
        for (answer, kind) in [
            ("", SchedulerErrorKind::UnexpectedOutput),
            ("echo gibberish", SchedulerErrorKind::UnexpectedOutput),
            ("printf '28^0^EX'", SchedulerErrorKind::UnexpectedOutput),
            (
                "head -c 1000 /dev/urandom",
                SchedulerErrorKind::UnexpectedOutput,
            ),
            (
                "echo 'LSF is down. Please wait ...' >&2; exit 255",
                SchedulerErrorKind::Unreachable,
            ),
        ] {
            rig.now("bjobs", answer);
            let error = rig.scheduler.status(&[job("28")]).await.expect_err(answer);
            assert_eq!(error.kind(), kind, "{version} {answer}");
            let tags = [request().tag];
            let error = rig.scheduler.find(&tags).await.expect_err(answer);
            assert_eq!(error.kind(), kind, "{version} {answer}");
        }
    }
}

#[tokio::test]
async fn a_question_that_hangs_comes_back_as_an_error() {
    let seconds = serde_json::json!({"command_timeout": 2});
    let rig = Rig::with_settings(OPENLAVA, &[], seconds).await;
    let hangs = "sleep 600";
    for program in ["bjobs", "bkill"] {
        rig.now(program, hangs);
    }
    let started = Instant::now();
    let status = rig.scheduler.status(&[job("28")]).await;
    let found = rig.scheduler.find(&[request().tag]).await;
    let cancelled = rig.scheduler.cancel(&[Target::whole(job("28"))]).await;
    let kinds = [
        status.expect_err(hangs).kind(),
        found.expect_err(hangs).kind(),
        cancelled.expect_err(hangs).kind(),
    ];
    assert_eq!(kinds, [SchedulerErrorKind::TimedOut; 3]);
    assert!(started.elapsed() < Duration::from_mins(1));
}

#[tokio::test]
async fn a_name_is_absent_only_when_the_queue_and_the_history_say_so() {
    let tag = request().tag;
    let other = Tag::new("rzzzzzzzzzzzzzz").expect("is a tag");
    for version in [IBM, OPENLAVA] {
        let rig = Rig::new(version, &[]).await;
        let found = rig.scheduler.find(std::slice::from_ref(&tag)).await;
        assert_eq!(found.expect("both answer"), [Found::Absent]);
        assert_eq!(rig.calls("bhist").last().map(String::as_str), Some("-a -w"));
        rig.now("bhist", "exit 1");
        let found = rig.scheduler.find(std::slice::from_ref(&tag)).await;
        assert_eq!(found.expect("the queue answers"), [Found::Unknowable]);
        rig.now(
            "bhist",
            "echo '12[1] u rabcdefghijklmn[1] 1 0 2 0 0 0 3'; echo '15 u rabcdefghijklmn 1 0 2 0 0 0 3'",
        );
        let found = rig.scheduler.find(&[other.clone(), tag.clone()]).await;
        let found = found.expect("both answer");
        let both = Found::Present(vec![job("12"), job("15")]);
        assert_eq!(found, [Found::Absent, both]);
        // A name that the queue has needs no history.
        let queue = if version == IBM {
            "echo '12^1^rabcdefghijklmn[1]'"
        } else {
            "echo '12 u RUN normal vm vm rabcdefghijklmn[1] Nov 22 16:45'"
        };
        rig.now("bjobs", queue);
        rig.now("bhist", "exit 1");
        let found = rig.scheduler.find(std::slice::from_ref(&tag)).await;
        let one = Found::Present(vec![job("12")]);
        assert_eq!(found.expect("the queue answers"), [one]);
        assert!(rig.calls("bhist").is_empty());
    }
}

#[tokio::test]
async fn many_elements_are_cancelled_in_one_call() {
    let rig = Rig::new(OPENLAVA, &[]).await;
    let targets: Vec<Target> = (0..2000)
        .filter(|index| *index != 17)
        .map(|index| Target::element(job("12"), index))
        .collect();
    rig.scheduler.cancel(&targets).await.expect("it answers");
    assert_eq!(rig.calls("bkill"), ["12[1-17,19-2000]"]);
}

/// The words are openlava 2.2's.
#[tokio::test]
async fn a_kill_that_goes_on_in_the_background_is_no_failure() {
    let rig = Rig::new(OPENLAVA, &[]).await;
    for (answer, is_fine) in [
        (
            "echo 'Job <117>: Operation is in progress' >&2; exit 255",
            true,
        ),
        (
            "echo 'Job <117>: Job has already finished' >&2; exit 255",
            true,
        ),
        (
            "echo 'Job <117>: No matching job found' >&2; exit 255",
            true,
        ),
        (
            "echo 'Job <117>: User permission denied' >&2; exit 255",
            false,
        ),
        (
            "echo 'Job <117>: Operation is in progress' >&2; echo 'LSF is down' >&2; exit 255",
            false,
        ),
        ("kill -9 $$", false),
    ] {
        rig.now("bkill", answer);
        let done = rig.scheduler.cancel(&[Target::whole(job("117"))]).await;
        assert_eq!(done.is_ok(), is_fine, "{answer}");
    }
    assert!(rig.scheduler.cancel(&[]).await.is_ok());
}

#[tokio::test]
async fn units_of_memory_are_the_clusters() {
    let limit = async |version: &str, settings, programs: &[(&str, &str)]| {
        let rig = Rig::with_settings(version, programs, settings).await;
        let mut request = request();
        request.resources.mem = Some("1500M".parse().expect("is a size"));
        let argv = rig.scheduler.render(&request).expect("is valid").argv;
        let place = argv.iter().position(|word| word == "-M").expect("is set");
        (argv[place + 1].clone(), argv[place + 3].clone())
    };
    let pair = |limit: &str, reservation: &str| (limit.to_owned(), reservation.to_owned());
    let none = || serde_json::json!({});
    let old = "IBM Spectrum LSF Standard 10.1.0.0, Jul 08 2016";
    assert_eq!(
        limit(IBM, none(), &[]).await,
        pair("1500MB", "rusage[mem=1500MB/host]")
    );
    assert_eq!(
        limit(OPENLAVA, none(), &[]).await,
        pair("1536000", "rusage[mem=1500]")
    );
    assert_eq!(
        limit(old, none(), &[]).await,
        pair("1536000", "rusage[mem=1500]")
    );
    let told = "echo 'LSF_UNIT_FOR_LIMITS = GB'";
    assert_eq!(
        limit(old, none(), &[("badmin", told)]).await,
        pair("2", "rusage[mem=2]")
    );
    let set = serde_json::json!({"memory_unit": "MB"});
    assert_eq!(
        limit(OPENLAVA, set, &[]).await,
        pair("1500", "rusage[mem=1500]")
    );
}
