//! Refuses what makes no sense or what a batch system lacks, once for all backends.
//!
//! Every backend calls [`request`] before it renders, so that the same mistake gets the same words
//! everywhere.

use std::path::Path;

use super::{
    Capabilities, DependencyKind, JobRequest, Resources, SchedulerError, SchedulerErrorKind, script,
};

/// Checks `request` against `capabilities`.
///
/// # Errors
/// [`SchedulerErrorKind::InvalidRequest`] for what no batch system could do,
/// [`SchedulerErrorKind::Unsupported`] for what this one lacks.
pub fn request(request: &JobRequest, capabilities: &Capabilities) -> Result<(), SchedulerError> {
    script::check(&request.command)?;
    path("the working directory", &request.command.directory)?;
    path("the path of standard output", &request.output.stdout)?;
    path("the path of standard error", &request.output.stderr)?;
    array(request, capabilities)?;
    dependencies(request, capabilities)?;
    if request.not_before.is_some() && !capabilities.not_before {
        return unsupported("a job that must not start before a time");
    }
    resources(&request.resources)?;
    for flag in &request.extra {
        plain("an extra flag", flag)?;
    }
    Ok(())
}

/// Returns the path `what` as text.
///
/// # Errors
/// [`SchedulerErrorKind::InvalidRequest`] when it is not UTF-8.
pub fn text<'a>(what: &str, path: &'a Path) -> Result<&'a str, SchedulerError> {
    path.to_str().ok_or_else(|| {
        SchedulerError::new(
            SchedulerErrorKind::InvalidRequest,
            format!("{what} `{}` is not UTF-8", path.display()),
        )
    })
}

fn path(what: &str, path: &Path) -> Result<(), SchedulerError> {
    let text = text(what, path)?;
    if text.contains('\0') {
        return invalid(format!("{what} has a NUL character: {text:?}"));
    }
    if !path.is_absolute() {
        return invalid(format!("{what} `{text}` is not absolute"));
    }
    Ok(())
}

fn array(request: &JobRequest, capabilities: &Capabilities) -> Result<(), SchedulerError> {
    let Some(array) = request.array else {
        return Ok(());
    };
    if array.count == 0 {
        return invalid("an array needs at least one element".to_owned());
    }
    if let Some(limit) = capabilities.array_limit
        && array.count > limit
    {
        return unsupported(&format!(
            "an array of {} elements: the most is {limit}",
            array.count
        ));
    }
    match array.at_most {
        Some(0) => invalid("at most 0 running elements would never start".to_owned()),
        Some(_) if !capabilities.concurrency_limit => {
            unsupported("a limit on the elements of an array that run at the same time")
        }
        _ => Ok(()),
    }
}

