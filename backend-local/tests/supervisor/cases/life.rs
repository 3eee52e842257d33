use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use reflow_backend_local::{Stopped, connect, stop};
use reflow_core::scheduler::{DependencyKind, EndReason, Found, JobState, SchedulerErrorKind};

use rustix::process::Signal;

use super::Case;
use crate::rig::{Rig, after, array, processes_with, signal, wait_for};

pub(super) const CASES: &[Case] = &[
    ("connecting_and_asking_start_nothing", lazy),
    ("many_clients_at_once_start_one_supervisor", race),
    ("an_idle_supervisor_ends_and_its_past_is_known", idle),
    ("stop_refuses_while_there_is_work", stopping),
    ("a_terminated_supervisor_ends_its_jobs_first", terminated),
    ("garbage_on_the_socket_harms_nobody", garbage),
    (
        "a_directory_that_others_can_enter_is_refused",
        open_directory,
    ),
    ("a_long_runtime_directory_works", long),
    ("a_job_reaches_the_supervisor_that_runs_it", inside),
    (
        "a_supervisor_that_cannot_start_is_told_with_its_last_words",
        broken,
    ),
];

fn run_directory(rig: &Rig) -> PathBuf {
    rig.options().runtime_dir
}

/// Returns the directory of the only supervisor.
fn home(rig: &Rig) -> PathBuf {
    let mut homes = std::fs::read_dir(run_directory(rig).join("local")).unwrap();
    homes.next().unwrap().unwrap().path()
}

fn lazy() {
    let rig = Rig::new();
    let scheduler = rig.connect();
    let tag = rig.shell("true").tag;
    assert_eq!(
        rig.block_on(scheduler.find(&[tag])).unwrap(),
        [Found::Absent]
    );
    assert!(rig.block_on(scheduler.status(&[])).unwrap().is_empty());
    rig.block_on(scheduler.cancel(&[])).unwrap();
    assert!(!run_directory(&rig).exists());
}

fn race() {
    let rig = Rig::new();
    let request = rig.shell("echo x >> ran");
    let options = rig.options();
    let ids = rig.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (options, request) = (options.clone(), request.clone());
            tasks.spawn(async move {
                let scheduler = connect(options).await.unwrap();
                scheduler.submit(&request).await.unwrap()
            });
        }
        tasks.join_all().await
    });
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 10);
    for id in &ids {
        assert_eq!(rig.end(id).reason, EndReason::Completed);
    }
    assert_eq!(rig.read("ran").lines().count(), 10);
    wait_for("the losers to go", || {
        // The supervisor, and the process that watches over it.
        processes_with(run_directory(&rig).to_str().unwrap()).len() == 2
    });
    rig.supervisor();
}

fn idle() {
    let rig = Rig::with(serde_json::json!({"idle_seconds": 1}));
    let request = array(rig.shell("exit $2"), 2, None);
    let job = rig.submit(&request);
    let before = rig.ends(&job);
    wait_for("the supervisor to end", || {
        !home(&rig).join("socket").exists()
    });
    assert_eq!(rig.ends(&job), before);
    let found = rig
        .block_on(rig.connect().find(std::slice::from_ref(&request.tag)))
        .unwrap();
    assert_eq!(found, [Found::Present(vec![job.clone()])]);
    // The next life goes on counting.
    let next = rig.submit(&request);
    assert_ne!(next, job);
    assert_eq!(rig.ends(&job), before);
    let found = rig.block_on(rig.connect().find(&[request.tag])).unwrap();
    assert_eq!(found, [Found::Present(vec![job, next])]);
}

fn stopping() {
    let rig = Rig::new();
    let stop = |force| rig.block_on(stop(rig.options(), force)).unwrap();
    assert_eq!(stop(false), Stopped::NotRunning);
    let job = rig.submit(&array(rig.shell("sleep 99881"), 3, None));
    rig.wait_running(&job);
    let busy = Stopped::Busy {
        running: 2,
        pending: 1,
    };
    assert_eq!(stop(false), busy);
    assert_eq!(stop(true), Stopped::Stopped);
    assert!(processes_with("sleep\x0099881\0").is_empty());
    assert!(
        rig.ends(&job)
            .iter()
            .all(|end| end.reason == EndReason::Cancelled)
    );
    assert_eq!(stop(true), Stopped::NotRunning);
}

