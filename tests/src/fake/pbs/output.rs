//! The output files of jobs: "Spooled and copied at END of job (not visible while running, unless `-k
//! oed`/`-k doe` = write directly)."

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;

use crate::fake::{Cluster, Delivered, Job, Submission, Text};

use super::id;
use super::rules::text;

/// Returns where the streams of an element are written while it runs; none for standard error that goes
/// with standard output.
pub(super) fn written_to(
    cluster: &Cluster,
    job: &Job,
    position: usize,
) -> (PathBuf, Option<PathBuf>) {
    let spooled = |kind: &str| cluster.spool(job, position, kind);
    let direct = |kind: char| {
        is_direct(&job.submission, kind)
            .then(|| destination(cluster, job, position, kind, false))
            .filter(|path| path.parent().is_some_and(Path::is_dir))
    };
    let stdout = direct('o').unwrap_or_else(|| spooled("OU"));
    match text(&job.submission, "join") {
        // Both in the file of the first.
        Some("oe") => (stdout, None),
        Some("eo") => (direct('e').unwrap_or_else(|| spooled("ER")), None),
        _ => (stdout, Some(direct('e').unwrap_or_else(|| spooled("ER")))),
    }
}

fn is_direct(submission: &Submission, kind: char) -> bool {
    text(submission, "keep").is_some_and(|keep| keep.contains('d') && keep.contains(kind))
}

/// "`umask` 077 for outputs (files are -rw-------); `-W umask=0022` gives -rw-r--r--".
pub(super) fn umask(submission: &Submission) -> u32 {
    text(submission, "umask")
        .and_then(|text| u32::from_str_radix(text, 8).ok())
        .unwrap_or(0o077)
}

/// Returns the directory of a job with a sandbox.
pub(super) fn sandbox(cluster: &Cluster, job: &Job, position: usize) -> PathBuf {
    let id = id::of_element(job, position, &cluster.options.server);
    cluster.home().join(format!("pbs.{id}.x8z"))
}

/// Copies the spooled files to where they belong, and removes what the job had for itself.
///
/// "A MISSING directory: not created. Job stays in state E while the copy is retried (tens of seconds),
/// ends with its own Exit_status (0), output is left in `<PBS_HOME>/undelivered/35.localhost.OU`."
pub(super) fn deliver(
    cluster: &Cluster,
    job: &Job,
    position: usize,
    given_up: bool,
    torque: bool,
) -> Delivered {
    let (stdout, stderr) = written_to(cluster, job, position);
    let merged = stderr.is_none();
    let first = if text(&job.submission, "join") == Some("eo") {
        'e'
    } else {
        'o'
    };
    let mut delivered = Delivered::Done;
    let files = [
        (Some(stdout), if merged { first } else { 'o' }),
        (stderr, 'e'),
    ];
    for (spooled, kind) in files {
        let Some(spooled) = spooled else { continue };
        // What was delivered at an earlier attempt is no longer there, and what is written directly is
        // not in the spool.
        if !spooled.starts_with(cluster.directory().join("spool")) || !spooled.exists() {
            continue;
        }
        let removed = text(&job.submission, "remove").is_some_and(|kinds| kinds.contains(kind));
        let target = destination(cluster, job, position, kind, torque);
        if removed || copy(&spooled, &target, umask(&job.submission)).is_ok() {
            let _ = fs::remove_file(&spooled);
        } else if given_up {
            let name = file_in_directory(cluster, job, position, kind);
            let _ = fs::rename(&spooled, cluster.directory().join("undelivered").join(name));
            delivered = Delivered::Undelivered;
        } else {
            delivered = Delivered::Later;
        }
    }
    if delivered != Delivered::Later {
        let id = id::of_element(job, position, &cluster.options.server);
        let tmp = cluster.directory().join("tmp").join(format!("pbs.{id}"));
        let _ = fs::remove_dir_all(tmp);
        let _ = fs::remove_file(cluster.spool(job, position, "nodes"));
        if text(&job.submission, "sandbox") == Some("PRIVATE") {
            let _ = fs::remove_dir_all(sandbox(cluster, job, position));
        }
    }
    delivered
}

