//! The conformance suite on the local backend.
//!
//! The test program is its own supervisor: the backend starts it as `PROGRAM supervisor --dir DIR`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::Arguments;
use reflow_conformance::{Part, Setup, marked, run};
use reflow_core::scheduler::{ConnectOptions, Resources};

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
    let scratch = match tempfile::Builder::new().prefix("reflow-").tempdir() {
        Ok(scratch) => scratch,
        Err(error) => return run(&arguments, async move { Err(error.to_string()) }),
    };
    let options = match options(scratch.path()) {
        Ok(options) => options,
        Err(reason) => return run(&arguments, async move { Err(reason) }),
    };
    let code = run(
        &arguments,
        setup(options.clone(), scratch.path().to_owned()),
    );
    stop(options);
    code
}

fn options(scratch: &Path) -> Result<ConnectOptions, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the test program reads its environment here"
    )]
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    // Room for cases that wait for each other, whatever this machine has.
    let settings = serde_json::json!({ "cpus": 16, "mem": "4G", "kill_wait": 2 });
    Ok(ConnectOptions {
        settings: settings.as_object().cloned().unwrap_or_default(),
        environment: marked(environment),
        runtime_dir: scratch.join("run"),
        launcher: vec![program.display().to_string()],
        ..ConnectOptions::default()
    })
}

async fn setup(options: ConnectOptions, scratch: PathBuf) -> Result<Setup, String> {
    let connect = || async {
        reflow_backend_local::connect(options.clone())
            .await
            .map_err(|error| error.to_string())
    };
    Ok(Setup {
        scheduler: connect().await?,
        rig: BTreeMap::from([(Part::SecondConnection, connect().await?)]),
        scratch,
        resources: Resources {
            mem: "64M".parse().ok(),
            time: "00:05:00".parse().ok(),
            ..Resources::default()
        },
        unknown_partition: None,
        patience: Duration::from_mins(1),
    })
}

/// Ends the supervisor, so that nothing is left behind.
fn stop(options: ConnectOptions) {
    if let Ok(runtime) = tokio::runtime::Runtime::new() {
        // Where it cannot be stopped it ends by itself, idle.
        let _stopped = runtime.block_on(reflow_backend_local::stop(options, true));
    }
}