fn terminated() {
    let rig = Rig::with(serde_json::json!({"cpus": 1}));
    let running = rig
        .submit(&rig.shell("trap 'echo told > told; exit 1' TERM; touch on; sleep 99886 & wait"));
    let pending = rig.submit(&rig.shell("touch never"));
    let child = rig.submit(&after(
        rig.shell("touch never"),
        &running,
        DependencyKind::Ok,
    ));
    wait_for("it to run", || rig.scratch().join("on").exists());
    let supervisor = rig.supervisor();
    signal(supervisor, Signal::TERM);
    wait_for("the supervisor to end", || {
        !Path::new("/proc").join(supervisor.to_string()).exists()
    });
    assert_eq!(rig.read("told"), "told\n");
    assert!(processes_with("sleep\x0099886\0").is_empty());
    for job in [running, pending, child] {
        assert_eq!(rig.end(&job).reason, EndReason::Cancelled);
    }
    assert!(!rig.scratch().join("never").exists());
    assert_eq!(
        rig.block_on(stop(rig.options(), false)).unwrap(),
        Stopped::NotRunning
    );
}

fn garbage() {
    let rig = Rig::new();
    let job = rig.submit(&rig.shell("sleep 1"));
    let socket = home(&rig).join("socket");
    let frames: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\x06\0\0\0\xff\0\0\0{}",
        b"\x06\0\0\0\x02\0\0\0{}",
        b"",
    ];
    for frame in frames {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(frame).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    assert_eq!(rig.end(&job).reason, EndReason::Completed);
}

fn open_directory() {
    let rig = Rig::with(serde_json::json!({"idle_seconds": 1}));
    let job = rig.submit(&rig.shell("true"));
    rig.end(&job);
    let home = home(&rig);
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = rig.block_on(connect(rig.options())).unwrap_err();
    assert_eq!(error.kind(), SchedulerErrorKind::Permission);
    assert!(
        error.message().contains("its mode is 755, not 700"),
        "{error}"
    );
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
}

fn long() {
    let rig = Rig::new();
    let mut options = rig.options();
    options.runtime_dir = options.runtime_dir.join("x".repeat(150));
    let scheduler = rig.block_on(connect(options.clone())).unwrap();
    let job = rig.block_on(scheduler.submit(&rig.shell("true"))).unwrap();
    wait_for("the job to end", || {
        let status = rig.block_on(scheduler.status(std::slice::from_ref(&job)));
        status.unwrap()[0].state.is_ended()
    });
    assert_eq!(rig.block_on(stop(options, true)).unwrap(), Stopped::Stopped);
}

fn inside() {
    let mut rig = Rig::new();
    rig.environment
        .insert("SLURM_JOB_ID".to_owned(), "7".to_owned());
    let job = rig.submit(&rig.shell("echo $REFLOW_LOCAL_DIR > dir"));
    rig.end(&job);
    let output = std::fs::read_to_string(rig.scratch().join("dir")).unwrap();
    assert_eq!(Path::new(output.trim()), home(&rig));
    // What a job does that submits another: it no longer knows of the job around it.
    let mut options = rig.options();
    options.environment.remove("SLURM_JOB_ID");
    let directory = output.trim().to_owned();
    options
        .environment
        .insert("REFLOW_LOCAL_DIR".to_owned(), directory);
    let scheduler = rig.block_on(connect(options)).unwrap();
    rig.block_on(scheduler.submit(&rig.shell("true"))).unwrap();
    rig.supervisor();
    let status = rig.block_on(scheduler.status(&[job])).unwrap();
    assert!(matches!(status[0].state, JobState::Ended(_)));
}

fn broken() {
    let rig = Rig::new();
    let mut options = rig.options();
    options.launcher = ["/bin/sh", "-c", "echo 'no such luck' >&2; exit 4"]
        .map(str::to_owned)
        .into();
    let scheduler = rig.block_on(connect(options.clone())).unwrap();
    let error = rig
        .block_on(scheduler.submit(&rig.shell("true")))
        .unwrap_err();
    assert!(!error.may_exist);
    assert_eq!(error.error.kind(), SchedulerErrorKind::Unreachable);
    insta::assert_snapshot!(error, @"the supervisor of the local backend did not start: exit status: 4 (messages: no such luck)");
    options.launcher = Vec::new();
    let scheduler = rig.block_on(connect(options)).unwrap();
    let error = rig
        .block_on(scheduler.submit(&rig.shell("true")))
        .unwrap_err();
    assert!(error.to_string().contains("set `launcher`"), "{error}");
}
