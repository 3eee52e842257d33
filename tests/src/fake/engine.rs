//! The steps of the queue: what is due is released, started, limited and ended.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::act::Late;
use super::cluster::Cluster;
use super::job::{Cause, ElementState, How, Outcome, Waiting};
use super::process;
use super::rules::{Rules, Verdict};
use super::submission::{Body, Submission};
use super::text::{Millis, Text, now};
use super::wire::{Answer, Refusal, Request};

/// The queue with the rules that it follows.
#[derive(Debug)]
pub struct Engine {
    pub(super) cluster: Cluster,
    pub(super) rules: Box<dyn Rules>,
    /// Whether anything has changed that dependencies may hang on.
    pub(super) changed: bool,
    /// The elements by their processes.
    pub(super) by_process: HashMap<u32, (u64, usize)>,
    /// Sessions of which the first process has ended, and that have signals to come.
    pub(super) leaderless: BTreeSet<u32>,
    /// Signals to come: when, to which process, which.
    pub(super) signals: Vec<(Millis, u32, i32)>,
    /// Output to be delivered: since when, when next, of which job and element.
    pub(super) delivering: Vec<(Millis, Millis, u64, usize)>,
    /// What is to be done in the background.
    pub(super) late: Vec<Late>,
    /// Jobs that wait for a time of day.
    timed: Vec<u64>,
    /// When limits are looked at next.
    next_poll: Millis,
}

impl Engine {
    /// Returns an engine with nothing queued.
    pub(super) fn new(mut cluster: Cluster, rules: Box<dyn Rules>) -> Self {
        cluster.next = cluster.next.max(rules.first_number());
        Self {
            cluster,
            rules,
            changed: false,
            by_process: HashMap::new(),
            leaderless: BTreeSet::new(),
            signals: Vec::new(),
            delivering: Vec::new(),
            late: Vec::new(),
            timed: Vec::new(),
            next_poll: 0,
        }
    }

    /// Whether nothing is queued.
    pub fn is_idle(&self) -> bool {
        self.cluster.active.is_empty()
    }

