use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use super::end::Facts;
use super::{Row, first_host, job_and_index, squeeze, state, time};
use crate::{memory, partition};

/// Blanks before the rest of a broken line: `bjobs` writes 21, `bhist` 26.
const INDENT: &str = "          ";

/// How much of a line is kept. Of headings, the command that follows the status may be a whole script.
const KEPT: usize = 2_000;

/// Events that say nothing of how a job stands.
const SILENT: [&str; 3] = ["Submitted from", "Resource usage", "Running with"];

/// Reads the answer of `bjobs -l` or `bhist -l`: about each job a heading, then what happened to it.
///
/// A line that was cut is left out, and with it what it says. Only `bjobs` tells states; in what `bhist`
/// prints, a job whose end is not listed is unknown.
pub(crate) fn long(text: &str, now: SystemTime) -> Vec<Row> {
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let mut rows = Vec::new();
    let mut block: Option<Block> = None;
    let mut lines = whole.lines().peekable();
    while let Some(first) = lines.next() {
        let mut line = Cow::Borrowed(first);
        let kept = if is_silent(first) { 0 } else { KEPT };
        while let Some(rest) = lines.next_if(|line| line.starts_with(INDENT)) {
            if line.len() < kept {
                line.to_mut().push_str(rest.trim_start());
            }
        }
        if kept == 0 {
            continue;
        }
        if let Some(started) = Block::start(&line) {
            rows.extend(block.replace(started).map(Block::row));
        } else if let Some(block) = &mut block {
            block.read(&line, now);
        }
    }
    rows.extend(block.map(Block::row));
    rows
}

/// Whether a line is about an event that says nothing.
fn is_silent(line: &str) -> bool {
    time::starts_like_event(line)
        && (line.split_once(": ")).is_some_and(|(_, what)| {
            let what = what.trim_start();
            SILENT.iter().any(|words| what.starts_with(words))
        })
}

/// Returns the word after `Status` in a heading.
fn status(heading: &str) -> Option<String> {
    let mut field = String::new();
    for c in heading.chars().filter(|c| !c.is_ascii_whitespace()) {
        if c != '>' {
            field.push(c);
        } else if let Some((_, status)) = field.split_once("Status<") {
            return Some(status.to_owned());
        } else {
            field.clear();
        }
    }
    None
}

/// What the lines are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Events,
    Pending,
    /// Below a heading of limits, of which the number says which is the run limit.
    RunLimit(usize),
}

/// What is said about one job.
struct Block {
    job: String,
    index: u32,
    status: Option<String>,
    section: Section,
    pending: String,
    started: Option<SystemTime>,
    node: Option<String>,
    end: Option<End>,
    term: Option<String>,
    run_limit: Option<Duration>,
    peak: Option<reflow_core::scheduler::Memory>,
    was_killed: bool,
}

/// An event that ended a job.
struct End {
    at: Option<SystemTime>,
    is_done: bool,
    code: Option<i32>,
    signal: Option<i32>,
}

impl Block {
    /// Reads a heading: `Job <43[2]>, Job Name <pa[2]>, User <reflowt>, ... Status <EXIT>, Queue ...`.
    fn start(line: &str) -> Option<Self> {
        let (id, rest) = line.strip_prefix("Job <")?.split_once('>')?;
        let (job, index) = job_and_index(id)?;
        let status = status(rest);
        Some(Self {
            job: job.to_owned(),
            index,
            status,
            section: Section::Events,
            pending: String::new(),
            started: None,
            node: None,
            end: None,
            term: None,
            run_limit: None,
            peak: None,
            was_killed: false,
        })
    }

    fn read(&mut self, line: &str, now: SystemTime) {
        if time::starts_like_event(line) {
            self.section = Section::Events;
            if let Some((at, what)) = line.split_once(": ") {
                self.event(time::parse(at, now), &squeeze(what));
            }
            return;
        }
        let text = line.trim();
        if text.is_empty() {
            self.section = Section::Events;
        } else if text.starts_with("PENDING REASONS") {
            self.section = Section::Pending;
        } else if let Some(place) = partition::run_limit_place(text) {
            self.section = Section::RunLimit(place);
        } else if let Some(amount) = text.split_once("MAX MEM:").map(|(_, amount)| amount) {
            let amount = amount.split(';').next().unwrap_or_default();
            self.peak = memory::shown(amount).or(self.peak);
        } else {
            match self.section {
                Section::Events => {}
                Section::Pending => {
                    if !self.pending.is_empty() {
                        self.pending.push(' ');
                    }
                    self.pending.push_str(text);
                }
                Section::RunLimit(place) => {
                    self.section = Section::Events;
                    let minutes = partition::minutes(text, place);
                    self.run_limit = minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
                }
            }
        }
    }

