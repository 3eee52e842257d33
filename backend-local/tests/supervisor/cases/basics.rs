use reflow_core::id::JobId;
use reflow_core::scheduler::{EndReason, Found, JobState, Memory, SchedulerErrorKind};

use super::Case;
use crate::rig::{Rig, array};

pub(super) const CASES: &[Case] = &[
    ("s3_a_command_runs_unchanged", unchanged),
    (
        "s3_setup_lines_run_before_and_their_failure_is_the_jobs",
        setup,
    ),
    ("s4_each_index_runs_once_with_its_own_output", indices),
    ("s4_never_more_than_at_most_run", at_most),
    ("s6_f1_a_job_is_found_by_its_tag", find),
    ("s7_what_can_never_fit_is_rejected_by_name", never_fits),
    ("r2_resources_that_it_lacks_are_refused_by_name", refused),
    ("t2_what_is_not_known_is_unknown", unknown),
    ("t4_an_end_tells_status_times_and_memory", told),
    ("jobs_start_while_cores_and_memory_last", capacity),
    ("a_hundred_thousand_elements_are_told_in_one_answer", many),
];

fn unchanged() {
    let rig = Rig::new();
    let mut request = rig.command(&[
        "/bin/sh",
        "-c",
        "printf '%s|' \"$@\" \"$VALUE\"; pwd; echo oops >&2",
        "sh",
        "a b",
        "$HOME",
        "'\"`;\\",
        "ü\n",
        "",
    ]);
    let value = "x y\n'$(id)'".to_owned();
    request.command.environment = [("VALUE".to_owned(), value.clone())].into();
    let job = rig.submit(&request);
    assert_eq!(rig.end(&job).reason, EndReason::Completed);
    let expected = format!(
        "a b|$HOME|'\"`;\\|ü\n||{value}|{}\n",
        rig.scratch().display()
    );
    assert_eq!(
        std::fs::read_to_string(&request.output.stdout).unwrap(),
        expected
    );
    assert_eq!(
        std::fs::read_to_string(&request.output.stderr).unwrap(),
        "oops\n"
    );
}

fn setup() {
    let rig = Rig::new();
    let mut request = array(rig.shell("echo $GREETING $@ > out.$2"), 2, None);
    request.command.setup = vec!["GREETING=hello; export GREETING".to_owned()];
    let job = rig.submit(&request);
    assert_eq!(rig.end(&job).reason, EndReason::Completed);
    assert_eq!(rig.read("out.1"), "hello --index 1\n");
    request.command.setup = vec!["(exit 9)".to_owned()];
    let job = rig.submit(&request);
    assert_eq!(rig.end(&job).code, Some(9));
}

fn indices() {
    let rig = Rig::new();
    let request = array(rig.shell("echo $@; echo x >> ran.$2"), 20, None);
    let job = rig.submit(&request);
    assert_eq!(rig.ends(&job).len(), 20);
    for index in 0..20 {
        assert_eq!(rig.read(&format!("ran.{index}")), "x\n");
        let output = format!("{}.{index}", request.output.stdout.display());
        let text = std::fs::read_to_string(output).unwrap();
        assert_eq!(text, format!("--index {index}\n"));
    }
}

fn at_most() {
    let rig = Rig::with(serde_json::json!({"cpus": 8}));
    let line = "mkdir on.$2; set -- on.*; [ -e on.3 ] && sleep 0.1; echo $# >> seen; sleep 0.05; rmdir on.$2; true; ";
    let line = line
        .replace("rmdir on.$2", "rmdir $OWN")
        .replace("mkdir on.$2", "OWN=on.$2; mkdir $OWN");
    let job = rig.submit(&array(rig.shell(&line), 20, Some(3)));
    assert_eq!(rig.end(&job).reason, EndReason::Completed);
    let seen: Vec<u32> = rig
        .read("seen")
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!(seen.len(), 20);
    assert_eq!(seen.iter().max(), Some(&3), "{seen:?}");
}

fn find() {
    let rig = Rig::new();
    let request = rig.shell("true");
    let tags = [request.tag.clone(), rig.shell("true").tag];
    let scheduler = rig.connect();
    let find = || rig.block_on(scheduler.find(&tags)).unwrap();
    assert_eq!(find(), [Found::Absent, Found::Absent]);
    let job = rig.submit(&request);
    assert_eq!(find(), [Found::Present(vec![job.clone()]), Found::Absent]);
    rig.end(&job);
    assert_eq!(find(), [Found::Present(vec![job]), Found::Absent]);
}

