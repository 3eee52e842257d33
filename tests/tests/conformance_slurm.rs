//! The conformance suite on a real Slurm.
//!
//! Runs where `sbatch` is on the `PATH` and `REFLOW_TEST_SLURM` is `1`; elsewhere every case is shown
//! as ignored, with the reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::Arguments;
use reflow_conformance::{Part, Setup, marked};
use reflow_core::command::{Runner, RunnerOptions};
use reflow_core::scheduler::ConnectOptions;
use reflow_tests::conformance::{
    Suite, System, environment, run_suites, runtime, scratch, setup_over,
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
    run_suites(&arguments, &runtime, vec![suite])
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
    let options = ConnectOptions {
        environment: marked(environment()),
        ..ConnectOptions::default()
    };
    let connect = || async {
        reflow_backend_slurm::connect(options.clone())
            .await
            .map_err(|error| error.to_string())
    };
    let broken = Broken::new(scratch, &options)?;
    let unreachable = reflow_backend_slurm::connect(broken.options).await;
    let unreachable = unreachable.map_err(|error| error.to_string())?;
    fs_err::write(&broken.switch, "").map_err(|error| error.to_string())?;
    Ok(Setup {
        rig: BTreeMap::from([
            (Part::SecondConnection, connect().await?),
            (Part::Unreachable, unreachable),
        ]),
        unknown_partition: Some("reflow-no-such-partition".into()),
        ..setup_over(connect().await?, scratch)
    })
}

/// Programs in front of Slurm's own that fail, in its words, once `switch` exists.
struct Broken {
    options: ConnectOptions,
    switch: PathBuf,
}

impl Broken {
    fn new(scratch: &Path, options: &ConnectOptions) -> Result<Self, String> {
        use std::os::unix::fs::PermissionsExt;
        let directory = scratch.join("unreachable");
        let switch = directory.join("switch");
        let finder = Runner::new(RunnerOptions {
            environment: options.environment.clone(),
            ..RunnerOptions::default()
        });
        fs_err::create_dir(&directory).map_err(|error| error.to_string())?;
        for program in ["sbatch", "squeue", "sacct", "scancel", "scontrol"] {
            let real = finder.find(program).map_err(|error| error.to_string())?;
            let script = format!(
                "#!/bin/bash\n[ -e '{}' ] || exec '{}' \"$@\"\necho '{program}: error: Unable to contact slurm controller (connect failure)' >&2\nexit 1\n",
                switch.display(),
                real.display()
            );
            let path = directory.join(program);
            fs_err::write(&path, script).map_err(|error| error.to_string())?;
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                .map_err(|error| error.to_string())?;
        }
        Ok(Self {
            options: ConnectOptions {
                bin_dir: Some(directory),
                ..options.clone()
            },
            switch,
        })
    }
}
