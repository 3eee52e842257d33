use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reflow_core::command::{Call, Environment, Runner, RunnerOptions, client_environment};
use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    Capabilities, ConnectOptions, FailedParent, Found, JobRequest, JobStatus, PartitionLimits,
    Rendered, Scheduler, SchedulerError, SchedulerErrorKind, SubmitError, Target, client,
};

use crate::config::{Settings, Site, unit_for_limits};
use crate::dialect::{Dialect, Name};
use crate::memory::{Per, Units};
use crate::parse::{self, Format};
use crate::{cancel, find, partition, query, render, status, submit};

/// Variables that change what LSF's programs do or say, and those of the job that `submit` was called from.
///
/// With `BSUB_QUIET` the id is not printed, with `BSUB_CHK_RESREQ` nothing is submitted, with `BSUB_BLOCK`
/// `bsub` waits for the job.
const DROPPED: &[&str] = &["BSUB_", "LS_EXEC_T", "LS_JOBPID", "LS_SUBCWD"];

/// Most time for a submission: LSF's programs wait long for a daemon that answers slowly.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(5);

/// Most time for a question, however often it is asked.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long after a failed submission a job may still appear, where the site does not say.
const MESSAGE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long after its run limit a job of openlava is killed, where the site does not say.
const RUN_LIMIT_GRACE: Duration = Duration::from_mins(1);

/// LSF, as seen from this machine.
#[derive(Debug)]
pub(crate) struct Lsf {
    pub(crate) runner: Runner,
    pub(crate) capabilities: Capabilities,
    /// Most time for a question, however often it is asked.
    pub(crate) patience: Duration,
    pub(crate) dialect: Dialect,
    /// How `bjobs` is asked for states.
    pub(crate) format: Format,
    pub(crate) partitions: BTreeMap<String, String>,
    pub(crate) extra: Vec<String>,
    pub(crate) units: Units,
    pub(crate) memory_per: Per,
    pub(crate) history_logs: Option<u32>,
    pub(crate) run_limit_grace: Duration,
    /// What `LC_ALL` and `TZ` were for the user: clients run with others, and the job must not.
    pub(crate) locale: Option<String>,
    pub(crate) time_zone: Option<String>,
}

/// Connects to the LSF of this machine: finds its programs, their dialect, and the cluster's limits.
///
/// # Errors
/// [`SchedulerErrorKind::InvalidRequest`] for settings that do not fit,
/// [`SchedulerErrorKind::NotInstalled`] when `bsub` is missing, [`SchedulerErrorKind::UnexpectedOutput`] when
/// the dialect cannot be found out, [`SchedulerErrorKind::Unreachable`] when LSF is down.
pub async fn connect(options: ConnectOptions) -> Result<Arc<dyn Scheduler>, SchedulerError> {
    let settings = Settings::read(&options.settings)?;
    let environment = client_environment(&options.environment, &[], DROPPED);
    let command_timeout = settings.command_timeout.map(Duration::from_secs);
    let patience = command_timeout.unwrap_or(PATIENCE);
    let runner = Runner::new(RunnerOptions {
        bin_dir: options.bin_dir,
        environment: environment.clone(),
        at_most: settings.commands_at_once.unwrap_or(4),
        timeout: command_timeout.unwrap_or(COMMAND_TIMEOUT),
        ..RunnerOptions::default()
    });
    let probe = Probe {
        runner: &runner,
        patience,
    };
    let dialect = probe.dialect(settings.dialect).await?;
    tracing::debug!(?dialect, "found out");
    let (format, site, queues, units) = tokio::join!(
        probe.format(dialect),
        probe.site(dialect),
        probe.queues(),
        probe.units(dialect, &settings, &environment),
    );
    let (format, site) = (format?, site?);
    let partitions = partition::with_default(queues, &site.default_queues);
    let capabilities = Capabilities {
        partitions: client::named_partitions(&partitions, &options.partitions),
        ..capabilities(&site, &settings, dialect)
    };
    let default_per = if site.reserves_per_slot {
        Per::Slot
    } else {
        Per::Host
    };
    Ok(Arc::new(Lsf {
        capabilities,
        patience,
        dialect,
        format,
        partitions: options.partitions,
        extra: options.extra,
        units,
        memory_per: settings.memory_per.unwrap_or(default_per),
        history_logs: settings.history_logs,
        run_limit_grace: settings
            .run_limit_grace
            .map_or(RUN_LIMIT_GRACE, Duration::from_secs),
        locale: environment.get("LC_ALL").cloned(),
        time_zone: environment.get("TZ").cloned(),
        runner,
    }))
}

fn capabilities(site: &Site, settings: &Settings, dialect: Dialect) -> Capabilities {
    Capabilities {
        array_limit: Some(settings.array_limit.unwrap_or(site.max_job_array_size)),
        array_base: 1,
        element_wise: true,
        element_wise_any: true,
        failed_parent: if dialect.ends_orphans() {
            // By `-ti`, which every submission carries that needs it.
            FailedParent::Cancelled
        } else {
            FailedParent::PendForever
        },
        releases_cancelled: true,
        after_not_ok: true,
        not_before: true,
        concurrency_limit: true,
        element_cancel: true,
        history: Some(site.clean_period),
        submit_from_jobs: true,
        serves_indices: false,
        message_timeout: settings
            .message_timeout
            .map_or(MESSAGE_TIMEOUT, Duration::from_secs),
        may_stall: true,
        partitions: Vec::new(),
    }
}

