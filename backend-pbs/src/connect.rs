use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reflow_core::command::{Call, Output, Runner, RunnerOptions, client_environment};
use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::client::named_partitions;
use reflow_core::scheduler::{
    Capabilities, ConnectOptions, FailedParent, Found, JobRequest, JobStatus, PartitionLimits,
    Rendered, Scheduler, SchedulerError, SchedulerErrorKind, SubmitError, Target,
};

use crate::config::{Dialect, Settings, Site};
use crate::parse::{self, Objects};
use crate::{cancel, fault, find, partition, query, render, status, submit};

/// Kept for PBS's programs although they start with `PBS_`: where the server and its programs are, and how
/// to authenticate.
const KEPT: &[&str] = &[
    "PBS_CONF_FILE",
    "PBS_DEFAULT",
    "PBS_EXEC",
    "PBS_HOME",
    "PBS_SERVER",
    "PBS_PRIMARY",
    "PBS_SECONDARY",
    "PBS_SERVER_INSTANCES",
    "PBS_AUTH_METHOD",
    "PBS_BATCH_SERVICE_PORT",
    "PBS_BATCH_SERVICE_PORT_DIS",
    "PBS_MANAGER_SERVICE_PORT",
    "PBS_MOM_SERVICE_PORT",
    "PBS_DATA_SERVICE_PORT",
];

/// Variables that change the defaults of PBS's programs. `PBS_DPREFIX` would make lines of the script
/// into flags, and goes with everything that starts with `PBS_`.
const DROPPED: &[&str] = &["QSTAT_", "QSUB_"];

/// Most time for one of PBS's programs. The clients themselves wait without an end for a server that hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long a job may still appear of which no answer came: the request is in the server's socket by then,
/// or never will be.
const MESSAGE_TIMEOUT: Duration = Duration::from_mins(1);

/// PBS, as seen from this machine.
#[derive(Debug)]
pub(crate) struct Pbs {
    pub(crate) runner: Runner,
    pub(crate) capabilities: Capabilities,
    pub(crate) dialect: Dialect,
    /// Whether `qstat -F json` is understood.
    pub(crate) json: bool,
    /// Most time for a question, however often it is asked.
    pub(crate) patience: Duration,
    pub(crate) partitions: BTreeMap<String, String>,
    pub(crate) extra: Vec<String>,
    pub(crate) gpu_type_resource: Option<String>,
}

/// Connects to the PBS of this machine: finds its programs, and asks the server for its dialect and limits.
///
/// # Errors
/// [`SchedulerErrorKind::InvalidRequest`] for settings that do not fit,
/// [`SchedulerErrorKind::NotInstalled`] when `qsub` is missing, [`SchedulerErrorKind::Unreachable`] when the
/// server does not answer.
pub async fn connect(options: ConnectOptions) -> Result<Arc<dyn Scheduler>, SchedulerError> {
    let settings = Settings::read(&options.settings)?;
    let patience = settings
        .command_timeout
        .map_or(PATIENCE, Duration::from_secs);
    let runner = Runner::new(RunnerOptions {
        bin_dir: options.bin_dir,
        environment: client_environment(&options.environment, KEPT, DROPPED),
        at_most: settings.commands_at_once.unwrap_or(4),
        timeout: patience,
        ..RunnerOptions::default()
    });
    runner.find("qsub")?;
    let probe = Probe { runner, patience };
    let version = probe.version(settings.dialect).await?;
    let server = probe.server(version).await?;
    let queues = probe.queues(server.json).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the limits of the queues are not known");
        Objects::new()
    });
    let site = Site::read(server.dialect, &server.attributes).with_default_queue(&queues);
    let message_timeout = settings
        .message_timeout
        .map_or(MESSAGE_TIMEOUT, Duration::from_secs);
    let limits = partition::limits(&queues, &site);
    Ok(Arc::new(Pbs {
        runner: probe.runner,
        capabilities: Capabilities {
            partitions: named_partitions(&limits, &options.partitions),
            ..capabilities(&site, message_timeout)
        },
        dialect: server.dialect,
        json: server.json,
        patience,
        partitions: options.partitions,
        extra: options.extra,
        gpu_type_resource: settings.gpu_type_resource,
    }))
}

/// Asks the first questions.
struct Probe {
    runner: Runner,
    patience: Duration,
}

/// What the server answered.
struct Server {
    dialect: Dialect,
    json: bool,
    attributes: BTreeMap<String, String>,
}

