//! Requests that a batch system does not take, and where it sends those that it takes.

use std::time::Duration;

use reflow_core::scheduler::{JobRequest, JobState, JobStatus, Memory, SchedulerErrorKind};

use super::settle::{nothing_queued, withdrawn};
use crate::case::{case, ensure, ensure_eq};
use crate::{Case, Failure, Need, Outcome, Site};

const PARTITIONS: Need = Need {
    holds: |setup| setup.unknown_partition.is_some(),
    otherwise: "needs partitions",
};

const MAPPED: Need = Need {
    holds: |setup| setup.mapped_partition.is_some(),
    otherwise: "needs a logical partition that the site maps to one of its own",
};

pub(super) const CASES: &[Case] = &[
    case!(Site, "S7", PARTITIONS, an_unknown_partition_is_refused),
    case!(Site, "R2", MAPPED, a_logical_partition_means_its_native_one),
    case!(
        Site,
        "S7",
        Need::NOTHING,
        too_many_cores_are_refused_or_told_never_to_be_there
    ),
    case!(
        Site,
        "S7",
        Need::NOTHING,
        too_much_memory_is_refused_or_told_never_to_be_there
    ),
];

async fn an_unknown_partition_is_refused(site: &Site) -> Outcome {
    let mut job = site.shell("a", "true");
    job.resources
        .partition
        .clone_from(&site.setup.unknown_partition);
    let Err(error) = site.try_submit(&job).await else {
        return Err(Failure::new("the job was taken"));
    };
    ensure_eq!(error.error.kind(), SchedulerErrorKind::Rejected);
    ensure!(!error.may_exist, "a job may exist: {error}");
    nothing_queued(site, &job.tag).await
}

/// How long a batch system may take to find out that a job can never start.
const TOLD_SOON: Duration = Duration::from_secs(20);

/// Fails unless a request for more than any site has is refused before anything is queued, or is told never
/// to start and can be withdrawn.
async fn is_too_large(site: &Site, job: &JobRequest) -> Outcome {
    match site.try_submit(job).await {
        Err(error) => {
            let kind = error.error.kind();
            ensure!(
                matches!(
                    kind,
                    SchedulerErrorKind::Rejected | SchedulerErrorKind::Unsupported
                ),
                "{kind:?}: {error}"
            );
            ensure!(!error.may_exist, "a job may exist: {error}");
            nothing_queued(site, &job.tag).await?;
        }
        Ok(id) => {
            let is_told = |status: &JobStatus| {
                !matches!(status.state, JobState::Pending { never: false, .. })
            };
            // Where it is not told soon, a reason must do.
            let told = site.until_within(TOLD_SOON, &id, "told never to start", is_told);
            let status = match told.await {
                Ok(status) => status,
                Err(_) => site.status(&id).await?,
            };
            withdrawn(site, &id).await?;
            match status.state {
                JobState::Pending { never: true, .. } => {}
                JobState::Pending { reason, .. } => {
                    return Err(Failure::does_not_apply(format!(
                        "the batch system does not say that it can never start, only: {}",
                        reason.unwrap_or_default()
                    )));
                }
                other => return Err(Failure::new(format!("it was taken, and is {other:?}"))),
            }
        }
    }
    ensure!(!site.has("ran"), "it ran");
    Ok(())
}

async fn too_many_cores_are_refused_or_told_never_to_be_there(site: &Site) -> Outcome {
    let mut job = site.shell("a", "touch ran");
    job.resources.cpus = Some(30_000);
    is_too_large(site, &job).await
}

async fn too_much_memory_is_refused_or_told_never_to_be_there(site: &Site) -> Outcome {
    let mut job = site.shell("a", "touch ran");
    job.resources.mem = Some(Memory::from_mebibytes(512 << 20));
    is_too_large(site, &job).await
}

async fn a_logical_partition_means_its_native_one(site: &Site) -> Outcome {
    let Some((logical, native)) = &site.setup.mapped_partition else {
        return Err(Failure::does_not_apply(MAPPED.otherwise));
    };
    let mut job = site.shell("a", "touch ran");
    job.resources.partition = Some(native.clone());
    let expected = site.scheduler.render(&job)?;
    job.resources.partition = Some(logical.clone());
    ensure_eq!(site.scheduler.render(&job)?, expected);
    job.resources.partition = None;
    ensure!(
        site.scheduler.render(&job)? != expected,
        "`partition` is dropped"
    );
    job.resources.partition = Some(logical.clone());
    site.succeed(&job).await?;
    ensure!(site.has("ran"), "it did not run");
    Ok(())
}
