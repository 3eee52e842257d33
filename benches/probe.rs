//! The part of the benchmarks that a script cannot do. `benches/run` calls it.
//!
//! ```text
//! probe measure COMMAND...          runs a command; prints its CPU seconds, wall seconds and peak MB
//! probe tasks FILE                  loads, checks and plans a workflow file
//! probe plan N LIMIT                plans a fan-out of N elements, arrays of at most LIMIT
//! probe spool RUN_DIR FIRST END     writes the results of elements FIRST to END - 1 of the widest
//!                                   submissions, as their workers would
//! probe publish STORE N PARTS       publishes N results in PARTS publications
//! probe find STORE N                looks N of them up at once
//! probe find-each STORE N           opens the store and looks one up, N times
//! probe hash FILE                   prints what b3sum prints
//! ```
//! `tasks`, `plan`, `publish`, `find` and `find-each` print the same three numbers for the work itself, without the start of the
//! process.

mod store;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use reflow_core::elements::ElementSet;
use reflow_core::engine::{Action, ElementState, NothingRemembered, Snapshot, State, plan};
use reflow_core::host::load;
use reflow_core::id::{JobId, RunId, Tag};
use reflow_core::identity::{ElementHasher, plain};
use reflow_core::journal::{Record, SubmissionKind};
use reflow_core::results::{IndexClaim, Outcome, ResultRecord, Spool, ValueDigests, WorkerRecord};
use reflow_core::rundir::{DispatchMode, RunDir, SubmissionFile, ValueRef};
use reflow_core::scheduler::{Capabilities, FailedParent};
use reflow_core::workflow::{Description, Graph, TaskIndex};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use wait4::Wait4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["measure", command @ ..] if !command.is_empty() => return measure(command),
        ["tasks", file] => tasks(Path::new(file)),
        ["plan", count, limit] => fan_out(number(count), number(limit)),
        ["identity", count] => identity(number(count)),
        ["spool", run, first, end] => spool(Path::new(run), number(first), number(end)),
        ["publish", store, count, parts] => {
            store::publish(Path::new(store), number(count), number(parts));
        }
        ["find", store, count] => store::find(Path::new(store), number(count)),
        ["find-each", store, count] => store::find_each(Path::new(store), number(count)),
        ["hash", file] => store::hash(Path::new(file)),
        _ => {
            say(
                "usage: probe measure COMMAND... | tasks FILE | plan N LIMIT | identity N | spool RUN_DIR FIRST END \
                 | publish STORE N PARTS | find STORE N | find-each STORE N | hash FILE",
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn number(text: &str) -> u32 {
    text.parse().expect("a number was given")
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn say(line: &str) {
    println!("{line}");
}

fn report(cpu: Duration, wall: Duration, peak_bytes: u64) {
    say(&format!(
        "{:.4} {:.4} {:.0}",
        cpu.as_secs_f64(),
        wall.as_secs_f64(),
        peak_bytes as f64 / 1e6
    ));
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

fn peak_bytes() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

/// Runs `work` and reports what it took.
fn timed(work: impl FnOnce()) {
    let (cpu_before, wall_before) = (cpu(), Instant::now());
    work();
    report(
        cpu().saturating_sub(cpu_before),
        wall_before.elapsed(),
        peak_bytes(),
    );
}

fn measure(words: &[&str]) -> ExitCode {
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark starts the program as a user does"
    )]
    let mut command = std::process::Command::new(words[0]);
    let begin = Instant::now();
    let child = command
        .args(&words[1..])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the command can be started");
    let usage = child.wait4().expect("the child is ours");
    let wall = begin.elapsed();
    let cpu = usage.rusage.utime + usage.rusage.stime;
    report(cpu, wall, usage.rusage.maxrss);
    if usage.status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What Slurm can do, with arrays of at most `limit`.
fn slurm(limit: u32) -> Capabilities {
    Capabilities {
        array_limit: Some(limit),
        array_base: 0,
        element_wise: true,
        element_wise_any: false,
        failed_parent: FailedParent::Cancelled,
        releases_cancelled: true,
        after_not_ok: true,
        not_before: true,
        concurrency_limit: true,
        element_cancel: true,
        history: Some(Duration::from_hours(24)),
        submit_from_jobs: true,
        serves_indices: false,
        message_timeout: Duration::from_secs(20),
        may_stall: false,
        partitions: Vec::new(),
    }
}

fn snapshot<'a>(run: &'a RunId, graph: &'a Graph, state: &'a State) -> Snapshot<'a> {
    Snapshot {
        run,
        graph,
        state,
        dispatch: DispatchMode::Job,
        own: None,
        room: reflow_core::engine::Room::default(),
    }
}

fn run_id() -> RunId {
    RunId::new("bench-1").expect("it is one")
}

fn tasks(file: &Path) {
    timed(|| {
        let loaded = load(file).expect("the workflow is right");
        let graph = Graph::check(loaded.description).expect("the workflow is right");
        let state = State::new(&graph);
        let actions = plan(
            snapshot(&run_id(), &graph, &state),
            &slurm(1001),
            &NothingRemembered,
        );
        let sent = actions
            .iter()
            .filter(|action| matches!(action, Action::Send(_)))
            .count();
        assert!(sent >= graph.len(), "every task is sent: {sent}");
    });
}

/// Adds what the batch system would make of `actions`: everything is taken.
fn carry_out(state: &mut State, actions: &[Action]) -> usize {
    let mut sent = 0;
    for action in actions {
        match action {
            Action::Record(record) => state.apply(record),
            Action::Send(submission) => {
                sent += 1;
                let tag = submission.tag.clone();
                state.apply(&Record::Intent(submission.clone()));
                let job = JobId::new(sent.to_string()).expect("a number is one");
                state.apply(&Record::Submitted { tag, job });
            }
            Action::Cancel(_) | Action::Withdraw(_) => {}
        }
    }
    sent
}

/// Returns the tags of the submissions that carry a task.
fn carriers(state: &State, task: TaskIndex) -> Vec<Tag> {
    let positions = &state.task(task).submissions;
    let tag = |position: &u32| state.submission(*position).record.tag.clone();
    positions.iter().map(tag).collect()
}

fn fan_out(count: u32, limit: u32) {
    let description: Description = serde_json::from_value(json!({
        "schema": 1,
        "name": "bench",
        "tasks": [
            {"name": "list", "returns": "list[int]"},
            {"name": "each", "array": true, "returns": "int", "parameters": [
                {"name": "n", "type": "int", "kind": "result", "steps": ["list"]}]},
            {"name": "total", "returns": "int", "parameters": [
                {"name": "n", "type": "list[int]", "kind": "result", "steps": ["each"]}]},
        ],
    }))
    .expect("a description");
    let graph = Graph::check(description).expect("it is right");
    let (run, capabilities) = (run_id(), slurm(limit));
    let mut state = State::new(&graph);
    let actions = plan(
        snapshot(&run, &graph, &state),
        &capabilities,
        &NothingRemembered,
    );
    carry_out(&mut state, &actions);
    let list = carriers(&state, TaskIndex(0)).remove(0);
    state.apply(&Record::Ingested {
        tag: list,
        pack: 0,
        ended: vec![(ElementState::Succeeded, ElementSet::range(0, 1))],
        handed_back: ElementSet::new(),
        items: vec![(0, count)],
        causes: Vec::new(),
    });
    timed(|| {
        let actions = plan(
            snapshot(&run, &graph, &state),
            &capabilities,
            &NothingRemembered,
        );
        let sent = carry_out(&mut state, &actions);
        assert!(
            sent >= count.div_ceil(limit) as usize,
            "the elements are sent: {sent} submissions"
        );
        // And a second pass with half of each submission at its end, every other one failed.
        for tag in carriers(&state, TaskIndex(1)) {
            let position = state.position(&tag).expect("it was just listed");
            let SubmissionKind::Elements { elements, .. } = &state.submission(position).record.kind
            else {
                continue;
            };
            let (mut succeeded, mut failed) = (ElementSet::new(), ElementSet::new());
            for element in elements.iter().step_by(2) {
                if element % 4 == 0 {
                    failed.insert(element);
                } else {
                    succeeded.insert(element);
                }
            }
            let ended = vec![
                (ElementState::Succeeded, succeeded),
                (ElementState::Failed, failed),
            ];
            state.apply(&Record::Ingested {
                tag,
                pack: 0,
                ended,
                handed_back: ElementSet::new(),
                items: Vec::new(),
                causes: Vec::new(),
            });
        }
        plan(
            snapshot(&run, &graph, &state),
            &capabilities,
            &NothingRemembered,
        );
    });
}

/// Returns the submission files of a run that carry its widest task.
fn widest(dir: &RunDir) -> Vec<SubmissionFile> {
    let folder = dir.inside("submissions");
    let paths: Vec<PathBuf> = fs_err::read_dir(&folder)
        .expect("a run directory")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    let mut files: Vec<SubmissionFile> = paths
        .iter()
        .filter_map(|path| SubmissionFile::open(path).ok())
        .collect();
    let width = |task: TaskIndex, files: &[SubmissionFile]| -> u32 {
        files
            .iter()
            .filter(|file| file.header.task == task)
            .map(|file| file.header.elements.count())
            .sum()
    };
    let most = files
        .iter()
        .map(|file| file.header.task)
        .max_by_key(|task| width(*task, &files))
        .expect("the run has submissions");
    files.retain(|file| file.header.task == most);
    files
}

/// Computes the identities of elements that are each given a number, and the digest of what they return.
fn identity(count: u32) {
    let task = plain(&json!("a task"));
    timed(|| {
        let hasher = ElementHasher::new(&task, 1);
        let mut seen = 0u8;
        for element in 0..count {
            let given = plain(&json!(element));
            seen ^= hasher.identity(&[given]).as_bytes()[0];
        }
        std::hint::black_box(seen);
    });
}

/// What a worker would have written of an element of a task that is given one entry of a list of numbers from
/// 1 on and returns nothing.
fn result(file: &SubmissionFile, element: u32) -> ResultRecord {
    let mut result = ResultRecord::new(element, Outcome::Succeeded);
    result.value = Some(ValueRef::Inline {
        json: serde_json::value::RawValue::NULL.to_owned(),
        items: None,
    });
    if let Some(cache) = &file.header.cache {
        let hasher = ElementHasher::new(&cache.task, 1);
        result.identity = Some(hasher.identity(&[plain(&json!(element + 1))]));
        result.digests = Some(ValueDigests {
            whole: plain(&serde_json::Value::Null),
            entries: None,
            files: None,
        });
    }
    result
}

fn spool(run: &Path, first: u32, end: u32) {
    let dir = RunDir::open(run).expect("a run directory");
    let worker = WorkerRecord {
        job: None,
        node: "bench".to_owned(),
        log: "0".to_owned(),
    };
    for file in widest(&dir) {
        let spool = Spool::new(dir.spool(&file.header.tag));
        let indices = file
            .header
            .elements
            .count()
            .div_ceil(file.header.batch.max(1));
        for index in 0..indices {
            let elements = file.elements_of(index).expect("a submission file");
            if !elements.iter().any(|e| (first..end).contains(e)) {
                continue;
            }
            let IndexClaim::Claimed(mut writer) =
                spool.claim(index, &worker).expect("a run directory")
            else {
                panic!("index {index} has a result already");
            };
            for element in elements {
                writer.start_element(element).expect("a run directory");
                writer
                    .end_element(result(&file, element))
                    .expect("a run directory");
            }
            // Not closed: a sync for each of them would take longer than all else.
        }
    }
}
