//! What becomes of a job whose condition can no longer hold, by the capabilities of the batch system.

use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{EndReason, ExitStatus, FailedParent, Found, JobState, Target};
use tokio::time::{Duration, Instant, sleep};

use crate::case::{ensure, ensure_eq};
use crate::{Failure, Outcome, Site};

/// How long a job must be unknown to count as gone: it may be between two lists for a moment.
const GONE: Duration = Duration::from_secs(3);

/// The last word on a job.
#[derive(Debug)]
pub(super) enum Settled {
    /// It has ended.
    Ended(ExitStatus),
    /// The batch system does not know it any more.
    Gone,
    /// It waits, and the batch system says that it can never start.
    Never,
}

/// Waits until a job has ended, is gone, or is told never to start.
pub(super) async fn settled(site: &Site, job: &JobId) -> Result<Settled, Failure> {
    let started = Instant::now();
    let mut unknown_since = None;
    loop {
        let state = site.status(job).await?.state;
        match &state {
            JobState::Ended(end) => return Ok(Settled::Ended(end.clone())),
            JobState::Pending { never: true, .. } => return Ok(Settled::Never),
            JobState::Unknown => {
                let since = *unknown_since.get_or_insert_with(Instant::now);
                if since.elapsed() > GONE {
                    return Ok(Settled::Gone);
                }
            }
            _ => unknown_since = None,
        }
        if started.elapsed() > site.patience {
            return Err(Failure::new(format!(
                "job {job} is left as {state:?}, and nobody is told that this will not change"
            )));
        }
        sleep(Duration::from_millis(300)).await;
    }
}

/// Cancels a job that waits, and fails unless it is gone from the queue then.
pub(super) async fn withdrawn(site: &Site, job: &JobId) -> Outcome {
    site.scheduler.cancel(&[Target::whole(job.clone())]).await?;
    site.until(job, "withdrawn", |status| {
        matches!(status.state, JobState::Ended(_) | JobState::Unknown)
    })
    .await?;
    Ok(())
}

/// Fails where a request that was refused is in the queue. A record of the refusal is none: Slurm 22.05 keeps
/// one, `FAILED`, of a request for more memory than there is.
pub(super) async fn nothing_queued(site: &Site, tag: &Tag) -> Outcome {
    let found = site.scheduler.find(std::slice::from_ref(tag)).await?;
    let [Found::Present(jobs)] = &found[..] else {
        return Ok(());
    };
    for status in site.scheduler.status(jobs).await? {
        let is_there = matches!(
            status.state,
            JobState::Pending { .. } | JobState::Running { .. }
        );
        ensure!(!is_there, "it was refused, and is queued: {status:?}");
    }
    Ok(())
}

/// Fails unless a job whose condition can no longer hold is settled, and removes it where it still waits.
pub(super) async fn not_left_waiting(site: &Site, job: &JobId) -> Outcome {
    match settled(site, job).await? {
        Settled::Ended(_) | Settled::Gone => Ok(()),
        Settled::Never => withdrawn(site, job).await,
    }
}

/// Fails unless the after-ok child of a failed parent ends as the capabilities say. `ran` is the file that
/// it would have made.
pub(super) async fn ends_as_told(site: &Site, child: &JobId, ran: &str) -> Outcome {
    let told = site.capabilities().failed_parent;
    if told == FailedParent::Runs {
        site.succeeded(child).await?;
        ensure!(site.has(ran), "it did not run");
        return Ok(());
    }
    let settled = settled(site, child).await?;
    match (told, &settled) {
        // A cluster may remove what would pend for ever (LSF's `ORPHAN_JOB_TERM_GRACE_PERIOD`), which is
        // more than what is promised.
        (_, Settled::Ended(end)) => ensure_eq!(end.reason, EndReason::DependencyFailed),
        (FailedParent::Deleted, Settled::Gone) => {}
        (FailedParent::Cancelled, Settled::Gone) if site.capabilities().history.is_none() => {}
        (FailedParent::PendForever, Settled::Never) => withdrawn(site, child).await?,
        _ => {
            return Err(Failure::new(format!(
                "the capabilities say {told:?}, and it is {settled:?}"
            )));
        }
    }
    ensure!(!site.has(ran), "it ran all the same");
    Ok(())
}
