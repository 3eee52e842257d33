//! What LSF takes, when it starts jobs, and how it ends them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::depend::{judge, resolve};
use super::expression::Expression;
use super::{FAILED, environment, kept, more, report};
use crate::fake::{
    Body, Cause, Cluster, Delivered, Dialect, How, Job, Launch, Refusal, Rules, Step, Submission,
    Text, Verdict,
};

const INT: i32 = 2;
const KILL: i32 = 9;
const USR2: i32 = 12;
const TERM: i32 = 15;

/// The rules of LSF.
#[derive(Debug)]
pub(super) struct LsfRules {
    dialect: Dialect,
}

impl LsfRules {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect }
    }
}

impl Rules for LsfRules {
    /// "Job ids count from 1".
    fn first_number(&self) -> u64 {
        1
    }

    fn admit(
        &self,
        cluster: &Cluster,
        _number: u64,
        submission: &mut Submission,
    ) -> Result<(), Refusal> {
        let refuse = |text: String| Refusal { text, code: FAILED };
        if let Some(text) = submission.more.get(more::REFUSED) {
            return Err(refuse(text.as_str().unwrap_or_default().to_owned()));
        }
        admit(cluster, submission).map_err(|text| refuse(format!("{text}. Job not submitted.")))
    }

    fn verdict(&self, cluster: &Cluster, job: &Job) -> Verdict {
        let Some(condition) = &job.submission.condition else {
            return Verdict::Release;
        };
        if condition.is_element_wise() {
            // Each element for itself.
            return Verdict::Release;
        }
        removed(cluster, job, judge(cluster, condition, None))
    }

    fn element_verdict(&self, cluster: &Cluster, job: &Job, position: usize) -> Verdict {
        match &job.submission.condition {
            None => Verdict::Release,
            Some(condition) => {
                let index = job.elements[position].index;
                removed(cluster, job, judge(cluster, condition, index))
            }
        }
    }

    fn launch(&self, cluster: &Cluster, job: &Job, position: usize) -> Result<Launch, How> {
        let directory = PathBuf::from(job.submission.directory.to_os());
        let file = job_file(cluster, job, position);
        let folder = file.parent().ok_or(How::NotStarted)?;
        let written = fs_err::create_dir_all(folder).and_then(|()| match &job.submission.body {
            // "A `bsub cmd` string runs under /bin/sh."
            Body::Command(line) => {
                let line = line.first().cloned().unwrap_or_default();
                fs_err::write(&file, [&line.0[..], b"\n"].concat())
            }
            Body::Script(_) => copy_script(cluster, job, &file),
        });
        if written.is_err() || !directory.is_dir() {
            return Err(How::NotStarted);
        }
        let stdin =
            kept(job, more::INPUT).and_then(|input| fs_err::read(directory.join(input)).ok());
        Ok(Launch {
            program: "/bin/sh".into(),
            arguments: vec![OsString::from(&file)],
            environment: environment::of_element(cluster, job, position, &file),
            directory,
            umask: 0o022,
            stdin,
            stdout: cluster.spool(job, position, "out"),
            stderr: (job.submission.stderr.is_some()).then(|| cluster.spool(job, position, "err")),
        })
    }

    /// "Not enforced (50 MB limit, 300 MB used: DONE)" on openlava; on IBM LSF "only with
    /// LSB_MEMLIMIT_ENFORCE / LSB_JOB_MEMLIMIT=y or `-M n!` or cgroups".
    fn memory_limit(&self, cluster: &Cluster, job: &Job) -> Option<u64> {
        if self.dialect != Dialect::Lsf || !cluster.options.lsf.enforces_memory {
            return None;
        }
        job.submission.more.get(more::MEMORY_LIMIT)?.as_u64()
    }

    fn stop(&self, cluster: &Cluster, cause: &Cause) -> Vec<Step> {
        let delay = cluster.options.kill_delay;
        // "trapping job | INT, 10 s later TERM, 10 s later KILL -> `Exited by signal 9.`"
        let ladder = |from: Duration| {
            [(INT, from), (TERM, from + delay), (KILL, from + 2 * delay)]
                .map(|(signal, after)| Step { after, signal })
                .to_vec()
        };
        match cause {
            Cause::Limit => {
                let mut steps = vec![Step {
                    after: Duration::ZERO,
                    signal: USR2,
                }];
                // "run limit -W | USR2 (default action ends it: code 140 = 128+12); a job that traps USR2
                // was still running 52 s later (IBM: USR2, then killed when not ended after a grace
                // time [...])".
                if self.dialect == Dialect::Lsf {
                    steps.extend(ladder(cluster.options.lsf.run_limit_grace));
                }
                steps
            }
            _ => ladder(Duration::ZERO),
        }
    }

    fn deliver(&self, cluster: &Cluster, job: &Job, position: usize, _given_up: bool) -> Delivered {
        let file = job_file(cluster, job, position);
        // The wrapper removes the script itself; whoever was killed has left both.
        let _ = fs_err::remove_file(file.with_added_extension("shell"));
        let _ = fs_err::remove_file(file);
        report::deliver(cluster, job, position);
        Delivered::Done
    }
}

