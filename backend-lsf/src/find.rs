use std::collections::{BTreeMap, BTreeSet};

use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{Found, SchedulerError};

use crate::connect::Lsf;
use crate::parse::{self, Named};
use crate::query;

/// Job ids by tag.
type Jobs<'a> = BTreeMap<&'a str, BTreeSet<JobId>>;

/// Looks jobs up by name: among those that LSF remembers, then, for what is not there, in its history. All
/// the user's jobs are listed: `-J` takes one name.
pub(crate) async fn find(lsf: &Lsf, tags: &[Tag]) -> Result<Vec<Found>, SchedulerError> {
    let mut jobs = Jobs::new();
    if tags.is_empty() {
        return Ok(Vec::new());
    }
    collect(&mut jobs, tags, ask_queue(lsf).await?);
    let is_found = |jobs: &Jobs<'_>, tag: &Tag| jobs.contains_key(tag.as_str());
    let mut history_answered = true;
    if !tags.iter().all(|tag| is_found(&jobs, tag)) {
        match ask_history(lsf).await {
            Ok(named) => collect(&mut jobs, tags, named),
            Err(error) => {
                tracing::warn!(%error, "the history could not be asked");
                history_answered = false;
            }
        }
    }
    Ok(tags
        .iter()
        .map(|tag| match jobs.get(tag.as_str()) {
            Some(ids) => Found::Present(ids.iter().cloned().collect()),
            None if history_answered => Found::Absent,
            None => Found::Unknowable,
        })
        .collect())
}

fn collect<'a>(jobs: &mut Jobs<'a>, tags: &'a [Tag], named: Vec<Named>) {
    let wanted: BTreeSet<&str> = tags.iter().map(Tag::as_str).collect();
    for row in named {
        if let Some(tag) = wanted.get(row.name.as_str())
            && let Ok(id) = JobId::new(row.job)
        {
            jobs.entry(tag).or_default().insert(id);
        }
    }
}

async fn ask_queue(lsf: &Lsf) -> Result<Vec<Named>, SchedulerError> {
    let mut argv = vec!["bjobs"];
    argv.extend(lsf.format.name_arguments());
    let answer = query::ask(lsf, &argv).await?;
    let named = parse::names(lsf.format, &answer.stdout());
    // An empty answer is no answer: with no jobs, `bjobs` says so.
    if answer.is_cut_off() || (named.is_empty() && !answer.is_nothing()) {
        return Err(answer.error("could not read the answer of `bjobs`"));
    }
    Ok(named)
}

async fn ask_history(lsf: &Lsf) -> Result<Vec<Named>, SchedulerError> {
    let logs = lsf.history_logs.map(|logs| logs.to_string());
    let mut argv = vec!["bhist", "-a", "-w"];
    argv.extend(logs.iter().flat_map(|logs| ["-n", logs.as_str()]));
    let answer = query::ask(lsf, &argv).await?;
    let named = parse::history_names(&answer.stdout());
    if answer.is_cut_off() || (named.is_empty() && !answer.is_nothing()) {
        return Err(answer.error("could not read the answer of `bhist`"));
    }
    Ok(named)
}
