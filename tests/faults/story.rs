//! One run with its faults, from the submission to the last check.

use std::time::{Duration, Instant, SystemTime};

use crate::check::{Key, Look};
use crate::plan::{Plan, Story};
use crate::rig::{Backend, Rig};
use crate::workload::{BATCH, restarts, value};

/// How often a command that was killed is given again.
const TRIES: u32 = 6;

/// What became of a run.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Faults that happened to it.
    pub(crate) fired: usize,
    pub(crate) end: End,
    pub(crate) took: Duration,
    /// Elements that it lost.
    pub(crate) lost: usize,
    /// What must not be.
    pub(crate) faults: Vec<String>,
}

/// Who brought the run to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum End {
    /// Nobody.
    #[default]
    Alone,
    /// Somebody who waited for it.
    Waited,
    /// Somebody who submitted it a second time: the first had made no run.
    Resubmitted,
    Cancelled,
}

/// Makes the run and checks it.
pub(crate) fn tell(rig: &Rig, plan: &Plan) -> Told {
    let begin = Instant::now();
    let mut told = Told::default();
    if let Err(fault) = act(rig, plan, &mut told) {
        told.faults.push(fault);
    }
    let fired = rig.fired();
    told.fired = fired.len();
    told.took = begin.elapsed();
    check(rig, plan, &fired, &mut told);
    told.faults.extend(rig.left_over());
    told
}

fn act(rig: &Rig, plan: &Plan, told: &mut Told) -> Result<(), String> {
    let is_again = submit(rig)?;
    if plan.story == Story::Cancel {
        told.end = End::Cancelled;
        return cancel(rig, told);
    }
    let begin = Instant::now();
    told.end = match plan.dispatch {
        "login" => End::Waited,
        _ if rig.ends_alone(|| begin.elapsed() > patience(rig)) => End::Alone,
        _ => End::Waited,
    };
    if is_again {
        told.end = End::Resubmitted;
    }
    wait(rig, &[1])?;
    if plan.story == Story::Retry {
        rig.heal();
        for _ in 0..TRIES {
            retry(rig)?;
            if wait(rig, &[0, 1])? == 0 {
                return Ok(());
            }
            // Something was killed in the second attempt too.
        }
        return Err(format!("it did not succeed in {TRIES} retries"));
    }
    Ok(())
}

/// Waits, again where that was killed, and returns the exit code, which is one of `expected`.
fn wait(rig: &Rig, expected: &[i32]) -> Result<i32, String> {
    for _ in 0..TRIES {
        let waited = rig.on_run("wait");
        match waited.code {
            Some(code) if expected.contains(&code) => return Ok(code),
            Some(code) => return Err(format!("wait ended with {code}: {}", waited.stderr)),
            None => {}
        }
    }
    Err(format!("wait was killed {TRIES} times"))
}

/// Has what failed tried again, once more where that was killed.
fn retry(rig: &Rig) -> Result<(), String> {
    for _ in 0..TRIES {
        let retried = rig.on_run("retry");
        match retried.code {
            Some(0) => return Ok(()),
            Some(code) => return Err(format!("retry ended with {code}: {}", retried.stderr)),
            None => {}
        }
    }
    Err(format!("retry was killed {TRIES} times"))
}

/// Returns how long a run is left alone. Where only jobs were killed, it must end by itself; where the
/// person's command was, there may be nobody to go on with it.
fn patience(rig: &Rig) -> Duration {
    let fired = rig.fired();
    let were_jobs = |(role, _): &(String, u32)| role == "worker" || role == "dispatch";
    let seconds = match rig.backend {
        _ if fired.iter().all(were_jobs) => 60,
        Backend::Local => 1,
        Backend::Slurm => 15,
    };
    Duration::from_secs(seconds)
}

/// Submits, again where the first was killed before there was a run; says whether that was so.
fn submit(rig: &Rig) -> Result<bool, String> {
    let mut is_again = false;
    for _ in 0..TRIES {
        let submitted = rig.submit();
        if rig.run_dir().join(".reflow/run.json").exists() {
            if matches!(submitted.code, None | Some(0)) || !rig.fired().is_empty() {
                return Ok(is_again);
            }
            return Err(format!(
                "submit ended with {:?}: {}",
                submitted.code, submitted.stderr
            ));
        }
        is_again = true;
        if submitted.code == Some(2) && submitted.stderr.contains("has begun and not ended") {
            // What the message says.
            fs_err::remove_dir_all(rig.run_dir().join(".reflow"))
                .map_err(|error| error.to_string())?;
        } else if submitted.code.is_some() && rig.fired().is_empty() {
            return Err(format!(
                "submit ended with {:?} and no run: {}",
                submitted.code, submitted.stderr
            ));
        }
    }
    Err(format!("no run after {TRIES} submissions"))
}

