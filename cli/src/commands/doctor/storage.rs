mod lease;
mod operations;

use std::path::{Path, PathBuf};

use reflow_core::scheduler::Memory;

use super::{Findings, Level};
use crate::context::Context;
use crate::scratch::Scratch;

const TOPIC: &str = "storage";

/// Less than this is little: a run copies the program and keeps the output of its jobs.
const LITTLE: Memory = Memory::from_mebibytes(1024);

/// Looks at the store and at the directory for runs.
pub(super) async fn look(context: &Context, directory: &Path, findings: &mut Findings) {
    match context.configuration.resolved.store() {
        Some(store) => {
            let existing = nearest_existing(&store);
            place(
                &format!("store {}", store.display()),
                &existing,
                false,
                findings,
            )
            .await;
        }
        None => {
            findings
                .add(
                    TOPIC,
                    Level::Warning,
                    "store",
                    "there is none: runs are not listed",
                )
                .advise("set `store`, or `HOME`; runs can be named by their directories");
        }
    }
    let existing = nearest_existing(directory);
    place(
        &format!("runs in {}", directory.display()),
        &existing,
        true,
        findings,
    )
    .await;
}

/// Returns the directory, or the one above it in which it would be made.
fn nearest_existing(path: &Path) -> PathBuf {
    path.ancestors()
        .find(|path| path.is_dir())
        .unwrap_or(Path::new("/"))
        .to_owned()
}

/// Looks at one place: what reflow does with files works there, and there is room.
async fn place(about: &str, directory: &Path, holds_runs: bool, findings: &mut Findings) {
    let scratch = match Scratch::below(directory) {
        Ok(scratch) => scratch,
        Err(error) => {
            findings
                .add(
                    TOPIC,
                    Level::Problem,
                    about,
                    format!("cannot be written: {error}"),
                )
                .advise(if holds_runs {
                    "choose another directory with `--directory`, and for runs with `--run-dir`"
                } else {
                    "choose another with `store`"
                });
            return;
        }
    };
    match operations::look(scratch.path()) {
        Ok(()) => {
            findings.ok(
                TOPIC,
                about,
                "exclusive create, rename, append and sync work",
            );
        }
        Err(failed) => {
            findings
                .add(TOPIC, Level::Problem, about, failed.to_string())
                .advise("runs need a file system that keeps this promise: use another one");
        }
    }
    if holds_runs {
        match lease::look(scratch.path()).await {
            Ok(()) => findings.ok(TOPIC, about, "the lease can be taken, and taken over"),
            Err(why) => findings
                .add(
                    TOPIC,
                    Level::Problem,
                    about,
                    format!("the lease does not work: {why}"),
                )
                .advise("runs need a file system on which one of two that create a file loses"),
        };
    }
    room(about, directory, findings);
}

fn room(about: &str, directory: &Path, findings: &mut Findings) {
    let known = match rustix::fs::statvfs(directory) {
        Ok(known) => known,
        Err(error) => {
            let message = format!("how much room there is cannot be found out: {error}");
            findings.add(TOPIC, Level::Warning, about, message);
            return;
        }
    };
    let free = Memory::from_bytes(known.f_bavail.saturating_mul(known.f_frsize));
    // Some file systems count no files.
    let few_files = known.f_files > 0 && known.f_favail < 10_000;
    let shown = match free.bytes() >> 20 {
        mebibytes if mebibytes < 10 << 10 => Memory::from_mebibytes(mebibytes),
        mebibytes => Memory::from_mebibytes(mebibytes >> 10 << 10),
    };
    let finding = if free < LITTLE || few_files {
        let files = if few_files {
            format!(", and {} more files", known.f_favail)
        } else {
            String::new()
        };
        findings
            .add(
                TOPIC,
                Level::Warning,
                about,
                format!("room for {shown}{files} only"),
            )
            .advise("make room: workers wait when a disk is full, and give up after ten minutes")
    } else {
        findings.ok(TOPIC, about, format!("room for {shown}"))
    };
    finding.fact("free_bytes", free.bytes());
}
