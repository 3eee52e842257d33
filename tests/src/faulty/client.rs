//! What a program of a [`Faulty`](super::Faulty) does when it is called.

use std::ffi::OsString;
use std::io::{Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::Duration;

use fs_err as fs;
use rustix::fs::FlockOperation;
use rustix::process::{Signal, getpid, kill_process};

use super::front::{CALLS, Call, PLANS, Stored};
use super::plan::{Fault, FaultPlan};
use crate::program::command;
use crate::slurm::now_ms;

/// How long a program that is silent looks for the end of its directory before it ends by itself.
const SILENCE: Duration = Duration::from_mins(30);

/// What belongs to another program altogether.
const GARBAGE: &str = "<!DOCTYPE html>\n<html><head><title>503 Service Unavailable</title></head>\n\
    {\"error\": [1, 2,\n|||| 12 -- Job <x> [[[ 4.server.7\u{0} \u{1b}[31m%s%n\n";

/// Bytes that UTF-8 never has.
const NOT_UTF8: &[u8] = b"\xff\xfe\xc0\xaf";

/// Runs as a program in front of a real one: `DIRECTORY NAME REAL ARGUMENT...`.
///
/// # Panics
/// When the directory is not one of a [`Faulty`](super::Faulty).
pub fn run_client(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.skip(1);
    let mut next = || arguments.next().expect("called by the wrapper");
    let directory = PathBuf::from(next());
    let name = next().to_string_lossy().into_owned();
    let real = next();
    let rest: Vec<OsString> = arguments.collect();
    let readable: Vec<String> = rest
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let plan = plan_of(&directory, &name, &readable);
    let call = Call {
        at_ms: now_ms(),
        program: name.clone(),
        arguments: readable,
        fault: plan.as_ref().map(|plan| plan.what.clone()),
    };
    append(&directory.join(CALLS), &call);
    let mut real = command(Path::new(&real));
    real.arg0(&name).args(&rest);
    match plan {
        Some(plan) => carry_out(&directory, &plan, real),
        None => become_it(real),
    }
}

/// Becomes the real program: its process and its ends are the caller's to see.
fn become_it(mut real: Command) -> ExitCode {
    let error = real.exec();
    panic!("the real program cannot be run: {error}")
}

/// Returns the plan by which this call goes wrong. Plans for all programs come after the program's own.
fn plan_of(directory: &Path, name: &str, arguments: &[String]) -> Option<FaultPlan> {
    let mut found = None;
    for who in [name, "all"] {
        let Ok(text) = fs::read(directory.join(PLANS).join(who)) else {
            continue;
        };
        let plans: Vec<Stored> = serde_json::from_slice(&text).expect("written whole, by a rename");
        for stored in plans {
            // Every plan counts all calls that it is about, whether or not an earlier one is in turn.
            if stored.plan.concerns(arguments)
                && stored.plan.when.has(count_up(directory, stored.number))
            {
                found = found.or(Some(stored.plan));
            }
        }
    }
    found
}

/// Returns the number of this call for a plan, from 1, counted over all processes.
fn count_up(directory: &Path, plan: u64) -> u32 {
    let path = directory.join(PLANS).join(format!("{plan}.count"));
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .expect("the directory is writable");
    // Released with the file.
    rustix::fs::flock(file.file(), FlockOperation::LockExclusive).expect("a local file is locked");
    let mut text = String::new();
    file.read_to_string(&mut text).expect("digits");
    let number = text.trim().parse::<u32>().unwrap_or(0) + 1;
    file.rewind().expect("a file");
    write!(file, "{number}").expect("the directory is writable");
    number
}

fn append(path: &Path, call: &Call) {
    let mut line = serde_json::to_vec(call).expect("text and numbers");
    line.push(b'\n');
    // One write to a file opened for appending is not mixed with others.
    let file = fs::OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(&line))
        .expect("the directory is writable");
}

fn carry_out(directory: &Path, plan: &FaultPlan, mut real: Command) -> ExitCode {
    let needs_answer = matches!(plan.what, Fault::CutInHalf | Fault::Banner(_));
    let answer = (plan.arrives || needs_answer).then(|| {
        real.stdin(Stdio::inherit())
            .output()
            .expect("the real program can be run")
    });
    match &plan.what {
        Fault::Silent => be_silent(directory),
        Fault::Empty => ExitCode::SUCCESS,
        Fault::Garbage => say(GARBAGE.as_bytes(), b"", 0),
        Fault::NotUtf8 => match answer {
            Some(answer) => {
                let middle = answer.stdout.len() / 2;
                let (before, after) = answer.stdout.split_at(middle);
                let text = [before, NOT_UTF8, after].concat();
                say(&text, &answer.stderr, code_of(&answer))
            }
            None => say(&[NOT_UTF8, b"\n"].concat(), b"", 0),
        },
        Fault::CutInHalf => {
            let answer = answer.expect("it was needed");
            // Lines of equal length would be cut between two of them.
            let half = |bytes: &[u8]| {
                let half = &bytes[..bytes.len() / 2];
                half.strip_suffix(b"\n").unwrap_or(half).to_vec()
            };
            let code = code_of(&answer);
            say(&half(&answer.stdout), &half(&answer.stderr), code)
        }
        Fault::Banner(text) => {
            let answer = answer.expect("it was needed");
            let around = format!("{text}\n");
            let said = [around.as_bytes(), &answer.stdout, around.as_bytes()].concat();
            say(&said, &answer.stderr, code_of(&answer))
        }
        Fault::Late(time) => {
            std::thread::sleep(*time);
            match answer {
                Some(answer) => say(&answer.stdout, &answer.stderr, code_of(&answer)),
                None => become_it(real),
            }
        }
        Fault::Dead => die(),
        Fault::Fails { text, code } => say(b"", format!("{text}\n").as_bytes(), *code),
    }
}

fn be_silent(directory: &Path) -> ExitCode {
    let step = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    // It does not outlive the test that asked for it.
    while waited < SILENCE && directory.join(PLANS).exists() {
        std::thread::sleep(step);
        waited += step;
    }
    ExitCode::FAILURE
}

fn die() -> ExitCode {
    kill_process(getpid(), Signal::KILL).expect("a process may signal itself");
    // The signal may be delivered to another thread first.
    std::thread::sleep(Duration::from_secs(1));
    ExitCode::FAILURE
}

fn say(stdout: &[u8], stderr: &[u8], code: u8) -> ExitCode {
    // The caller may be gone already; then there is nobody to tell.
    let _ = std::io::stderr().write_all(stderr);
    let _ = std::io::stdout()
        .write_all(stdout)
        .and_then(|()| std::io::stdout().flush());
    ExitCode::from(code)
}

/// The exit code of the real program, of one that a signal ended as a shell tells it.
fn code_of(answer: &Output) -> u8 {
    let code = answer
        .status
        .code()
        .unwrap_or_else(|| 128 + answer.status.signal().unwrap_or(0));
    code as u8
}
