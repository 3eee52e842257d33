//! `bkill`, `bstop` and `bresume`.

use std::time::Duration;

use super::select::{Named, fetch, read_ids};
use super::{FAILED, cluster};
use crate::fake::client::Client;
use crate::fake::{Action, Answer, ElementState, Failure, Job, Request, Target, signal_number};

/// What a client does to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Kill,
    Signal(i32),
    Stop,
    Resume,
}

impl What {
    fn words(self) -> &'static str {
        match self {
            // "`bkill 67` (sleep) | `Job <67> is being terminated` [0]"
            Self::Kill => "is being terminated",
            // "`bkill -s USR1 70` | `Job <70> is being signaled` [0]"
            Self::Signal(_) => "is being signaled",
            Self::Stop => "is being stopped",
            Self::Resume => "is being resumed",
        }
    }
}

/// Runs `bkill` and returns its exit code.
pub(super) fn bkill(client: &Client) -> u8 {
    run(client, What::Kill)
}

/// Runs `bstop` and returns its exit code.
pub(super) fn bstop(client: &Client) -> u8 {
    run(client, What::Stop)
}

/// Runs `bresume` and returns its exit code.
pub(super) fn bresume(client: &Client) -> u8 {
    run(client, What::Resume)
}

fn run(client: &Client, mut what: What) -> u8 {
    let usage = || {
        let name = &client.name;
        client.complain(&format!(
            "Usage: {name} [-h] [-V] [-l] [-s signal_value | signal_name] [-J job_name]\n\
             \x20            [-m host_name] [-q queue_name] [-u user_name | -u all]\n\
             \x20            [jobId | \"jobId[index]\" ...]"
        ));
        FAILED
    };
    let mut ids = Vec::new();
    let mut name = None;
    let mut queue = None;
    let mut words = client.words().into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-V" => {
                client.complain(cluster::version(client.dialect));
                return 0;
            }
            "-s" => {
                let Some(value) = words.next() else {
                    return usage();
                };
                let Some(signal) = signal_number(&value) else {
                    client.complain(&format!("<{value}>: Illegal signal value"));
                    return FAILED;
                };
                what = What::Signal(signal);
            }
            "-J" => name = words.next(),
            "-q" => queue = words.next(),
            "-u" | "-m" => {
                words.next();
            }
            "-r" => what = What::Signal(9),
            option if option.starts_with('-') => return usage(),
            _ => ids.push(word),
        }
    }
    if ids.is_empty() && name.is_none() && queue.is_none() {
        client.complain("Job ID, job name or another option must be specified");
        return FAILED;
    }
    act(client, what, &ids, name.as_deref(), queue.as_deref()).unwrap_or_else(|code| code)
}

fn act(
    client: &Client,
    what: What,
    ids: &[String],
    name: Option<&str>,
    queue: Option<&str>,
) -> Result<u8, u8> {
    let mut named = read_ids(client, ids)?;
    // "`bkill 0` | all own jobs".
    if named.iter().any(|id| id.job == 0) || named.is_empty() {
        let jobs = fetch(client, None, false)?;
        let mine = jobs.iter().filter(|job| {
            !job.is_ended()
                && job.submission.user == client.user
                && name.is_none_or(|name| job.submission.name == name)
                && queue.is_none_or(|queue| job.submission.queue == queue)
        });
        named = mine
            .map(|job| Named {
                job: job.number,
                indices: None,
                written: job.number.to_string(),
            })
            .collect();
        if named.is_empty() {
            client.complain("No matching job found");
            return Ok(FAILED);
        }
    }
    let jobs = fetch(client, Some(&named), false)?;
    let mut code = 0;
    // "Several ids in one bkill are fine (each gets its line; 255 when any failed)."
    for id in &named {
        let job = jobs.iter().find(|job| job.number == id.job);
        if !one(client, what, id, job)? {
            code = FAILED;
        }
    }
    Ok(code)
}

