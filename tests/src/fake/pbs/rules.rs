//! The rules of PBS in the server.

use std::time::Duration;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use serde_json::Value;

use crate::fake::{
    Body, Cause, Cluster, Delivered, Dialect, How, Job, Launch, Refusal, Rules, Step, Submission,
    Text, Verdict, now,
};

use super::size::clock;
use super::{array, depend, id, output, resources, variables};

/// The rules of PBS.
#[derive(Debug)]
pub(in crate::fake) struct PbsRules {
    dialect: Dialect,
}

impl PbsRules {
    /// Returns those of a dialect.
    pub(in crate::fake) fn new(dialect: Dialect) -> Self {
        Self { dialect }
    }

    fn is_torque(&self) -> bool {
        self.dialect == Dialect::Torque
    }
}

/// Returns the values of an option that can be given several times, as `qsub` has left them.
fn values(submission: &Submission, name: &str) -> Vec<String> {
    submission
        .more
        .get(name)
        .and_then(Value::as_array)
        .map(|values| {
            values
                .iter()
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect()
        })
        .unwrap_or_default()
}

/// Returns a text that `qsub` has left.
pub(super) fn text<'a>(submission: &'a Submission, name: &str) -> Option<&'a str> {
    submission.more.get(name).and_then(Value::as_str)
}

impl Rules for PbsRules {
    /// "Ids start at 0: `0.localhost` is valid."
    fn first_number(&self) -> u64 {
        0
    }

    fn admit(
        &self,
        cluster: &Cluster,
        _number: u64,
        submission: &mut Submission,
    ) -> Result<(), Refusal> {
        let options = &cluster.options;
        // `-q queue@server`, `-q @server`.
        let queue = submission.queue.split('@').next().unwrap_or_default();
        submission.queue = if queue.is_empty() {
            options.queues[0].name.clone()
        } else {
            queue.to_owned()
        };
        let refusal = |text: &str, code| Refusal {
            text: text.to_owned(),
            code,
        };
        let queue = options
            .queue(&submission.queue)
            .ok_or_else(|| refusal("Unknown queue", 170))?;
        if !queue.enabled {
            return Err(refusal("Queue is not enabled", 173));
        }
        if submission.more.contains_key("bad_array") {
            return Err(array::refused());
        }
        if let Some(array) = &submission.array {
            array::check(array, options.array_limit)?;
        }
        let lists = values(submission, "l");
        resources::complete(options, submission, &lists)?;
        resources::check_limits(options, submission)?;
        if let Some(condition) = &submission.condition {
            if depend::names_unknown(condition, cluster) {
                submission
                    .more
                    .insert("unknown_parent".to_owned(), true.into());
            }
            let written = depend::written(condition, &options.server);
            submission.more.insert("depend".to_owned(), written.into());
        }
        if let Some(Value::Object(list)) = submission.more.get_mut("Variable_List") {
            list.insert("PBS_O_QUEUE".to_owned(), submission.queue.clone().into());
        }
        Ok(())
    }

    fn verdict(&self, cluster: &Cluster, job: &Job) -> Verdict {
        depend::verdict(cluster, job)
    }

    fn launch(&self, cluster: &Cluster, job: &Job, position: usize) -> Result<Launch, How> {
        let submission = &job.submission;
        let server = &cluster.options.server;
        let home = cluster.home();
        let own = format!("pbs.{}", id::of_element(job, position, server));
        let tmp = cluster.directory().join("tmp").join(&own);
        // A job runs without them where they cannot be made.
        let _ = fs::create_dir(&tmp);
        let _ = fs::write(
            cluster.spool(job, position, "nodes"),
            format!("{server}\n").repeat(
                submission
                    .more
                    .get("processes")
                    .and_then(Value::as_u64)
                    .unwrap_or(1) as usize,
            ),
        );
        let (stdout, stderr) = output::written_to(cluster, job, position);
        let umask = output::umask(submission);
        // "The job runs in `$HOME`, NOT in the submit directory"; "`-W sandbox=PRIVATE` runs in a fresh
        // `~/pbs.<id>.xxx` (removed after)".
        let directory = match text(submission, "sandbox") {
            Some("PRIVATE") => output::sandbox(cluster, job, position),
            // Torque's `-d`.
            _ => text(submission, "directory").map_or_else(|| home.clone(), Into::into),
        };
        let _ = fs::create_dir_all(&directory);
        let environment = variables::of_job(
            cluster,
            job,
            position,
            &home.to_string_lossy(),
            self.is_torque(),
        );
        let (program, arguments, stdin) = match &submission.body {
            Body::Command(words) => {
                let program = words[0].to_os();
                if let Err(error) = check_program(&words[0]) {
                    // "executable not found (`--`): 254, stderr file: `pbs_mom, exec of /no/such/cmd
                    // failed with error: No such file or directory`".
                    let said = format!(
                        "pbs_mom, exec of {} failed with error: {error}\n",
                        words[0].lossy()
                    );
                    let _ = write_private(&stdout, "", umask);
                    let _ = write_private(stderr.as_ref().unwrap_or(&stdout), &said, umask);
                    return Err(How::Exited(254));
                }
                (program, words[1..].iter().map(Text::to_os).collect(), None)
            }
            Body::Script(_) => {
                // "the shebang decides the interpreter when the script is run as a file by the login
                // shell; with `-S /usr/bin/python3` it FAILED (the path of the script is fed on stdin)".
                let path = cluster.script(job.number);
                let shell = text(submission, "shell").unwrap_or("/bin/bash");
                let is_shell = shell.ends_with("sh");
                let arguments = if is_shell {
                    vec!["-l".into()]
                } else {
                    Vec::new()
                };
                let stdin = format!("{}\n", path.display()).into_bytes();
                (shell.into(), arguments, Some(stdin))
            }
        };
        Ok(Launch {
            program: program.into(),
            arguments,
            environment,
            directory,
            umask,
            stdin,
            stdout,
            stderr,
        })
    }

