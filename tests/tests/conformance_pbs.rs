//! The conformance suite on PBS: the fakes of OpenPBS, with and without history, and of Torque, and a real
//! one where `REFLOW_TEST_PBS` is `1` and its programs are on the `PATH`.

use std::process::ExitCode;

use libtest_mimic::Arguments;
use reflow_core::scheduler::{Registry, Walltime};
use reflow_tests::conformance::{Driven, Family, run_rigged, runtime};
use reflow_tests::fake::{Dialect, FakeOptions};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = runtime();
    let mut registry = Registry::default();
    registry.register("pbs", reflow_backend_pbs::connect);
    let pbs = Driven {
        registry,
        backend: "pbs",
        family: Family::Pbs,
        shortest_walltime: Walltime::from_seconds(5),
    };
    let fake = |name, dialect| pbs.over_fake(name, &runtime, dialect, FakeOptions::of(dialect));
    let forgetful = FakeOptions {
        history: None,
        ..FakeOptions::of(Dialect::OpenPbs)
    };
    let rigged = vec![
        fake("openpbs", Dialect::OpenPbs),
        pbs.over_fake(
            "openpbs_without_history",
            &runtime,
            Dialect::OpenPbs,
            forgetful,
        ),
        fake("torque", Dialect::Torque),
        pbs.over_installed("installed", &runtime, "REFLOW_TEST_PBS"),
    ];
    run_rigged(&arguments, &runtime, rigged)
}
