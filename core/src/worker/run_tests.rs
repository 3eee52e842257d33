//! Workers with real processes.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fs_err as fs;
use serde_json::{Value, json};

use super::{WorkerMode, WorkerOptions, WorkerReport, run};
use crate::elements::ElementSet;
use crate::id::{JobId, Tag};
use crate::results::{
    IndexClaim, Outcome, ResultRecord, Spool, SpoolContent, SpoolWriter, WorkerRecord, read_spool,
};
use crate::rundir::testing::empty_run;
use crate::rundir::{Owner, Request, RunDir, SubmissionFile, SubmissionHeader, ValueRef};

/// A run of one task `t`, whose upstream `up` is task 0.
struct Rig {
    _keep: tempfile::TempDir,
    dir: RunDir,
    /// Changes to the submission header.
    header: Value,
    job: &'static str,
    stop: Option<OwnedFd>,
}

fn tag(text: &str) -> Tag {
    Tag::from_digest('t', &blake3::hash(text.as_bytes()))
}

fn script(text: &str) -> Value {
    json!({"program": {"shell": {"script": text, "interpreter": ["bash", "-euo", "pipefail"]}}})
}

impl Rig {
    fn new() -> Self {
        let keep = tempfile::tempdir().expect("a directory");
        let dir = empty_run(&keep.path().join("run"));
        Self {
            _keep: keep,
            dir,
            header: json!({}),
            job: "7",
            stop: None,
        }
    }

    /// Changes the submission that is written next.
    fn with(mut self, key: &str, value: Value) -> Self {
        self.header[key] = value;
        self
    }

    /// Writes a submission of `width` elements of a task with this body.
    fn submit(&self, task: Value, width: u32) {
        let mut description = json!({"name": "t", "returns": "str"});
        merge(&mut description, task);
        let elements = ElementSet::range(0, width);
        let mut header = json!({
            "tag": tag("t"), "workflow": "w", "task": 1, "description": description, "attempt": 1,
            "elements": SubmissionFile::describe(&elements), "batch": 1, "plain": {},
            "run_dir_parameters": [], "inputs": [], "upstream": [], "after": [], "latency_ms": 0});
        merge(&mut header, self.header.clone());
        let header: SubmissionHeader = serde_json::from_value(header).expect("a header");
        SubmissionFile::write(&self.dir.submission(&tag("t")), &header, &elements)
            .expect("written");
    }

    fn run(&self, index: u32) -> WorkerReport {
        let options = WorkerOptions {
            run_dir: self.dir.path().to_owned(),
            submission: tag("t"),
            mode: WorkerMode::Index(index),
            job: Some(JobId::new(self.job).expect("an id")),
            node: "n1".to_owned(),
            environment: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
            stop: self
                .stop
                .as_ref()
                .map(|stop| stop.try_clone().expect("cloned")),
        };
        run(&options).expect("a worker that ran")
    }

    fn content(&self, index: u32) -> SpoolContent {
        read_spool(&self.spool().index_file(index)).expect("a spool file")
    }

    fn spool(&self) -> Spool {
        Spool::new(self.dir.spool(&tag("t")))
    }

    /// Runs index 0 of a task with this body and returns how its only element ended.
    fn one(&self, task: Value) -> ResultRecord {
        self.submit(task, 1);
        self.run(0);
        let mut content = self.content(0);
        assert!(content.is_closed && !content.is_damaged, "{content:?}");
        assert_eq!(content.ended.len(), 1, "{content:?}");
        content.ended.remove(0)
    }

