use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reflow_core::fault::reach;
use reflow_core::scheduler::{EndReason, SchedulerError, SchedulerErrorKind};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::process::Process;
use super::server;
use crate::clock;
use crate::element::End;
use crate::location::{Location, io_error};
use crate::log::Log;
use crate::memory::Groups;
use crate::protocol::{Answer, Question};
use crate::queue::{Action, Now, Queue, Record};
use crate::settings::Settings;

/// Where the answer to a question goes.
pub(super) type Reply = oneshot::Sender<(Answer, Vec<u8>)>;

/// What happens to a supervisor.
#[derive(Debug)]
pub(super) enum Event {
    /// A client asks.
    Question(Question, Reply),
    /// A worker answered with an index and its exit status, or with something else.
    Answered(u64, Result<(u32, u8), String>),
    /// A worker has closed its standard output.
    Closed(u64),
}

/// Everything that the supervisor knows.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) location: Location,
    pub(super) settings: Settings,
    pub(super) node: String,
    pub(super) instance: String,
    pub(super) next: u64,
    pub(super) queue: Queue,
    pub(super) log: Log,
    pub(super) processes: HashMap<u64, Process>,
    pub(super) next_process: u64,
    /// Which process runs an element.
    pub(super) running: HashMap<(u64, u32), u64>,
    /// Workers without work, by job.
    pub(super) idle: HashMap<u64, Vec<u64>>,
    /// When to look at a process that is to end, on the monotonic clock.
    pub(super) looks: BTreeSet<(u64, u64)>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// Answers that wait until what they tell is written down.
    pub(super) replies: Vec<(Reply, Answer, Vec<u8>)>,
    /// Clients that wait for the end.
    pub(super) stopping: Vec<Reply>,
    pub(super) is_stopping: bool,
    /// The process that watches over this one: id and start time.
    pub(super) watcher: Option<(u32, u64)>,
    /// When to look at processes of earlier supervisors, on the monotonic clock.
    pub(super) adopted_at: u64,
    /// Control groups for memory, where they can be made, and when to try again.
    pub(super) groups: Option<Groups>,
    pub(super) groups_at: u64,
    /// When to measure memory, on the monotonic clock.
    pub(super) measure_at: u64,
    /// Why nothing can be written at the moment.
    trouble: Option<String>,
    actions: Vec<Action>,
    records: Vec<Record>,
    inbox: Option<mpsc::UnboundedReceiver<Event>>,
}

/// How many events are taken before records are written and actions carried out.
const BATCH: usize = 256;

impl Supervisor {
    pub(super) fn new(
        location: Location,
        settings: Settings,
        instance: String,
        next: u64,
        queue: Queue,
        log: Log,
    ) -> Self {
        let (events, inbox) = mpsc::unbounded_channel();
        Self {
            location,
            settings,
            node: crate::location::host_name(),
            instance,
            next,
            queue,
            log,
            processes: HashMap::new(),
            next_process: 0,
            running: HashMap::new(),
            idle: HashMap::new(),
            looks: BTreeSet::new(),
            events,
            replies: Vec::new(),
            stopping: Vec::new(),
            is_stopping: false,
            watcher: None,
            adopted_at: u64::MAX,
            groups: None,
            groups_at: 0,
            measure_at: u64::MAX,
            trouble: None,
            actions: Vec::new(),
            records: Vec::new(),
            inbox: Some(inbox),
        }
    }

