//! Which jobs a client is asked about: ids, and elements of them.

use super::ends::state;
use super::name::read_indices;
use crate::fake::client::Client;
use crate::fake::{Answer, Element, Job, Request};

/// A job or elements of it, as an argument names them: `43`, `43[2]`, `43[3-4]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) job: u64,
    pub(super) indices: Option<Vec<u32>>,
    pub(super) written: String,
}

/// An element as a row of a listing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) job: &'a Job,
    pub(super) position: usize,
}

impl Named {
    /// Reads an id. `0` is a job that there is none of.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (number, indices) = match text.split_once('[') {
            None => (text, None),
            Some((number, list)) => {
                let list = list.strip_suffix(']')?;
                (number, Some(read_indices(list, None).ok()?))
            }
        };
        Some(Self {
            job: number.parse().ok()?,
            indices,
            written: text.to_owned(),
        })
    }

    /// Whether it means this element.
    pub(super) fn has(&self, row: Row) -> bool {
        self.job == row.job.number
            && self.indices.as_ref().is_none_or(|indices| {
                row.element()
                    .index
                    .is_some_and(|index| indices.contains(&index))
            })
    }
}

impl<'a> Row<'a> {
    pub(super) fn element(self) -> &'a Element {
        &self.job.elements[self.position]
    }

    pub(super) fn state(self, client: &Client) -> &'static str {
        state(client.dialect, self.element())
    }
}

/// Returns every element of jobs, by number and index.
pub(super) fn rows(jobs: &[Job]) -> Vec<Row<'_>> {
    jobs.iter()
        .flat_map(|job| (0..job.elements.len()).map(move |position| Row { job, position }))
        .collect()
}

/// Reads ids; the error is the exit code after what there was to say.
pub(super) fn read_ids(client: &Client, words: &[String]) -> Result<Vec<Named>, u8> {
    words
        .iter()
        .map(|word| {
            Named::read(word).ok_or_else(|| {
                client.complain(&format!("{word}: Illegal job ID."));
                super::FAILED
            })
        })
        .collect()
}

/// Asks for these jobs, or for all.
pub(super) fn fetch(
    client: &Client,
    ids: Option<&[Named]>,
    with_forgotten: bool,
) -> Result<Vec<Job>, u8> {
    let numbers = ids.map(|ids| ids.iter().map(|id| id.job).collect());
    let request = if with_forgotten {
        Request::History(numbers)
    } else {
        Request::List(numbers)
    };
    match client.ask(&request) {
        Ok(Answer::Jobs(jobs)) => Ok(jobs),
        other => Err(super::no_answer(client, &other)),
    }
}

/// Why an element has not been started, in the words of `bjobs -p`, without the blank in front.
pub(super) fn pending_reason(client: &Client, row: Row) -> String {
    use crate::fake::{Dialect, Waiting};
    let submission = &row.job.submission;
    if let Some(never) = &submission.never {
        return never.clone();
    }
    if row.element().held {
        return "Job was suspended by the user while pending;".to_owned();
    }
    let waiting = match row.job.waiting {
        Waiting::No => row.element().waiting,
        job => job,
    };
    match waiting {
        // "reason `Dependency condition invalid or never satisfied: 1 host;`". On IBM LSF it is a reason
        // of the job and not of hosts.
        Waiting::Never if client.dialect == Dialect::OpenLava => {
            return "Dependency condition invalid or never satisfied: 1 host;".to_owned();
        }
        Waiting::Never => return "Dependency condition invalid or never satisfied;".to_owned(),
        Waiting::Yes => return "Job dependency condition not satisfied;".to_owned(),
        Waiting::No => {}
    }
    if !row.job.is_due(crate::fake::now()) {
        return "The specified begin time of the job has not been reached;".to_owned();
    }
    let limit = submission.array.as_ref().and_then(|array| array.limit);
    let busy = row.job.counts.running + row.job.counts.exiting;
    if limit.is_some_and(|limit| busy >= limit as usize) {
        // IBM's page of `bjobs -p` has these words.
        return "The job array has reached its job slot limit;".to_owned();
    }
    "New job is waiting for scheduling;".to_owned()
}
