use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::event::{PollFd, PollFlags, poll};

use super::environment::{self, Variables};
use super::host::{Call, CommandHost, TaskHost};
use super::identify::Identifier;
use super::inputs::{Inputs, NoInputs};
use super::logs::Logs;
use crate::host::CompiledCommand;
use crate::id::{JobId, Tag};
use crate::results::{IndexClaim, Outcome, ResultRecord, Spool, SpoolWriter, WorkerRecord, room};
use crate::rundir::{JobEnvironment, Owner, Request, RunDir, RunDirError, SubmissionFile};

/// How long a worker goes on to start bodies after its run was cancelled: the batch system is told to end
/// it as well, so it need not look before each of many short ones.
const CANCEL_LOOK: Duration = Duration::from_millis(10);

/// What a worker is started with.
#[derive(Debug)]
pub struct WorkerOptions {
    /// The run.
    pub run_dir: PathBuf,
    /// The submission.
    pub submission: Tag,
    /// Which indices.
    pub mode: WorkerMode,
    /// The batch system's id of the job it is in, where it tells.
    pub job: Option<JobId>,
    /// The name of this node.
    pub node: String,
    /// The environment that the batch system gave.
    pub environment: Vec<(OsString, OsString)>,
    /// Becomes readable when a termination signal has come.
    pub stop: Option<OwnedFd>,
}

/// Which array indices a worker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerMode {
    /// One.
    Index(u32),
    /// Those that come as lines on standard input, until its end; each is answered on standard output
    /// with the index and its exit status.
    Serve,
}

/// What a worker did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerReport {
    /// Elements that succeeded.
    pub succeeded: u32,
    /// Elements that ended otherwise.
    pub unsuccessful: u32,
    /// Whether the submission was left alone: it belongs to another job or is over.
    pub left_alone: bool,
    /// Elements that failed.
    pub failed: u32,
    /// Whether the caller should plan the run again now ([`crate::engine::dispatch`]): a width is known
    /// that was not known before, nothing comes after, or an element that failed is tried again, and the run
    /// wants no queue wait for it.
    pub plans: bool,
}

impl WorkerReport {
    /// Returns the exit status of the index: 0 unless no element succeeded.
    pub fn exit_status(self) -> u8 {
        u8::from(!self.left_alone && self.succeeded == 0)
    }
}

/// An error that kept a worker from running anything.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The run directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The task has no body that this program knows.
    #[error("the body of task `{task}` cannot be run: {reason}")]
    Body {
        /// The task.
        task: String,
        /// Why not.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("the submission could not be run")]
    Io(#[from] io::Error),
}

/// Runs the elements of one array index, or of all indices that are asked for, with the host of command
/// tasks.
pub fn run(options: &WorkerOptions) -> Result<WorkerReport, WorkerError> {
    let (dir, file) = open(options)?;
    let description = &file.header.description;
    let command = CompiledCommand::compile(description).map_err(|error| WorkerError::Body {
        task: description.name.to_string(),
        reason: error.to_string(),
    })?;
    run_worker(
        Worker::new(dir, file, options, Box::new(CommandHost::new(command)))?,
        options,
    )
}

/// Does the same with another host.
pub fn run_with(
    options: &WorkerOptions,
    host: &mut dyn TaskHost,
) -> Result<WorkerReport, WorkerError> {
    let (dir, file) = open(options)?;
    run_worker(Worker::new(dir, file, options, Box::new(host))?, options)
}

fn open(options: &WorkerOptions) -> Result<(RunDir, SubmissionFile), WorkerError> {
    let dir = RunDir::open(&options.run_dir)?;
    let file = SubmissionFile::open(&dir.submission(&options.submission))?;
    Ok((dir, file))
}

fn run_worker(
    mut worker: Worker<'_>,
    options: &WorkerOptions,
) -> Result<WorkerReport, WorkerError> {
    if !worker.may_run()? {
        return Ok(WorkerReport {
            left_alone: true,
            ..WorkerReport::default()
        });
    }
    match options.mode {
        WorkerMode::Index(index) => {
            let mut report = worker.run_index(index)?;
            worker.tidy(index);
            let header = &worker.file.header;
            report.plans =
                header.plans && report.succeeded > 0 || header.is_retried && report.failed > 0;
            Ok(report)
        }
        WorkerMode::Serve => worker.serve(),
    }
}

struct Worker<'a> {
    dir: RunDir,
    file: SubmissionFile,
    host: Box<dyn TaskHost + 'a>,
    inputs: Inputs,
    /// Computes identities, where the submission says how.
    identifier: Option<Identifier>,
    /// The variables for bodies, or why setup failed.
    variables: Result<Variables, String>,
    record: WorkerRecord,
    job: JobId,
    stop: Option<OwnedFd>,
    /// Cancellations that came after this submission was planned, and when they were last looked for.
    cancellations: Vec<Request>,
    looked: Option<Instant>,
}

