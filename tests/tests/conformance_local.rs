//! The conformance suite on the local backend.
//!
//! The test program is its own supervisor: the backend starts it as `PROGRAM supervisor --dir DIR`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::Arguments;
use reflow_conformance::{Part, Setup, marked};
use reflow_core::scheduler::{ConnectOptions, Walltime};
use reflow_tests::conformance::{Suite, environment, run_suites, runtime, setup_over};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [command, flag, directory] = &words[..]
        && command == "supervisor"
        && flag == "--dir"
    {
        return match reflow_backend_local::supervise(Path::new(directory)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "{error}");
                ExitCode::FAILURE
            }
        };
    }
    let arguments = Arguments::from_args();
    let runtime = runtime();
    let scratch = reflow_tests::conformance::scratch().expect("temporary files can be made");
    let options = options(scratch.path());
    let system = runtime.block_on(setup(&options, scratch.path())).into();
    let suite = Suite {
        name: "local",
        system,
    };
    let code = run_suites(&arguments, &runtime, vec![suite]);
    // Nothing is left behind; where it cannot be stopped it ends by itself, idle.
    let _stopped = runtime.block_on(reflow_backend_local::stop(options, true));
    code
}

fn options(scratch: &Path) -> ConnectOptions {
    let program = std::env::current_exe().expect("a test knows its own file");
    // Room for cases that wait for each other, whatever this machine has.
    let settings = serde_json::json!({ "cpus": 16, "mem": "4G", "kill_wait": 2 });
    ConnectOptions {
        settings: settings.as_object().cloned().unwrap_or_default(),
        environment: marked(environment()),
        runtime_dir: scratch.join("run"),
        launcher: vec![program.display().to_string()],
        ..ConnectOptions::default()
    }
}

async fn setup(options: &ConnectOptions, scratch: &Path) -> Result<Setup, String> {
    let connect = || async {
        reflow_backend_local::connect(options.clone())
            .await
            .map_err(|error| error.to_string())
    };
    Ok(Setup {
        rig: BTreeMap::from([(Part::SecondConnection, connect().await?)]),
        shortest_walltime: Walltime::from_seconds(2),
        memory_enforced: true,
        ..setup_over(connect().await?, scratch)
    })
}
