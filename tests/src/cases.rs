//! Cases that may have a reason not to run here.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

/// One case, and whether it needs more than every machine has.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name: the promise that it shows.
    pub name: &'static str,
    /// The case. It panics where the promise does not hold.
    pub run: fn(),
    /// Whether it needs a real Slurm.
    pub slurm: bool,
    /// Whether it takes more than a few seconds.
    pub slow: bool,
    /// What else this machine lacks for it, if anything.
    pub missing: fn() -> Option<&'static str>,
}

impl Case {
    /// Returns the case as one that is ignored where `missing` tells a reason.
    #[must_use]
    pub const fn unless(self, missing: fn() -> Option<&'static str>) -> Self {
        Self { missing, ..self }
    }
}

/// Returns a case that every machine can show in a few seconds.
pub const fn local_case(name: &'static str, run: fn()) -> Case {
    Case {
        name,
        run,
        slurm: false,
        slow: false,
        missing: || None,
    }
}

/// Returns a case of a few seconds that needs `python3`.
pub const fn python_case(name: &'static str, run: fn()) -> Case {
    local_case(name, run).unless(no_python)
}

/// Returns a case of a few seconds that needs a real Slurm.
pub const fn slurm_case(name: &'static str, run: fn()) -> Case {
    Case {
        slurm: true,
        ..local_case(name, run)
    }
}

/// Returns a case that takes longer than a few seconds.
pub const fn slow_case(name: &'static str, run: fn()) -> Case {
    Case {
        slow: true,
        ..local_case(name, run)
    }
}

/// Returns a case that needs a real Slurm and takes longer.
pub const fn slow_slurm_case(name: &'static str, run: fn()) -> Case {
    Case {
        slow: true,
        ..slurm_case(name, run)
    }
}

/// Runs cases as `cargo test` does. One whose need is not met is shown as ignored, with the reason.
pub fn run_cases(cases: &[Case]) -> ExitCode {
    run(&Arguments::from_args(), cases, None)
}

/// The same, one case after another: each has the machine for itself. With `missing`, what this machine
/// lacks for them, none is run.
pub fn run_cases_one_by_one(cases: &[Case], missing: Option<&'static str>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    run(&arguments, cases, missing)
}

fn run(arguments: &Arguments, cases: &[Case], missing: Option<&'static str>) -> ExitCode {
    let (slurm, full) = (is_set("REFLOW_TEST_SLURM"), is_set("REFLOW_TEST_FULL"));
    let trials = cases
        .iter()
        .map(|case| {
            let case = *case;
            Trial::ignorable_test(case.name, move || {
                if let Some(missing) = missing.or_else(case.missing) {
                    return Ok(Completion::ignored_with(missing));
                }
                if case.slurm && !slurm {
                    return Ok(Completion::ignored_with(
                        "needs a Slurm that is there for tests (REFLOW_TEST_SLURM=1, see tests/run)",
                    ));
                }
                if case.slow && !full {
                    return Ok(Completion::ignored_with(
                        "slow: part of tests/run --full (REFLOW_TEST_FULL=1)",
                    ));
                }
                (case.run)();
                Ok(Completion::Completed)
            })
        })
        .collect();
    libtest_mimic::run(arguments, trials).exit_code()
}

fn no_python() -> Option<&'static str> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test asks for a program that reflow itself never runs"
    )]
    let asked = std::process::Command::new("python3")
        .arg("--version")
        .output();
    match asked {
        Ok(output) if output.status.success() => None,
        _ => Some("needs python3"),
    }
}

/// Returns whether tests were told that the machine has something.
pub fn is_set(name: &str) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test binary is told by tests/run what the machine has"
    )]
    std::env::var(name).is_ok_and(|value| value == "1")
}