    /// Takes in an event, given without blanks: `[2]startedon<vm>;`.
    fn event(&mut self, at: Option<SystemTime>, what: &str) {
        if let Some(start) = what.find("TERM_") {
            let word = &what[start..];
            let end = word
                .find(|c: char| !(c.is_ascii_uppercase() || c == '_'))
                .unwrap_or(word.len());
            self.term = Some(word[..end].to_owned());
        }
        // Elements are named at the start of some: `[2] started on <vm>`.
        let plain = match what.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or(what, |(_, rest)| rest),
            None => what,
        };
        let plain = plain.trim_start_matches(',');
        let is = |words: &str| {
            plain
                .get(..words.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(words))
        };
        if is("started") || is("dispatched") || is("starting") {
            // Whatever came before was an earlier try.
            (self.end, self.term, self.was_killed) = (None, None, false);
            if !is("starting") || self.started.is_none() {
                self.started = at;
            }
            let host = plain
                .split_once('<')
                .and_then(|(_, rest)| rest.split_once('>'));
            self.node = host
                .and_then(|(host, _)| first_host(host))
                .or(self.node.take());
        } else if is("Donesuccessfully") || is("Completed<done>") {
            self.end = Some(End {
                at,
                is_done: true,
                code: Some(0),
                signal: None,
            });
        } else if is("Exited") {
            self.end = Some(End {
                at,
                is_done: false,
                code: number_after(plain, "withexitcode"),
                signal: number_after(plain, "bysignal"),
            });
        } else if is("Completed<exit>") {
            // It may stand below the line with the code.
            self.end.get_or_insert(End {
                at,
                is_done: false,
                code: None,
                signal: None,
            });
        } else if is("Signal<") {
            let signal = plain["Signal<".len()..].split('>').next();
            self.was_killed |= signal.is_some_and(|signal| {
                matches!(signal.trim_start_matches("SIG"), "KILL" | "TERM" | "INT")
            });
        } else if is("Terminationrequest") || is("Deleterequested") {
            self.was_killed = true;
        } else if is("Pending") || is("Requeued") {
            (self.end, self.term, self.started) = (None, None, None);
        }
    }

    fn row(self) -> Row {
        let end = self.end.as_ref();
        // Where nothing says how it ended, the answer was cut, or it is the answer of `bhist` about a job that
        // has not.
        let word = match (self.status.as_deref(), end) {
            (Some("EXIT"), None) if self.term.is_none() => None,
            (Some(word), _) => Some(word),
            (None, Some(End { is_done: true, .. })) => Some("DONE"),
            (None, Some(_)) => Some("EXIT"),
            (None, None) => None,
        };
        let facts = Facts {
            code: end.and_then(|end| end.code),
            signal: end.and_then(|end| end.signal),
            term: self.term.as_deref(),
            started: self.started,
            ended: end.and_then(|end| end.at),
            elapsed: None,
            run_limit: self.run_limit,
            node: self.node.clone(),
            peak: self.peak,
            was_killed: self.was_killed,
            has_history: self.status.is_some(),
        };
        let pending = (!self.pending.is_empty()).then(|| self.pending.clone());
        let (state, is_doubtful) = match word {
            Some(word) => state(word, pending, facts),
            None => (reflow_core::scheduler::JobState::Unknown, false),
        };
        Row {
            job: self.job,
            index: self.index,
            state,
            is_doubtful,
            was_killed: self.was_killed,
        }
    }
}

/// The number after `words`, if it is there in full: a full stop or another mark comes after it.
fn number_after(text: &str, words: &str) -> Option<i32> {
    let (_, rest) = text.split_once(words)?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..end].parse().ok()
}