/// The questions of [`connect`].
struct Probe<'a> {
    runner: &'a Runner,
    patience: Duration,
}

impl Probe<'_> {
    async fn ask(&self, argv: &[&str]) -> Result<query::Answer, SchedulerError> {
        query::within(self.patience, self.runner, argv).await
    }

    /// Asks `bsub` and `lsid` for their version, and `bjobs` for what only IBM's understands.
    async fn dialect(&self, named: Option<Name>) -> Result<Dialect, SchedulerError> {
        // Not a question to the cluster: it tells a missing program before anything else.
        let version = Call::new(["bsub", "-V"]);
        let output = self.runner.query(&version, |_| false).await?;
        let said = format!("{}\n{}", output.stdout_text(), output.stderr_text());
        let found = Dialect::parse(&said);
        match named {
            Some(Name::OpenLava) => return Ok(Dialect::OpenLava),
            Some(Name::Lsf) => {
                return Ok(found
                    .filter(|found| found.is_ibm())
                    .unwrap_or(Dialect::Ibm(None)));
            }
            None => {}
        }
        if let Some(found) = found {
            return Ok(found);
        }
        if let Ok(answer) = self.ask(&["lsid"]).await
            && let Some(found) =
                Dialect::parse(&format!("{}\n{}", answer.stdout(), answer.stderr()))
        {
            return Ok(found);
        }
        let answer = self.ask(&["bjobs", "-noheader", "-o", "jobid"]).await?;
        if answer.is_of_unknown_options() {
            return Ok(Dialect::OpenLava);
        }
        if answer.is_answer() {
            return Ok(Dialect::Ibm(None));
        }
        Err(answer.error("the programs do not say whether they are IBM's LSF or openlava: set `dialect` in `[backend.lsf]`"))
    }

    /// Finds the most telling form of `bjobs` that this LSF has.
    async fn format(&self, dialect: Dialect) -> Result<Format, SchedulerError> {
        if !dialect.is_ibm() {
            return Ok(Format::Long);
        }
        let answer = self
            .ask(&["bjobs", "-noheader", "-o", parse::FIELDS])
            .await?;
        if answer.is_answer() {
            return Ok(Format::Custom);
        }
        if !answer.is_refusal() {
            return Err(answer.error("LSF could not be asked"));
        }
        tracing::debug!(
            stderr = answer.stderr().as_ref(),
            "`bjobs -o` has not all fields"
        );
        Ok(Format::Long)
    }

    /// Asks for the cluster's parameters; those that are not told have their defaults.
    async fn site(&self, dialect: Dialect) -> Result<Site, SchedulerError> {
        let flag = if dialect.is_ibm() { "-a" } else { "-l" };
        let error = match self.ask(&["bparams", flag]).await {
            Ok(answer) if answer.is_success() => return Ok(Site::parse(&answer.stdout())),
            Ok(answer) if !answer.is_refusal() => {
                return Err(answer.error("LSF could not be asked"));
            }
            Ok(answer) => answer.error("`bparams` failed"),
            Err(error) if error.kind() == SchedulerErrorKind::NotInstalled => error,
            Err(error) => return Err(error),
        };
        tracing::warn!(%error, "the cluster's parameters are not known");
        Ok(Site::parse(""))
    }

    /// Asks for the limits of the queues; they are no condition.
    async fn queues(&self) -> Vec<PartitionLimits> {
        match self.ask(&["bqueues", "-l"]).await {
            Ok(answer) if answer.is_success() => partition::parse(&answer.stdout()),
            Ok(answer) => {
                let error = answer.error("`bqueues` failed");
                tracing::warn!(%error, "the limits of the queues are not known");
                Vec::new()
            }
            Err(error) => {
                tracing::warn!(%error, "the limits of the queues are not known");
                Vec::new()
            }
        }
    }

    /// Finds out how amounts of memory must be written.
    async fn units(
        &self,
        dialect: Dialect,
        settings: &Settings,
        environment: &Environment,
    ) -> Units {
        if let Some(unit) = settings.memory_unit {
            return Units::all(unit);
        }
        if dialect.has_units() {
            return Units::Explicit;
        }
        if !dialect.is_ibm() {
            return Units::DEFAULT;
        }
        let directory = environment.get("LSF_ENVDIR").map_or("/etc", String::as_str);
        let file = fs_err::read_to_string(format!("{directory}/lsf.conf")).ok();
        if let Some(unit) = file.as_deref().and_then(unit_for_limits) {
            return Units::all(unit);
        }
        match self.ask(&["badmin", "showconf", "mbd"]).await {
            Ok(answer) => unit_for_limits(&answer.stdout()).map_or(Units::DEFAULT, Units::all),
            Err(_) => Units::DEFAULT,
        }
    }
}

#[async_trait]
impl Scheduler for Lsf {
    fn name(&self) -> &'static str {
        "lsf"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn render(&self, request: &JobRequest) -> Result<Rendered, SchedulerError> {
        render::render(self, request)
    }

    async fn submit(&self, request: &JobRequest) -> Result<JobId, SubmitError> {
        submit::submit(self, request).await
    }

    async fn status(&self, jobs: &[JobId]) -> Result<Vec<JobStatus>, SchedulerError> {
        status::status(self, jobs).await
    }

    async fn cancel(&self, targets: &[Target]) -> Result<(), SchedulerError> {
        cancel::cancel(self, targets).await
    }

    async fn find(&self, tags: &[Tag]) -> Result<Vec<Found>, SchedulerError> {
        find::find(self, tags).await
    }
}
