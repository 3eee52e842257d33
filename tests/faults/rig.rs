//! A run with faults: the program, the plan, the feed, and what a user does.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use fs_err as fs;
use reflow_core::rundir::RunDir;
use reflow_tests::{Outcome, Program, queue_of};

use crate::check::Look;
use crate::workload::{self, Feed};

/// Which batch system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backend {
    Local,
    Slurm,
}

/// A program with faults, in surroundings of its own.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) program: Program,
    pub(crate) backend: Backend,
    pub(crate) width: u32,
    dispatch: &'static str,
}

impl Rig {
    /// Makes one with `plan` and the workload, whose bodies do what `nap` says in between.
    pub(crate) fn new(
        backend: Backend,
        dispatch: &'static str,
        width: u32,
        nap: &str,
        plan: &str,
    ) -> Self {
        let program = match backend {
            Backend::Local => Program::local(),
            // One machine: what was written is seen at once.
            Backend::Slurm => Program::slurm().with_variable("REFLOW_LATENCY", "1s"),
        };
        let program = program.with_binary(|home| {
            let binary = home.join("bin/reflow-faulty");
            fs::create_dir_all(home.join("bin")).expect("home is writable");
            fs::hard_link(binary_for_tests(), &binary)
                .or_else(|_| fs::copy(binary_for_tests(), &binary).map(|_| ()))
                .expect("the program can be copied");
            binary
        });
        for directory in ["faults/counted", "faults/reached"] {
            fs::create_dir_all(program.home().join(directory)).expect("home is writable");
        }
        program.write("faults/plan", plan);
        let text = workload::text(width, program.home(), nap);
        program.write("reflow.toml", &text);
        Self {
            program,
            backend,
            width,
            dispatch,
        }
    }

    /// Returns the run directory.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.program.home().join("run")
    }

    /// Puts in order what the bad element fails for.
    pub(crate) fn heal(&self) {
        self.program.write("healed", "");
    }

    /// Returns whether that was done.
    pub(crate) fn is_healed(&self) -> bool {
        self.program.home().join("healed").exists()
    }

    /// Returns what the bodies have said.
    pub(crate) fn feed(&self) -> Feed {
        Feed::read(&self.program.home().join("feed"))
    }

    /// Returns the faults that happened: role and process.
    pub(crate) fn fired(&self) -> Vec<(String, u32)> {
        let text = fs::read_to_string(self.program.home().join("faults/fired")).unwrap_or_default();
        text.lines()
            .filter_map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                let [_, role, pid] = words[..] else {
                    return None;
                };
                Some((role.to_owned(), pid.parse().ok()?))
            })
            .collect()
    }

    /// Submits once.
    pub(crate) fn submit(&self) -> Outcome {
        let run = self.run_dir();
        let run = run.to_str().expect("home is UTF-8");
        self.program
            .run(&["submit", "--dispatch", self.dispatch, "--run-dir", run])
    }

    /// Gives a command for the run.
    pub(crate) fn on_run(&self, command: &str) -> Outcome {
        let run = self.run_dir();
        self.program
            .run(&[command, run.to_str().expect("home is UTF-8")])
    }

    /// Returns whether the journal says that the run has ended.
    pub(crate) fn has_ended(&self) -> bool {
        Look::at(&self.run_dir()).is_ok_and(|look| look.state.is_some())
    }

    /// Does nothing until the run has ended or patience has; says whether the run has ended.
    pub(crate) fn ends_alone(&self, has_enough: impl Fn() -> bool) -> bool {
        loop {
            if self.has_ended() {
                return true;
            }
            if has_enough() {
                return self.has_ended();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns what is left in the queue of the batch system, and of processes, some time after the end.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match self.backend {
            Backend::Local => {
                // A dispatch or a guard may just be finding that there is nothing to do.
                let left = gone_within(Duration::from_secs(15), || {
                    let stopped = self.program.run(&["backend", "stop", "local"]);
                    let is_busy = stopped.code != Some(0);
                    is_busy
                        .then(|| stopped.stderr.clone())
                        .into_iter()
                        .collect()
                });
                faults.extend(
                    left.iter()
                        .map(|says| format!("work after the end: {says}")),
                );
            }
            Backend::Slurm => {
                if let Ok(run) = RunDir::open(&self.run_dir()) {
                    let id = run.record().run_id.to_string();
                    let left = gone_within(Duration::from_mins(1), || queue_of(&id));
                    faults.extend(left.iter().map(|job| format!("in the queue: {job:?}")));
                }
            }
        }
        let home = self.program.home();
        let left = gone_within(Duration::from_secs(10), || processes_of(home));
        faults.extend(left.iter().map(|process| format!("a process: {process}")));
        faults
    }
}

/// Asks until nothing is left, and returns what is left at the end.
fn gone_within<T>(patience: Duration, mut ask: impl FnMut() -> Vec<T>) -> Vec<T> {
    let begin = Instant::now();
    loop {
        let left = ask();
        if left.is_empty() || begin.elapsed() > patience {
            return left;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Returns the processes whose command line or environment names a directory.
pub(crate) fn processes_of(home: &Path) -> Vec<String> {
    let wanted = home.to_str().expect("home is UTF-8").as_bytes();
    let has = |text: &[u8]| {
        text.windows(wanted.len())
            .enumerate()
            // The name of another home may go on with further digits.
            .any(|(at, part)| {
                part == wanted && !text.get(at + wanted.len()).is_some_and(u8::is_ascii_digit)
            })
    };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("this is Linux").flatten() {
        let path = entry.path();
        if !entry.file_name().as_encoded_bytes()[0].is_ascii_digit() {
            continue;
        }
        // Processes end at any time, and those of others cannot be read.
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        if !line.is_empty() && (has(&line) || has(&environment)) {
            let line: Vec<_> = line.split(|byte| *byte == 0).collect();
            let line = String::from_utf8_lossy(&line.join(&b' ')).into_owned();
            found.push(format!("{} {line}", entry.file_name().to_string_lossy()));
        }
    }
    found
}

/// Returns the program with faults, without what only a debugger needs: it is copied for every run.
fn binary_for_tests() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let whole = Path::new(env!("CARGO_BIN_EXE_reflow-faulty"));
        let small = std::env::temp_dir().join(format!("reflow-faulty-{}", std::process::id()));
        #[expect(
            clippy::disallowed_methods,
            reason = "a tool of the test, no client of a batch system"
        )]
        let stripped = std::process::Command::new("strip")
            .arg("-o")
            .arg(&small)
            .arg(whole)
            .status();
        if stripped.is_ok_and(|status| status.success()) {
            small
        } else {
            whole.to_owned()
        }
    })
}

/// Removes the copy of the program that all runs share.
pub(crate) fn tidy() {
    let small = std::env::temp_dir().join(format!("reflow-faulty-{}", std::process::id()));
    let _ = fs::remove_file(small);
}