    /// Answers a question.
    pub fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Submit(submission) => match self.submit(*submission) {
                Ok(number) => Answer::Taken(number),
                Err(refusal) => Answer::Refused(refusal),
            },
            Request::List(numbers) => Answer::Jobs(self.list(numbers.as_deref(), false)),
            Request::History(numbers) => Answer::Jobs(self.list(numbers.as_deref(), true)),
            Request::Act {
                targets,
                by,
                action,
                after,
            } => Answer::Acted(self.act(&targets, &by, &action, after)),
            Request::Cluster | Request::End => {
                Answer::Cluster(Box::new(self.cluster.options.clone()))
            }
        }
    }

    fn list(&self, numbers: Option<&[u64]>, forgotten: bool) -> Vec<super::Job> {
        let jobs = &self.cluster.jobs;
        let mut numbers = numbers.map_or_else(|| jobs.keys().copied().collect(), <[u64]>::to_vec);
        numbers.sort_unstable();
        numbers.dedup();
        let mut jobs: Vec<_> = numbers
            .iter()
            .filter_map(|number| jobs.get(number))
            .filter(|job| forgotten || !job.forgotten)
            .cloned()
            .collect();
        for job in &mut jobs {
            job.submission.environment.clear();
        }
        jobs
    }

    fn submit(&mut self, mut submission: Submission) -> Result<u64, Refusal> {
        let number = self.cluster.next;
        self.cluster.next += 1;
        self.rules.admit(&self.cluster, number, &mut submission)?;
        if let Body::Script(text) = &mut submission.body {
            let text = std::mem::take(&mut text.0);
            let path = self.cluster.script(number);
            write_script(&path, &text).map_err(|error| Refusal {
                text: format!("the fake cannot keep the script: {error}"),
                code: 1,
            })?;
        }
        let timed = submission.not_before.is_some();
        self.cluster.insert(number, submission, now());
        if timed {
            self.timed.push(number);
        }
        self.settle(number);
        self.changed = true;
        Ok(number)
    }

    /// Moves everything on as far as it goes now.
    pub fn step(&mut self) {
        let now = now();
        self.reap(now);
        self.carry_out_late(now);
        self.limit(now);
        self.send_signals(now);
        self.deliver(now);
        while std::mem::take(&mut self.changed) {
            self.release();
        }
        self.wake(now);
        self.start(now);
        self.forget(now);
    }

    /// Finds out which elements of a job could start.
    pub(super) fn settle(&mut self, number: u64) {
        if let Some(job) = self.cluster.jobs.get_mut(&number) {
            job.find_ready(now());
        }
    }

    /// Asks the rules about all that waits.
    fn release(&mut self) {
        let mut verdicts = Vec::new();
        let mut element_verdicts = Vec::new();
        for number in &self.cluster.active {
            let job = &self.cluster.jobs[number];
            let verdict = match job.waiting {
                Waiting::Yes => self.rules.verdict(&self.cluster, job),
                Waiting::No => Verdict::Release,
                Waiting::Never => continue,
            };
            if verdict != Verdict::Wait && job.waiting == Waiting::Yes {
                verdicts.push((*number, verdict));
            }
            if verdict != Verdict::Release {
                continue;
            }
            for (position, element) in job.elements.iter().enumerate() {
                if element.waiting == Waiting::Yes && element.state == ElementState::Pending {
                    let verdict = self.rules.element_verdict(&self.cluster, job, position);
                    if verdict != Verdict::Wait {
                        element_verdicts.push((*number, position, verdict));
                    }
                }
            }
        }
        for (number, verdict) in verdicts {
            let Some(job) = self.cluster.jobs.get_mut(&number) else {
                continue;
            };
            match verdict {
                Verdict::Release => job.waiting = Waiting::No,
                Verdict::Never => job.waiting = Waiting::Never,
                Verdict::Remove => {
                    for position in 0..job.elements.len() {
                        self.remove(number, position, Cause::Dependency);
                    }
                }
                Verdict::Wait => {}
            }
            self.settle(number);
        }
        let mut touched = Vec::new();
        for (number, position, verdict) in element_verdicts {
            let Some(job) = self.cluster.jobs.get_mut(&number) else {
                continue;
            };
            match verdict {
                Verdict::Release => job.elements[position].waiting = Waiting::No,
                Verdict::Never => job.elements[position].waiting = Waiting::Never,
                Verdict::Remove => self.remove(number, position, Cause::Dependency),
                Verdict::Wait => {}
            }
            touched.push(number);
        }
        touched.dedup();
        for number in touched {
            self.settle(number);
        }
    }

    /// Ends an element that was not started.
    pub(super) fn remove(&mut self, number: u64, position: usize, cause: Cause) {
        let Some(job) = self.cluster.jobs.get_mut(&number) else {
            return;
        };
        if job.elements[position].state != ElementState::Pending {
            return;
        }
        job.elements[position].outcome = Some(Outcome {
            how: How::NeverRan,
            cause: Some(cause),
        });
        job.move_to(position, ElementState::Ended, now());
        self.ended(number);
    }

    /// Notes the end of an element.
    pub(super) fn ended(&mut self, number: u64) {
        self.changed = true;
        if self.cluster.jobs[&number].is_ended() {
            self.cluster.active.remove(&number);
        }
    }

    /// Looks at the jobs that wait for a time of day.
    fn wake(&mut self, now: Millis) {
        let due: Vec<u64> = self
            .timed
            .iter()
            .copied()
            .filter(|number| self.cluster.jobs[number].is_due(now))
            .collect();
        for number in due {
            self.timed.retain(|timed| *timed != number);
            self.settle(number);
        }
    }

    /// Starts what fits, in the order of submission.
    fn start(&mut self, now: Millis) {
        let delay = self.cluster.options.start_delay.as_millis() as Millis;
        let mut chosen = Vec::new();
        let mut free = self.cluster.free();
        for number in &self.cluster.active {
            if free == 0 {
                break;
            }
            let job = &self.cluster.jobs[number];
            if job.ready.is_empty() || now < job.submitted + delay {
                continue;
            }
            let cpus = job.submission.cpus.max(1);
            let open = job
                .submission
                .array
                .as_ref()
                .and_then(|array| array.limit)
                .map_or(usize::MAX, |limit| {
                    (limit as usize).saturating_sub(job.counts.running + job.counts.exiting)
                });
            let count = open.min((free / cpus) as usize);
            for &position in job.ready.iter().take(count) {
                chosen.push((*number, position));
                free -= cpus;
            }
        }
        for (number, position) in chosen {
            self.launch(number, position, now);
        }
    }

    fn launch(&mut self, number: u64, position: usize, now: Millis) {
        let job = &self.cluster.jobs[&number];
        let started = self
            .rules
            .launch(&self.cluster, job, position)
            .and_then(|launch| {
                process::start(&launch).map_err(|error| {
                    eprint(&format!(
                        "job {number}: {} cannot be started: {error}\n",
                        launch.program.display()
                    ));
                    How::NotStarted
                })
            });
        let cpus = job.submission.cpus.max(1);
        let Some(job) = self.cluster.jobs.get_mut(&number) else {
            return;
        };
        job.move_to(position, ElementState::Running, now);
        self.cluster.running.insert((number, position));
        self.cluster.used += cpus;
        self.changed = true;
        match started {
            Ok(process) => {
                job.elements[position].process = process;
                self.by_process.insert(process, (number, position));
            }
            Err(how) => self.exited(number, position, how, now),
        }
    }

    /// Ends what has run for too long.
    fn limit(&mut self, now: Millis) {
        if now < self.next_poll {
            return;
        }
        self.next_poll = now + self.cluster.options.limit_poll.as_millis() as Millis;
        let over: Vec<(u64, usize)> = self
            .cluster
            .running
            .iter()
            .copied()
            .filter(|(number, position)| {
                let job = &self.cluster.jobs[number];
                let element = &job.elements[*position];
                let limit = job.submission.limit.filter(|limit| *limit > 0);
                element.state == ElementState::Running
                    && element.stopping.is_none()
                    && limit.zip(element.started).is_some_and(|(limit, started)| {
                        let limit = self.cluster.options.scaled(limit).as_millis() as Millis;
                        now - started > limit
                    })
            })
            .collect();
        for (number, position) in over {
            let job = &self.cluster.jobs[&number];
            if let Some((path, words)) = self.rules.last_words(&self.cluster, job, position) {
                append(&path, &words);
            }
            self.stop(number, position, &Cause::Limit, now);
        }
        self.limit_memory(now);
    }

    /// Ends what occupies too much memory, where the batch system looks at that.
    fn limit_memory(&mut self, now: Millis) {
        let limited: Vec<(u64, usize, u32, u64)> = self
            .cluster
            .running
            .iter()
            .filter_map(|&(number, position)| {
                let job = &self.cluster.jobs[&number];
                let element = &job.elements[position];
                let limit = self.rules.memory_limit(&self.cluster, job)?;
                let runs = element.state == ElementState::Running && element.stopping.is_none();
                runs.then_some((number, position, element.process, limit))
            })
            .collect();
        if limited.is_empty() {
            return;
        }
        let used = process::memory(&limited.iter().map(|(_, _, process, _)| *process).collect());
        for (number, position, process, limit) in limited {
            if used.get(&process).is_some_and(|used| *used > limit) {
                self.stop(number, position, &Cause::Memory, now);
            }
        }
    }

    /// Forgets what ended long enough ago.
    fn forget(&mut self, now: Millis) {
        let keep = match self.cluster.options.history {
            Some(history) => history.as_millis() as Millis,
            None => -1,
        };
        for job in self.cluster.jobs.values_mut() {
            if job.ended.is_some_and(|ended| now - ended > keep) {
                job.forgotten = true;
            }
        }
    }

    /// Sends the signals that are due.
    pub(super) fn send_signals(&mut self, now: Millis) {
        let mut due = BTreeMap::new();
        self.signals.retain(|&(when, process, signal)| {
            if when <= now {
                due.insert(process, signal);
            }
            when > now
        });
        due.retain(|process, _| {
            self.by_process.contains_key(process) || self.leaderless.contains(process)
        });
        process::signal_sessions(&due);
        let signals = &self.signals;
        self.leaderless
            .retain(|session| signals.iter().any(|(_, process, _)| process == session));
    }
}

fn write_script(path: &std::path::Path, text: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs_err::write(path, text)?;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

fn append(path: &std::path::Path, text: &str) {
    use std::io::Write;
    // A job whose output goes elsewhere has none there.
    if let Ok(mut file) = fs_err::OpenOptions::new().append(true).open(path) {
        let _ = file.write_all(text.as_bytes());
    }
}

/// Writes into the server's own log.
pub(super) fn eprint(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(Text::from(text).0.as_slice());
}
