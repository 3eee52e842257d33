use std::collections::BTreeMap;

use reflow_core::scheduler::client::Flags;
use reflow_core::scheduler::{
    ArrayRequest, Dependency, DependencyKind, JOB_ID_VARIABLE, JobRequest, Rendered,
    SchedulerError, SchedulerErrorKind, check, script,
};

use crate::connect::Lsf;
use crate::dialect::Dialect;
use crate::parents::{Parent, Parents};
use crate::{guard, query};

mod resources;

/// The expression of an element's index: LSF counts from 1.
const INDEX: &str = "$((LSB_JOBINDEX - 1))";

/// Renders `request` for `bsub`, the script on standard input: words of a command are joined with spaces
/// and read by a shell again.
pub(crate) fn render(lsf: &Lsf, request: &JobRequest) -> Result<Rendered, SchedulerError> {
    with_parents(lsf, request, &Parents::new())
}

/// Renders `request` with what is known of its parents.
pub(crate) fn with_parents(
    lsf: &Lsf,
    request: &JobRequest,
    parents: &Parents<'_>,
) -> Result<Rendered, SchedulerError> {
    check::request(request, &lsf.capabilities)?;
    let mut flags = Flags::new(["bsub"]);
    flags.short('J', name(request.tag.as_str(), request.array));
    if let Some(comment) = &request.comment
        && lsf.dialect.is_ibm()
    {
        flags.word("-Jd");
        flags.word(comment.replace(char::is_control, " "));
    }
    if let Some(condition) = dependencies(&request.dependencies, parents)? {
        flags.short('w', condition);
        if lsf.dialect.ends_orphans() && request.dependencies.iter().any(can_fail) {
            flags.word("-ti");
        }
    }
    match (request.requeue, lsf.dialect.is_ibm()) {
        (true, _) => flags.word("-r"),
        (false, true) => flags.word("-rn"),
        (false, false) => {}
    }
    if let Some(seconds) = request.not_before_in(60)? {
        flags.short('b', begin(lsf.dialect, seconds)?);
    }
    // The script writes the output itself: LSF would put its report into the same file, and count elements
    // from 1 in the file's name. Without `-o` it sends the output by mail.
    flags.short('o', "/dev/null");
    resources::add(&mut flags, lsf, &request.resources)?;
    flags.extend(&lsf.extra);
    flags.extend(&request.extra);

    // `bsub` passes its whole environment on to the job.
    let mut environment = BTreeMap::from([("LSB_NTRIES".to_owned(), "1".to_owned())]);
    let mut prologue = vec![
        redirection(request)?,
        format!("export {JOB_ID_VARIABLE}=\"$LSB_JOBID\""),
        script::restore("LSB_NTRIES", None),
        script::restore("LC_ALL", lsf.locale.as_deref()),
    ];
    if request.not_before.is_some() {
        // `-b` is read in the client's time zone.
        environment.insert("TZ".to_owned(), "UTC".to_owned());
        prologue.push(script::restore("TZ", lsf.time_zone.as_deref()));
    }
    if let (Some(time), Dialect::OpenLava) = (request.resources.time, lsf.dialect) {
        let seconds = time.minutes().saturating_mul(60);
        prologue.push(guard::lines(
            seconds.saturating_add(lsf.run_limit_grace.as_secs()),
        ));
    }
    let mut command = request.command.clone();
    for line in &mut command.setup {
        *line = undirected(line);
    }
    let index = request.array.map(|_| INDEX);
    Ok(Rendered {
        argv: flags.into_argv(),
        stdin: script::body(&command, index, &prologue)?,
        environment,
    })
}

/// The name, with the indexes of an array. An array of one element is one too: element-wise dependencies
/// need arrays on both sides.
fn name(tag: &str, array: Option<ArrayRequest>) -> String {
    let Some(array) = array else {
        return tag.to_owned();
    };
    let range = match array.count {
        1 => "1".to_owned(),
        count => format!("1-{count}"),
    };
    let limit = array
        .at_most
        .map_or_else(String::new, |at_most| format!("%{at_most}"));
    format!("{tag}[{range}]{limit}")
}

/// Whether LSF may find that a condition can never hold.
fn can_fail(dependency: &Dependency) -> bool {
    matches!(
        dependency.kind,
        DependencyKind::Ok | DependencyKind::NotOk | DependencyKind::ElementWise
    )
}

/// Returns the condition, or none where nothing is left of it: a parent that LSF no longer knows has ended.
fn dependencies(
    dependencies: &[Dependency],
    parents: &Parents<'_>,
) -> Result<Option<String>, SchedulerError> {
    let mut terms = Vec::new();
    for dependency in dependencies {
        let number = query::number(&dependency.job)
            .ok_or_else(|| invalid(format!("`{}` is not the id of an LSF job", dependency.job)))?;
        let parent = parents.get(number);
        let term = match (dependency.kind, parent) {
            (DependencyKind::Any | DependencyKind::ElementWiseAny, Some(Parent::Gone)) => continue,
            (_, Some(Parent::Gone)) => {
                return Err(SchedulerError::new(
                    SchedulerErrorKind::Rejected,
                    format!(
                        "LSF no longer knows job {number}, and cannot tell how it ended, which the job was to depend on"
                    ),
                ));
            }
            (DependencyKind::Ok, _) => format!("done({number})"),
            (DependencyKind::Any, _) => format!("ended({number})"),
            // Of an array, one element is enough: IBM's documentation of `bsub -w`.
            (DependencyKind::NotOk, Some(Parent::Array)) => format!("numexit({number}, > 0)"),
            (DependencyKind::NotOk, _) => format!("exit({number})"),
            (DependencyKind::ElementWise, _) => format!("done({number}[*])"),
            (DependencyKind::ElementWiseAny, _) => format!("ended({number}[*])"),
        };
        terms.push(term);
    }
    Ok((!terms.is_empty()).then(|| terms.join(" && ")))
}

/// Returns the earliest start as `year:month:day:hour:minute`, in UTC; openlava has no year.
fn begin(dialect: Dialect, seconds: i64) -> Result<String, SchedulerError> {
    let time = jiff::Timestamp::from_second(seconds).map_err(|error| {
        invalid("the earliest start is out of range".to_owned()).with_source(error)
    })?;
    let format = if dialect.is_ibm() {
        "%Y:%m:%d:%H:%M"
    } else {
        "%m:%d:%H:%M"
    };
    Ok(time.strftime(format).to_string())
}

/// The line that sends the output of everything after it to its files.
fn redirection(request: &JobRequest) -> Result<String, SchedulerError> {
    let stdout = check::text("the path of standard output", &request.output.stdout)?;
    let stderr = check::text("the path of standard error", &request.output.stderr)?;
    let suffix = match request.array {
        Some(_) => format!(".\"{INDEX}\""),
        None => String::new(),
    };
    let file = |path| format!(">>{}{suffix}", script::quote(path));
    let stderr = if stdout == stderr {
        "2>&1".to_owned()
    } else {
        format!("2{}", file(stderr))
    };
    Ok(format!("exec {} {stderr} || exit 1", file(stdout)))
}

/// Returns a setup line that LSF does not take for a directive: it looks for `#BSUB` in the whole script.
fn undirected(line: &str) -> String {
    line.split('\n')
        .map(|line| {
            if line.starts_with("#BSUB") {
                format!(" {line}")
            } else {
                line.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn invalid(message: String) -> SchedulerError {
    SchedulerError::new(SchedulerErrorKind::InvalidRequest, message)
}

#[cfg(test)]
pub(crate) mod tests;