/// "An existing file is OVERWRITTEN, not appended to."
fn copy(from: &Path, to: &Path, umask: u32) -> io::Result<()> {
    let mut source = fs::File::open(from)?;
    let mut target = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o666 & !umask)
        .open(to)?;
    io::copy(&mut source, &mut target)?;
    Ok(())
}

/// Returns where a stream belongs. "Default: `<submit dir>/<name>.o<seq>` and `.e<seq>`; arrays
/// `<name>.o20.3` (seq.index)." Torque: "output `name.o1098-3`".
pub(super) fn destination(
    cluster: &Cluster,
    job: &Job,
    position: usize,
    kind: char,
    torque: bool,
) -> PathBuf {
    let submission = &job.submission;
    let base = PathBuf::from(submission.directory.to_os());
    let index = job.elements[position].index;
    let asked = if kind == 'o' {
        &submission.stdout
    } else {
        &submission.stderr
    };
    let Some(asked) = asked else {
        let between = if torque { "-" } else { "." };
        let index = index.map_or_else(String::new, |index| format!("{between}{index}"));
        let name = format!("{}.{kind}{}{index}", submission.name, job.number);
        let keeps =
            text(submission, "keep").is_some_and(|keep| keep.contains(kind) && !keep.contains('d'));
        return if keeps { cluster.home() } else { base }.join(name);
    };
    let path = without_host(asked);
    let is_directory = path.0.ends_with(b"/");
    let path = base.join(
        index
            .map_or_else(|| path.clone(), |index| with_index(&path, index))
            .to_os(),
    );
    // "A directory (trailing / or existing) gives `<dir>/31[2].localhost.OU` (and `.ER`)."
    if is_directory || path.is_dir() {
        path.join(file_in_directory(cluster, job, position, kind))
    } else {
        path
    }
}

fn file_in_directory(cluster: &Cluster, job: &Job, position: usize, kind: char) -> String {
    let id = id::of_element(job, position, &cluster.options.server);
    format!("{id}.{}", if kind == 'o' { "OU" } else { "ER" })
}

/// "`-o host:/path` accepted."
pub(super) fn without_host(path: &Text) -> Text {
    let colon = path.0.windows(2).position(|pair| pair == b":/");
    match colon {
        Some(colon) if !path.0[..colon].contains(&b'/') => Text(path.0[colon + 1..].to_vec()),
        _ => path.clone(),
    }
}

/// "`^array_index^` is replaced in arrays (`out.2.txt`); in a NON-array job it stays literal".
fn with_index(path: &Text, index: u32) -> Text {
    const MARK: &[u8] = b"^array_index^";
    let mut rest = path.0.as_slice();
    let mut made = Vec::new();
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        made.extend_from_slice(&rest[..at]);
        made.extend_from_slice(index.to_string().as_bytes());
        rest = &rest[at + MARK.len()..];
    }
    made.extend_from_slice(rest);
    Text(made)
}

/// Returns the attribute `Output_Path` or `Error_Path`: the host and the path, the index not filled in.
pub(super) fn shown(cluster_server: &str, job: &Job, kind: char, torque: bool) -> String {
    let submission = &job.submission;
    let asked = if kind == 'o' {
        &submission.stdout
    } else {
        &submission.stderr
    };
    let base = PathBuf::from(submission.directory.to_os());
    let path = if let Some(asked) = asked {
        base.join(without_host(asked).to_os())
    } else {
        let index = match (job.is_array(), torque) {
            (false, _) => "",
            (true, true) => "-^array_index^",
            (true, false) => ".^array_index^",
        };
        base.join(format!("{}.{kind}{}{index}", submission.name, job.number))
    };
    let path = String::from_utf8_lossy(path.as_os_str().as_bytes());
    format!("{cluster_server}:{path}")
}
