use std::collections::BTreeMap;
use std::path::Path;

use reflow_core::scheduler::client::Flags;
use reflow_core::scheduler::{
    Dependency, DependencyKind, Exclusive, JOB_ID_VARIABLE, JobRequest, MailEvent, Rendered,
    Resources, SchedulerError, SchedulerErrorKind, check, script,
};

use crate::connect::Slurm;
use crate::query;

/// Renders `request` for `sbatch`, the script on standard input.
///
/// Variables of the job are written into the script. `--export` is not used: with it, Slurm sets
/// `SLURM_EXPORT_ENV` in the job, which breaks `srun` and `sbatch` inside it.
pub(crate) fn render(slurm: &Slurm, request: &JobRequest) -> Result<Rendered, SchedulerError> {
    check::request(request, &slurm.capabilities)?;
    let mut flags = Flags::new(["sbatch", "--parsable"]);
    flags.long_if("clusters", slurm.cluster.as_deref());
    flags.long("job-name", request.tag.as_str());
    if let Some(comment) = &request.comment {
        flags.long("comment", comment.replace(char::is_control, " "));
    }
    if let Some(array) = request.array {
        let limit = array
            .at_most
            .map_or_else(String::new, |at_most| format!("%{at_most}"));
        flags.long("array", format!("0-{}{limit}", array.count - 1));
    }
    if !request.dependencies.is_empty() {
        flags.long("dependency", dependencies(&request.dependencies)?);
    }
    flags.long("kill-on-invalid-dep", "yes");
    flags.word(if request.requeue {
        "--requeue"
    } else {
        "--no-requeue"
    });
    if let Some(time) = request.not_before_in(1)? {
        flags.long("begin", begin(time)?);
    }
    flags.long(
        "chdir",
        check::text("the working directory", &request.command.directory)?,
    );
    output(&mut flags, request)?;
    resources(&mut flags, slurm, &request.resources);
    flags.extend(&slurm.extra);
    flags.extend(&request.extra);

    let mut environment = BTreeMap::new();
    let mut prologue = vec![
        job_id(slurm),
        script::restore("LC_ALL", slurm.locale.as_deref()),
    ];
    if request.not_before.is_some() {
        // `--begin` is read in the client's time zone.
        environment.insert("TZ".to_owned(), "UTC".to_owned());
        prologue.push(script::restore("TZ", slurm.time_zone.as_deref()));
    }
    let index = request.array.map(|_| "$SLURM_ARRAY_TASK_ID");
    Ok(Rendered {
        argv: flags.into_argv(),
        stdin: script::body(&request.command, index, &prologue)?,
        environment,
    })
}

/// Tells the job the id that `sbatch` printed: with the cluster where it was told one.
fn job_id(slurm: &Slurm) -> String {
    let cluster = match slurm.cluster {
        Some(_) => "${SLURM_CLUSTER_NAME:+;$SLURM_CLUSTER_NAME}",
        None => "",
    };
    format!("export {JOB_ID_VARIABLE}=\"${{SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}}{cluster}\"")
}

fn dependencies(dependencies: &[Dependency]) -> Result<String, SchedulerError> {
    let mut terms = Vec::new();
    for dependency in dependencies {
        let kind = match dependency.kind {
            DependencyKind::Ok => "afterok",
            DependencyKind::Any => "afterany",
            DependencyKind::NotOk => "afternotok",
            DependencyKind::ElementWise => "aftercorr",
            DependencyKind::ElementWiseAny => {
                return Err(invalid(
                    "Slurm lets no element wait for the end of its own element alone, whatever it is"
                        .to_owned(),
                ));
            }
        };
        let number = query::number(&dependency.job)
            .ok_or_else(|| invalid(format!("`{}` is not the id of a Slurm job", dependency.job)))?;
        terms.push(format!("{kind}:{number}"));
    }
    Ok(terms.join(","))
}

fn begin(seconds: i64) -> Result<String, SchedulerError> {
    let time = jiff::Timestamp::from_second(seconds).map_err(|error| {
        invalid("the earliest start is out of range".to_owned()).with_source(error)
    })?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}

fn output(flags: &mut Flags, request: &JobRequest) -> Result<(), SchedulerError> {
    let suffix = if request.array.is_some() { ".%a" } else { "" };
    let stdout = pattern(&request.output.stdout)?;
    let stderr = pattern(&request.output.stderr)?;
    flags.long("output", format!("{stdout}{suffix}"));
    if stdout != stderr {
        flags.long("error", format!("{stderr}{suffix}"));
    }
    flags.long("open-mode", "append");
    Ok(())
}

/// Returns the path as a pattern that means just this path.
fn pattern(path: &Path) -> Result<String, SchedulerError> {
    let text = check::text("the path of the output", path)?;
    if text.contains('\\') {
        return Err(SchedulerError::new(
            SchedulerErrorKind::Unsupported,
            format!("Slurm cannot write output to a path with a backslash: `{text}`"),
        ));
    }
    Ok(text.replace('%', "%%"))
}

fn resources(flags: &mut Flags, slurm: &Slurm, resources: &Resources) {
    // Every field is named, so that a new one cannot be forgotten here.
    let Resources {
        cpus,
        mem,
        time,
        gpus,
        nodes,
        tasks,
        partition,
        account,
        qos,
        constraint,
        reservation,
        exclusive,
        signal,
        mail,
    } = resources;
    let number = |number: &Option<u32>| number.map(|number| number.to_string());
    flags.long_if("nodes", number(nodes));
    flags.long_if("ntasks", number(tasks));
    flags.long_if("cpus-per-task", number(cpus));
    flags.long_if("mem", mem.map(|mem| format!("{}M", mem.mebibytes())));
    flags.long_if("time", time.map(|time| time.to_string()));
    flags.long_if("gres", gpus.as_ref().map(|gpus| format!("gpu:{gpus}")));
    let partition = partition
        .as_ref()
        .map(|name| slurm.partitions.get(name).unwrap_or(name));
    flags.long_if("partition", partition);
    flags.long_if("account", account.as_ref());
    flags.long_if("qos", qos.as_ref());
    flags.long_if("constraint", constraint.as_ref());
    flags.long_if("reservation", reservation.as_ref());
    match exclusive {
        None => {}
        Some(Exclusive::Node) => flags.word("--exclusive"),
        Some(Exclusive::User) => flags.long("exclusive", "user"),
    }
    if let Some(signal) = signal {
        // To the script alone, whose place the command has taken.
        flags.long(
            "signal",
            format!("B:{}@{}", signal.name, signal.before.seconds()),
        );
    }
    if let Some(mail) = mail {
        let on: Vec<&str> = (mail.on.iter())
            .map(|event| match event {
                MailEvent::Begin => "BEGIN",
                MailEvent::End => "END",
                MailEvent::Fail => "FAIL",
            })
            .collect();
        flags.long("mail-type", on.join(","));
        flags.long_if("mail-user", mail.to.as_ref());
    }
}

fn invalid(message: String) -> SchedulerError {
    SchedulerError::new(SchedulerErrorKind::InvalidRequest, message)
}

#[cfg(test)]
mod tests;
