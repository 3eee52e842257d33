//! `reflow` with faults: the same program, ended, frozen or delayed at the points that a plan names.
//!
//! The plan is the file `faults/plan` in the nearest directory above the program that has one. The
//! program's own place tells, and no variable, since jobs are started with the environment of the batch
//! system; the copy that is pinned in a run directory below finds the same plan.
//!
//! A line of the plan is `ROLE POINT N ACTION`. ROLE is the command (`submit`, `worker`, …) or `*`, and
//! ACTION `kill`, `freeze` or `delay=MILLISECONDS`. It is carried out once in all, by the process that
//! reaches the point for the Nth time, counted over all processes. The line `census` has the points
//! counted by role.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use fs_err as fs;
use rustix::process::{Signal, getpid, kill_process};

static PLAN: OnceLock<Plan> = OnceLock::new();

#[derive(Debug)]
struct Plan {
    /// The directory `faults`.
    dir: PathBuf,
    /// The command that this process runs.
    role: String,
    rules: Vec<Rule>,
    census: bool,
}

#[derive(Debug)]
struct Rule {
    /// Its line in the plan, from 0.
    line: usize,
    point: String,
    /// Which time counts, from 1.
    time: u32,
    action: Action,
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Kill,
    Freeze,
    Delay(Duration),
}

fn main() -> ExitCode {
    if let Some(plan) = plan() {
        // The first to be set, since nothing ran before.
        let _ = PLAN.set(plan);
        reflow::core::fault::install(reached);
    }
    reflow::entry(std::env::args_os())
}

fn plan() -> Option<Plan> {
    let program = std::env::current_exe().ok()?;
    let dir = program
        .ancestors()
        .skip(1)
        .map(|above| above.join("faults"))
        .find(|dir| dir.join("plan").exists())?;
    let role = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
        .unwrap_or_default();
    let text = fs::read_to_string(dir.join("plan")).expect("a test has written the plan");
    let rules = text.lines().enumerate().filter_map(|(line, text)| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [who, point, time, action] = words[..] else {
            return None;
        };
        (who == "*" || who == role).then(|| Rule {
            line,
            point: point.to_owned(),
            time: time.parse().expect("a plan counts in numbers"),
            action: read_action(action),
        })
    });
    Some(Plan {
        rules: rules.collect(),
        census: text.lines().any(|line| line == "census"),
        dir,
        role,
    })
}

fn read_action(text: &str) -> Action {
    match text.split_once('=') {
        None if text == "kill" => Action::Kill,
        None if text == "freeze" => Action::Freeze,
        Some(("delay", time)) => Action::Delay(Duration::from_millis(
            time.parse().expect("a delay is in milliseconds"),
        )),
        _ => panic!("a plan has no action `{text}`"),
    }
}

fn reached(point: &'static str) {
    let Some(plan) = PLAN.get() else { return };
    if plan.census {
        let name = format!("{}@{}", plan.role, point.replace('/', "."));
        append(&plan.dir.join("reached").join(name), ".");
    }
    for rule in plan.rules.iter().filter(|rule| rule.point == point) {
        if is_turn(&plan.dir, rule) {
            carry_out(plan, rule);
        }
    }
}

/// Counts up over all processes by exclusive create, and says whether this is the time that counts.
fn is_turn(dir: &Path, rule: &Rule) -> bool {
    for time in 1..=rule.time {
        let path = dir.join("counted").join(format!("{}.{time}", rule.line));
        let made = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path);
        if made.is_ok() {
            return time == rule.time;
        }
    }
    false
}

fn carry_out(plan: &Plan, rule: &Rule) {
    let pid = getpid();
    let who = format!("{} {} {}\n", rule.line, plan.role, pid.as_raw_nonzero());
    append(&plan.dir.join("fired"), &who);
    match rule.action {
        Action::Kill => send(Signal::KILL),
        Action::Freeze => send(Signal::STOP),
        Action::Delay(time) => std::thread::sleep(time),
    }
}

/// Sends a signal to this process and waits until it has come.
fn send(signal: Signal) {
    kill_process(getpid(), signal).expect("a process may signal itself");
    // A signal to the process may be delivered to another thread first.
    std::thread::sleep(Duration::from_millis(20));
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("a test has made the directory");
    file.write_all(text.as_bytes())
        .expect("a test has made the directory");
}