    fn value(&self, result: &ResultRecord) -> Value {
        let value = result
            .value
            .as_ref()
            .unwrap_or_else(|| panic!("no value: {result:?}"));
        let text = self.dir.values().read(value).expect("a value");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Returns what the element wrote, by the span that its result tells.
    fn output(&self, result: &ResultRecord) -> (Vec<u8>, Vec<u8>) {
        let span = result.log.expect("it wrote something");
        let part = |extension: &str, start: u64, end: u64| {
            let path = self.dir.logs(&tag("t")).join("0").join(extension);
            let all = fs::read(path).unwrap_or_default();
            all[start as usize..end as usize].to_vec()
        };
        (part("0.out", span.0, span.1), part("0.err", span.2, span.3))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Lets the upstream `up` end as `outcome`, with `1` as its value where it succeeded.
    fn upstream(self, outcome: Option<Outcome>) -> Self {
        if let Some(outcome) = outcome {
            let spool = Spool::new(self.dir.spool(&tag("up")));
            let mut writer = claim(&spool, "5");
            let mut result = ResultRecord::new(0, outcome);
            if outcome == Outcome::Succeeded {
                result.value = Some(self.dir.values().put("1".to_owned()).expect("kept"));
            }
            writer.end_element(result).expect("written");
            writer.close().expect("closed");
        }
        let one = ElementSet::range(0, 1);
        self.with(
            "inputs",
            json!([{"parameter": "x", "delivery": "direct",
                "sources": [{"upstream": {"task": 0, "items": "one", "width": 1}}]}]),
        )
        .with(
            "upstream",
            json!([{"task": 0, "name": "up", "width": 1,
                "parts": [{"tag": tag("up"), "elements": one, "all": one, "batch": 1}]}]),
        )
    }
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(from) = from else {
        panic!("{from} is no object")
    };
    for (key, value) in from {
        into[key] = value;
    }
}

fn claim(spool: &Spool, job: &str) -> SpoolWriter {
    let worker = WorkerRecord {
        job: Some(job.to_owned()),
        node: "n0".to_owned(),
        log: "0/0".to_owned(),
    };
    match spool.claim(0, &worker).expect("claimed") {
        IndexClaim::Claimed(writer) => writer,
        IndexClaim::Taken(content) => panic!("taken: {content:?}"),
    }
}

fn message(result: &ResultRecord) -> &str {
    result.message.as_deref().unwrap_or_default()
}

/// A task that takes the result of `up`.
fn consumer(script_text: &str) -> Value {
    json!({"body": script(script_text), "parameters": [
        {"name": "x", "type": "int", "kind": "result", "steps": ["up"], "concatenate": false, "broadcast": false}]})
}

#[test]
fn standard_output_becomes_the_value() {
    let with = |text: &str, output: Value, returns: &str| {
        let mut body = script(text);
        body["output"] = output;
        let rig = Rig::new();
        let result = rig.one(json!({"body": body, "returns": returns}));
        assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
        rig.value(&result)
    };
    assert_eq!(with("echo ' 42 '", json!("text"), "int"), json!(42));
    assert_eq!(
        with("printf 'a\\nb b\\n'", json!("lines"), "list[str]"),
        json!(["a", "b b"])
    );
    assert_eq!(
        with("echo '{\"a\": [1]}'", json!("json"), "json"),
        json!({"a": [1]})
    );
    assert_eq!(with(":", json!("lines"), "list[int]"), json!([]));
}

#[test]
fn a_glob_finds_the_files_that_the_body_wrote_in_the_run_directory() {
    let rig = Rig::new();
    let mut body = script("echo b > part_b.txt; echo a > part_a.txt");
    body["output"] = json!({"glob": "part_*.txt"});
    let result = rig.one(json!({"body": body, "returns": "list[path]"}));
    let found: Vec<PathBuf> = serde_json::from_value(rig.value(&result)).expect("paths");
    let names: Vec<_> = found.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(names, ["part_a.txt", "part_b.txt"]);
    assert!(rig.path("part_a.txt").is_file());
}

#[test]
fn a_value_too_long_for_a_result_is_stored_aside() {
    let rig = Rig::new();
    let result = rig.one(json!({"body": script("printf '%05000d' 0")}));
    assert!(
        matches!(result.value, Some(ValueRef::Stored { .. })),
        "{result:?}"
    );
    assert_eq!(rig.value(&result), json!("0".repeat(5000)));
}

#[test]
fn a_failing_body_tells_its_exit_status_and_where_its_output_is() {
    let rig = Rig::new();
    let result = rig.one(json!({"body": script("echo before; echo why >&2; exit 3")}));
    assert_eq!(result.outcome, Outcome::Failed);
    assert_eq!((result.exit_status, result.signal), (Some(3), None));
    assert_eq!(message(&result), "exit status 3");
    assert_eq!(
        rig.output(&result),
        (b"before\n".to_vec(), b"why\n".to_vec())
    );
}

#[test]
fn a_body_that_a_signal_ended_tells_which() {
    let result = Rig::new().one(json!({"body": script("kill -SEGV $$")}));
    assert_eq!(result.outcome, Outcome::Failed);
    assert_eq!((result.exit_status, result.signal), (None, Some(11)));
    assert_eq!(message(&result), "ended by signal 11");
}

#[test]
fn a_program_that_is_not_there_is_a_failure_of_the_element() {
    let rig = Rig::new();
    let result = rig.one(json!({"body": {"program": {"command": ["no-such-program"]}}}));
    assert_eq!(result.outcome, Outcome::Failed);
    assert!(
        message(&result).starts_with("`no-such-program` could not be run: "),
        "{result:?}"
    );
}

#[test]
fn a_mebibyte_on_both_streams_is_read_without_a_deadlock() {
    let rig = Rig::new();
    let fill = "head -c 1048576 /dev/zero | tr '\\0' x";
    // One after the other: whoever reads one stream to its end first waits for ever.
    let result = rig.one(json!({"body": script(&format!("{fill} >&2; {fill}; {fill} >&2"))}));
    assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
    let (out, err) = rig.output(&result);
    assert_eq!((out.len(), err.len()), (1 << 20, 2 << 20));
}

#[test]
fn what_a_body_leaves_behind_is_killed_and_not_waited_for() {
    let rig = Rig::new();
    let started = Instant::now();
    let result = rig.one(json!({"body": script("sleep 600 & echo $!")}));
    assert!(started.elapsed() < Duration::from_mins(1));
    assert_eq!(result.outcome, Outcome::Succeeded);
    let pid = rig.value(&result);
    let stat = format!("/proc/{}/stat", pid.as_str().expect("a number"));
    // Killed; whoever adopted it may take a moment to collect it.
    let is_gone = || fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "));
    while !is_gone() {
        assert!(started.elapsed() < Duration::from_mins(1), "it still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_process_that_left_the_group_is_not_waited_for_although_it_holds_the_output() {
    let rig = Rig::new();
    let started = Instant::now();
    let result = rig.one(json!({"body": script("setsid sleep 20 & echo there")}));
    assert_eq!(rig.value(&result), json!("there"));
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn writing_to_dev_stdout_truncates_nothing() {
    let rig = Rig::new().with("batch", json!(2));
    let body = script("echo first; echo second > /dev/stdout; echo third > /dev/stderr");
    rig.submit(json!({"body": body}), 2);
    rig.run(0);
    let content = rig.content(0);
    for result in &content.ended {
        assert_eq!(rig.value(result), json!("first\nsecond"));
        assert_eq!(
            rig.output(result),
            (b"first\nsecond\n".to_vec(), b"third\n".to_vec())
        );
    }
    // The two elements have one log file, one behind the other.
    let spans: Vec<_> = content
        .ended
        .iter()
        .filter_map(|result| result.log)
        .collect();
    assert_eq!((spans[0].0, spans[0].1), (0, 13));
    assert_eq!((spans[1].0, spans[1].1), (13, 26));
}

#[test]
fn standard_input_is_empty_whether_it_is_read_or_not() {
    for body in ["cat; echo read", "echo read"] {
        let rig = Rig::new();
        let result = rig.one(json!({"body": script(body)}));
        assert_eq!(rig.value(&result), json!("read"));
    }
}

#[test]
fn output_that_is_not_utf_8_is_a_failure_that_names_the_byte() {
    let result = Rig::new().one(json!({"body": script("printf 'abc\\377'")}));
    assert_eq!(result.outcome, Outcome::Failed);
    assert_eq!(message(&result), "standard output is not UTF-8 at byte 3");
}

#[test]
fn output_of_another_type_is_a_failure() {
    let result = Rig::new().one(json!({"body": script("echo many"), "returns": "int"}));
    assert_eq!(
        (result.outcome, result.exit_status),
        (Outcome::Failed, Some(0))
    );
    insta::assert_snapshot!(message(&result), @r#"standard output does not fit the return type: expected int, got "many""#);
}

#[test]
fn a_setup_line_that_fails_fails_the_element_with_what_it_said() {
    let rig = Rig::new();
    let result =
        rig.one(json!({"body": script("touch ran"), "setup": ["echo no module foo >&2; exit 9"]}));
    assert_eq!(result.outcome, Outcome::Failed);
    assert!(message(&result).contains("no module foo"), "{result:?}");
    assert!(!rig.path("ran").exists());
}

#[test]
fn bodies_see_the_variables_of_the_run_of_setup_and_of_the_task() {
    let rig = Rig::new();
    fs::write(
        rig.dir.inside("environment.json"),
        r#"{"variables": {"SAVED": "1", "TASK": "saved"}}"#,
    )
    .expect("written");
    let body = script("echo $SAVED-$TASK-$FROM_SETUP-$REFLOW_TASK; [ $REFLOW_RUN_DIR = $PWD ]");
    let result = rig.one(
        json!({"body": body, "environment": {"TASK": "own"}, "setup": ["export FROM_SETUP=$TASK"]}),
    );
    assert_eq!(rig.value(&result), json!("1-own-own-t"));
}

// --- who may run what ---

#[test]
fn a_submission_of_another_job_or_of_nobody_is_left_alone() {
    let other = Owner::Job(JobId::new("8").expect("an id"));
    for owner in [other, Owner::Void] {
        let rig = Rig::new();
        Owner::claim(&rig.dir.owner(&tag("t")), &owner).expect("claimed");
        rig.submit(json!({"body": script("touch ran")}), 1);
        let report = rig.run(0);
        assert!(report.left_alone && report.exit_status() == 0, "{report:?}");
        assert!(!rig.path("ran").exists());
        assert!(!rig.spool().index_file(0).exists());
    }
}

#[test]
fn a_submission_whose_owner_was_overwritten_is_left_alone() {
    let rig = Rig::new();
    rig.submit(json!({"body": script("touch ran")}), 1);
    fs::write(rig.dir.owner(&tag("t")), "somebody").expect("written");
    assert!(rig.run(0).left_alone);
    assert!(!rig.path("ran").exists());
}

#[test]
fn a_closed_submission_is_left_alone() {
    let rig = Rig::new();
    fs::write(rig.dir.closed(&tag("t")), "").expect("written");
    rig.submit(json!({"body": script("touch ran")}), 1);
    assert!(rig.run(0).left_alone);
    assert!(!rig.path("ran").exists());
}

#[test]
fn a_body_that_was_started_is_not_started_again_when_its_index_is() {
    let rig = Rig::new().with("batch", json!(3));
    rig.submit(json!({"body": script("echo run >> runs")}), 3);
    // The first start of the index ended element 0, started element 1, and died.
    let mut writer = claim(&rig.spool(), "7");
    writer.start_element(0).expect("written");
    writer
        .end_element(ResultRecord::new(0, Outcome::Failed))
        .expect("written");
    writer.start_element(1).expect("written");
    drop(writer);
    let report = rig.run(0);
    assert_eq!((report.succeeded, report.unsuccessful), (1, 1));
    let outcomes: BTreeMap<u32, Outcome> = rig
        .content(0)
        .ended
        .iter()
        .map(|result| (result.element, result.outcome))
        .collect();
    let expected = [
        (0, Outcome::Failed),
        (1, Outcome::Restarted),
        (2, Outcome::Succeeded),
    ];
    assert_eq!(outcomes, BTreeMap::from(expected));
    assert_eq!(
        fs::read_to_string(rig.path("runs")).expect("one ran"),
        "run\n"
    );
}

#[test]
fn nothing_is_run_in_a_cancelled_run() {
    let rig = Rig::new();
    let all = Request::Cancel { what: Vec::new() };
    rig.dir.request(&all).expect("written");
    let result = rig.one(json!({"body": script("touch ran")}));
    assert_eq!(result.outcome, Outcome::Cancelled);
    assert!(!rig.path("ran").exists());
}

#[test]
fn a_termination_signal_interrupts_the_body_and_starts_no_further_one() {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let mut rig = Rig::new().with("batch", json!(2));
    rig.stop = Some(reader.into());
    rig.submit(json!({"body": script("echo run >> runs; sleep 600")}), 2);
    let runs = rig.path("runs");
    let signal = std::thread::spawn(move || {
        let started = Instant::now();
        while !runs.exists() && started.elapsed() < Duration::from_mins(1) {
            std::thread::sleep(Duration::from_millis(10));
        }
        writer.write_all(b".").expect("written");
        writer
    });
    rig.run(0);
    drop(signal.join().expect("no panic"));
    let content = rig.content(0);
    assert!(content.is_closed);
    assert_eq!(content.started, [0]);
    let outcomes: Vec<Outcome> = content.ended.iter().map(|result| result.outcome).collect();
    assert_eq!(outcomes, [Outcome::Interrupted]);
    assert_eq!(
        fs::read_to_string(rig.path("runs")).expect("one ran"),
        "run\n"
    );
}

// --- inputs ---

#[test]
fn the_value_of_the_upstream_comes_to_the_body() {
    let rig = Rig::new().upstream(Some(Outcome::Succeeded));
    let result = rig.one(consumer("echo {x}{x}"));
    assert_eq!(rig.value(&result), json!("11"));
}

#[test]
fn an_element_without_its_input_is_not_run() {
    let cases = [
        (None, Outcome::HandedBack),
        (Some(Outcome::Interrupted), Outcome::HandedBack),
        (Some(Outcome::HandedBack), Outcome::HandedBack),
        (Some(Outcome::Failed), Outcome::Skipped),
        (Some(Outcome::Skipped), Outcome::Skipped),
        (Some(Outcome::Restarted), Outcome::Skipped),
    ];
    for (upstream, expected) in cases {
        let rig = Rig::new().upstream(upstream);
        let result = rig.one(consumer("touch ran"));
        assert_eq!(result.outcome, expected, "upstream {upstream:?}");
        assert!(message(&result).contains("`up`"), "{result:?}");
        assert!(!rig.path("ran").exists());
    }
}

#[test]
fn a_result_that_appears_late_is_waited_for_as_long_as_a_file_may_take() {
    let rig = Rig::new().upstream(None).with("latency_ms", json!(30_000));
    let spool = Spool::new(rig.dir.spool(&tag("up")));
    let values = rig.dir.values();
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        let mut writer = claim(&spool, "5");
        let mut result = ResultRecord::new(0, Outcome::Succeeded);
        result.value = Some(values.put("1".to_owned()).expect("kept"));
        writer.end_element(result).expect("written");
    });
    let result = rig.one(consumer("echo {x}"));
    late.join().expect("no panic");
    assert_eq!(rig.value(&result), json!("1"));
}
