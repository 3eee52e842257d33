//! What a request asks for, in terms of one machine.

use reflow_core::scheduler::{
    DependencyKind, Exclusive, JobRequest, Memory, Rendered, SchedulerError, SchedulerErrorKind,
    script,
};

use crate::queue::Needs;
use crate::settings::Settings;

fn unsupported(name: &str) -> SchedulerError {
    let hint = if crate::settings::IGNORABLE.contains(&name) {
        format!("; leave it out, or set `backend.local.ignore = [\"{name}\"]`")
    } else {
        "; leave it out".to_owned()
    };
    SchedulerError::new(
        SchedulerErrorKind::Unsupported,
        format!("the local backend has no `{name}`{hint}"),
    )
}

fn invalid(message: impl Into<String>) -> SchedulerError {
    SchedulerError::new(SchedulerErrorKind::InvalidRequest, message)
}

/// Refuses what this backend cannot do or nobody can.
pub(crate) fn check(request: &JobRequest, settings: &Settings) -> Result<(), SchedulerError> {
    let resources = &request.resources;
    let set = [
        ("partition", resources.partition.is_some()),
        ("account", resources.account.is_some()),
        ("qos", resources.qos.is_some()),
        ("constraint", resources.constraint.is_some()),
        ("reservation", resources.reservation.is_some()),
        ("gpus", resources.gpus.is_some()),
        ("mail", resources.mail.is_some()),
        (
            "exclusive = \"user\"",
            resources.exclusive == Some(Exclusive::User),
        ),
        ("extra", !request.extra.is_empty()),
    ];
    for (name, is_set) in set {
        if is_set && !settings.ignores(name) {
            return Err(unsupported(name));
        }
    }
    if resources.nodes.is_some_and(|nodes| nodes != 1) {
        return Err(SchedulerError::new(
            SchedulerErrorKind::Unsupported,
            "the local backend has one node: leave `nodes` out, or set it to 1",
        ));
    }
    if resources.cpus == Some(0) || resources.tasks == Some(0) {
        return Err(invalid("`cpus` and `tasks` are at least 1"));
    }
    if let Some(signal) = &resources.signal
        && crate::tree::signal(&signal.name).is_none()
    {
        return Err(invalid(format!(
            "`{}` is not the name of a signal that can be sent ahead of the walltime: use one such as `USR1`, `INT` or `TERM`",
            signal.name
        )));
    }
    if let Some(array) = request.array {
        if array.count == 0 || array.at_most == Some(0) {
            return Err(invalid(
                "an array has at least one element, and at least one may run",
            ));
        }
        if array.count > crate::ARRAY_LIMIT {
            return Err(SchedulerError::new(
                SchedulerErrorKind::Rejected,
                format!(
                    "an array has at most {} elements, not {}",
                    crate::ARRAY_LIMIT,
                    array.count
                ),
            ));
        }
    }
    if !request.command.directory.is_absolute() {
        return Err(invalid(format!(
            "the working directory `{}` is not absolute",
            request.command.directory.display()
        )));
    }
    script::body(&request.command, None, &[]).map(|_| ())
}

/// Returns what an element needs, or a refusal where the machine does not have it.
pub(crate) fn needs(request: &JobRequest, capacity: Needs) -> Result<Needs, SchedulerError> {
    let needs = demand(request, capacity);
    if needs.fits(capacity) {
        return Ok(needs);
    }
    let what = if needs.cpus > capacity.cpus {
        format!(
            "it needs {} cores, and this machine has {} to give",
            needs.cpus, capacity.cpus
        )
    } else {
        format!(
            "it needs {} MiB of memory, and this machine has {} MiB to give",
            needs.memory >> 20,
            capacity.memory >> 20
        )
    };
    Err(SchedulerError::new(
        SchedulerErrorKind::Rejected,
        format!("the job can never start: {what}"),
    ))
}

/// Returns what an element needs, whether or not the machine has it.
pub(crate) fn demand(request: &JobRequest, capacity: Needs) -> Needs {
    let resources = &request.resources;
    let tasks = resources.tasks.unwrap_or(1);
    let needs = Needs {
        cpus: resources.cpus.unwrap_or(1).saturating_mul(tasks).max(1),
        memory: resources.mem.map_or(0, Memory::bytes),
    };
    if resources.exclusive == Some(Exclusive::Node) {
        Needs {
            cpus: needs.cpus.max(capacity.cpus),
            memory: needs.memory.max(capacity.memory),
        }
    } else {
        needs
    }
}

/// Renders a request: the flags stand for what is sent to the supervisor, the script for what it runs.
pub(crate) fn render(
    request: &JobRequest,
    settings: &Settings,
) -> Result<Rendered, SchedulerError> {
    check(request, settings)?;
    let resources = &request.resources;
    let mut argv = vec!["reflow-local".to_owned(), format!("--name={}", request.tag)];
    let mut flag = |name: &str, value: String| argv.push(format!("--{name}={value}"));
    if let Some(comment) = &request.comment {
        flag("comment", comment.clone());
    }
    if let Some(cpus) = resources.cpus {
        flag("cpus", cpus.to_string());
    }
    if let Some(tasks) = resources.tasks {
        flag("tasks", tasks.to_string());
    }
    if let Some(nodes) = resources.nodes {
        flag("nodes", nodes.to_string());
    }
    if let Some(memory) = resources.mem {
        flag("mem", memory.to_string());
    }
    if let Some(time) = resources.time {
        flag("time", time.to_string());
    }
    if let Some(signal) = &resources.signal {
        let before = signal.before.seconds();
        flag("signal", format!("{}@{before}", signal.name));
    }
    if resources.exclusive.is_some() {
        flag("exclusive", "node".to_owned());
    }
    if let Some(array) = request.array {
        let at_most = array.at_most.map(|limit| format!("%{limit}"));
        let last = array.count - 1;
        flag("array", format!("0-{last}{}", at_most.unwrap_or_default()));
    }
    for dependency in &request.dependencies {
        let kind = match dependency.kind {
            DependencyKind::Ok => "ok",
            DependencyKind::Any => "any",
            DependencyKind::NotOk => "not-ok",
            DependencyKind::ElementWise => "element-wise-ok",
            DependencyKind::ElementWiseAny => "element-wise-any",
        };
        flag("after", format!("{kind}:{}", dependency.job));
    }
    if let Some(time) = request.not_before {
        flag(
            "not-before",
            format!("@{}", crate::clock::milliseconds(time) / 1000),
        );
    }
    flag("output", request.output.stdout.display().to_string());
    flag("error", request.output.stderr.display().to_string());
    if request.requeue {
        argv.push("--requeue".to_owned());
    }
    let index = request.array.map(|_| "$1");
    Ok(Rendered {
        argv,
        stdin: script::body(&request.command, index, &[])?,
        environment: std::collections::BTreeMap::new(),
    })
}