/// Acts on what one argument names, and says whether all is well.
fn one(client: &Client, what: What, id: &Named, job: Option<&Job>) -> Result<bool, u8> {
    let Some(job) = job else {
        client.complain(&format!(
            "Job <{}>: {}",
            id.written,
            failure(Failure::Unknown)
        ));
        return Ok(false);
    };
    if job.is_array() && id.indices.is_none() {
        return whole_array(client, what, job);
    }
    let elements: Vec<Option<u32>> = match &id.indices {
        // "`bkill '69[2]'`, `bkill '69[3-4]'` | `Job <69[2]> is being terminated` (a line per element)".
        Some(indices) => indices.iter().copied().map(Some).collect(),
        None => vec![None],
    };
    let mut is_well = true;
    for index in elements {
        let shown = match index {
            Some(index) => format!("{}[{index}]", job.number),
            None => job.number.to_string(),
        };
        let position = index.map_or(Some(0), |index| job.position(index));
        let is_pending =
            position.is_some_and(|position| job.elements[position].state == ElementState::Pending);
        let target = Target {
            job: job.number,
            indices: index.map(|index| vec![index]),
        };
        match send(client, what, is_pending, target, Duration::ZERO)? {
            Ok(()) => client.print(&format!("Job <{shown}> {}\n", what.words())),
            Err(why) => {
                client.complain(&format!("Job <{shown}>: {}", failure(why)));
                is_well = false;
            }
        }
    }
    Ok(is_well)
}

/// "bkill of a whole array id (`bkill 117`, any size, held or running) | **stderr** `Job <117>: Operation
/// is in progress`, exit **255**, yet it IS carried out in the background over the next seconds".
fn whole_array(client: &Client, what: What, job: &Job) -> Result<bool, u8> {
    let number = job.number;
    let mut answers = Vec::new();
    for is_pending in [true, false] {
        let indices: Vec<u32> = job
            .elements
            .iter()
            .filter(|element| (element.state == ElementState::Pending) == is_pending)
            .filter_map(|element| element.index)
            .collect();
        if indices.is_empty() {
            continue;
        }
        let target = Target {
            job: number,
            indices: Some(indices),
        };
        let after = client.options.background_delay;
        answers.push(send(client, what, is_pending, target, after)?);
    }
    let why = match answers.iter().find(|answer| answer.is_ok()) {
        Some(_) => "Operation is in progress",
        None => answers
            .into_iter()
            .find_map(Result::err)
            .map_or("No matching job found", failure),
    };
    client.complain(&format!("Job <{number}>: {why}"));
    Ok(false)
}

fn send(
    client: &Client,
    what: What,
    is_pending: bool,
    target: Target,
    after: Duration,
) -> Result<Result<(), Failure>, u8> {
    let action = match what {
        What::Kill => Action::Kill,
        // What would end a job removes one that has not started.
        What::Signal(2 | 9 | 15) if is_pending => Action::Kill,
        What::Signal(9) => Action::KillAtOnce,
        What::Signal(signal) => Action::Signal(signal),
        What::Stop => Action::Suspend,
        What::Resume => Action::Resume,
    };
    let request = Request::Act {
        targets: vec![target],
        by: client.user.clone(),
        action,
        after,
    };
    match client.ask(&request) {
        Ok(Answer::Acted(mut answers)) if answers.len() == 1 => Ok(answers.remove(0)),
        other => Err(super::no_answer(client, &other)),
    }
}

fn failure(failure: Failure) -> &'static str {
    match failure {
        // "unknown | stderr `Job <99999>: No matching job found` [255]"
        Failure::Unknown => "No matching job found",
        // "finished | stderr `Job <72>: Job has already finished` [255]"
        Failure::Ended => "Job has already finished",
        Failure::NotOwner => "User permission denied",
        Failure::NotRunning => "Job has not started yet",
    }
}
