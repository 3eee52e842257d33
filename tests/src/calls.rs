//! How often a run uses the batch system's programs.

use std::collections::BTreeMap;
use std::fmt;

use crate::faulty::{FaultPlan, Faulty};
use crate::program::Program;

/// Slurm's programs that reflow calls.
const PROGRAMS: [&str; 6] = ["sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo"];

/// Where the real ones are looked for.
const SEARCHED: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Programs in front of Slurm's own that write down each call, from wherever it is made: they come first
/// on the `PATH` of the program and of its jobs.
#[derive(Debug)]
pub struct Calls {
    programs: Faulty,
}

/// Calls to the batch system by program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count(BTreeMap<String, usize>);

impl Calls {
    /// Has the calls of `program` and of its jobs written down.
    ///
    /// # Panics
    /// When the directory of `program` cannot be written.
    pub fn of(program: Program) -> (Program, Self) {
        let directory = program.home().join("counted");
        let programs = Faulty::before_searched(SEARCHED, &PROGRAMS, &directory);
        let path = format!("{}:{SEARCHED}", programs.bin().display());
        (program.with_variable("PATH", &path), Self { programs })
    }

    /// Has calls of one of Slurm's programs go wrong.
    ///
    /// # Panics
    /// When the files cannot be written.
    pub fn go_wrong(&self, program: &str, plans: impl IntoIterator<Item = FaultPlan>) {
        self.programs.set_script(program, plans);
    }

    /// Returns the calls made until now. `sbatch --version` is not one.
    pub fn count(&self) -> Count {
        (self.programs.calls().into_iter())
            .filter(|call| {
                call.arguments
                    .first()
                    .is_none_or(|word| word != "--version")
            })
            .map(|call| call.program)
            .collect()
    }
}

impl Count {
    /// Returns how often `program` was called.
    pub fn get(&self, program: &str) -> usize {
        self.0.get(program).copied().unwrap_or(0)
    }
}

impl FromIterator<String> for Count {
    fn from_iter<I: IntoIterator<Item = String>>(programs: I) -> Self {
        let mut count = Self::default();
        for name in programs {
            *count.0.entry(name).or_default() += 1;
        }
        count
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
