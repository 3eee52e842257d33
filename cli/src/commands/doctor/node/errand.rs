use std::path::Path;
use std::time::{Duration, Instant};

use reflow_core::command::last_lines;
use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    Command, Found, JobRequest, JobState, OutputPaths, Scheduler, SubmitError, Target,
};

use super::{Asked, Level};
use crate::context::{own_launcher, own_program};
use crate::error::CliError;
use crate::patience::words;
use crate::probe::{self, Hello, ROUNDS, Reached, Round};

/// How often the batch system is asked while the job waits.
const ASK: Duration = Duration::from_secs(2);
/// How long a file may take to be seen before it is taken to be nowhere.
const UNSEEN: Duration = Duration::from_secs(100);
/// How long a job that has said all may take to end by itself.
const LAST_BREATH: Duration = Duration::from_secs(10);

/// A tiny job and what it is for.
#[derive(Debug)]
pub(super) struct Errand<'a> {
    asked: &'a Asked<'a>,
    directory: &'a Path,
    request: JobRequest,
    job: Option<JobId>,
    /// Whether something may have been sent.
    is_begun: bool,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It ran, and this is what it saw.
    Answered(Seen),
    /// It did not come to speak.
    Silent {
        level: Level,
        message: String,
        advice: String,
    },
}

/// What a job saw on its node.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) job: JobId,
    pub(super) host: String,
    /// Between the submission and its first word.
    pub(super) waited: Duration,
    /// Those that were answered.
    pub(super) rounds: Vec<Round>,
    /// Whether the batch system answered there, if the job said so in time.
    pub(super) reached: Option<Reached>,
}

impl<'a> Errand<'a> {
    /// Prepares the job. Its files are in `directory`.
    pub(super) fn new(asked: &'a Asked<'a>, directory: &'a Path) -> Result<Self, CliError> {
        let mut argv = if let Some(launcher) = asked.context.configuration.resolved.launcher() {
            launcher
        } else {
            // A copy, as runs have it: it may be that nodes must not start programs from there.
            let copy = directory.join("reflow");
            fs_err::copy(own_program()?, &copy)?;
            own_launcher(&copy)?
        };
        let place = directory.to_str().ok_or_else(|| {
            CliError::request(format!("the path `{}` is not UTF-8", directory.display()))
        })?;
        argv.extend(["probe", "--dir", place].map(str::to_owned));
        probe::leave(directory, probe::BACKEND, asked.backend)?;
        let mut resources = asked.backend.dispatch.clone();
        if let Some(partition) = asked.partition {
            resources.partition = Some(partition.to_owned());
        }
        let output = directory.join("job");
        Ok(Self {
            asked,
            directory,
            request: JobRequest {
                tag: Tag::random('d')?,
                comment: Some("reflow doctor".to_owned()),
                command: Command {
                    argv,
                    directory: directory.to_owned(),
                    environment: std::collections::BTreeMap::new(),
                    setup: Vec::new(),
                    serves_indices: false,
                },
                array: None,
                dependencies: Vec::new(),
                resources,
                not_before: None,
                output: OutputPaths {
                    stdout: output.clone(),
                    stderr: output,
                },
                requeue: false,
                extra: asked.backend.dispatch_extra.clone(),
            },
            job: None,
            is_begun: false,
        })
    }

