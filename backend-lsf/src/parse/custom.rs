use std::time::{Duration, SystemTime};

use super::end::Facts;
use super::{Row, first_host, job_and_index, state, time};
use crate::memory;

/// Reads the answer of `bjobs -o` with [`FIELDS`](super::FIELDS). The error is a line that does not fit, or
/// one that was cut: what is missing from half an answer may be in the queue all the same.
pub(crate) fn custom(text: &str, now: SystemTime) -> Result<Vec<Row>, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(text.lines().next_back().unwrap_or_default().to_owned());
    }
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| row(line, now).ok_or_else(|| line.to_owned()))
        .collect()
}

fn row(line: &str, now: SystemTime) -> Option<Row> {
    let mut fields = line.splitn(10, '^').map(str::trim);
    let mut next = || fields.next();
    let (id, index, stat, code) = (next()?, next()?, next()?, next()?);
    let (exit_reason, peak, elapsed, start) = (next()?, next()?, next()?, next()?);
    let (host, pending) = (next()?, next()?);
    let (job, in_id) = job_and_index(id)?;
    let index = match index {
        "" | "-" => in_id,
        index => index.parse().ok()?,
    };
    let elapsed = elapsed.split(' ').next()?.parse().ok();
    let elapsed = elapsed.map(Duration::from_secs);
    let started = time::parse(start, now);
    let facts = Facts {
        code: code.parse().ok(),
        // `TERM_RUNLIMIT: job killed after reaching LSF run time limit`
        term: exit_reason
            .split([':', ' ', ';', '.'])
            .find(|word| word.starts_with("TERM_")),
        started,
        ended: started
            .zip(elapsed)
            .and_then(|(start, ran)| start.checked_add(ran)),
        elapsed: elapsed.filter(|_| started.is_some()),
        node: first_host(host),
        peak: memory::shown(peak),
        ..Facts::default()
    };
    let pending = (!matches!(pending, "" | "-")).then(|| pending.to_owned());
    let (state, is_doubtful) = state(stat, pending, facts);
    Some(Row {
        job: job.to_owned(),
        index,
        state,
        is_doubtful,
        was_killed: false,
    })
}
