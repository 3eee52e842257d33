use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use reflow_core::command::SCRUBBED;
use reflow_core::scheduler::{Resources, Scheduler};
use tokio::runtime::Handle;

use crate::{Case, Fixture, Part, Rig, Site, cases};

/// The value of the variables that must not be seen in a job.
pub(crate) const MARK: &str = "reflow-conformance-leak";

/// What the suite runs on.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The batch system, connected with an environment that went through [`marked`].
    pub scheduler: Arc<dyn Scheduler>,
    /// An existing directory that the nodes see.
    pub scratch: PathBuf,
    /// What every job asks for: little.
    pub resources: Resources,
    /// A partition that does not exist, where the batch system has partitions.
    pub unknown_partition: Option<String>,
    /// How long a job of a moment may take to end, the queue included.
    pub patience: Duration,
    /// What a rig has besides.
    pub rig: BTreeMap<Part, Arc<dyn Scheduler>>,
}

/// Returns `environment` with variables added that a backend must keep from its jobs.
#[must_use]
pub fn marked(mut environment: BTreeMap<String, String>) -> BTreeMap<String, String> {
    for name in SCRUBBED {
        // Made-up names: a real one could change what the batch system's own programs do.
        let name = match name.strip_suffix('_') {
            Some(prefix) => format!("{prefix}_REFLOW_LEAK"),
            None => (*name).to_owned(),
        };
        environment.insert(name, MARK.to_owned());
    }
    environment
}

/// Runs the suite on what `setup` makes, and returns the exit code of the test program.
///
/// `arguments` are those of a test program. A case that does not apply is shown as ignored with its
/// reason; when nothing at all is run although nothing was filtered out, that is a failure.
pub fn run(arguments: &Arguments, setup: impl Future<Output = Result<Setup, String>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return refuse(arguments, &format!("no runtime: {error}")),
    };
    let setup = match runtime.block_on(setup) {
        Ok(setup) => setup,
        Err(reason) => return refuse(arguments, &reason),
    };
    let trials: Vec<Trial> = cases()
        .into_iter()
        .map(|case| trial(case, &setup, runtime.handle()))
        .collect();
    let conclusion = libtest_mimic::run(arguments, trials);
    if ran(&conclusion) == 0 && conclusion.num_filtered_out == 0 && !arguments.list {
        return refuse(arguments, "no case was run");
    }
    conclusion.exit_code()
}

/// Shows every case as ignored because of `reason`: the batch system is not here.
pub fn ignored(arguments: &Arguments, reason: &str) -> ExitCode {
    let trials = cases()
        .into_iter()
        .map(|case| skipped(case, reason))
        .collect();
    libtest_mimic::run(arguments, trials).exit_code()
}

/// One failed test that says why the suite could not be run.
fn refuse(arguments: &Arguments, reason: &str) -> ExitCode {
    let reason = reason.to_owned();
    let trial = Trial::test("the_suite_runs", move || Err(Failed::from(reason)));
    let arguments = Arguments {
        filter: None,
        skip: Vec::new(),
        ..arguments.clone()
    };
    libtest_mimic::run(&arguments, vec![trial]).exit_code()
}

fn ran(conclusion: &Conclusion) -> u64 {
    conclusion.num_passed + conclusion.num_failed
}

fn trial(case: Case, setup: &Setup, runtime: &Handle) -> Trial {
    let unmet = match case.fixture {
        _ if !(case.needs.holds)(setup.scheduler.capabilities()) => Some(case.needs.otherwise),
        Fixture::Rig(part, _) if !setup.rig.contains_key(&part) => Some(part.otherwise()),
        _ => None,
    };
    if let Some(reason) = unmet {
        return skipped(case, reason);
    }
    let (setup, runtime) = (setup.clone(), runtime.clone());
    Trial::test(case.name, move || {
        let directory = setup.scratch.join(case.name);
        fs_err::create_dir_all(&directory)?;
        runtime.block_on(perform(case, setup, directory))
    })
    .with_kind(case.clause)
}

fn skipped(case: Case, reason: &str) -> Trial {
    let words = reason.to_owned();
    Trial::test(format!("{}: {reason}", case.name), move || {
        Err(Failed::from(words))
    })
    .with_kind(case.clause)
    .with_ignored_flag(true)
}

async fn perform(case: Case, setup: Setup, directory: PathBuf) -> Result<(), Failed> {
    let site = Site::new(
        setup.scheduler,
        directory,
        setup.resources,
        setup.unknown_partition,
        setup.patience,
    );
    let outcome = match case.fixture {
        Fixture::Site(run) => {
            let outcome = run(&site).await;
            site.clean().await;
            outcome
        }
        Fixture::Rig(part, run) => {
            let Some(other) = setup.rig.get(&part).cloned() else {
                return Err(Failed::from(part.otherwise()));
            };
            let rig = Rig { site, other };
            let outcome = run(&rig).await;
            rig.site.clean().await;
            outcome
        }
    };
    outcome.map_err(|failure| Failed::from(format!("{}: {failure}", case.clause)))
}
