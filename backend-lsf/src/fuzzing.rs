//! The parsers, for the fuzz targets, the collected corpus, and benchmarks. Not for other use: it changes
//! with them.

use std::time::{Duration, SystemTime};

use crate::config::{Site, unit_for_limits};
use crate::dialect::Dialect;
use crate::parse::{self, Format, Row};
use crate::{partition, status};

/// 2026-11-22 17:00:00: years are told from the time of asking.
const NOW: Duration = Duration::from_hours(498_713);

/// Reads an answer of `bjobs -o`, and makes states of it. Returns the number of parts of jobs that are told
/// apart, or none for what is no answer.
pub fn lsf_custom(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer);
    Some(states(
        parse::custom(&text, SystemTime::UNIX_EPOCH + NOW).ok()?,
    ))
}

/// The same for an answer of `bjobs -l` or `bhist -l`.
pub fn lsf_long(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer);
    let parts = states(parse::long(&text, SystemTime::UNIX_EPOCH + NOW));
    (parts > 0).then_some(parts)
}

/// Reads the names in an answer of `bjobs -o`, `bjobs -w` or `bhist -w`, and the jobs that it says are
/// unknown. Returns their number.
pub fn lsf_names(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer);
    let names = [
        parse::names(Format::Custom, &text),
        parse::names(Format::Long, &text),
        parse::history_names(&text),
    ];
    let number = names.iter().map(Vec::len).sum::<usize>() + parse::not_found(&text).len();
    (number > 0).then_some(number)
}

/// Reads what a cluster says about itself: `bsub -V`, `bparams`, `bqueues -l`, `lsf.conf`. Returns the number
/// of queues.
pub fn lsf_site(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer);
    let _dialect = Dialect::parse(&text);
    let _unit = unit_for_limits(&text);
    let site = Site::parse(&text);
    let queues = partition::with_default(partition::parse(&text), &site.default_queues);
    (!queues.is_empty()).then_some(queues.len())
}

fn states(rows: Vec<Row>) -> usize {
    let states = status::of_rows(rows);
    states.iter().map(|state| state.elements.len().max(1)).sum()
}
