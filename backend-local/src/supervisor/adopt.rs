//! What the last supervisor left running, and what became of the rest.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use reflow_core::fault::reach;
use reflow_core::scheduler::{EndReason, Memory};
use rustix::process::Signal;

use super::ends::{UNKNOWN_END, reason};
use super::process::Process;
use super::run::Supervisor;
use super::workers::reconnect;
use crate::element::{Element, End, Phase};
use crate::exits::{self, PastExit};
use crate::location::Location;
use crate::log::{self, Past, PastProcess};
use crate::queue::Now;
use crate::{memory, tree};

/// How often what is left over is killed before it is given up.
const ROUNDS: u32 = 100;

/// Returns the name that a process and all that it starts are found by.
pub(super) fn mark(instance: &str, number: u64) -> String {
    format!("{instance}-{number}")
}

/// Judges every element that was running when the last supervisor ended: it still runs, it has ended, or
/// it was never started and waits again. Kills what runs without being known to the log any more.
///
/// Returns the processes that still run, which the log keeps; all others are dropped from it.
pub(super) fn judge(
    past: &mut Past,
    location: &Location,
    watcher: (u32, u64),
    now: Now,
) -> Vec<(u64, PastProcess)> {
    let is_open = past.jobs.values().any(|job| !job.is_ended());
    let processes = std::mem::take(&mut past.processes);
    let known: HashSet<(u32, u64)> = processes
        .values()
        .map(|past| (past.id, past.started))
        .collect();
    let (mut alive, gone): (Vec<_>, Vec<_>) = processes
        .into_iter()
        .partition(|(_, past)| tree::is_there(past.id, past.started, Some(watcher.0)));
    let unplaced = std::mem::take(&mut past.unplaced);
    let first = unplaced.first().copied();
    let started = first.and_then(|element| silent_process(past, element, &known, watcher, now));
    // After looking at the processes: what ends is written here before it vanishes from there.
    let exits = exits::read(&location.exits());
    for (number, process) in gone {
        if let Some((index, since)) = process.current {
            let exit = exits
                .get(&(process.id, process.started))
                .or(process.exit.as_ref())
                .filter(|_| !process.is_worker);
            let element = (process.job, index);
            if exit.is_some_and(|exit| exit.code != Some(0))
                && memory::has_killed(&past.instance, &mark(&past.instance, number))
            {
                used_too_much(past, element);
            }
            conclude(past, element, exit, now, Some(since));
        }
    }
    if let Some(process) = started {
        alive.push((past.next_process, process));
        past.next_process += 1;
    } else if let Some(element) = first.filter(|element| is_direct(past, *element)) {
        let mut silent = exits.iter().filter(|((id, started), exit)| {
            exit.is_direct && *started >= past.began && !known.contains(&(*id, *started))
        });
        if past.watcher != Some(watcher) {
            // Nobody has inherited it who could tell.
            conclude(past, element, None, now, None);
        } else if let Some((_, exit)) = silent.next() {
            conclude(past, element, Some(exit), now, None);
        }
    }
    let running: HashSet<(u64, u32)> = alive
        .iter()
        .filter_map(|(_, process)| Some((process.job, process.current?.0)))
        .collect();
    for &element in &unplaced {
        if !running.contains(&element) {
            wait_again(past, element, now);
        }
    }
    end_others(past, &running, now);
    past.placed.clear();
    past.killed.retain(|element, _| running.contains(element));
    past.processes = alive.iter().cloned().collect();
    if is_open {
        reach("supervisor/end-strays");
        end_strays(&past.instance, &alive);
    }
    alive
}

fn is_direct(past: &Past, (job, _): (u64, u32)) -> bool {
    past.jobs
        .get(&job)
        .is_some_and(|job| !log::is_served(&job.request))
}

/// Returns the process of an element that the last supervisor started and had no time to write down.
fn silent_process(
    past: &Past,
    (number, index): (u64, u32),
    known: &HashSet<(u32, u64)>,
    watcher: (u32, u64),
    now: Now,
) -> Option<PastProcess> {
    let job = past.jobs.get(&number)?;
    if log::is_served(&job.request) {
        return None;
    }
    let mark = mark(&past.instance, past.next_process);
    let mut found = tree::marked(|found| found == mark.as_bytes());
    if past.watcher == Some(watcher) {
        // It may hide its mark, but not whose child it has become.
        found.extend(tree::children(watcher.0));
    }
    let own = std::process::id();
    let id = found.into_iter().find(|&id| {
        let is_known = tree::start_time(id)
            .is_none_or(|started| started < past.began || known.contains(&(id, started)));
        id != own && !is_known && tree::leads_group(id) && !tree::is_zombie(id)
    })?;
    let ran = now
        .wall
        .saturating_sub(job.elements.get(index as usize)?.started);
    Some(PastProcess {
        id,
        started: tree::start_time(id)?,
        job: number,
        is_worker: false,
        current: Some((index, now.mono.saturating_sub(ran))),
        exit: None,
    })
}

