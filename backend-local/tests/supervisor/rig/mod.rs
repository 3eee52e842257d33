//! A place for one test: a runtime directory, a scratch directory, and a backend that uses them.

pub(crate) mod faults;
pub(crate) mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use reflow_backend_local::connect;
use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    ArrayRequest, Command, ConnectOptions, Dependency, DependencyKind, ExitStatus, Found,
    JobRequest, JobState, JobStatus, OutputPaths, Resources, Scheduler,
};
use serde_json::{Map, Value, json};

/// How long anything may take. Far more than it does, since the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// One test's own world.
pub(crate) struct Rig {
    directory: tempfile::TempDir,
    pub(crate) settings: Map<String, Value>,
    pub(crate) environment: BTreeMap<String, String>,
    runtime: tokio::runtime::Runtime,
}

impl Drop for Rig {
    fn drop(&mut self) {
        let options = self.options();
        let _ = self
            .runtime
            .block_on(reflow_backend_local::stop(options, true));
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(json!({}))
    }

    /// Two cores unless the settings say otherwise.
    pub(crate) fn with(settings: Value) -> Self {
        let mut all = json!({"cpus": 2, "mem": "1G", "kill_wait": 1});
        let (Value::Object(all_settings), Value::Object(more)) = (&mut all, settings) else {
            panic!("settings are an object");
        };
        all_settings.extend(more);
        let path = std::env::var("PATH").unwrap_or_default();
        Self {
            directory: tempfile::tempdir().unwrap(),
            settings: all_settings.clone(),
            environment: [("PATH".to_owned(), path)].into(),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    pub(crate) fn options(&self) -> ConnectOptions {
        ConnectOptions {
            settings: self.settings.clone(),
            environment: self.environment.clone(),
            runtime_dir: self.directory.path().join("run"),
            launcher: vec![program()],
            ..ConnectOptions::default()
        }
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn connect(&self) -> Arc<dyn Scheduler> {
        self.block_on(connect(self.options())).unwrap()
    }

    /// The directory that jobs run in.
    pub(crate) fn scratch(&self) -> PathBuf {
        let scratch = self.directory.path().join("scratch");
        std::fs::create_dir_all(&scratch).unwrap();
        scratch
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.scratch().join(name)).unwrap_or_default()
    }

    /// A request that runs a line of shell.
    pub(crate) fn shell(&self, line: &str) -> JobRequest {
        self.command(&["/bin/sh", "-c", line, "sh"])
    }

    pub(crate) fn command(&self, argv: &[&str]) -> JobRequest {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let scratch = self.scratch();
        JobRequest {
            tag: Tag::from_digest('t', &blake3_of(count)),
            comment: None,
            command: Command {
                argv: argv.iter().map(|word| (*word).to_owned()).collect(),
                directory: scratch.clone(),
                environment: BTreeMap::new(),
                setup: Vec::new(),
                serves_indices: false,
            },
            array: None,
            dependencies: Vec::new(),
            resources: Resources::default(),
            not_before: None,
            output: OutputPaths {
                stdout: scratch.join(format!("out{count}")),
                stderr: scratch.join(format!("err{count}")),
            },
            requeue: false,
            extra: Vec::new(),
        }
    }

    /// A request for an array whose elements are served by this program.
    pub(crate) fn served(&self, mode: &str, count: u32) -> JobRequest {
        let mut request = self.command(&[&program(), "worker", mode]);
        request.command.serves_indices = true;
        array(request, count, None)
    }

    pub(crate) fn submit(&self, request: &JobRequest) -> JobId {
        self.block_on(self.connect().submit(request)).unwrap()
    }

    pub(crate) fn status(&self, job: &JobId) -> JobStatus {
        let jobs = std::slice::from_ref(job);
        let mut all = self.block_on(self.connect().status(jobs)).unwrap();
        all.remove(0)
    }

    /// Waits until a job has ended.
    pub(crate) fn end(&self, job: &JobId) -> ExitStatus {
        let mut end = None;
        wait_for("the job to end", || {
            if let JobState::Ended(status) = self.status(job).state {
                end = Some(status);
            }
            end.is_some()
        });
        end.unwrap()
    }

    pub(crate) fn wait_running(&self, job: &JobId) {
        wait_for("the job to run", || {
            matches!(self.status(job).state, JobState::Running { .. })
        });
    }

    /// Returns the ends of all elements.
    pub(crate) fn ends(&self, job: &JobId) -> Vec<ExitStatus> {
        self.end(job);
        let elements = self.status(job).elements;
        elements
            .into_iter()
            .map(|element| match element.state {
                JobState::Ended(end) => end,
                other => panic!("element {} is {other:?}", element.index),
            })
            .collect()
    }

    /// Submits as the engine does: where nobody can say whether a job came to be, it is looked for.
    pub(crate) fn submit_surely(&self, request: &JobRequest) -> JobId {
        let mut id = None;
        wait_for("a job to be taken", || {
            id = match self.block_on(self.connect().submit(request)) {
                Ok(id) => Some(id),
                Err(error) if !error.may_exist => None,
                Err(_) => {
                    let tags = std::slice::from_ref(&request.tag);
                    match self.block_on(self.connect().find(tags)).as_deref() {
                        Ok([Found::Present(ids)]) => Some(ids[0].clone()),
                        _ => None,
                    }
                }
            };
            id.is_some()
        });
        id.unwrap()
    }

    /// Returns the ends of all elements, whatever becomes of the supervisor in between.
    pub(crate) fn ends_surely(&self, job: &JobId) -> Vec<ExitStatus> {
        let mut ends = Vec::new();
        wait_for("all elements to end", || {
            let Ok(all) = self.block_on(self.connect().status(std::slice::from_ref(job))) else {
                return false;
            };
            let states = all.into_iter().flat_map(|job| job.elements);
            ends.clear();
            for element in states {
                match element.state {
                    JobState::Ended(end) => ends.push(end),
                    _ => return false,
                }
            }
            !ends.is_empty()
        });
        ends
    }

    /// Returns the process of the supervisor.
    pub(crate) fn supervisor(&self) -> u32 {
        let root = self.directory.path().join("run");
        let root = root.to_str().unwrap();
        let found = processes_with(root);
        let mut found = found
            .into_iter()
            .filter(|(process, line)| line.contains("supervisor\0--dir") && is_watched(*process));
        let one = found.next().expect("a supervisor runs");
        assert!(found.next().is_none(), "two supervisors run");
        one.0
    }

    /// Returns the process that watches over the supervisor.
    pub(crate) fn watcher(&self) -> u32 {
        parent(self.supervisor()).unwrap()
    }
}

pub(crate) fn parent(process: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

/// Returns whether a process is the one that serves, rather than the one that starts it.
fn is_watched(process: u32) -> bool {
    let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0);
    variables.any(|variable| variable.starts_with(b"REFLOW_LOCAL_WATCHER="))
}

pub(crate) fn blake3_of(count: u32) -> blake3::Hash {
    blake3::hash(format!("{count} {}", std::process::id()).as_bytes())
}

pub(crate) fn program() -> String {
    std::env::current_exe()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

pub(crate) fn array(mut request: JobRequest, count: u32, at_most: Option<u32>) -> JobRequest {
    request.array = Some(ArrayRequest { count, at_most });
    request
}

pub(crate) fn after(mut request: JobRequest, job: &JobId, kind: DependencyKind) -> JobRequest {
    request.dependencies.push(Dependency {
        job: job.clone(),
        kind,
    });
    request
}

pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn signal(process: u32, signal: rustix::process::Signal) {
    let process = rustix::process::Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    rustix::process::kill_process(process, signal).unwrap();
}

/// Returns the processes whose command line has `text`, with it.
pub(crate) fn processes_with(text: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(process) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        let line = std::fs::read(Path::new("/proc").join(entry.file_name()).join("cmdline"));
        let line = String::from_utf8_lossy(&line.unwrap_or_default()).into_owned();
        if process != std::process::id() && line.contains(text) {
            found.push((process, line));
        }
    }
    found
}
