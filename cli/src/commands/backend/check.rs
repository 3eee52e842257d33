use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueHint;
use reflow_conformance::{CheckOptions, Part, Report, Setup, check, marked};
use reflow_core::rundir::BackendRecord;
use reflow_core::scheduler::{ConnectOptions, Memory, Resources, Scheduler, Walltime};

use crate::backends;
use crate::context::{Context, not_connected, own_launcher, own_program};
use crate::error::{CliError, Kind};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output;
use crate::render;
use crate::scratch::Scratch;

/// Cores that the supervisor of a check takes this machine to have: its jobs do next to nothing.
const CPUS: u32 = 16;
/// What the suite calls the partition that it maps.
const MAPPED: &str = "reflow-check";
/// A partition that nobody has.
const UNKNOWN: &str = "reflow-no-such-partition";

/// Run the conformance suite over a batch system, with tiny jobs, and show what it keeps.
///
/// Each case proves one numbered promise that reflow relies on, from submitting to finding jobs again.
/// What the batch system cannot do is shown as ignored, with the reason. Nothing is left behind, also
/// after Ctrl-C: jobs are cancelled and files removed.
/// Exits with 0 when all cases passed or were ignored, with 1 when one failed, and with 3 when the batch
/// system cannot be reached.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The backend.
    #[arg(value_name = "NAME")]
    name: String,
    /// Send the jobs to this partition.
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// Run the cases that take minutes as well.
    #[arg(long)]
    full: bool,
    /// Run only cases with this word in their name, or of this clause. May be given several times.
    #[arg(long, value_name = "CASE")]
    filter: Vec<String>,
    /// A directory that the nodes see: a directory of its own is made in it, and removed at the end.
    /// Without it, the current directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    directory: Option<PathBuf>,
    /// Most cases under way at the same time.
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    at_once: usize,
    /// How many seconds a job of a moment may take to end, the queue included.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    patience: u64,
}

pub(super) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let directory = match &args.directory {
        Some(named) => context.surroundings.absolute(named),
        None => context.surroundings.directory.clone(),
    };
    let scratch = Scratch::below(&directory)?;
    let options = CheckOptions {
        filter: args.filter.clone(),
        at_once: args.at_once.max(1),
        slow: args.full,
        ..CheckOptions::default()
    };
    let progress = render::check::Progress::new(context.output.json);
    let report = Context::runtime()?.block_on(async {
        let mut interrupt = Interrupt::new()?;
        let place = Place::of(context, &args.name)?;
        let setup = tokio::select! {
            () = interrupt.came() => Err(interrupted()),
            setup = setup(context, args, &place, scratch.path()) => setup,
        };
        let report = match setup {
            Ok(setup) => check(setup, &options, interrupt.came(), |case| {
                progress.show(case);
            })
            .await
            .map_err(|error| CliError::request(error.to_string())),
            Err(error) => Err(error),
        };
        place.leave().await;
        report
    });
    progress.finish();
    let report = report?;
    if report.cases.is_empty() {
        return Err(
            CliError::request(format!("no case is meant by {}", args.filter.join(" "))).with_hint(
                format!(
                    "without `--filter`, `reflow backend check {}` shows them all",
                    args.name
                ),
            ),
        );
    }
    if context.output.json {
        output::print_document(&report)?;
    } else {
        output::print(&render::check::text(&report))?;
    }
    Ok(exit(&report))
}

fn exit(report: &Report) -> Exit {
    match report {
        Report {
            interrupted: true, ..
        } => Exit::Interrupted,
        Report {
            failed: 0, left, ..
        } if left.is_empty() => Exit::Done,
        _ => Exit::RunFailed,
    }
}

fn interrupted() -> CliError {
    CliError::new(Kind::Interrupted, "interrupted; nothing was sent")
}

/// The batch system under check, and what is made for the check alone.
struct Place {
    record: BackendRecord,
    options: ConnectOptions,
    /// A supervisor of its own, for `local`: that of the user is left alone.
    supervisor: Option<Scratch>,
}

impl Place {
    fn of(context: &Context, name: &str) -> Result<Self, CliError> {
        let record = context.backend_named(name);
        let mut options = context.connect_options(&record, &own_launcher(&own_program()?)?);
        options.environment = marked(options.environment);
        let mut supervisor = None;
        if name == "local" {
            let directory = &options.runtime_dir;
            fs_err::create_dir_all(directory)?;
            let own = Scratch::below(directory)?;
            own.path().clone_into(&mut options.runtime_dir);
            supervisor = Some(own);
            // Some cases need several elements that run at the same time, on whatever machine.
            options.settings.insert("cpus".to_owned(), CPUS.into());
        }
        Ok(Self {
            record,
            options,
            supervisor,
        })
    }

    async fn connect(
        &self,
        partitions: BTreeMap<String, String>,
    ) -> Result<Arc<dyn Scheduler>, CliError> {
        let options = ConnectOptions {
            partitions,
            ..self.options.clone()
        };
        backends::registry()
            .connect(&self.record.name, options)
            .await
            .map_err(|error| not_connected(error, &self.record))
    }

    /// Ends what was made for the check.
    async fn leave(self) {
        if self.supervisor.is_some()
            && let Err(error) = reflow_backend_local::stop(self.options, true).await
        {
            output::warn(&format!(
                "the supervisor of the check was not stopped: {error}"
            ));
        }
    }
}

async fn setup(
    context: &Context,
    args: &Args,
    place: &Place,
    scratch: &Path,
) -> Result<Setup, CliError> {
    let record = &place.record;
    let first = place.connect(record.partitions.clone()).await?;
    let own = args.partition.clone().or(record.dispatch.partition.clone());
    // Under another name as well, so that the mapping is seen to work.
    let native = own
        .as_ref()
        .map(|name| record.partitions.get(name).unwrap_or(name).clone())
        .or_else(|| default_partition(first.as_ref()));
    let mapped = native.map(|native| (MAPPED.to_owned(), native));
    let mut partitions = record.partitions.clone();
    partitions.extend(mapped.clone());
    let resources = Resources {
        mem: Some(Memory::from_mebibytes(64)),
        time: Some(Walltime::from_seconds(300)),
        partition: own,
        account: record.dispatch.account.clone(),
        qos: record.dispatch.qos.clone(),
        reservation: record.dispatch.reservation.clone(),
        ..Resources::default()
    };
    Ok(Setup {
        unknown_partition: (record.name != "local").then(|| UNKNOWN.to_owned()),
        mapped_partition: mapped,
        patience: Duration::from_secs(args.patience),
        limit_lag: context.latency(&record.name) + Duration::from_mins(5),
        rig: BTreeMap::from([(Part::SecondConnection, first)]),
        ..Setup::for_site(
            place.connect(partitions).await?,
            scratch.to_owned(),
            resources,
        )
    })
}

fn default_partition(scheduler: &dyn Scheduler) -> Option<String> {
    let partitions = &scheduler.capabilities().partitions;
    let default = partitions.iter().find(|partition| partition.is_default)?;
    Some(default.name.clone())
}