/// Notes that an element was killed because of its memory.
fn used_too_much(past: &mut Past, (number, index): (u64, u32)) {
    past.killed
        .entry((number, index))
        .or_insert(EndReason::Memory);
    if let Some(job) = past.jobs.get_mut(&number)
        && let Some(limit) = job.request.resources.mem.map(Memory::bytes)
    {
        job.notes.push((index, memory::told(limit, limit)));
    }
}

/// Ends an element that was running, or has it wait again where the request allows that.
fn conclude(
    past: &mut Past,
    (number, index): (u64, u32),
    exit: Option<&PastExit>,
    now: Now,
    since: Option<u64>,
) {
    let killed = past.killed.get(&(number, index)).copied();
    let Some(job) = past.jobs.get_mut(&number) else {
        return;
    };
    let may_run_again = job.request.requeue;
    let Some(element) = job.elements.get_mut(index as usize) else {
        return;
    };
    if element.phase != Phase::Running {
        return;
    }
    let (reason, is_told) = match (killed, exit) {
        (Some(reason), _) => (reason, true),
        (None, Some(exit)) => (reason(exit.code), true),
        (None, None) => (EndReason::Lost, false),
    };
    if !is_told && may_run_again {
        *element = Element::default();
        return;
    }
    let elapsed = since.map_or_else(
        || now.wall.saturating_sub(element.started),
        |since| now.mono.saturating_sub(since),
    );
    element.phase = Phase::Ended;
    element.end = End {
        code: exit.and_then(|exit| exit.code),
        signal: exit.and_then(|exit| exit.signal),
        elapsed,
        ..End::without_status(reason, now.wall)
    };
    if !is_told {
        job.notes.push((index, UNKNOWN_END.to_owned()));
    }
}

/// Has an element wait that was to be started and was not, unless it was being ended.
fn wait_again(past: &mut Past, (number, index): (u64, u32), now: Now) {
    let killed = past.killed.get(&(number, index)).copied();
    let element = past
        .jobs
        .get_mut(&number)
        .and_then(|job| job.elements.get_mut(index as usize))
        .filter(|element| element.phase == Phase::Running);
    if let Some(element) = element {
        *element = Element::default();
        if let Some(reason) = killed {
            element.phase = Phase::Ended;
            element.end = End::without_status(reason, now.wall);
        }
    }
}

/// Ends what has no process and is not to get one: it could not be started, and there was no time to say
/// so.
fn end_others(past: &mut Past, running: &HashSet<(u64, u32)>, now: Now) {
    for (&number, job) in &mut past.jobs {
        for (index, element) in (0..).zip(&mut job.elements) {
            if element.phase == Phase::Running && !running.contains(&(number, index)) {
                element.phase = Phase::Ended;
                element.end = End::without_status(EndReason::StartFailure, now.wall);
            }
        }
    }
}

/// Kills what an earlier supervisor started and none of its elements that still run belongs to.
fn end_strays(instance: &str, alive: &[(u64, PastProcess)]) {
    let kept: HashSet<Vec<u8>> = alive
        .iter()
        .map(|(number, _)| mark(instance, *number).into_bytes())
        .collect();
    let prefix = format!("{instance}-");
    let roots: Vec<u32> = alive.iter().map(|(_, process)| process.id).collect();
    for _ in 0..ROUNDS {
        let strays =
            tree::marked(|mark| mark.starts_with(prefix.as_bytes()) && !kept.contains(mark));
        let mut strays = tree::with_descendants(&strays);
        if !strays.is_empty() {
            let spared: HashSet<u32> = tree::with_descendants(&roots).into_iter().collect();
            strays.retain(|process| !spared.contains(process));
        }
        if strays.is_empty() {
            return;
        }
        for process in strays {
            tree::send(process, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Supervisor {
    /// Takes over the processes that an earlier supervisor started.
    pub(super) fn adopt(
        &mut self,
        survivors: Vec<(u64, PastProcess)>,
        killed: &HashMap<(u64, u32), EndReason>,
    ) {
        for (number, past) in survivors {
            let worker = past
                .is_worker
                .then(|| reconnect(past.id, number, &self.events));
            let mark = mark(&self.instance, number);
            let usage = self.limited(past.job, &mark);
            self.measure_at = 0;
            let process = Process {
                job: past.job,
                id: past.id,
                mark,
                usage,
                current: past.current,
                answer: None,
                worker,
                is_mistrusted: false,
                adopted: Some(past.started),
                exit: None,
                kill_at: None,
            };
            self.processes.insert(number, process);
            self.adopted_at = 0;
            match past.current {
                Some((index, since)) => {
                    self.running.insert((past.job, index), number);
                    let killed = killed.get(&(past.job, index)).copied();
                    self.queue.resume(past.job, index, since, killed);
                }
                None => self.dismiss(number),
            }
        }
    }
}
