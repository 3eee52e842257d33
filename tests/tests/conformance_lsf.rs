//! The conformance suite on LSF: the fakes of IBM's LSF and of openlava, and a real one where
//! `REFLOW_TEST_LSF` is `1` and its programs are on the `PATH`. LSF takes no jobs from root.

use std::process::ExitCode;

use libtest_mimic::Arguments;
use reflow_core::scheduler::{Registry, Walltime};
use reflow_tests::conformance::{Driven, Family, run_rigged, runtime};
use reflow_tests::fake::{Dialect, FakeOptions};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = runtime();
    let mut registry = Registry::default();
    registry.register("lsf", reflow_backend_lsf::connect);
    let lsf = Driven {
        registry,
        backend: "lsf",
        family: Family::Lsf,
        shortest_walltime: Walltime::from_seconds(60),
    };
    let quick = FakeOptions {
        // The shortest run limit is a minute.
        time_scale: 20.0,
        ..FakeOptions::of(Dialect::Lsf)
    };
    // openlava does not tell that it was the run limit: that is seen by how long the job ran.
    let usual = FakeOptions::of(Dialect::OpenLava);
    let installed = if rustix::process::geteuid().is_root() {
        Driven::not_here(
            "installed",
            "LSF takes no jobs from root: run the tests as another user",
        )
    } else {
        lsf.over_installed("installed", &runtime, "REFLOW_TEST_LSF")
    };
    let rigged = vec![
        lsf.over_fake("lsf", &runtime, Dialect::Lsf, quick),
        lsf.over_fake("openlava", &runtime, Dialect::OpenLava, usual),
        installed,
    ];
    run_rigged(&arguments, &runtime, rigged)
}