/// Cancels once something runs, again where that was killed.
fn cancel(rig: &Rig, told: &mut Told) -> Result<(), String> {
    for _ in 0..200 {
        if !rig.feed().started.is_empty() || rig.has_ended() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for _ in 0..TRIES {
        let cancelled = rig.on_run("cancel");
        let Some(code) = cancelled.code else { continue };
        let returned = now();
        if code != 0 {
            return Err(format!("cancel ended with {code}: {}", cancelled.stderr));
        }
        std::thread::sleep(Duration::from_secs(1));
        let late = rig.feed().last_start - returned;
        if late > 0.0 {
            told.faults
                .push(format!("a body started {late:.3} s after cancel returned"));
        }
        return Ok(());
    }
    Err(format!("cancel was killed {TRIES} times"))
}

/// The time as bodies write it.
fn now() -> f64 {
    #[expect(clippy::disallowed_methods, reason = "compared with what bodies write")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

fn check(rig: &Rig, plan: &Plan, fired: &[(String, u32)], told: &mut Told) {
    if plan.story == Story::Cancel {
        match Look::at(&rig.run_dir()) {
            Ok(look) => {
                told.faults.extend(look.disagrees(&rig.feed()));
                if look.state.is_none() {
                    told.faults.push("the run has not ended".to_owned());
                }
            }
            Err(error) => told.faults.push(format!("the run cannot be read: {error}")),
        }
        return;
    }
    let most: usize = fired.iter().map(|(role, _)| may_lose(role)).sum();
    check_run(rig, most, false, told);
}

/// Checks a run that was not cancelled, of which at most so many elements may be lost, and results may
/// have been destroyed by something else.
pub(crate) fn check_run(rig: &Rig, most: usize, is_damaged: bool, told: &mut Told) {
    let look = match Look::at(&rig.run_dir()) {
        Ok(look) => look,
        Err(error) => {
            told.faults.push(format!("the run cannot be read: {error}"));
            return;
        }
    };
    let feed = rig.feed();
    told.faults.extend(look.disagrees(&feed));
    told.faults
        .extend(look.faults(rig.width, rig.is_healed(), is_damaged.then_some(&feed)));
    let is_healed = rig.is_healed();
    let more: u32 = feed.started.values().map(|starts| starts - 1).sum();
    if more > restarts(rig.width) + u32::from(is_healed) + most as u32 {
        told.faults.push(format!(
            "bodies were started {more} times more than needed: {:?}",
            feed.started
        ));
    }
    let mut lost = look.lost();
    told.lost = lost.len();
    // A job that was killed before its first body started takes all that it carries along.
    let never_ran = |key: &&Key| key.0 == "batched" && !feed.started.contains_key(*key);
    let of_batch: Vec<Key> = lost.iter().filter(never_ran).skip(1).cloned().collect();
    if of_batch.len() < BATCH as usize && of_batch.iter().all(|key| key.1 / BATCH == 0) {
        lost.retain(|key| !of_batch.contains(key));
    }
    if lost.len() > if is_healed { 0 } else { most } {
        told.faults.push(format!(
            "{} elements are lost instead of {most} at most: {lost:?}",
            lost.len()
        ));
    }
    if lost.is_empty() {
        for task in ["sum", "batched_sum", "flaky_sum", "count"] {
            let run = rig.run_dir();
            let run = run.to_str().expect("home is UTF-8");
            let found = rig.program.run(&["--json", "result", run, task]);
            let is_right =
                found.code == Some(0) && found.json()["value"].as_u64() == value(task, rig.width);
            if !is_right {
                told.faults.push(format!(
                    "the result of `{task}`: {}{}",
                    found.stdout, found.stderr
                ));
            }
        }
    }
}

/// Returns how many elements may be lost by the death of one process.
fn may_lose(role: &str) -> usize {
    match role {
        // The body that it runs. Elements of the same index whose turn has not come go again.
        "worker" => 1,
        // What ran under it is ended when it comes back: one element on each core.
        "supervisor" => std::thread::available_parallelism().map_or(1, usize::from),
        _ => 0,
    }
}
