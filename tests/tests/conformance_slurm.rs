//! The conformance suite on a real Slurm.
//!
//! Runs where `sbatch` is on the `PATH` and `REFLOW_TEST_SLURM` is `1`; elsewhere every case is shown
//! as ignored, with the reason.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;
use reflow_conformance::{Part, Setup, marked};
use reflow_core::command::{Runner, RunnerOptions};
use reflow_core::scheduler::{ConnectOptions, Registry};
use reflow_tests::conformance::{
    Clients, Family, Suite, System, environment, run_suites, runtime, scratch, setup_over,
};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = runtime();
    let scratch = scratch().expect("temporary files can be made");
    let system = match missing() {
        Some(reason) => System::NotHere(reason.to_owned()),
        None => runtime.block_on(setup(scratch.path())).into(),
    };
    let suite = Suite {
        name: "slurm",
        system,
    };
    run_suites(&arguments, &runtime, vec![suite], Vec::new())
}

/// Why the suite is not run here, if it is not.
fn missing() -> Option<&'static str> {
    let environment = environment();
    if environment
        .get("REFLOW_TEST_SLURM")
        .is_none_or(|value| value != "1")
    {
        return Some("needs a Slurm that is there for tests (REFLOW_TEST_SLURM=1, see tests/run)");
    }
    let runner = Runner::new(RunnerOptions {
        environment,
        ..RunnerOptions::default()
    });
    runner
        .find("sbatch")
        .is_err()
        .then_some("there is no Slurm here")
}

async fn setup(scratch: &Path) -> Result<Setup, String> {
    let mut registry = Registry::default();
    registry.register("slurm", reflow_backend_slurm::connect);
    let mut options = ConnectOptions {
        environment: marked(environment()),
        ..ConnectOptions::default()
    };
    let connect = |options: &ConnectOptions| {
        let connecting = registry.connect("slurm", options.clone());
        async { connecting.await.map_err(|error| error.to_string()) }
    };
    let known = connect(&options).await?.capabilities().partitions.clone();
    // Whatever the partition for everyone is called here.
    let native = known.iter().find(|partition| partition.is_default);
    let mapped_partition = native.map(|native| ("reflow-logical".to_owned(), native.name.clone()));
    options.partitions.extend(mapped_partition.clone());
    Ok(Setup {
        rig: BTreeMap::from([(Part::SecondConnection, connect(&options).await?)]),
        // tests/slurm-up sets `OverMemoryKill`.
        memory_enforced: true,
        unknown_partition: Some("reflow-no-such-partition".into()),
        mapped_partition,
        faulty: Some(Arc::new(Clients {
            registry: registry.clone(),
            backend: "slurm",
            options: options.clone(),
            family: Family::Slurm,
            searched: options.environment.get("PATH").cloned().unwrap_or_default(),
        })),
        ..setup_over(connect(&options).await?, scratch)
    })
}
