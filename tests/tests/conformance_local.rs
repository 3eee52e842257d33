//! The conformance suite on the local backend.
//!
//! The test program is its own supervisor: the backend starts it as `PROGRAM supervisor --dir DIR`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use reflow_conformance::{CheckOptions, Part, Setup, check, marked};
use reflow_core::scheduler::{ConnectOptions, Walltime};
use reflow_tests::conformance::{Suite, System, environment, run_suites, runtime, setup_over};
use tokio::runtime::Runtime;

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
    let system: System = runtime.block_on(setup(&options, scratch.path())).into();
    let more = match &system {
        System::Here(setup) => vec![
            trial("a_check_tells_how_each_case_ended", setup, &runtime, told),
            trial(
                "a_check_that_is_interrupted_leaves_nothing_behind",
                setup,
                &runtime,
                interrupted,
            ),
            trial(
                "a_case_that_takes_too_long_leaves_nothing_behind",
                setup,
                &runtime,
                given_up,
            ),
        ],
        _ => Vec::new(),
    };
    let suite = Suite {
        name: "local",
        system,
    };
    let code = run_suites(&arguments, &runtime, vec![suite], more);
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
        quick_limits: true,
        memory_enforced: true,
        ..setup_over(connect().await?, scratch)
    })
}

fn trial<Checking>(
    name: &'static str,
    setup: &Setup,
    runtime: &Runtime,
    check: fn(Setup) -> Checking,
) -> Trial
where
    Checking: Future<Output = ()> + 'static,
{
    let runtime = runtime.handle().clone();
    let mut setup = setup.clone();
    setup.scratch = setup.scratch.join(name);
    Trial::test(name, move || {
        fs_err::create_dir(&setup.scratch)?;
        let scratch = setup.scratch.clone();
        runtime.block_on(check(setup));
        let left = fs_err::read_dir(scratch)?.count();
        assert_eq!(left, 0, "something is left in the scratch directory");
        Ok(())
    })
}

async fn told(setup: Setup) {
    let options = CheckOptions {
        filter: ["a_job_runs_to_its_end", "S4", "an_unknown_partition"]
            .map(str::to_owned)
            .into(),
        at_once: 2,
        ..CheckOptions::default()
    };
    let mut seen = Vec::new();
    let ended = check(setup, &options, std::future::pending(), |case| {
        seen.push(case.name.clone());
    });
    let report = ended.await.expect("the directory is writable");
    let mut names: Vec<String> = report.cases.iter().map(|case| case.name.clone()).collect();
    assert_eq!(
        names.first().map(String::as_str),
        Some("a_job_runs_to_its_end")
    );
    names.sort();
    seen.sort();
    assert_eq!(seen, names, "each case is told once as it ends");
    assert_eq!((report.failed, report.left.len()), (0, 0), "{report:?}");
    assert!(report.passed > 3 && report.ignored > 0, "{report:?}");
    let text = serde_json::to_value(&report).expect("a report is JSON");
    assert_eq!(text["cases"][0]["outcome"], "passed");
    assert_eq!(text["cases"][0]["clause"], "S3");
}

async fn interrupted(setup: Setup) {
    let options = CheckOptions {
        filter: vec!["C2".to_owned(), "S5".to_owned()],
        ..CheckOptions::default()
    };
    let soon = tokio::time::sleep(Duration::from_millis(700));
    let report = check(setup, &options, soon, |_| {}).await;
    let report = report.expect("the directory is writable");
    assert!(report.interrupted && report.ignored > 0, "{report:?}");
    assert_eq!((report.failed, report.left.len()), (0, 0), "{report:?}");
}

async fn given_up(setup: Setup) {
    let options = CheckOptions {
        filter: vec![
            "after_any_runs_on_an_ended_array".to_owned(),
            "times_are_told".to_owned(),
        ],
        limit: Duration::from_millis(400),
        ..CheckOptions::default()
    };
    let report = check(setup, &options, std::future::pending(), |_| {}).await;
    let report = report.expect("the directory is writable");
    assert!(report.failed > 0, "{report:?}");
    assert_eq!(report.left.len(), 0, "{report:?}");
}