    /// Serves until there is nothing left to do.
    pub(super) async fn run(mut self, listener: UnixListener) -> Result<(), SchedulerError> {
        let mut deaths = signal(SignalKind::child()).map_err(|error| io_error(&error))?;
        let mut farewells = signal(SignalKind::terminate()).map_err(|error| io_error(&error))?;
        let connections = Arc::new(AtomicUsize::new(0));
        tokio::spawn(server::accept(
            listener,
            self.instance.clone(),
            self.events.clone(),
            connections.clone(),
        ));
        let mut inbox = self.inbox.take().expect("a supervisor is run once");
        let mut batch = Vec::with_capacity(BATCH);
        let mut last_activity = clock::now().mono;
        loop {
            let written = self.work();
            let now = clock::now();
            let is_busy = self.queue.open().next().is_some() || !self.processes.is_empty();
            if is_busy || connections.load(Ordering::Relaxed) > 0 {
                last_activity = now.mono;
            }
            if !is_busy && self.is_stopping {
                self.say_goodbye().await;
                return Ok(());
            }
            let idle_until = last_activity + self.settings.idle().as_millis() as u64;
            if now.mono >= idle_until && self.replies.is_empty() {
                return Ok(());
            }
            let wait = self.wait(now, idle_until, written);
            tokio::select! {
                // Workers that answer all the time must not hide the deaths of others.
                biased;
                _ = deaths.recv() => self.reap(),
                _ = farewells.recv() => self.stop(),
                count = inbox.recv_many(&mut batch, BATCH) => {
                    debug_assert!(count > 0, "the supervisor holds a sender itself");
                    last_activity = now.mono;
                    for event in batch.drain(..) {
                        self.take(event);
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Returns how long nothing happens by itself.
    fn wait(&self, now: Now, idle_until: u64, written: bool) -> Duration {
        let mut wait = idle_until.saturating_sub(now.mono).max(1);
        if let Some(limit) = self.queue.wait(now) {
            wait = wait.min(limit.max(1));
        }
        if let Some((at, _)) = self.looks.first() {
            wait = wait.min(at.saturating_sub(now.mono).max(1));
        }
        if self.adopted_at != u64::MAX {
            wait = wait.min(self.adopted_at.saturating_sub(now.mono).max(1));
        }
        if self.measure_at != u64::MAX {
            wait = wait.min(self.measure_at.saturating_sub(now.mono).max(1));
        }
        if !self.idle.is_empty() {
            wait = wait.min(1000);
        }
        if !written {
            wait = wait.min(500);
        }
        Duration::from_millis(wait)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Question(question, reply) => self.question(question, reply),
            Event::Answered(process, answer) => self.answered(process, answer),
            Event::Closed(process) => self.closed(process),
        }
    }

    /// Decides, writes down, and carries out, until nothing is left to be done now. Returns whether
    /// all could be written.
    fn work(&mut self) -> bool {
        let mut look_until = clock::now().mono;
        let mut is_written;
        loop {
            let now = clock::now();
            self.queue.tick(now);
            while let Some(&(at, process)) = self.looks.first() {
                if at > look_until {
                    break;
                }
                self.looks.pop_first();
                self.look(process);
            }
            look_until = 0;
            self.look_after_adopted(now.mono);
            self.measure(now.mono);
            self.queue.schedule(now);
            let mut records = std::mem::take(&mut self.records);
            self.queue.take_records(&mut records);
            for record in records.drain(..) {
                let job = match record {
                    Record::Ended { job, .. } => self.queue.job(job),
                    Record::Started { .. } | Record::Dropped { .. } | Record::Killed { .. } => None,
                };
                self.log.record(&record, job);
            }
            self.records = records;
            if self.trouble.is_some() {
                self.log.probe();
            }
            if self.log.has_news() {
                reach("supervisor/record");
            }
            if let Err(error) = self.log.flush() {
                self.is_stuck(&error);
                self.refuse();
                return false;
            }
            if self.trouble.take().is_some() {
                tracing::warn!("the log can be written again");
                // What ended in the meantime was not waited for.
                self.reap();
            }
            let mut actions = std::mem::take(&mut self.actions);
            self.queue.take_actions(&mut actions);
            let mut done = 0;
            while done < actions.len() && self.trouble.is_none() && self.act(actions[done]) {
                done += 1;
            }
            let is_done = done == actions.len();
            actions.drain(..done);
            self.actions = actions;
            is_written = is_done;
            if !is_done || done == 0 {
                break;
            }
        }
        self.release_workers();
        for (reply, answer, bytes) in self.replies.drain(..) {
            reach("supervisor/answer");
            // The client may be gone; what it asked for is done all the same.
            let _ = reply.send((answer, bytes));
        }
        is_written
    }

    /// Carries out an action. Returns false where it has to wait until the log can be written.
    fn act(&mut self, action: Action) -> bool {
        match action {
            Action::Start { job, index } => match self.start(job, index) {
                Ok(is_started) => return is_started,
                Err(what) => {
                    self.log.note(job, index, &what);
                    self.queue.note(job, index, what);
                    let now = clock::now();
                    let end = End::without_status(EndReason::StartFailure, now.wall);
                    self.queue.ended(now, job, index, end);
                }
            },
            Action::Kill { job, index } => self.kill(job, index),
            Action::Warn { job, index } => self.warn(job, index),
        }
        true
    }

    /// Takes in that the log cannot be written: nothing is started that is not written down, and what
    /// happens is kept in memory until there is room.
    pub(super) fn is_stuck(&mut self, error: &std::io::Error) {
        if self.trouble.is_none() {
            tracing::error!(
                "could not write the log, so that nothing is started until that is possible: {error}"
            );
        }
        self.trouble = Some(error.to_string());
    }

    /// Tells clients why they get no answer. A job that was taken is written down, so its id is told.
    fn refuse(&mut self) {
        let trouble = self.trouble.clone().unwrap_or_default();
        for (reply, answer, bytes) in self.replies.drain(..) {
            let answer = match answer {
                answer @ (Answer::Submitted(_) | Answer::Refused { .. }) => (answer, bytes),
                _ => (
                    Answer::Refused {
                        kind: SchedulerErrorKind::Io,
                        message: format!(
                            "the supervisor cannot write its log, and says nothing that is not written down: {trouble}"
                        ),
                    },
                    Vec::new(),
                ),
            };
            let _ = reply.send(answer);
        }
    }

    /// Answers those who wait for the end, and gives the answers time to get out.
    async fn say_goodbye(&mut self) {
        reach("supervisor/farewell");
        let _ = fs_err::remove_file(self.location.socket());
        let waiting: Vec<Reply> = self.stopping.drain(..).collect();
        for reply in waiting {
            let _ = reply.send((Answer::Done, Vec::new()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