    /// "Kill = SIGTERM to all processes, then SIGKILL after `kill_delay` (10 s; here about 11 s)."
    fn stop(&self, cluster: &Cluster, _cause: &Cause) -> Vec<Step> {
        vec![
            Step {
                after: Duration::ZERO,
                signal: 15,
            },
            Step {
                after: cluster.options.kill_delay,
                signal: 9,
            },
        ]
    }

    /// "stdout gets `=>> PBS: job killed: walltime 14 exceeded limit 5`".
    fn last_words(
        &self,
        cluster: &Cluster,
        job: &Job,
        position: usize,
    ) -> Option<(std::path::PathBuf, String)> {
        let started = job.elements[position].started?;
        let limit = job.submission.limit?;
        let ran = (now() - started) as f64 / 1000.0 * cluster.options.time_scale;
        let ran = (ran as u64).max(limit + 1);
        Some((
            output::written_to(cluster, job, position).0,
            format!("=>> PBS: job killed: walltime {ran} exceeded limit {limit}\n"),
        ))
    }

    fn deliver(&self, cluster: &Cluster, job: &Job, position: usize, given_up: bool) -> Delivered {
        output::deliver(cluster, job, position, given_up, self.is_torque())
    }
}

/// Writes a file of a job that was not started.
fn write_private(path: &std::path::Path, text: &str, umask: u32) -> std::io::Result<()> {
    use std::io::Write;
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o666 & !umask)
        .open(path)?
        .write_all(text.as_bytes())
}

/// "no shell; the executable must be an ABSOLUTE path".
fn check_program(program: &Text) -> Result<(), &'static str> {
    let path = program.to_os();
    let path = std::path::Path::new(&path);
    if !path.is_absolute() || !path.exists() {
        return Err("No such file or directory");
    }
    if rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_err() || path.is_dir() {
        return Err("Permission denied");
    }
    Ok(())
}

/// Returns a status as `Exit_status` shows it: "`--` cmd killed itself SIGKILL / SIGSEGV: 265 / 267 (256 +
/// signal)", "walltime exceeded: -29 (JOB_EXEC_KILL_WALLTIME)". None for what never ran.
pub(super) fn exit_status(how: &How, cause: Option<&Cause>) -> Option<i32> {
    match (how, cause) {
        (How::NeverRan, _) => None,
        (_, Some(Cause::Limit)) => Some(-29),
        (How::Exited(code), _) => Some(*code),
        (How::Signalled(signal), _) => Some(256 + signal),
        // JOB_EXEC_FAIL1: "Job exec failed, before files, no retry".
        (How::NotStarted, _) => Some(-1),
    }
}

/// Returns `resources_used` of an element that was started.
pub(super) fn used(job: &Job, position: usize) -> Option<Value> {
    let element = &job.elements[position];
    let started = element.started?;
    let seconds = (element.ended.unwrap_or_else(now) - started) / 1000;
    Some(serde_json::json!({
        "cpupercent": 0,
        "cput": "00:00:00",
        "mem": "2796kb",
        "ncpus": job.submission.cpus,
        "vmem": "12000kb",
        "walltime": clock(seconds.max(0) as u64),
    }))
}
