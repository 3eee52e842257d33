use std::collections::BTreeMap;

use reflow_core::scheduler::client::Flags;
use reflow_core::scheduler::{
    Dependency, DependencyKind, Exclusive, JOB_ID_VARIABLE, JobRequest, MailEvent, Rendered,
    Resources, SchedulerError, SchedulerErrorKind, check, script,
};

use crate::config::Dialect;
use crate::connect::Pbs;
use crate::parse::{Id, Part};
use crate::select;

/// Renders `request` for `qsub`, the script on standard input.
///
/// Flags are in the command line, where people see them. Variables, and the working directory, are written
/// into the script: a job starts in the home directory, and `-v` cannot carry every value.
pub(crate) fn render(pbs: &Pbs, request: &JobRequest) -> Result<Rendered, SchedulerError> {
    check::request(request, &pbs.capabilities)?;
    let is_torque = pbs.dialect == Dialect::Torque;
    // A range of one index is refused, so an array of one element is a plain job.
    let array = request.array.filter(|array| array.count > 1);
    let mut flags = Flags::new(["qsub"]);
    flags.short('N', request.tag.as_str());
    flags.short('S', "/bin/bash");
    if let Some(array) = array {
        let limit = array
            .at_most
            .map_or_else(String::new, |at_most| format!("%{at_most}"));
        let range = format!("0-{}{limit}", array.count - 1);
        flags.short(if is_torque { 't' } else { 'J' }, range);
    }
    if !request.dependencies.is_empty() {
        let depend = dependencies(pbs.dialect, &request.dependencies)?;
        flags.short('W', format!("depend={depend}"));
    }
    // OpenPBS refuses an array that may not be started again: "cannot submit non-rerunable Array Job".
    let may_rerun = request.requeue || (array.is_some() && !is_torque);
    flags.short('r', if may_rerun { "y" } else { "n" });
    let mut environment = BTreeMap::new();
    if let Some(seconds) = request.not_before_in(1)? {
        flags.short('a', begin(seconds)?);
        // `-a` is read in the client's time zone.
        environment.insert("TZ".to_owned(), "UTC".to_owned());
    }
    let mut prologue = vec![job_id(pbs.dialect, array.is_some())];
    output(
        &mut flags,
        &mut prologue,
        pbs.dialect,
        array.is_some(),
        request,
    )?;
    resources(&mut flags, pbs, &request.resources)?;
    flags.extend(&pbs.extra);
    flags.extend(&request.extra);

    let index = match (request.array, array) {
        (None, _) => None,
        (Some(_), None) => Some("0"),
        (Some(_), Some(_)) if is_torque => Some("$PBS_ARRAYID"),
        (Some(_), Some(_)) => Some("$PBS_ARRAY_INDEX"),
    };
    Ok(Rendered {
        argv: flags.into_argv(),
        stdin: script::body(&request.command, index, &prologue)?,
        environment,
    })
}

/// Tells the job the id that `qsub` printed; an element of Torque knows but its own, `1098[3].server`.
fn job_id(dialect: Dialect, is_array: bool) -> String {
    let id = match (is_array, dialect) {
        (false, _) => "$PBS_JOBID",
        (true, Dialect::OpenPbs) => "$PBS_ARRAY_ID",
        (true, Dialect::Torque) => "${PBS_JOBID%%[*}[]${PBS_JOBID#*]}",
    };
    format!("export {JOB_ID_VARIABLE}=\"{id}\"")
}

/// The dependencies, those of one kind together: `afterok:1.server:2.server,afterany:3.server`.
fn dependencies(dialect: Dialect, dependencies: &[Dependency]) -> Result<String, SchedulerError> {
    let mut kinds: Vec<(&str, String)> = Vec::new();
    for dependency in dependencies {
        let id = Id::parse(dependency.job.as_str())
            .filter(|id| !matches!(id.part, Part::Element(_)))
            .ok_or_else(|| invalid(format!("`{}` is not the id of a PBS job", dependency.job)))?;
        let of_array = dialect == Dialect::Torque && id.part == Part::Array;
        let kind = match (dependency.kind, of_array) {
            (DependencyKind::Ok, false) => "afterok",
            (DependencyKind::Any, false) => "afterany",
            (DependencyKind::NotOk, false) => "afternotok",
            (DependencyKind::Ok, true) => "afterokarray",
            (DependencyKind::Any, true) => "afteranyarray",
            (DependencyKind::NotOk, true) => "afternotokarray",
            (_, _) => {
                return Err(select::unsupported(
                    "PBS has no dependency from element to element",
                ));
            }
        };
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, ids)) => {
                ids.push(':');
                ids.push_str(dependency.job.as_str());
            }
            None => kinds.push((kind, dependency.job.to_string())),
        }
    }
    let terms: Vec<String> = kinds
        .iter()
        .map(|(kind, ids)| format!("{kind}:{ids}"))
        .collect();
    Ok(terms.join(","))
}

fn begin(seconds: i64) -> Result<String, SchedulerError> {
    let time = jiff::Timestamp::from_second(seconds).map_err(|error| {
        invalid("the earliest start is out of range".to_owned()).with_source(error)
    })?;
    Ok(time.strftime("%Y%m%d%H%M.%S").to_string())
}