fn dependencies(request: &JobRequest, capabilities: &Capabilities) -> Result<(), SchedulerError> {
    for dependency in &request.dependencies {
        match dependency.kind {
            DependencyKind::NotOk if !capabilities.after_not_ok => {
                return unsupported("a job that depends on the failure of another");
            }
            DependencyKind::ElementWise if !capabilities.element_wise => {
                return unsupported("a dependency from element to element");
            }
            DependencyKind::ElementWiseAny if !capabilities.element_wise_any => {
                return unsupported(
                    "a dependency from element to element that holds whatever becomes of the first",
                );
            }
            kind if kind.is_element_wise() && request.array.is_none() => {
                return invalid(format!(
                    "the element-wise dependency on job {} needs an array",
                    dependency.job
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn resources(resources: &Resources) -> Result<(), SchedulerError> {
    let counts = [
        ("cpus", resources.cpus),
        ("nodes", resources.nodes),
        ("tasks", resources.tasks),
    ];
    for (name, count) in counts {
        if count == Some(0) {
            return invalid(format!("`{name}` must be at least 1"));
        }
    }
    let texts = [
        ("partition", &resources.partition),
        ("account", &resources.account),
        ("qos", &resources.qos),
        ("constraint", &resources.constraint),
        ("reservation", &resources.reservation),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            if text.is_empty() {
                return invalid(format!("`{name}` is empty"));
            }
            plain(&format!("`{name}`"), text)?;
        }
    }
    if let Some(gpus) = &resources.gpus {
        gpu_count(gpus)?;
    }
    if let Some(signal) = &resources.signal
        && (signal.name.is_empty() || !signal.name.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        return invalid(format!(
            "`{}` is not the name of a signal: write it without `SIG`, such as `USR1`",
            signal.name
        ));
    }
    if let Some(mail) = &resources.mail {
        if mail.on.is_empty() {
            return invalid("`mail` names no event to send mail on".to_owned());
        }
        if let Some(to) = &mail.to {
            plain("the mail address", to)?;
        }
    }
    Ok(())
}

/// Returns the type, if one is named, and the count of `gpus`: `2`, `a100:2`.
pub fn gpu_count(gpus: &str) -> Result<(Option<&str>, u32), SchedulerError> {
    let (kind, count) = match gpus.rsplit_once(':') {
        Some((kind, count)) => (Some(kind), count),
        None => (None, gpus),
    };
    let is_kind = |kind: &str| {
        !kind.is_empty()
            && kind
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match count.parse() {
        Ok(count) if count > 0 && kind.is_none_or(is_kind) => Ok((kind, count)),
        _ => Err(SchedulerError::new(
            SchedulerErrorKind::InvalidRequest,
            format!(
                "`gpus` is `{gpus}`: write a count, with an optional type before it, such as `2` or `a100:2`"
            ),
        )),
    }
}

fn plain(what: &str, text: &str) -> Result<(), SchedulerError> {
    if text.chars().any(char::is_control) {
        return invalid(format!("{what} has a control character: {text:?}"));
    }
    Ok(())
}

fn invalid(message: String) -> Result<(), SchedulerError> {
    Err(SchedulerError::new(
        SchedulerErrorKind::InvalidRequest,
        message,
    ))
}

fn unsupported(what: &str) -> Result<(), SchedulerError> {
    Err(SchedulerError::new(
        SchedulerErrorKind::Unsupported,
        format!("this batch system does not have {what}"),
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::id::{JobId, Tag};
    use crate::scheduler::{ArrayRequest, Command, Dependency, FailedParent, OutputPaths};

    fn capabilities(all: bool) -> Capabilities {
        Capabilities {
            array_limit: Some(10),
            array_base: 0,
            element_wise: all,
            element_wise_any: all,
            failed_parent: FailedParent::Cancelled,
            releases_cancelled: all,
            after_not_ok: all,
            not_before: all,
            concurrency_limit: all,
            element_cancel: all,
            history: None,
            submit_from_jobs: all,
            serves_indices: all,
            message_timeout: Duration::ZERO,
            may_stall: false,
            partitions: Vec::new(),
        }
    }

    fn job() -> JobRequest {
        JobRequest {
            tag: Tag::from_digest('r', &blake3::hash(b"x")),
            comment: None,
            command: Command {
                argv: vec!["true".into()],
                directory: "/".into(),
                environment: BTreeMap::new(),
                setup: Vec::new(),
                serves_indices: false,
            },
            array: None,
            dependencies: Vec::new(),
            resources: Resources::default(),
            not_before: None,
            output: OutputPaths {
                stdout: "/o".into(),
                stderr: "/e".into(),
            },
            requeue: false,
            extra: Vec::new(),
        }
    }

    fn words(change: impl FnOnce(&mut JobRequest), all: bool) -> String {
        let mut job = job();
        change(&mut job);
        request(&job, &capabilities(all))
            .expect_err("is refused")
            .to_string()
    }

    fn with_array(count: u32, at_most: Option<u32>) -> impl FnOnce(&mut JobRequest) {
        move |job| job.array = Some(ArrayRequest { count, at_most })
    }

    fn with_dependency(kind: DependencyKind) -> impl FnOnce(&mut JobRequest) {
        move |job| {
            let parent = JobId::new("7").expect("is an id");
            job.dependencies.push(Dependency { job: parent, kind });
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(request(&job(), &capabilities(false)).is_ok());
        insta::assert_snapshot!(words(with_array(0, None), true), @"an array needs at least one element");
        insta::assert_snapshot!(words(with_array(2, Some(0)), true), @"at most 0 running elements would never start");
        insta::assert_snapshot!(words(|job| job.command.argv.clear(), true), @"the command is empty");
        insta::assert_snapshot!(words(|job| job.command.directory = "work".into(), true), @"the working directory `work` is not absolute");
        insta::assert_snapshot!(words(|job| job.output.stderr = "/a\0".into(), true), @r#"the path of standard error has a NUL character: "/a\0""#);
        insta::assert_snapshot!(words(|job| job.resources.gpus = Some("a100".into()), true), @"`gpus` is `a100`: write a count, with an optional type before it, such as `2` or `a100:2`");
        insta::assert_snapshot!(words(|job| job.resources.cpus = Some(0), true), @"`cpus` must be at least 1");
        insta::assert_snapshot!(words(with_dependency(DependencyKind::ElementWise), true), @"the element-wise dependency on job 7 needs an array");
    }

    #[test]
    fn what_the_batch_system_lacks_is_refused_by_name() {
        insta::assert_snapshot!(words(with_array(11, None), false), @"this batch system does not have an array of 11 elements: the most is 10");
        insta::assert_snapshot!(words(with_array(2, Some(1)), false), @"this batch system does not have a limit on the elements of an array that run at the same time");
        insta::assert_snapshot!(words(with_dependency(DependencyKind::NotOk), false), @"this batch system does not have a job that depends on the failure of another");
        insta::assert_snapshot!(words(with_dependency(DependencyKind::ElementWise), false), @"this batch system does not have a dependency from element to element");
        insta::assert_snapshot!(words(with_dependency(DependencyKind::ElementWiseAny), false), @"this batch system does not have a dependency from element to element that holds whatever becomes of the first");
        insta::assert_snapshot!(words(|job| job.not_before = Some(SystemTime::UNIX_EPOCH), false), @"this batch system does not have a job that must not start before a time");
    }
}
