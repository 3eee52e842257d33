//! The backends, each with a batch system of a test's own where it can be.

use std::time::Duration;

use reflow_tests::fake::{Dialect, Fake, FakeOptions};
use reflow_tests::{Program, is_set};

/// A backend over a batch system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct System {
    pub(crate) name: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Local,
    Slurm,
    Pbs(Dialect),
    /// A PBS that forgets jobs when they end (`job_history_enable` off).
    Forgetful,
    Lsf(Dialect),
}

const fn system(name: &'static str, kind: Kind) -> System {
    System { name, kind }
}

pub(crate) const SYSTEMS: &[System] = &[
    system("local", Kind::Local),
    system("slurm", Kind::Slurm),
    system("openpbs", Kind::Pbs(Dialect::OpenPbs)),
    system("openpbs_without_history", Kind::Forgetful),
    system("torque", Kind::Pbs(Dialect::Torque)),
    system("lsf", Kind::Lsf(Dialect::Lsf)),
    system("openlava", Kind::Lsf(Dialect::OpenLava)),
];

impl System {
    /// Returns why nothing can be run on it here, if that is so.
    pub(crate) fn missing(self) -> Option<&'static str> {
        let is_missing = matches!(self.kind, Kind::Slurm) && !is_set("REFLOW_TEST_SLURM");
        is_missing
            .then_some("needs a Slurm that is there for tests (REFLOW_TEST_SLURM=1, see tests/run)")
    }

    /// Returns whether thousands of elements take minutes on it.
    pub(crate) fn is_slow(self) -> bool {
        !matches!(self.kind, Kind::Local)
    }

    /// Gives `run` the program over a batch system that is there as long as it takes.
    pub(crate) fn with(self, run: fn(&Program)) {
        match self.kind {
            Kind::Local => run(&Program::local()),
            Kind::Slurm => run(&Program::slurm()),
            Kind::Pbs(dialect) => over("pbs", dialect, FakeOptions::of(dialect), run),
            Kind::Forgetful => {
                let options = FakeOptions {
                    history: None,
                    ..FakeOptions::of(Dialect::OpenPbs)
                };
                over("pbs", Dialect::OpenPbs, options, run);
            }
            Kind::Lsf(dialect) => over("lsf", dialect, FakeOptions::of(dialect), run),
        }
    }
}

fn over(backend: &'static str, dialect: Dialect, options: FakeOptions, run: fn(&Program)) {
    let options = FakeOptions {
        // Jobs do not start in the moment they are sent, anywhere.
        start_delay: Duration::from_millis(50),
        ..options
    };
    let fake = Fake::start(dialect, options);
    run(&Program::over(backend, &fake.bin(), ""));
}
