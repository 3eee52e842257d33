//! Which parents of a request LSF still knows.
//!
//! LSF refuses a submission that names a parent which has left its memory (`No matching job found`), an hour
//! after that ended by default. Such a parent has ended, so a condition on its end holds.

use std::collections::BTreeMap;

use reflow_core::scheduler::{JobRequest, SchedulerError, client};

use crate::connect::Lsf;
use crate::{parse, query};

/// What is known of a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parent {
    /// A job.
    Plain,
    /// An array.
    Array,
    /// LSF says that it does not know it.
    Gone,
}

/// Parents by number. One that is missing was not asked about.
pub(crate) type Parents<'a> = BTreeMap<&'a str, Parent>;

/// Asks about all parents at once.
///
/// # Errors
/// Temporary ones, also where an answer says nothing of one of them.
pub(crate) async fn ask<'a>(
    lsf: &Lsf,
    request: &'a JobRequest,
) -> Result<Parents<'a>, SchedulerError> {
    let numbers = query::numbers(request.dependencies.iter().map(|parent| &parent.job));
    let mut parents = Parents::new();
    for part in client::parts(&numbers, client::LONGEST_ARGUMENT) {
        let mut argv = vec!["bjobs"];
        argv.extend(lsf.format.name_arguments());
        argv.extend(part);
        let answer = query::ask(lsf, &argv).await?;
        if answer.is_cut_off() {
            return Err(answer.error("could not read the answer of `bjobs`"));
        }
        let known = parse::names(lsf.format, &answer.stdout());
        let missing = parse::not_found(&answer.stderr());
        let says_nothing = answer.is_nothing();
        for number in part {
            let rows = known.iter().filter(|row| row.job == *number);
            let is_array: Vec<bool> = rows.map(|row| row.is_element).collect();
            let parent = if is_array.contains(&true) {
                Parent::Array
            } else if !is_array.is_empty() {
                Parent::Plain
            } else if missing.contains(*number) || (says_nothing && part.len() == 1) {
                Parent::Gone
            } else {
                let message = format!("`bjobs` does not say whether it knows job {number}");
                return Err(answer.error(&message));
            };
            parents.insert(*number, parent);
        }
    }
    Ok(parents)
}