impl<'a> Worker<'a> {
    fn new(
        dir: RunDir,
        file: SubmissionFile,
        options: &WorkerOptions,
        host: Box<dyn TaskHost + 'a>,
    ) -> Result<Self, WorkerError> {
        let header = &file.header;
        let saved = JobEnvironment::of(&dir)?;
        if let Some(umask) = saved.umask {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        }
        let mut variables = environment::variables(
            options.environment.iter().cloned(),
            &saved,
            &header.description.environment,
        );
        variables.insert("REFLOW_RUN_DIR".into(), dir.path().into());
        variables.insert("REFLOW_ATTEMPT".into(), header.attempt.to_string().into());
        variables.insert(
            "REFLOW_TASK".into(),
            header.description.name.as_str().into(),
        );
        let variables = environment::set_up(&header.description.setup, dir.path(), variables)?;
        let log = match options.mode {
            WorkerMode::Index(index) => format!("{}/{index}", index / 1024),
            WorkerMode::Serve => random_name()?,
        };
        // Where the batch system does not tell the id of the job, all workers count as one job.
        let job = match &options.job {
            Some(job) => job.clone(),
            None => JobId::new(options.submission.as_str()).expect("a tag has no spaces"),
        };
        Ok(Self {
            inputs: Inputs::new(&dir, header),
            identifier: Identifier::new(&dir, header),
            record: WorkerRecord {
                job: options.job.as_ref().map(ToString::to_string),
                node: options.node.clone(),
                log,
            },
            stop: options.stop.as_ref().map(OwnedFd::try_clone).transpose()?,
            dir,
            file,
            host,
            variables,
            job,
            cancellations: Vec::new(),
            looked: None,
        })
    }

    /// Takes ownership of the submission for our job, unless it belongs to another or is over.
    fn may_run(&self) -> io::Result<bool> {
        let tag = &self.file.header.tag;
        if self.dir.closed(tag).try_exists()? {
            return Ok(false);
        }
        let own = Owner::Job(self.job.clone());
        let path = self.dir.owner(tag);
        let owner = room::when_there_is_room(|| Owner::claim(&path, &own))?;
        Ok(owner.is_none_or(|owner| owner.is_job(&self.job)))
    }

    fn spool(&self) -> Spool {
        Spool::new(self.dir.spool(&self.file.header.tag))
    }

    fn logs(&self) -> Logs {
        Logs::new(self.dir.logs(&self.file.header.tag).join(&self.record.log))
    }

    fn run_index(&mut self, index: u32) -> io::Result<WorkerReport> {
        let elements = self.file.elements_of(index)?;
        let mut report = WorkerReport::default();
        let (mut writer, left) = match self.spool().claim(index, &self.record)? {
            IndexClaim::Claimed(writer) => (writer, elements),
            IndexClaim::Taken(before) => {
                if before
                    .worker
                    .as_ref()
                    .is_none_or(|worker| worker.job.is_none() && worker.log.is_empty())
                {
                    return Ok(WorkerReport {
                        left_alone: true,
                        ..report
                    });
                }
                // Started a second time by the batch system. A body that was started is never started
                // again in the same try; those that were not are run now.
                let mut writer = self.spool().reopen(index)?;
                let has_ended =
                    |element: &u32| before.ended.iter().any(|result| result.element == *element);
                for element in before.started.iter().filter(|element| !has_ended(element)) {
                    let message = "the batch system started its job a second time, after the body had started";
                    writer.end_element(
                        ResultRecord::new(*element, Outcome::Restarted).with_message(message),
                    )?;
                    report.unsuccessful += 1;
                }
                let is_left =
                    |element: &u32| !has_ended(element) && !before.started.contains(element);
                (writer, elements.into_iter().filter(is_left).collect())
            }
        };
        let mut logs = self.logs();
        if left.len() == 1 {
            writer.expect_last();
        }
        let spool = self.spool();
        for (done, element) in left.into_iter().enumerate() {
            // While earlier elements ran, the later ones may have been given up and planned elsewhere.
            if self.is_stopped()? || done > 0 && self.is_given_up(&spool, index)? {
                break;
            }
            self.run_element(element, &mut writer, &mut logs, &mut report)?;
        }
        writer.close()?;
        Ok(report)
    }

    /// Returns whether an index was given up that we have claimed.
    fn is_given_up(&self, spool: &Spool, index: u32) -> io::Result<bool> {
        Ok(self.dir.closed(&self.file.header.tag).try_exists()?
            || spool.late_file(index).try_exists()?)
    }

