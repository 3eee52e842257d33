//! The report of a job, and where its output goes.

use std::io::Write;
use std::path::Path;

use fs_err as fs;

use super::ends::{Ending, reason};
use super::rules::output_path;
use super::text::{long_time, seconds};
use super::{kept, more};
use crate::fake::{Body, Cluster, Dialect, Job, Outcome};

/// Puts the output of an ended element where it belongs. "MISSING directory: the job RUNS and is DONE,
/// the output is lost (mailed)."; "No `-o`: output is mailed. With `-e` only: stderr to the file, stdout
/// mailed." Mail is kept in the folder `mail` of the fake.
pub(super) fn deliver(cluster: &Cluster, job: &Job, position: usize) {
    let outcome = job.elements[position].outcome.as_ref();
    let out = cluster.spool(job, position, "out");
    let err = cluster.spool(job, position, "err");
    let submission = &job.submission;
    let error_file = submission
        .stderr
        .as_ref()
        .map(|asked| output_path(job, position, asked, "err"));
    if let Some(path) = &error_file {
        let is_new = submission.more.get(more::OVERWRITES_ERRORS) == Some(&true.into());
        let text = fs::read(&err).unwrap_or_default();
        // A directory that is not there takes it with it, as that of standard output.
        let _ = write(path, &text, is_new);
    }
    let stdout = fs::read(&out).unwrap_or_default();
    let text = report(
        cluster,
        job,
        position,
        outcome,
        &stdout,
        error_file.as_deref(),
    );
    let written = submission.stdout.as_ref().is_some_and(|asked| {
        let path = output_path(job, position, asked, "out");
        let is_new = submission.more.get(more::OVERWRITES) == Some(&true.into());
        write(&path, &text, is_new).is_ok()
    });
    if !written {
        let mail = cluster.directory().join("mail");
        let name = super::id_of(job, position);
        let _ = fs::create_dir_all(&mail).and_then(|()| write(&mail.join(name), &text, false));
    }
    for path in [out, err] {
        // Not each element has both.
        let _ = fs::remove_file(path);
    }
}

/// "Appends when the file exists (two jobs, one file: both reports). `-oo` (overwrite) is IBM only."
fn write(path: &Path, text: &[u8], is_new: bool) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options
        .create(true)
        .write(true)
        .truncate(is_new)
        .append(!is_new);
    options.open(path)?.write_all(text)
}

/// "LSF's report (Sender, Subject: `Job 3: <exit 7> Exited`, resource usage) and, after `The output (if
/// any) follows:`, the job's stdout."
fn report(
    cluster: &Cluster,
    job: &Job,
    position: usize,
    outcome: Option<&Outcome>,
    stdout: &[u8],
    error_file: Option<&Path>,
) -> Vec<u8> {
    let element = &job.elements[position];
    let mut element = element.clone();
    // It is told as it ends.
    element.state = crate::fake::ElementState::Ended;
    element.outcome = outcome.cloned();
    let ending = Ending::of(cluster.dialect, &element).unwrap_or(Ending::Done);
    let submission = &job.submission;
    let name = match kept(job, more::NAMED) {
        Some(_) => super::name_of(job, position),
        None => kept(job, more::COMMAND).unwrap_or_default().to_owned(),
    };
    let host = &cluster.options.server;
    let user = &submission.user;
    let ended = if ending == Ending::Done {
        "Done"
    } else {
        "Exited"
    };
    let (sender, within) = match cluster.dialect {
        // The header of IBM's job reports, as users show them.
        Dialect::Lsf => ("LSF System", " in cluster <cluster1>"),
        _ => ("openlava System", ""),
    };
    let id = super::id_of(job, position);
    let started = element.started.unwrap_or(job.submitted);
    let now = crate::fake::now();
    let body = match &submission.body {
        Body::Command(line) => line.first().map(|line| line.0.clone()).unwrap_or_default(),
        Body::Script(_) => fs::read(cluster.script(job.number)).unwrap_or_default(),
    };
    let line = "-".repeat(60);
    let directory = submission.directory.lossy();
    let home = cluster.home().display().to_string();
    let head = format!(
        "Sender: {sender} <lsfadmin@{host}>\nSubject: Job {id}: <{name}>{within} {ended}\n\n\
         Job <{name}> was submitted from host <{host}> by user <{user}>{within}.\n\
         Job was executed on host(s) <{host}>, in queue <{}>, as user <{user}>{within}.\n\
         <{home}> was used as the home directory.\n<{directory}> was used as the working directory.\n\
         Started at {}\nResults reported at {}\n\nYour job looked like:\n\n{line}\n# LSBATCH: User input\n",
        submission.queue,
        long_time(started),
        long_time(now),
    );
    let why =
        reason(cluster.dialect, &element).map_or_else(String::new, |reason| format!("{reason}.\n"));
    let success = match ending {
        Ending::Done => "Successfully completed.".to_owned(),
        other => other.sentence(),
    };
    let usage = format!(
        "\n{line}\n\n{why}{success}\n\nResource usage summary:\n\n    CPU time   :      0.00 sec.\n    \
         Max Memory :         2 MB\n    Run time   : {:>9} sec.\n\nThe output (if any) follows:\n\n",
        seconds(started, now)
    );
    let foot = match error_file {
        // "With `-e`, [...] the report ends `Read file <single.err.2> for stderr output of this job.`".
        Some(_) => {
            let asked = submission
                .stderr
                .as_ref()
                .map_or_else(String::new, crate::fake::Text::lossy);
            let index = element.index.unwrap_or(0).to_string();
            let shown = asked
                .replace("%J", &job.number.to_string())
                .replace("%I", &index);
            format!("\n\nPS:\n\nRead file <{shown}> for stderr output of this job.\n\n")
        }
        None => "\n".to_owned(),
    };
    [
        head.as_bytes(),
        &body,
        usage.as_bytes(),
        stdout,
        foot.as_bytes(),
    ]
    .concat()
}