/// Says where output goes. PBS keeps it on the node while the job runs, and then copies it: `-k oed` would
/// write it at once, but only where the administrator has mapped the directory, and not before version 18.
///
/// The script opens its files itself where PBS would take a path for another, and in arrays of Torque,
/// which adds `-3` to the paths of element 3.
fn output(
    flags: &mut Flags,
    prologue: &mut Vec<String>,
    dialect: Dialect,
    is_array: bool,
    request: &JobRequest,
) -> Result<(), SchedulerError> {
    let stdout = check::text("the path of the output", &request.output.stdout)?;
    let stderr = check::text("the path of the output", &request.output.stderr)?;
    let is_native = [stdout, stderr].iter().all(|path| is_plain(dialect, path));
    let (in_path, in_script) = match (request.array.is_some(), is_array, dialect) {
        (false, ..) => ("", ""),
        // The plain job that an array of one element is sent as.
        (true, false, _) => (".0", ".0"),
        (true, true, Dialect::OpenPbs) => (".^array_index^", ".\"$PBS_ARRAY_INDEX\""),
        (true, true, Dialect::Torque) => ("", ".\"$PBS_ARRAYID\""),
    };
    let path = |path: &str| {
        if is_native {
            format!("{path}{in_path}")
        } else {
            "/dev/null".to_owned()
        }
    };
    flags.short('o', path(stdout));
    if stdout == stderr {
        flags.short('j', "oe");
    } else {
        flags.short('e', path(stderr));
    }
    if !is_native || (is_array && dialect == Dialect::Torque) {
        let (out, err) = (script::quote(stdout), script::quote(stderr));
        prologue.push(if stdout == stderr {
            format!("exec >{out}{in_script} 2>&1")
        } else {
            format!("exec >{out}{in_script} 2>{err}{in_script}")
        });
    }
    Ok(())
}

/// Whether the path means just this path: what comes before a colon is the name of a host,
/// `^array_index^` is the index in arrays, and Torque puts the values of variables in.
fn is_plain(dialect: Dialect, path: &str) -> bool {
    let is_expanded = dialect == Dialect::Torque && path.contains(['$', '`', '\\']);
    !is_expanded
        && !path.contains(':')
        && !path.contains("^array_index^")
        && !path.contains(char::is_control)
}

fn resources(flags: &mut Flags, pbs: &Pbs, resources: &Resources) -> Result<(), SchedulerError> {
    // Every field is named, so that a new one cannot be forgotten here.
    let Resources {
        cpus: _,
        mem,
        time,
        gpus: _,
        nodes,
        tasks: _,
        partition,
        account,
        qos,
        constraint: _,
        reservation,
        exclusive,
        signal,
        mail,
    } = resources;
    let is_torque = pbs.dialect == Dialect::Torque;
    if is_torque {
        let list = |name: &str, value: String| format!("{name}={value}");
        flags.short_if('l', select::nodes(resources)?.map(|v| list("nodes", v)));
        // The memory of the whole job.
        let all = mem.map(|mem| {
            let bytes = mem.bytes().saturating_mul(u64::from(nodes.unwrap_or(1)));
            select::size(reflow_core::scheduler::Memory::from_bytes(bytes))
        });
        flags.short_if('l', all.map(|v| list("mem", v)));
        flags.short_if('l', time.map(|v| list("walltime", v.to_string())));
        // Of Moab's resource manager extensions, which Torque passes on to its scheduler.
        flags.short_if('l', qos.as_ref().map(|v| format!("qos={v}")));
        flags.short_if('l', reservation.as_ref().map(|v| format!("advres={v}")));
        let access = exclusive.map(|exclusive| match exclusive {
            Exclusive::Node => "naccesspolicy=singlejob",
            Exclusive::User => "naccesspolicy=singleuser",
        });
        flags.short_if('l', access);
    } else {
        let chunks = select::select(resources, pbs.gpu_type_resource.as_deref())?;
        flags.short_if('l', chunks.map(|v| format!("select={v}")));
        flags.short_if('l', select::place(resources)?.map(|v| format!("place={v}")));
        flags.short_if('l', time.map(|v| format!("walltime={v}")));
        if qos.is_some() {
            return Err(select::unsupported(
                "PBS has no quality of service for `qos`: choose a `partition` (queue), or use `extra`",
            ));
        }
    }
    let queue = partition
        .as_ref()
        .map(|name| pbs.partitions.get(name).unwrap_or(name));
    match (queue, reservation) {
        (Some(_), Some(_)) if !is_torque => {
            return Err(select::unsupported(
                "a reservation of PBS is a queue of its own: ask for `reservation` or `partition`, not both",
            ));
        }
        (None, Some(reservation)) if !is_torque => flags.short('q', reservation),
        (queue, _) => flags.short_if('q', queue),
    }
    flags.short_if('A', account.as_ref());
    if signal.is_some() {
        return Err(select::unsupported(
            "PBS sends no signal before the walltime ends: leave `signal` out",
        ));
    }
    // Without `-m`, PBS sends mail about every job that it deletes, children of failed parents too.
    let events = mail.as_ref().map_or_else(
        || "n".to_owned(),
        |mail| {
            let letter = |event: &MailEvent| match event {
                MailEvent::Begin => 'b',
                MailEvent::End => 'e',
                MailEvent::Fail => 'a',
            };
            mail.on.iter().map(letter).collect()
        },
    );
    flags.short('m', events);
    flags.short_if('M', mail.as_ref().and_then(|mail| mail.to.as_ref()));
    Ok(())
}

fn invalid(message: String) -> SchedulerError {
    SchedulerError::new(SchedulerErrorKind::InvalidRequest, message)
}

#[cfg(test)]
mod tests;
