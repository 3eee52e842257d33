//! How often a run uses the batch system's programs.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::program::Program;

/// Slurm's programs that reflow calls.
const PROGRAMS: [&str; 6] = ["sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo"];

/// Where the real ones are looked for.
const SEARCHED: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Programs in front of Slurm's own that write down each call, from wherever it is made: they come first
/// on the `PATH` of the program and of its jobs.
#[derive(Debug)]
pub struct Calls {
    log: PathBuf,
}

/// Calls to the batch system by program. `sbatch --version` is not one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count(BTreeMap<String, usize>);

impl Calls {
    /// Has the calls of `program` and of its jobs written down.
    ///
    /// # Panics
    /// When the directory of `program` cannot be written.
    pub fn of(program: Program) -> (Program, Self) {
        let directory = program.home().join("counted");
        let log = program.home().join("calls");
        fs_err::create_dir_all(&directory).expect("home is writable");
        for name in PROGRAMS {
            let path = directory.join(name);
            // By its path: the `PATH` is what jobs get.
            let text = format!(
                "#!/bin/bash\n[ \"$1\" = --version ] || echo \"$EPOCHREALTIME {name} $*\" >> '{}'\n\
                 exec \"$(PATH='{SEARCHED}' type -P {name})\" \"$@\"\n",
                log.display()
            );
            fs_err::write(&path, text).expect("home is writable");
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                .expect("the file is ours");
        }
        let path = format!("{}:{SEARCHED}", directory.display());
        (program.with_variable("PATH", &path), Self { log })
    }

    /// Has lines of bash run in place of `program`; `real` in them is the program itself.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn replace(&self, program: &str, script: &str) {
        let path = self.log.with_file_name("counted").join(program);
        let text = fs_err::read_to_string(&path).expect("was written");
        let (count, run) = text.split_once("exec ").expect("was written so");
        let text = format!("{count}real() {{ {run}}}\n{script}\n");
        // By rename: it may be running.
        let new = path.with_extension("new");
        fs_err::write(&new, text).expect("home is writable");
        fs_err::set_permissions(&new, std::fs::Permissions::from_mode(0o755))
            .expect("the file is ours");
        fs_err::rename(new, path).expect("home is writable");
    }

    /// Returns the calls made until now.
    pub fn count(&self) -> Count {
        let text = fs_err::read_to_string(&self.log).unwrap_or_default();
        let mut count = Count::default();
        for name in text.lines().filter_map(|line| line.split(' ').nth(1)) {
            *count.0.entry(name.to_owned()).or_default() += 1;
        }
        count
    }
}

impl Count {
    /// Returns how often `program` was called.
    pub fn get(&self, program: &str) -> usize {
        self.0.get(program).copied().unwrap_or(0)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls (", self.0.values().sum::<usize>())?;
        for (place, (name, count)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {count}")?;
        }
        f.write_str(")")
    }
}