    /// Returns whether a termination signal has come.
    fn is_stopped(&self) -> io::Result<bool> {
        let Some(stop) = &self.stop else {
            return Ok(false);
        };
        let mut polled = [PollFd::new(stop, PollFlags::IN)];
        let now = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut polled, Some(&now))?;
        Ok(!polled[0].revents().is_empty())
    }

    /// Removes the output file of the job script when nothing is in it: most are empty, and there is one
    /// for each array index.
    fn tidy(&self, index: u32) {
        let logs = self.dir.logs(&self.file.header.tag);
        for name in ["job".to_owned(), format!("job.{index}")] {
            crate::fault::reach("worker/tidy");
            let path = logs.join(name);
            if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == 0) {
                // An empty file that stays is no harm.
                let _ = fs::remove_file(&path);
            }
        }
    }

    fn serve(&mut self) -> Result<WorkerReport, WorkerError> {
        let mut writer = self.spool().serve(&self.record)?;
        let mut logs = self.logs();
        let mut total = WorkerReport::default();
        let mut lines = Lines::default();
        let mut answers = io::stdout().lock();
        while let Some(line) = lines.next(self.stop.as_ref())? {
            let Ok(index) = line.trim().parse::<u32>() else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("`{line}` was asked for as an index"),
                )
                .into());
            };
            let mut report = WorkerReport::default();
            for element in self.file.elements_of(index)? {
                if self.dir.closed(&self.file.header.tag).try_exists()? {
                    return Ok(total);
                }
                self.run_element(element, &mut writer, &mut logs, &mut report)?;
            }
            total.succeeded += report.succeeded;
            total.unsuccessful += report.unsuccessful;
            crate::fault::reach("worker/answer");
            writeln!(answers, "{index} {}", report.exit_status())?;
            answers.flush()?;
        }
        writer.close()?;
        Ok(total)
    }

    /// Returns whether an element was cancelled, looking again when the last look is [`CANCEL_LOOK`] old.
    fn is_cancelled(&mut self, element: u32) -> io::Result<bool> {
        if self
            .looked
            .is_none_or(|looked| looked.elapsed() >= CANCEL_LOOK)
        {
            let requests = self.dir.requests_since(self.file.header.requests)?;
            self.cancellations = requests
                .into_iter()
                .filter_map(|(_, request)| request)
                .filter(|request| matches!(request, Request::Cancel { .. }))
                .collect();
            self.looked = Some(Instant::now());
        }
        let task = self.file.header.task;
        let cancellations = &self.cancellations;
        Ok(cancellations.iter().any(|it| it.cancels(task, element)))
    }

    fn run_element(
        &mut self,
        element: u32,
        writer: &mut SpoolWriter,
        logs: &mut Logs,
        report: &mut WorkerReport,
    ) -> io::Result<()> {
        let result = self.element(element, writer, logs)?;
        report.failed += u32::from(result.outcome == Outcome::Failed);
        if matches!(result.outcome, Outcome::Succeeded | Outcome::Cached) {
            report.succeeded += 1;
        } else {
            report.unsuccessful += 1;
        }
        writer.end_element(result)
    }

    fn element(
        &mut self,
        element: u32,
        writer: &mut SpoolWriter,
        logs: &mut Logs,
    ) -> io::Result<ResultRecord> {
        let end = |outcome, message: String| {
            Ok(ResultRecord::new(element, outcome).with_message(message))
        };
        if self.is_cancelled(element)? {
            return end(Outcome::Cancelled, "it was cancelled".to_owned());
        }
        let prepared = match self.inputs.of(&self.file.header, element) {
            Ok(prepared) => prepared,
            Err(NoInputs::Failed(message)) => return end(Outcome::Skipped, message),
            Err(NoInputs::Missing(message)) => return end(Outcome::HandedBack, message),
            Err(NoInputs::Broken(message)) => return end(Outcome::Failed, message),
        };
        let header = &self.file.header;
        let mut identified = None;
        if let Some(identifier) = &mut self.identifier
            && let Some(identity) = identifier.identity(&prepared)
        {
            if let Some(result) = identifier.look_up(header, element, identity) {
                return Ok(result);
            }
            identified = Some(identifier.before(identity, &prepared));
        }
        let variables = match &self.variables {
            Ok(variables) => variables,
            Err(message) => return end(Outcome::Failed, message.clone()),
        };
        let call = Call {
            element,
            attempt: self.file.header.attempt,
            inputs: &prepared.values,
            dir: &self.dir,
            scratch: self
                .dir
                .inside("scratch")
                .join(format!("{}.{element}", self.file.header.tag)),
            variables,
            stop: self.stop.as_ref(),
            logs,
            spool: writer,
        };
        let mut result = self.host.call(call)?;
        if let Some(identifier) = &self.identifier {
            identifier.after(header, identified, &mut result);
        }
        Ok(result)
    }
}

pub(super) fn random_name() -> io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(data_encoding::HEXLOWER.encode(&random))
}

/// Lines of standard input, until its end or a termination signal.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    fn next(&mut self, stop: Option<&OwnedFd>) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            let stdin = io::stdin();
            let mut polled = vec![PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
            if let Some(stop) = stop {
                polled.push(PollFd::new(stop, PollFlags::IN));
            }
            match poll(&mut polled, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            if polled.get(1).is_some_and(|stop| !stop.revents().is_empty()) {
                return Ok(None);
            }
            let mut locked = stdin.lock();
            let read = locked.fill_buf()?;
            if read.is_empty() {
                return Ok(None);
            }
            self.buffer.extend_from_slice(read);
            let count = read.len();
            locked.consume(count);
        }
    }
}
