//! The conformance suite on a real Slurm.
//!
//! Runs where `sbatch` is on the `PATH` and `REFLOW_TEST_SLURM` is `1`; elsewhere every case is shown
//! as ignored, with the reason.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::Arguments;
use reflow_conformance::{Part, Setup, ignored, marked, run};
use reflow_core::command::{Runner, RunnerOptions};
use reflow_core::scheduler::{ConnectOptions, Resources};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    #[expect(
        clippy::disallowed_methods,
        reason = "the test program reads its settings here"
    )]
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    if environment
        .get("REFLOW_TEST_SLURM")
        .is_none_or(|value| value != "1")
    {
        return ignored(&arguments, "REFLOW_TEST_SLURM is not 1");
    }
    let runner = Runner::new(RunnerOptions {
        environment: environment.clone(),
        ..RunnerOptions::default()
    });
    if runner.find("sbatch").is_err() {
        return ignored(&arguments, "there is no Slurm here");
    }
    let scratch = match scratch(&environment) {
        Ok(scratch) => scratch,
        Err(error) => return run(&arguments, async { Err(error.to_string()) }),
    };
    run(&arguments, setup(environment, scratch.path().to_owned()))
}

/// A directory that the nodes see: under `REFLOW_TEST_SCRATCH`, else the directory for temporary
/// files, which does for nodes on this machine.
fn scratch(environment: &BTreeMap<String, String>) -> std::io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("reflow-conformance-");
    match environment.get("REFLOW_TEST_SCRATCH") {
        Some(shared) => builder.tempdir_in(shared),
        None => builder.tempdir(),
    }
}

async fn setup(environment: BTreeMap<String, String>, scratch: PathBuf) -> Result<Setup, String> {
    let options = ConnectOptions {
        environment: marked(environment),
        ..ConnectOptions::default()
    };
    let connect = || async {
        reflow_backend_slurm::connect(options.clone())
            .await
            .map_err(|error| error.to_string())
    };
    let scheduler = connect().await?;
    let broken = Broken::new(&scratch, &options)?;
    let unreachable = reflow_backend_slurm::connect(broken.options).await;
    let unreachable = unreachable.map_err(|error| error.to_string())?;
    fs_err::write(&broken.switch, "").map_err(|error| error.to_string())?;
    Ok(Setup {
        rig: BTreeMap::from([
            (Part::SecondConnection, connect().await?),
            (Part::Unreachable, unreachable),
        ]),
        scheduler,
        scratch,
        resources: Resources {
            mem: "64M".parse().ok(),
            time: "00:05:00".parse().ok(),
            ..Resources::default()
        },
        unknown_partition: Some("reflow-no-such-partition".into()),
        patience: Duration::from_mins(2),
    })
}

/// Programs in front of Slurm's own that fail, in its words, once `switch` exists.
struct Broken {
    options: ConnectOptions,
    switch: PathBuf,
}

impl Broken {
    fn new(scratch: &std::path::Path, options: &ConnectOptions) -> Result<Self, String> {
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
