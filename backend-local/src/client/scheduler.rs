use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    Capabilities, ConnectOptions, FailedParent, Found, JobRequest, JobStatus, Rendered, Scheduler,
    SchedulerError, SchedulerErrorKind, SubmitError, Target,
};
use rustix::fs::{FlockOperation, flock};

use super::ask::{ANSWERING, ask_running, open, open_or_start, unexpected};
use super::start::Starter;
use super::view;
use crate::clock;
use crate::location::{DIRECTORY_VARIABLE, Location, Owner, io_error};
use crate::log::{self, Past};
use crate::protocol::{Answer, Head, Question};
use crate::settings::Settings;
use crate::{check, codec, ids};

/// The local backend: a client of the supervisor, which need not be running.
#[derive(Debug)]
pub struct LocalScheduler {
    location: Location,
    starter: Starter,
    capabilities: Capabilities,
}

/// Returns the local backend. Nothing is started before something is submitted.
///
/// # Errors
/// [`SchedulerErrorKind::InvalidRequest`] for settings that make no sense,
/// [`SchedulerErrorKind::Permission`] where others can enter the supervisor's directory.
pub async fn connect(options: ConnectOptions) -> Result<Arc<dyn Scheduler>, SchedulerError> {
    Ok(Arc::new(LocalScheduler::new(options)?))
}

/// How long a supervisor that said goodbye may take to be gone.
const FAREWELL: Duration = Duration::from_secs(5);

/// What became of a [`stop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// No supervisor was running.
    NotRunning,
    /// It has ended, and nothing of what it ran is left.
    Stopped,
    /// It goes on, since there is work and it was not told to give that up.
    Busy {
        /// Elements that run.
        running: u64,
        /// Elements that wait.
        pending: u64,
    },
}

/// Ends the supervisor. While there is work, it does so only with `force`: then everything is
/// cancelled first.
pub async fn stop(options: ConnectOptions, force: bool) -> Result<Stopped, SchedulerError> {
    let scheduler = LocalScheduler::new(options)?;
    let Some(connection) = open(&scheduler.location).await? else {
        return Ok(Stopped::NotRunning);
    };
    let wait = Duration::from_secs(scheduler.starter.settings.kill_wait) + ANSWERING;
    let answer = connection.ask(&Question::Stop { force }, wait).await;
    match answer.map_err(|error| error.error)?.0 {
        Answer::Done => {
            gone(&scheduler.location).await?;
            Ok(Stopped::Stopped)
        }
        Answer::Open { running, pending } => Ok(Stopped::Busy { running, pending }),
        other => Err(unexpected(&other)),
    }
}

