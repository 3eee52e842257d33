use std::time::Duration;

use reflow_core::id::JobId;
use reflow_core::scheduler::{DependencyKind, EndReason, JobState, Target};
use tokio::time::sleep;

use crate::case::{case, ensure, ensure_eq};
use crate::site::after;
use crate::{Case, Failure, Need, Outcome, Site};

const ELEMENT: Need = Need {
    holds: |setup| setup.scheduler.capabilities().element_cancel,
    otherwise: "needs elements that can be cancelled",
};

pub(super) const CASES: &[Case] = &[
    case!(
        Site,
        "C1",
        Need::NOTHING,
        cancelling_what_has_ended_or_never_was_is_no_error
    ),
    case!(Site, "C2", Need::NOTHING, a_running_job_ends_cancelled),
    case!(
        Site,
        "C2",
        Need::NOTHING,
        a_cancelled_job_gets_its_signal_first
    ),
    case!(
        Site,
        "C2",
        Need::NOTHING,
        a_cancelled_job_ends_with_all_its_processes
    ),
    case!(
        Site,
        "C2",
        Need::NOTHING,
        a_pending_job_never_starts_once_cancelled
    ),
    case!(Site, "C2", Need::NOTHING, many_jobs_are_cancelled_at_once),
    case!(Site, "C3", ELEMENT, other_elements_go_on),
];

async fn cancelled(site: &Site, job: &JobId) -> Outcome {
    ensure_eq!(site.end(job).await?.reason, EndReason::Cancelled);
    Ok(())
}

async fn cancelling_what_has_ended_or_never_was_is_no_error(site: &Site) -> Outcome {
    let job = site.succeed(&site.shell("a", "true")).await?;
    let unknown = JobId::new("87654321").map_err(|error| Failure::new(error.to_string()))?;
    let targets = [
        Target::whole(job.clone()),
        Target::whole(unknown),
        Target::element(job.clone(), 3),
    ];
    site.scheduler.cancel(&targets).await?;
    site.scheduler.cancel(&[]).await?;
    site.succeeded(&job).await
}

async fn a_running_job_ends_cancelled(site: &Site) -> Outcome {
    let job = site
        .submit(&site.shell("a", "touch on; exec sleep 60"))
        .await?;
    site.file("on").await?;
    site.scheduler.cancel(&[Target::whole(job.clone())]).await?;
    cancelled(site, &job).await
}

async fn a_cancelled_job_gets_its_signal_first(site: &Site) -> Outcome {
    let script = "trap 'touch told; exit 1' TERM; touch on; for n in {1..600}; do sleep 0.1; done";
    let job = site.submit(&site.shell("a", script)).await?;
    site.file("on").await?;
    site.scheduler.cancel(&[Target::whole(job.clone())]).await?;
    site.file("told").await?;
    cancelled(site, &job).await
}

async fn a_cancelled_job_ends_with_all_its_processes(site: &Site) -> Outcome {
    let script = "trap '' TERM; (while true; do date +%N > beat; sleep 0.1; done) & touch on; wait";
    let job = site.submit(&site.shell("a", script)).await?;
    site.file("on").await?;
    site.scheduler.cancel(&[Target::whole(job.clone())]).await?;
    cancelled(site, &job).await?;
    // The batch system's grace time may run on after the job counts as ended.
    for _ in 0..60 {
        let before = site.file("beat").await?;
        sleep(Duration::from_millis(600)).await;
        if site.file("beat").await? == before {
            return Ok(());
        }
    }
    Err(Failure::new("a process of the job goes on"))
}

async fn a_pending_job_never_starts_once_cancelled(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("a", "sleep 2")).await?;
    let child = after(site.shell("b", "touch ran"), &parent, DependencyKind::Any);
    let child = site.submit(&child).await?;
    site.scheduler
        .cancel(&[Target::whole(child.clone())])
        .await?;
    cancelled(site, &child).await?;
    site.succeeded(&parent).await?;
    ensure!(!site.has("ran"), "it started");
    Ok(())
}

async fn many_jobs_are_cancelled_at_once(site: &Site) -> Outcome {
    let mut jobs = Vec::new();
    for name in ["a", "b", "c"] {
        jobs.push(site.submit(&site.shell(name, "sleep 60")).await?);
    }
    let targets: Vec<Target> = jobs.iter().cloned().map(Target::whole).collect();
    site.scheduler.cancel(&targets).await?;
    for job in &jobs {
        cancelled(site, job).await?;
    }
    Ok(())
}

async fn other_elements_go_on(site: &Site) -> Outcome {
    let script =
        "touch on$2; for n in {1..300}; do [ -e off ] && break; sleep 0.1; done; touch done$2";
    let job = site.submit(&site.array("a", 4, script)).await?;
    for index in 0..4 {
        site.file(&format!("on{index}")).await?;
    }
    let targets = [1, 2].map(|index| Target::element(job.clone(), index));
    site.scheduler.cancel(&targets).await?;
    let over = |state: &JobState| matches!(state, JobState::Ended(end) if end.reason == EndReason::Cancelled);
    site.until(&job, "cancelled in part", |status| {
        status
            .elements
            .iter()
            .filter(|element| over(&element.state))
            .count()
            == 2
    })
    .await?;
    fs_err::write(site.path().join("off"), "")?;
    site.ended(&job).await?;
    let done: Vec<bool> = (0..4)
        .map(|index| site.has(&format!("done{index}")))
        .collect();
    ensure_eq!(done, [true, false, false, true]);
    Ok(())
}