fn never_fits() {
    let rig = Rig::new();
    let mut request = rig.shell("true");
    request.resources.cpus = Some(3);
    let error = rig.block_on(rig.connect().submit(&request)).unwrap_err();
    assert!(!error.may_exist);
    assert_eq!(error.error.kind(), SchedulerErrorKind::Rejected);
    insta::assert_snapshot!(error, @"the job can never start: it needs 3 cores, and this machine has 2 to give");
    request.resources.cpus = None;
    request.resources.mem = Some(Memory::from_mebibytes(2000));
    let error = rig.block_on(rig.connect().submit(&request)).unwrap_err();
    insta::assert_snapshot!(error, @"the job can never start: it needs 2000 MiB of memory, and this machine has 1024 MiB to give");
}

fn refused() {
    let mut rig = Rig::new();
    let mut request = rig.shell("true");
    request.resources.partition = Some("gpu".to_owned());
    let error = rig.block_on(rig.connect().submit(&request)).unwrap_err();
    assert_eq!(error.error.kind(), SchedulerErrorKind::Unsupported);
    insta::assert_snapshot!(error, @r#"the local backend has no `partition`; leave it out, or set `backend.local.ignore = ["partition"]`"#);
    let ignore = serde_json::json!(["partition"]);
    rig.settings.insert("ignore".to_owned(), ignore);
    let job = rig.submit(&request);
    assert_eq!(rig.end(&job).reason, EndReason::Completed);
}

fn unknown() {
    let rig = Rig::new();
    let scheduler = rig.connect();
    let strange = [
        "7",
        "local-x-1",
        "local-abcdefghijabcd-1",
        "local--",
        "local-é-1",
    ];
    let ids: Vec<JobId> = strange.iter().map(|id| JobId::new(*id).unwrap()).collect();
    let ask = || {
        let all = rig.block_on(scheduler.status(&ids)).unwrap();
        all.into_iter()
            .all(|status| status.state == JobState::Unknown)
    };
    assert!(ask(), "without a supervisor");
    rig.submit(&rig.shell("true"));
    assert!(ask(), "with a supervisor");
}

fn told() {
    let rig = Rig::new();
    let job = rig.submit(&rig.shell("sleep 0.2; exit 7"));
    let end = rig.end(&job);
    assert_eq!(
        (end.reason, end.code, end.signal),
        (EndReason::Failed, Some(7), None)
    );
    assert!(end.elapsed.unwrap().as_millis() >= 200, "{end:?}");
    assert!(end.started < end.ended);
    assert!(end.peak_memory.unwrap().bytes() > 100_000, "{end:?}");
    assert!(end.node.is_some());
    let job = rig.submit(&rig.shell("kill -9 $$"));
    let end = rig.end(&job);
    assert_eq!(
        (end.reason, end.code, end.signal),
        (EndReason::Failed, None, Some(9))
    );
    let job = rig.submit(&rig.command(&["/nonexistent/program"]));
    let end = rig.end(&job);
    assert_eq!(end.reason, EndReason::StartFailure);
    let native = end.native.unwrap();
    assert!(
        native.contains("could not start `/nonexistent/program`"),
        "{native}"
    );
}

fn capacity() {
    let rig = Rig::new();
    let line = "OWN=on.$$; mkdir $OWN; set -- on.*; echo $# >> seen; sleep 0.1; rmdir $OWN";
    let mut request = array(rig.shell(line), 6, None);
    let job = rig.submit(&request);
    rig.end(&job);
    let most = |text: String| text.lines().map(|line| line.parse::<u32>().unwrap()).max();
    assert_eq!(most(rig.read("seen")), Some(2));
    std::fs::remove_file(rig.scratch().join("seen")).unwrap();
    request.resources.mem = Some(Memory::from_mebibytes(600));
    let job = rig.submit(&request);
    rig.end(&job);
    assert_eq!(most(rig.read("seen")), Some(1));
}

fn many() {
    let rig = Rig::new();
    let blocker = rig.submit(&rig.shell("sleep 1000"));
    let request = array(rig.shell("true"), 100_000, None);
    let request = crate::rig::after(
        request,
        &blocker,
        reflow_core::scheduler::DependencyKind::Any,
    );
    let job = rig.submit(&request);
    let status = rig.status(&job);
    assert_eq!(status.elements.len(), 100_000);
    assert!(
        matches!(status.state, JobState::Pending { reason: Some(reason), .. } if reason == "dependency")
    );
}
