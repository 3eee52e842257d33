use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::plan::{Fault, FaultPlan};
use crate::calls::Count;

/// Where in the directory each call is written down, a line each.
pub(super) const CALLS: &str = "calls";
/// Where in the directory the plans lie, a file for each program.
pub(super) const PLANS: &str = "plans";

/// A plan with the number under which its calls are counted.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) number: u64,
    pub(super) plan: FaultPlan,
}

/// One call of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The program's name.
    pub program: String,
    /// What it was given, bytes that are not UTF-8 replaced.
    pub arguments: Vec<String>,
    /// What went wrong.
    pub fault: Option<Fault>,
}

/// Programs in front of a batch system's own, which do what their plans say, and count.
///
/// Dropping it ends programs that are silent; the directory is the caller's to remove.
#[derive(Debug)]
pub struct Faulty {
    directory: PathBuf,
}

impl Faulty {
    /// Makes a `bin` below `directory` with those of `programs` that are in `real`. Nothing goes wrong
    /// until [`set`](Self::set) says so.
    ///
    /// # Panics
    /// When `directory` cannot be written, or the program in front was not built with this test.
    pub fn before(real: &Path, programs: &[&str], directory: &Path) -> Self {
        Self::before_searched(&real.display().to_string(), programs, directory)
    }

    /// Makes a `bin` below `directory` with those of `programs` that are on `searched`, a list of
    /// directories as in `PATH`.
    ///
    /// # Panics
    /// When `directory` cannot be written, or the program in front was not built with this test.
    pub fn before_searched(searched: &str, programs: &[&str], directory: &Path) -> Self {
        let faulty = Self {
            directory: directory.to_owned(),
        };
        let client = client();
        fs::create_dir_all(faulty.bin()).expect("the directory is writable");
        fs::create_dir_all(directory.join(PLANS)).expect("the directory is writable");
        for name in programs {
            let Some(real) = std::env::split_paths(searched)
                .map(|folder| folder.join(name))
                .find(|path| path.is_file())
            else {
                continue;
            };
            // By paths alone: jobs get little of an environment.
            let words = [&client, directory, Path::new(name), &real];
            let words = words.map(|word| format!("'{}'", word.display()));
            let text = format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "));
            let path = faulty.bin().join(name);
            fs::write(&path, text).expect("the directory is writable");
            fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                .expect("the file is ours");
        }
        faulty
    }

    /// Returns the directory of the programs.
    pub fn bin(&self) -> PathBuf {
        self.directory.join("bin")
    }

    /// Has calls of a program, or of `all`, go wrong by one plan, in place of earlier plans for it.
    ///
    /// # Panics
    /// When the directory cannot be written.
    pub fn set(&self, program: &str, plan: impl Into<FaultPlan>) {
        self.set_script(program, [plan.into()]);
    }

    /// Has calls of a program, or of `all`, go wrong by several plans, in place of earlier plans for it.
    /// Each counts the calls that it is about by itself, from now on; the first whose turn it is shows.
    ///
    /// # Panics
    /// When the directory cannot be written.
    pub fn set_script(&self, program: &str, plans: impl IntoIterator<Item = FaultPlan>) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Apart from those of another process that sets plans in the same directory.
        let process = u64::from(std::process::id()) << 32;
        let stored: Vec<Stored> = plans
            .into_iter()
            .map(|plan| Stored {
                number: process | NEXT.fetch_add(1, Ordering::Relaxed),
                plan,
            })
            .collect();
        let text = serde_json::to_vec(&stored).expect("text and numbers");
        let path = self.directory.join(PLANS).join(program);
        let new = path.with_extension("new");
        fs::write(&new, text).expect("the directory is writable");
        fs::rename(new, path).expect("the directory is writable");
    }

    /// Has calls of a program, or of `all`, go right again. A plan that was made for `all` is ended by
    /// `all` only.
    pub fn clear(&self, program: &str) {
        self.set_script(program, []);
    }

    /// Returns the calls made until now, in the order of their starts.
    pub fn calls(&self) -> Vec<Call> {
        let text = fs::read_to_string(self.directory.join(CALLS)).unwrap_or_default();
        text.lines()
            // The last may be half written just now.
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Returns how often each program was called until now.
    pub fn count(&self) -> Count {
        self.calls().into_iter().map(|call| call.program).collect()
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        // The sign for silent programs; the rest may be wanted after a failure.
        let _ = fs::remove_dir_all(self.directory.join(PLANS));
    }
}

/// Returns the program that stands in front, which Cargo has built with the tests of this crate.
fn client() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    // This test is `target/PROFILE/deps/NAME`, the program `target/PROFILE/reflow-faulty-client`.
    let client = test
        .ancestors()
        .nth(2)
        .expect("a test lies below the target directory")
        .join("reflow-faulty-client");
    assert!(client.exists(), "{} was not built", client.display());
    client
}