/// Waits until the supervisor that said goodbye is gone: it holds its lock to the end of its process.
async fn gone(location: &Location) -> Result<(), SchedulerError> {
    let file = match fs_err::File::open(location.lock()) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(&error)),
    };
    let begin = tokio::time::Instant::now();
    while let Err(error) = flock(file.file(), FlockOperation::NonBlockingLockShared) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(io_error(&error.into()));
        }
        // A supervisor that somebody has started since holds it too.
        if begin.elapsed() > FAREWELL {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// What a supervisor, or what it wrote down, says of jobs.
type Statuses = Vec<Option<JobStatus>>;

impl LocalScheduler {
    /// Returns the local backend without touching anything but its directory's mode.
    ///
    /// # Errors
    /// As [`connect`].
    pub fn new(options: ConnectOptions) -> Result<Self, SchedulerError> {
        let settings = Settings::read(&options.settings)?;
        if !options.extra.is_empty() {
            return Err(SchedulerError::new(
                SchedulerErrorKind::InvalidRequest,
                "the local backend has no native flags: remove `extra`",
            ));
        }
        if !options.runtime_dir.is_absolute() {
            return Err(SchedulerError::new(
                SchedulerErrorKind::InvalidRequest,
                format!(
                    "the runtime directory `{}` is not absolute",
                    options.runtime_dir.display()
                ),
            ));
        }
        let here = Owner::here(&options.environment);
        let around = surrounding(&options.environment, &here);
        let (location, owner) =
            around.unwrap_or_else(|| (Location::of(&options.runtime_dir, &here), here));
        location.check()?;
        let history = settings.history.duration();
        Ok(Self {
            location,
            starter: Starter {
                launcher: options.launcher,
                environment: options.environment,
                settings,
                owner,
            },
            capabilities: Capabilities {
                array_limit: Some(crate::ARRAY_LIMIT),
                array_base: 0,
                element_wise: true,
                element_wise_any: true,
                failed_parent: FailedParent::Cancelled,
                releases_cancelled: true,
                after_not_ok: true,
                not_before: true,
                concurrency_limit: true,
                element_cancel: true,
                history: Some(history),
                submit_from_jobs: true,
                serves_indices: true,
                message_timeout: Duration::from_secs(5),
                may_stall: false,
                partitions: Vec::new(),
            },
        })
    }

    /// Returns the directories beside ours: of other boots, and of other enclosing jobs.
    fn siblings(&self) -> Result<Vec<Location>, SchedulerError> {
        let Some(parent) = self.location.directory.parent() else {
            return Ok(Vec::new());
        };
        let entries = match fs_err::read_dir(parent) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io_error(&error)),
        };
        let mut siblings = Vec::new();
        for entry in entries {
            let directory = entry.map_err(|error| io_error(&error))?.path();
            if directory != self.location.directory {
                siblings.push(Location { directory });
            }
        }
        Ok(siblings)
    }

    /// Returns what was written down at a place where no supervisor runs; none where nothing was.
    fn past(&self, location: &Location) -> Result<Option<Past>, SchedulerError> {
        let mut past = match log::read(&location.log()) {
            Ok(past) => past,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(&error)),
        };
        let owner = location.read_plate()?.owner;
        if owner.host == self.starter.owner.host && past.boot != self.starter.owner.boot {
            // Nothing of that life is left, and nothing of it will go on.
            let last_word = fs_err::metadata(location.log()).and_then(|file| file.modified());
            log::bury(&mut past, last_word.map_or(0, clock::milliseconds));
        }
        Ok(Some(past))
    }

    /// Asks at one place. Where the supervisor died over open work, it is started again if it is ours.
    async fn status_at(
        &self,
        location: &Location,
        jobs: &[JobId],
    ) -> Result<Statuses, SchedulerError> {
        let is_ours = location.directory == self.location.directory;
        let question = Question::Status(jobs.to_vec());
        let mut answer = ask_running(location, &question).await?;
        if answer.is_none() {
            let Some(past) = self.past(location)? else {
                return Ok(vec![None; jobs.len()]);
            };
            if !(is_ours && self.starter.can_start() && has_open(&past)) {
                return Ok(jobs.iter().map(|id| recorded(&past, id)).collect());
            }
            let connection = open_or_start(location, &self.starter).await?;
            let asked = connection.ask(&question, ANSWERING).await;
            answer = Some(asked.map_err(|error| error.error)?);
        }
        let Some(answer) = answer else {
            return Ok(vec![None; jobs.len()]);
        };
        let (Answer::Status { node, jobs: heads }, bytes) = answer else {
            return Err(unexpected(&answer.0));
        };
        read_statuses(jobs, &node, &heads, &bytes).ok_or_else(|| {
            SchedulerError::new(
                SchedulerErrorKind::UnexpectedOutput,
                "the supervisor of the local backend told states that make no sense",
            )
        })
    }

    /// Looks tags up at one place and adds what is found.
    async fn find_at(
        &self,
        location: &Location,
        tags: &[Tag],
        found: &mut [Vec<JobId>],
    ) -> Result<(), SchedulerError> {
        if let Some(answer) = ask_running(location, &Question::Find(tags.to_vec())).await? {
            return match answer.0 {
                Answer::Found(jobs) if jobs.len() == tags.len() => {
                    for (found, jobs) in found.iter_mut().zip(jobs) {
                        found.extend(jobs);
                    }
                    Ok(())
                }
                other => Err(unexpected(&other)),
            };
        }
        if let Some(past) = self.past(location)? {
            for (&number, job) in &past.jobs {
                for (found, tag) in found.iter_mut().zip(tags) {
                    if job.request.tag == *tag {
                        found.push(ids::job_id(&past.instance, number));
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the place that an id of another instance came from.
    fn place_of(&self, id: &JobId) -> Option<Location> {
        let (instance, _) = ids::parse(id)?;
        let key = instance.get(..instance.len().checked_sub(4)?)?;
        let directory = self.location.directory.parent()?.join(key);
        (directory != self.location.directory && directory.is_dir())
            .then_some(Location { directory })
    }
}

/// Returns the supervisor that runs the job we are in, if any.
fn surrounding(environment: &BTreeMap<String, String>, here: &Owner) -> Option<(Location, Owner)> {
    let directory = Path::new(environment.get(DIRECTORY_VARIABLE)?);
    let location = Location {
        directory: directory.to_owned(),
    };
    // The variable may have travelled to another machine, or outlived this one's last boot.
    let is_there = directory.is_absolute() && location.check().ok()?;
    let owner = is_there.then(|| location.read_plate().ok())??.owner;
    owner.is_same_boot(here).then_some((location, owner))
}

fn has_open(past: &Past) -> bool {
    past.jobs.values().any(|job| !job.is_ended())
}

fn recorded(past: &Past, id: &JobId) -> Option<JobStatus> {
    let job = past.jobs.get(&past.number(id)?)?;
    let head = Head {
        is_array: job.request.array.is_some(),
        reason: Some("the supervisor is not running".to_owned()),
        never: false,
        notes: job.notes.clone(),
    };
    let node = crate::location::host_name();
    let mut status = view::status(id.clone(), &node, &head, &job.elements);
    if past.is_buried {
        view::explain_lost(&mut status, "the machine was started anew");
    }
    Some(status)
}

fn read_statuses(
    jobs: &[JobId],
    node: &str,
    heads: &[Option<Head>],
    mut bytes: &[u8],
) -> Option<Statuses> {
    if heads.len() != jobs.len() {
        return None;
    }
    let mut statuses = Vec::with_capacity(jobs.len());
    for (id, head) in jobs.iter().zip(heads) {
        statuses.push(match head {
            None => None,
            Some(head) => {
                let elements = codec::decode(&mut bytes)?;
                Some(view::status(id.clone(), node, head, &elements))
            }
        });
    }
    Some(statuses)
}

#[async_trait]
impl Scheduler for LocalScheduler {
    fn name(&self) -> &'static str {
        "local"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn render(&self, request: &JobRequest) -> Result<Rendered, SchedulerError> {
        check::render(request, &self.starter.settings)
    }

    async fn submit(&self, request: &JobRequest) -> Result<JobId, SubmitError> {
        check::check(request, &self.starter.settings).map_err(SubmitError::nothing_sent)?;
        let connection = open_or_start(&self.location, &self.starter)
            .await
            .map_err(SubmitError::nothing_sent)?;
        let question = Question::Submit(Box::new(request.clone()));
        match connection.ask(&question, ANSWERING).await?.0 {
            Answer::Submitted(id) => Ok(id),
            other => Err(SubmitError::maybe_sent(unexpected(&other))),
        }
    }

    async fn status(&self, jobs: &[JobId]) -> Result<Vec<JobStatus>, SchedulerError> {
        let mut known = self.status_at(&self.location, jobs).await?;
        let mut elsewhere: BTreeMap<std::path::PathBuf, Vec<usize>> = BTreeMap::new();
        for (at, id) in jobs.iter().enumerate() {
            if known[at].is_none()
                && let Some(place) = self.place_of(id)
            {
                elsewhere.entry(place.directory).or_default().push(at);
            }
        }
        for (directory, places) in elsewhere {
            let ids: Vec<JobId> = places.iter().map(|&at| jobs[at].clone()).collect();
            let there = self.status_at(&Location { directory }, &ids).await?;
            for (at, status) in places.into_iter().zip(there) {
                known[at] = status;
            }
        }
        let statuses = known.into_iter().zip(jobs);
        Ok(statuses
            .map(|(status, id)| status.unwrap_or_else(|| view::unknown(id.clone())))
            .collect())
    }

    async fn cancel(&self, targets: &[Target]) -> Result<(), SchedulerError> {
        let mut places: BTreeMap<std::path::PathBuf, Vec<Target>> = BTreeMap::new();
        for target in targets {
            let place = self.place_of(&target.job);
            let directory =
                place.map_or_else(|| self.location.directory.clone(), |place| place.directory);
            places.entry(directory).or_default().push(target.clone());
        }
        for (directory, targets) in places {
            let location = Location { directory };
            let mut connection = open(&location).await?;
            if connection.is_none() && location.directory == self.location.directory {
                // Work that was left open must not go on at the next start.
                let past = self.past(&location)?;
                if past.is_some_and(|past| has_open(&past)) {
                    connection = Some(open_or_start(&location, &self.starter).await?);
                }
            }
            if let Some(connection) = connection {
                let answer = connection.ask(&Question::Cancel(targets), ANSWERING).await;
                match answer.map_err(|error| error.error)?.0 {
                    Answer::Done => {}
                    other => return Err(unexpected(&other)),
                }
            }
        }
        Ok(())
    }

    async fn find(&self, tags: &[Tag]) -> Result<Vec<Found>, SchedulerError> {
        let mut found = vec![Vec::new(); tags.len()];
        self.find_at(&self.location, tags, &mut found).await?;
        let mut all_asked = true;
        for sibling in self.siblings()? {
            if let Err(error) = self.find_at(&sibling, tags, &mut found).await {
                tracing::warn!(
                    "could not look for jobs in `{}`: {error}",
                    sibling.directory.display()
                );
                all_asked = false;
            }
        }
        Ok(found
            .into_iter()
            .map(|jobs| match (jobs.is_empty(), all_asked) {
                (false, _) => Found::Present(jobs),
                (true, true) => Found::Absent,
                (true, false) => Found::Unknowable,
            })
            .collect())
    }
}