/// Completes a job or says why it is refused, without `Job not submitted`.
fn admit(cluster: &Cluster, submission: &mut Submission) -> Result<(), String> {
    let options = &cluster.options;
    // "as root | `User permission denied. Job not submitted.` (root is refused)".
    if options.lsf.refused_users.contains(&submission.user) {
        return Err("User permission denied".to_owned());
    }
    if submission.queue.is_empty() {
        submission.queue.clone_from(&options.queues[0].name);
    }
    let queue = options
        .queue(&submission.queue)
        .ok_or_else(|| format!("{}: No such queue", submission.queue))?;
    if !queue.enabled {
        return Err(format!("{}: Queue has been closed", submission.queue));
    }
    // "`-n 8` in a queue with PROCLIMIT 4; `-n 64` on a 16-slot cluster | `Too many processors
    // requested. Job not submitted.`"
    let most = queue.max_cpus.unwrap_or(options.slots).min(options.slots);
    if submission.cpus > most {
        return Err("Too many processors requested".to_owned());
    }
    // "`-W 60` over the queue's 2 min | `RUNLIMIT: Cannot exceed queue's hard limit(s). Job not
    // submitted.`"
    if let Some(longest) = queue.max_seconds {
        if submission.limit.is_some_and(|limit| limit > longest) {
            return Err("RUNLIMIT: Cannot exceed queue's hard limit(s)".to_owned());
        }
        submission.limit = submission.limit.or(Some(longest));
    }
    if let Some(text) = submission
        .more
        .get(more::DEPENDENCY)
        .and_then(|text| text.as_str())
    {
        let expression = Expression::read(text)
            .map_err(|_| format!("{text}: Dependency condition syntax error"))?;
        submission.condition = Some(resolve(cluster, submission, &expression)?);
    }
    // "`-R "rusage[mem=900000]"` (more than exists) | ACCEPTED, pends: `Job requirements for reserving
    // resource (mem) not satisfied: 1 host;`"
    if submission
        .memory
        .is_some_and(|memory| memory > options.memory)
    {
        submission.never =
            Some("Job requirements for reserving resource (mem) not satisfied: 1 host;".to_owned());
    }
    Ok(())
}

/// What never starts stays, unless it is removed: "Parent failed (or bkill-ed) under `done`: the child is
/// NOT removed. State PEND for ever". "IBM: `bsub -ti` or ORPHAN_JOB_TERM_GRACE_PERIOD removes such
/// orphans".
fn removed(cluster: &Cluster, job: &Job, verdict: Verdict) -> Verdict {
    let is_asked = job.submission.more.get(more::ORPHAN) == Some(&true.into());
    let removes =
        cluster.dialect == Dialect::Lsf && (is_asked || cluster.options.lsf.removes_orphans);
    match verdict {
        Verdict::Never if removes => Verdict::Remove,
        other => other,
    }
}

/// Returns where the copy of an element's command lies: "`LSB_JOBFILENAME=~/.lsbatch/<time>.<id>`".
fn job_file(cluster: &Cluster, job: &Job, position: usize) -> PathBuf {
    let seconds = job.submitted / 1000;
    let index = job.elements[position]
        .index
        .map_or_else(String::new, |index| format!(".{index}"));
    let name = format!("{seconds}.{}{index}", job.number);
    cluster.home().join(".lsbatch").join(name)
}

/// Writes the copy of a script and the lines that run it: "`bsub < script` runs with the script's
/// shebang from a copy in `~/.lsbatch/` (`$0` = `/home/reflowt/.lsbatch/1795366031.89.1.shell`)". A shell
/// stands between, so that a script that a signal ends has an exit code, and it outlives signals that the
/// script traps: "script killed itself -9 / SEGV (`bsub ./x.sh`, `bsub < x.sh`) | `Exited with exit code
/// 137.`".
fn copy_script(cluster: &Cluster, job: &Job, file: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let copy = file.with_added_extension("shell");
    fs_err::copy(cluster.script(job.number), &copy)?;
    let quoted = [b"'", copy.as_os_str().as_bytes(), b"'"].concat();
    let text = [
        &b"trap : HUP INT QUIT USR1 USR2 PIPE ALRM TERM\n"[..],
        &quoted[..],
        b"\nsaveExit=$?\n/bin/rm -f ",
        &quoted[..],
        b"\nexit $saveExit\n",
    ]
    .concat();
    fs_err::write(file, text)
}

/// Returns a path that was asked for, with its patterns filled in: "`%J` = job id, `%I` = index; in a
/// non-array job `%I` becomes `0` (`f.3.0`). Relative to the submit directory." "A directory: `-o dd/` ->
/// `dd/84.out`; `-o /home/reflowt/l1` -> `36.out`."
pub(super) fn output_path(job: &Job, position: usize, asked: &Text, extension: &str) -> PathBuf {
    let index = job.elements[position].index.unwrap_or(0);
    let name = asked
        .lossy()
        .replace("%J", &job.number.to_string())
        .replace("%I", &index.to_string());
    let from = kept(job, more::SENT_FROM).unwrap_or("/");
    let path = PathBuf::from(from).join(&name);
    if name.ends_with('/') || path.is_dir() {
        return path.join(format!("{}.{extension}", job.number));
    }
    path
}
