use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reflow_core::command::{Call, Environment, Runner, RunnerOptions, client_environment};
use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::client::named_partitions;
use reflow_core::scheduler::{
    Capabilities, ConnectOptions, FailedParent, Found, JobRequest, JobStatus, PartitionLimits,
    Rendered, Scheduler, SchedulerError, SchedulerErrorKind, SubmitError, Target,
};

use crate::config::{Settings, Site};
use crate::{cancel, fault, find, partition, query, render, status, submit};

/// Kept for Slurm's programs although they start with `SLURM_`: where the cluster is, and who asks.
const KEPT: &[&str] = &["SLURM_CONF", "SLURM_JWT"];

/// Variables that change the defaults of Slurm's programs, and what they answer.
const DROPPED: &[&str] = &[
    "SACCT_",
    "SALLOC_",
    "SCANCEL_",
    "SCONTROL_",
    "SINFO_",
    "SQUEUE_",
    "SRUN_",
];

/// Most time for a question, in message timeouts: `squeue` takes two before it gives up.
const QUESTION: u32 = 3;

/// Most time for the first questions, before the message timeout is known.
const FIRST_PATIENCE: Duration = Duration::from_mins(2);

/// How long ended jobs are taken to be in an accounting database that does not say.
const ACCOUNTING_DAYS: u32 = 30;

/// Slurm, as seen from this machine.
#[derive(Debug)]
pub(crate) struct Slurm {
    pub(crate) runner: Runner,
    pub(crate) capabilities: Capabilities,
    /// Most time for a question, however often it is asked.
    pub(crate) patience: Duration,
    pub(crate) accounting: bool,
    pub(crate) partitions: BTreeMap<String, String>,
    pub(crate) extra: Vec<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) history_days: u32,
    /// What `LC_ALL` and `TZ` were for the user: clients run with others, and the job must not.
    pub(crate) locale: Option<String>,
    pub(crate) time_zone: Option<String>,
}

/// Connects to the Slurm of this machine: finds its programs, and asks the controller for its limits.
///
/// # Errors
/// [`SchedulerErrorKind::InvalidRequest`] for settings that do not fit,
/// [`SchedulerErrorKind::NotInstalled`] when `sbatch` is missing, [`SchedulerErrorKind::Unreachable`] when
/// the controller does not answer.
pub async fn connect(options: ConnectOptions) -> Result<Arc<dyn Scheduler>, SchedulerError> {
    let settings = Settings::read(&options.settings)?;
    let environment = client_environment(&options.environment, KEPT, DROPPED);
    let command_timeout = settings.command_timeout.map(Duration::from_secs);
    let runner_options = RunnerOptions {
        bin_dir: options.bin_dir,
        environment: environment.clone(),
        at_most: settings.commands_at_once.unwrap_or(4),
        ..RunnerOptions::default()
    };
    let first_patience = command_timeout.unwrap_or(FIRST_PATIENCE);
    let probe = Runner::new(RunnerOptions {
        timeout: first_patience,
        ..runner_options.clone()
    });
    let cluster = settings.cluster.as_deref();
    let (site, partitions) = tokio::join!(
        probe_site(&probe, first_patience, cluster),
        probe_partitions(&probe, first_patience, cluster),
    );
    let site = site?;
    // Only now: where Slurm is not reached at all, that alone is worth telling.
    let partitions = partitions.unwrap_or_else(|error| {
        tracing::warn!(%error, "the limits of the partitions are not known");
        Vec::new()
    });
    let message_timeout = settings
        .message_timeout
        .map_or(site.message_timeout, Duration::from_secs);
    let runner = Runner::new(RunnerOptions {
        timeout: command_timeout.unwrap_or(submit::CLIENT_RETRIES + 3 * message_timeout),
        ..runner_options
    });
    let history_days = settings.history_days.unwrap_or(ACCOUNTING_DAYS);
    Ok(Arc::new(Slurm {
        runner,
        capabilities: Capabilities {
            partitions: named_partitions(&partitions, &options.partitions),
            ..capabilities(&site, message_timeout, history_days)
        },
        patience: command_timeout.unwrap_or(QUESTION * message_timeout),
        accounting: site.accounting,
        partitions: options.partitions,
        extra: options.extra,
        cluster: settings.cluster,
        history_days,
        locale: environment.get("LC_ALL").cloned(),
        time_zone: environment.get("TZ").cloned(),
    }))
}

/// Asks for the limits of the partitions.
async fn probe_partitions(
    runner: &Runner,
    patience: Duration,
    cluster: Option<&str>,
) -> Result<Vec<PartitionLimits>, SchedulerError> {
    let mut call = Call::new(["sinfo"]);
    call.argv
        .extend(cluster.map(|cluster| format!("--clusters={cluster}")));
    call.argv.extend(partition::ARGUMENTS.map(str::to_owned));
    let output = query::within(patience, runner, &call).await?;
    if !output.success() {
        return Err(fault::WORDS.error(&output, "`sinfo` failed"));
    }
    Ok(partition::parse(&output.stdout_text()))
}

async fn probe_site(
    runner: &Runner,
    patience: Duration,
    cluster: Option<&str>,
) -> Result<Site, SchedulerError> {
    let version = Call::new(["sbatch", "--version"]);
    let output = runner.query(&version, |_| false).await?;
    if !output.success() || !output.stdout_text().trim_start().starts_with("slurm") {
        return Err(output
            .error(
                SchedulerErrorKind::UnexpectedOutput,
                "`sbatch` does not say that it is Slurm's",
            )
            .with_context("stdout", output.stdout_text()));
    }
    let mut call = Call::new(["scontrol"]);
    call.argv
        .extend(cluster.map(|cluster| format!("--clusters={cluster}")));
    call.argv.extend(["show".to_owned(), "config".to_owned()]);
    let output = query::within(patience, runner, &call).await?;
    if !output.success() {
        return Err(fault::WORDS.error(&output, "the controller could not be asked"));
    }
    Ok(Site::parse(&output.stdout_text()))
}

fn capabilities(site: &Site, message_timeout: Duration, history_days: u32) -> Capabilities {
    Capabilities {
        array_limit: Some(site.max_array_size),
        array_base: 0,
        element_wise: true,
        element_wise_any: false,
        // By `--kill-on-invalid-dep=yes`, which every submission carries.
        failed_parent: FailedParent::Cancelled,
        releases_cancelled: true,
        after_not_ok: true,
        not_before: true,
        concurrency_limit: true,
        element_cancel: true,
        history: Some(if site.accounting {
            Duration::from_hours(24) * history_days
        } else {
            site.min_job_age
        }),
        submit_from_jobs: true,
        serves_indices: false,
        // The request itself and the answer to it each wait for at most one timeout.
        message_timeout: 2 * message_timeout,
        may_stall: true,
        partitions: Vec::new(),
    }
}

/// What the queries are asked with: times as seconds since 1970, lists of elements uncut.
pub(crate) fn query_environment() -> Environment {
    [("SLURM_TIME_FORMAT", "%s"), ("SLURM_BITSTR_LEN", "0")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[async_trait]
impl Scheduler for Slurm {
    fn name(&self) -> &'static str {
        "slurm"
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
