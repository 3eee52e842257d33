use std::collections::BTreeSet;

use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{Found, SchedulerError, SchedulerErrorKind};

use crate::config::Dialect;
use crate::connect::Pbs;
use crate::parse::Id;
use crate::{fault, query};

/// Looks jobs up by name, those that have ended as well.
pub(crate) async fn find(pbs: &Pbs, tags: &[Tag]) -> Result<Vec<Found>, SchedulerError> {
    match pbs.dialect {
        Dialect::OpenPbs => select(pbs, tags).await,
        Dialect::Torque if tags.is_empty() => Ok(Vec::new()),
        Dialect::Torque => list(pbs, tags).await,
    }
}

/// Asks Torque about all jobs at once. Its elements have names of their own, `NAME-3`, which `qselect` does
/// not find by that of their array.
async fn list(pbs: &Pbs, tags: &[Tag]) -> Result<Vec<Found>, SchedulerError> {
    let answer = query::jobs_of_all(pbs).await?;
    let of = |tag: &Tag| -> BTreeSet<JobId> {
        let is_of = |name: &str| {
            let index = name.strip_prefix(tag.as_str());
            index.is_some_and(|index| index.is_empty() || index.starts_with('-'))
        };
        (answer.records.iter())
            .filter(|record| record.name.as_deref().is_some_and(is_of))
            .filter_map(|record| JobId::new(Id::parse(&record.id)?.whole()).ok())
            .collect()
    };
    Ok(tags
        .iter()
        .map(|tag| found(of(tag), pbs.capabilities.history.is_some()))
        .collect())
}

/// Asks OpenPBS with `qselect -N` for each tag.
///
/// The server looks through its names and answers with ids alone. The other way, one `qstat` of all jobs,
/// would bring everybody's jobs of two weeks, each with its whole environment.
async fn select(pbs: &Pbs, tags: &[Tag]) -> Result<Vec<Found>, SchedulerError> {
    let (a, b, c, d) = tokio::try_join!(
        lane(pbs, tags, 0),
        lane(pbs, tags, 1),
        lane(pbs, tags, 2),
        lane(pbs, tags, 3),
    )?;
    let mut lanes = [a.into_iter(), b.into_iter(), c.into_iter(), d.into_iter()];
    Ok((0..tags.len())
        .filter_map(|position| lanes[position % 4].next())
        .collect())
}

/// A name that nobody has is absent only where ended jobs are remembered.
fn found(jobs: BTreeSet<JobId>, remembers: bool) -> Found {
    if !jobs.is_empty() {
        Found::Present(jobs.into_iter().collect())
    } else if remembers {
        Found::Absent
    } else {
        Found::Unknowable
    }
}

/// Looks up every fourth tag.
async fn lane(pbs: &Pbs, tags: &[Tag], first: usize) -> Result<Vec<Found>, SchedulerError> {
    let mut found = Vec::new();
    for tag in tags.iter().skip(first).step_by(4) {
        found.push(look_up(pbs, tag).await?);
    }
    Ok(found)
}

async fn look_up(pbs: &Pbs, tag: &Tag) -> Result<Found, SchedulerError> {
    let mut with_history = pbs.has_history();
    loop {
        let mut call = query::question("qselect");
        call.argv.extend(with_history.then(|| "-x".to_owned()));
        call.argv.extend(["-N".to_owned(), tag.to_string()]);
        let output = query::ask(pbs, &call).await?;
        if with_history && output.stderr_text().contains(fault::NO_HISTORY) {
            with_history = false;
            continue;
        }
        if !output.success() {
            return Err(query::failed(&output, "`qselect` failed"));
        }
        let jobs = read(&output.stdout_text()).map_err(|line| {
            output
                .error(
                    SchedulerErrorKind::UnexpectedOutput,
                    "could not read the answer of `qselect`",
                )
                .with_context("line", line)
        })?;
        return Ok(found(jobs, with_history));
    }
}

/// Reads ids, one a line; elements stand for their array. The error is a line that is none, or that was
/// cut.
fn read(text: &str) -> Result<BTreeSet<JobId>, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(text.lines().next_back().unwrap_or_default().to_owned());
    }
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let id = Id::parse(line).filter(|id| !id.server.is_empty());
            id.and_then(|id| JobId::new(id.whole()).ok())
                .ok_or_else(|| line.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_one_array_are_one_job() {
        let jobs = read("20[].localhost\n20[1].localhost\n4.localhost\n").expect("is understood");
        let shown: Vec<String> = jobs.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["20[].localhost", "4.localhost"]);
        assert_eq!(read(""), Ok(BTreeSet::new()));
        assert_eq!(read("hello there\n"), Err("hello there".to_owned()));
        assert_eq!(read("4.localhost\n5.loc"), Err("5.loc".to_owned()));
    }
}