    /// Sends the job and talks to it.
    pub(super) async fn run(&mut self) -> Outcome {
        self.is_begun = true;
        let sent = Instant::now();
        let job = match self.asked.scheduler.submit(&self.request).await {
            Ok(job) => self.job.insert(job).clone(),
            Err(error) => return refused(&error),
        };
        let hello = match self.hello(&job).await {
            Ok(hello) => hello,
            Err(silent) => return silent,
        };
        let waited = sent.elapsed();
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            match probe::call(self.directory, round, UNSEEN).await {
                Ok(Some(answer)) => rounds.push(answer),
                _ => break,
            }
        }
        let reached: Option<Reached> = if rounds.len() == ROUNDS as usize {
            probe::await_file(self.directory, probe::REACHED, UNSEEN)
                .await
                .unwrap_or_default()
        } else {
            None
        };
        Outcome::Answered(Seen {
            job,
            host: hello.host,
            waited,
            rounds,
            reached,
        })
    }

    /// Waits for the first word of the job.
    async fn hello(&self, job: &JobId) -> Result<Hello, Outcome> {
        let started = Instant::now();
        let mut ended: Option<(Instant, String)> = None;
        let mut waits_for = None;
        loop {
            match probe::await_file(self.directory, probe::HELLO, ASK).await {
                Ok(Some(hello)) => return Ok(hello),
                Ok(None) => {}
                Err(error) => return Err(unreadable(&error)),
            }
            // What it has written may be on its way when the batch system knows that it has ended.
            let latency = self.asked.context.latency(&self.asked.backend.name);
            if let Some((since, how)) = &ended {
                if since.elapsed() >= latency {
                    return Err(self.died(job, how));
                }
                continue;
            }
            let states = self.asked.scheduler.status(std::slice::from_ref(job)).await;
            match states
                .ok()
                .and_then(|mut states| states.pop())
                .map(|it| it.state)
            {
                Some(JobState::Pending {
                    reason,
                    never: true,
                }) => {
                    return Err(never(job, reason.as_deref()));
                }
                Some(JobState::Pending { reason, .. }) => waits_for = reason,
                Some(JobState::Ended(exit)) => {
                    let how = exit
                        .native
                        .unwrap_or_else(|| match (exit.code, exit.signal) {
                            (Some(code), _) => format!("exit status {code}"),
                            (None, Some(signal)) => format!("signal {signal}"),
                            (None, None) => format!("{:?}", exit.reason).to_lowercase(),
                        });
                    ended = Some((Instant::now(), how));
                }
                _ => {}
            }
            if started.elapsed() > self.asked.patience {
                return Err(still_waiting(
                    job,
                    self.asked.patience,
                    waits_for.as_deref(),
                ));
            }
        }
    }

    fn died(&self, job: &JobId, how: &str) -> Outcome {
        let output = fs_err::read(self.directory.join("job")).unwrap_or_default();
        let output = String::from_utf8_lossy(&output).into_owned();
        let said = last_lines(output.trim_end(), 3).trim();
        let (said, advice) = if said.is_empty() {
            (
                "without a word".to_owned(),
                "choose a directory that the nodes see with `--directory`; if they do, see whether reflow starts there, and set `launcher`",
            )
        } else {
            (
                format!("and said: {said}"),
                "if nodes cannot start reflow, set `launcher` to a program that they can start",
            )
        };
        Outcome::Silent {
            level: Level::Problem,
            message: format!("job {job} ended ({how}) {said}"),
            advice: advice.to_owned(),
        }
    }

    /// Sees to it that nothing of the job is left in the batch system.
    pub(super) async fn tidy_up(&self) {
        let scheduler = self.asked.scheduler;
        let jobs = match &self.job {
            Some(job) => {
                if has_ended(scheduler, job).await {
                    return;
                }
                vec![job.clone()]
            }
            // The answer to the submission was not waited for, or lost.
            None if self.is_begun => match find(scheduler, &self.request.tag).await {
                Some(jobs) => jobs,
                None => return,
            },
            None => return,
        };
        let targets: Vec<Target> = jobs.into_iter().map(Target::whole).collect();
        if let Err(error) = scheduler.cancel(&targets).await {
            crate::output::warn(&format!(
                "the job of `reflow doctor` could not be cancelled ({}): {}",
                words(&error),
                self.request.tag
            ));
        }
    }
}

/// Waits a moment for the end of a job that has said all that it has to say.
async fn has_ended(scheduler: &dyn Scheduler, job: &JobId) -> bool {
    let started = Instant::now();
    while started.elapsed() < LAST_BREATH {
        match scheduler.status(std::slice::from_ref(job)).await {
            Ok(states) if states.iter().all(|it| it.state.is_ended()) => return true,
            Ok(states)
                if states
                    .iter()
                    .any(|it| matches!(it.state, JobState::Pending { .. })) =>
            {
                return false;
            }
            Ok(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            Err(_) => return false,
        }
    }
    false
}

async fn find(scheduler: &dyn Scheduler, tag: &Tag) -> Option<Vec<JobId>> {
    match scheduler
        .find(std::slice::from_ref(tag))
        .await
        .ok()?
        .pop()?
    {
        Found::Present(jobs) => Some(jobs),
        _ => None,
    }
}

fn refused(error: &SubmitError) -> Outcome {
    Outcome::Silent {
        level: Level::Problem,
        message: format!("was not taken: {}", words(&error.error)),
        advice: "dispatch jobs ask for the same: correct `[backend.NAME.dispatch]`, or choose a partition with `--partition`"
            .to_owned(),
    }
}

fn unreadable(error: &std::io::Error) -> Outcome {
    Outcome::Silent {
        level: Level::Problem,
        message: format!("left something that cannot be read: {error}"),
        advice: "choose another directory with `--directory`".to_owned(),
    }
}

fn never(job: &JobId, reason: Option<&str>) -> Outcome {
    let reason = reason.unwrap_or("the batch system does not say why");
    Outcome::Silent {
        level: Level::Problem,
        message: format!("job {job} can never start: {reason}"),
        advice: "dispatch jobs ask for the same: ask for less in `[backend.NAME.dispatch]`, or choose a partition with `--partition`"
            .to_owned(),
    }
}

fn still_waiting(job: &JobId, patience: Duration, reason: Option<&str>) -> Outcome {
    let why = reason.map_or(String::new(), |reason| format!(" ({reason})"));
    Outcome::Silent {
        level: Level::Warning,
        message: format!(
            "job {job} had not started after {} s{why}, and was cancelled",
            patience.as_secs()
        ),
        advice: "try again with a longer `--patience`, a quicker partition with `--partition`, or without the job with `--no-job`"
            .to_owned(),
    }
}
