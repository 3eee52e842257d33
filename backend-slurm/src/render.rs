use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

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
    let mut flags = Flags(vec!["sbatch".to_owned(), "--parsable".to_owned()]);
    flags.optional("clusters", slurm.cluster.as_deref());
    flags.add("job-name", request.tag.as_str());
    if let Some(comment) = &request.comment {
        flags.add("comment", comment.replace(char::is_control, " "));
    }
    if let Some(array) = request.array {
        let limit = array
            .at_most
            .map_or_else(String::new, |at_most| format!("%{at_most}"));
        flags.add("array", format!("0-{}{limit}", array.count - 1));
    }
    if !request.dependencies.is_empty() {
        flags.add("dependency", dependencies(&request.dependencies)?);
    }
    flags.add("kill-on-invalid-dep", "yes");
    flags.switch(if request.requeue {
        "requeue"
    } else {
        "no-requeue"
    });
    if let Some(time) = request.not_before {
        flags.add("begin", begin(time)?);
    }
    flags.add("chdir", text(&request.command.directory)?);
    output(&mut flags, request)?;
    resources(&mut flags, slurm, &request.resources);
    flags.0.extend(slurm.extra.iter().cloned());
    flags.0.extend(request.extra.iter().cloned());

    let mut environment = BTreeMap::new();
    let mut prologue = vec![job_id(slurm), restore("LC_ALL", slurm.locale.as_deref())];
    if request.not_before.is_some() {
        // `--begin` is read in the client's time zone.
        environment.insert("TZ".to_owned(), "UTC".to_owned());
        prologue.push(restore("TZ", slurm.time_zone.as_deref()));
    }
    let index = request.array.map(|_| "$SLURM_ARRAY_TASK_ID");
    Ok(Rendered {
        argv: flags.0,
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

/// Gives the job back what the client had to have another value of.
fn restore(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("export {name}={}", script::quote(value)),
        None => format!("unset {name}"),
    }
}

struct Flags(Vec<String>);

impl Flags {
    fn add(&mut self, name: &str, value: impl AsRef<str>) {
        self.0.push(format!("--{name}={}", value.as_ref()));
    }

    fn switch(&mut self, name: &str) {
        self.0.push(format!("--{name}"));
    }

    fn optional(&mut self, name: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
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

fn begin(time: SystemTime) -> Result<String, SchedulerError> {
    let time = jiff::Timestamp::try_from(time).map_err(|error| {
        invalid("the earliest start is out of range".to_owned()).with_source(error)
    })?;
    // A fraction of a second is rounded up: a job must not start before.
    let whole = time.as_second() + i64::from(time.subsec_nanosecond() > 0);
    let whole = jiff::Timestamp::from_second(whole).map_err(|error| {
        invalid("the earliest start is out of range".to_owned()).with_source(error)
    })?;
    Ok(whole.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}

fn output(flags: &mut Flags, request: &JobRequest) -> Result<(), SchedulerError> {
    let suffix = if request.array.is_some() { ".%a" } else { "" };
    let stdout = pattern(&request.output.stdout)?;
    let stderr = pattern(&request.output.stderr)?;
    flags.add("output", format!("{stdout}{suffix}"));
    if stdout != stderr {
        flags.add("error", format!("{stderr}{suffix}"));
    }
    flags.add("open-mode", "append");
    Ok(())
}

/// Returns the path as a pattern that means just this path.
fn pattern(path: &Path) -> Result<String, SchedulerError> {
    let text = text(path)?;
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
    flags.optional("nodes", number(nodes));
    flags.optional("ntasks", number(tasks));
    flags.optional("cpus-per-task", number(cpus));
    flags.optional("mem", mem.map(|mem| format!("{}M", mem.mebibytes())));
    flags.optional("time", time.map(|time| time.to_string()));
    flags.optional("gres", gpus.as_ref().map(|gpus| format!("gpu:{gpus}")));
    let partition = partition
        .as_ref()
        .map(|name| slurm.partitions.get(name).unwrap_or(name));
    flags.optional("partition", partition);
    flags.optional("account", account.as_ref());
    flags.optional("qos", qos.as_ref());
    flags.optional("constraint", constraint.as_ref());
    flags.optional("reservation", reservation.as_ref());
    match exclusive {
        None => {}
        Some(Exclusive::Node) => flags.switch("exclusive"),
        Some(Exclusive::User) => flags.add("exclusive", "user"),
    }
    if let Some(signal) = signal {
        // To the script alone, whose place the command has taken.
        flags.add(
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
        flags.add("mail-type", on.join(","));
        flags.optional("mail-user", mail.to.as_ref());
    }
}

fn text(path: &Path) -> Result<&str, SchedulerError> {
    path.to_str()
        .ok_or_else(|| invalid(format!("the path `{}` is not UTF-8", path.display())))
}

fn invalid(message: String) -> SchedulerError {
    SchedulerError::new(SchedulerErrorKind::InvalidRequest, message)
}

#[cfg(test)]
mod tests;