impl Probe {
    async fn ask(&self, words: &[&str]) -> Result<Output, SchedulerError> {
        let call = Call::new(words.iter().copied());
        Ok(fault::WORDS.ask(&self.runner, &call, self.patience).await?)
    }

    /// Returns the dialect that is set, or that `qstat --version` names: `pbs_version = 23.06.06` of
    /// OpenPBS, `Version: 6.1.2` of Torque.
    async fn version(&self, set: Option<Dialect>) -> Result<Option<Dialect>, SchedulerError> {
        if set.is_some() {
            return Ok(set);
        }
        let output = self.ask(&["qstat", "--version"]).await?;
        let text = format!("{}{}", output.stdout_text(), output.stderr_text()).to_lowercase();
        Ok(if text.contains("pbs_version") {
            Some(Dialect::OpenPbs)
        } else if text.contains("version:") {
            Some(Dialect::Torque)
        } else {
            None
        })
    }

    /// Asks the server about itself: in JSON, which PBS Professional knows since version 13 and Torque does
    /// not, or else as text.
    async fn server(&self, version: Option<Dialect>) -> Result<Server, SchedulerError> {
        if version != Some(Dialect::Torque) {
            let output = self.ask(&["qstat", "-B", "-f", "-F", "json"]).await?;
            if output.success()
                && let Some(objects) = parse::json_objects(&output.stdout_text(), "Server")
                && let Some((_, attributes)) = objects.into_iter().next()
            {
                return Ok(Server {
                    dialect: version.unwrap_or(Dialect::OpenPbs),
                    json: true,
                    attributes,
                });
            }
            let error = query::failed(&output, "the server could not be asked");
            if !output.success() && error.kind() != SchedulerErrorKind::UnexpectedOutput {
                return Err(error);
            }
        }
        let output = self.ask(&["qstat", "-B", "-f"]).await?;
        if !output.success() {
            return Err(query::failed(&output, "the server could not be asked"));
        }
        let objects = parse::text_objects(&output.stdout_text(), "Server");
        let Some((_, attributes)) = objects.into_iter().next() else {
            return Err(output
                .error(
                    SchedulerErrorKind::UnexpectedOutput,
                    "`qstat` does not say that it is PBS's",
                )
                .with_context("stdout", output.stdout_text()));
        };
        Ok(Server {
            dialect: version.unwrap_or_else(|| dialect(&attributes)),
            json: false,
            attributes,
        })
    }

    async fn queues(&self, json: bool) -> Result<Objects, SchedulerError> {
        let words: &[&str] = if json {
            &["qstat", "-Q", "-f", "-F", "json"]
        } else {
            &["qstat", "-Q", "-f"]
        };
        let output = self.ask(words).await?;
        if !output.success() {
            return Err(query::failed(&output, "`qstat` failed"));
        }
        let text = output.stdout_text();
        Ok(if json {
            parse::json_objects(&text, "Queue").unwrap_or_default()
        } else {
            parse::text_objects(&text, "Queue")
        })
    }
}

/// Returns the dialect of a server by attributes that it alone has.
fn dialect(server: &BTreeMap<String, String>) -> Dialect {
    let torque = [
        "keep_completed",
        "tcp_timeout",
        "job_stat_rate",
        "poll_jobs",
        "net_counter",
        "next_job_number",
    ];
    if torque.iter().any(|name| server.contains_key(*name)) {
        Dialect::Torque
    } else {
        Dialect::OpenPbs
    }
}

fn capabilities(site: &Site, message_timeout: Duration) -> Capabilities {
    Capabilities {
        array_limit: site.max_array_size,
        array_base: 0,
        element_wise: false,
        element_wise_any: false,
        // Children of failed parents are deleted, and theirs with them, those with `afterany` too.
        failed_parent: FailedParent::Deleted,
        // Without history the end of a job is forgotten with it: what waits for a failure may come too late.
        after_not_ok: site.history.is_some(),
        not_before: true,
        concurrency_limit: site.concurrency_limit,
        element_cancel: true,
        history: site.history,
        submit_from_jobs: true,
        serves_indices: false,
        message_timeout,
        may_stall: true,
        // A job that was deleted before it ran releases nobody: its children stay held for ever.
        releases_cancelled: false,
        partitions: Vec::<PartitionLimits>::new(),
    }
}

#[async_trait]
impl Scheduler for Pbs {
    fn name(&self) -> &'static str {
        "pbs"
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
