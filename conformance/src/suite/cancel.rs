use std::time::Duration;

use reflow_core::id::JobId;
use reflow_core::scheduler::{
    ArrayRequest, DependencyKind, EndReason, ExitStatus, JobState, Target,
};
use tokio::time::sleep;

use super::settle::withdrawn;
use crate::case::{case, ensure, ensure_eq};
use crate::site::after;
use crate::{Case, Failure, Need, Outcome, Site};

const ELEMENT: Need = Need {
    holds: |setup| setup.scheduler.capabilities().element_cancel,
    otherwise: "needs elements that can be cancelled",
};
const PENDING_ELEMENT: Need = Need {
    holds: |setup| {
        let capabilities = setup.scheduler.capabilities();
        capabilities.element_cancel && capabilities.concurrency_limit
    },
    otherwise: "needs elements that can be cancelled and a limit on those that run",
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
        "T4",
        Need::NOTHING,
        cancellation_is_told_as_the_reason
    ),
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
    case!(
        Site,
        "C2",
        Need::NOTHING,
        a_running_array_is_cancelled_whole
    ),
    case!(
        Site,
        "C2",
        Need::NOTHING,
        a_pending_array_is_cancelled_whole
    ),
    case!(Site, "C3", ELEMENT, other_elements_go_on),
    case!(
        Site,
        "C2",
        PENDING_ELEMENT,
        a_pending_element_never_starts_once_cancelled
    ),
];

/// Fails unless an end fits a job that was cancelled: where the batch system does not tell that somebody
/// cancelled it, the signal, or the exit status that shells make of it.
fn fits_cancelled(end: &ExitStatus) -> Outcome {
    let by_signal = end.signal.is_some() || end.code.is_some_and(|code| code > 128);
    let fits = match end.reason {
        EndReason::Cancelled => true,
        EndReason::Failed => by_signal,
        _ => false,
    };
    ensure!(fits, "it was cancelled, and ended with {end:?}");
    Ok(())
}

/// Fails unless a job ends as one that was cancelled, or is forgotten where all jobs are when they end.
async fn cancelled(site: &Site, job: &JobId) -> Outcome {
    match site.ended(job).await?.state {
        JobState::Unknown => Ok(()),
        JobState::Ended(end) => fits_cancelled(&end),
        other => Err(Failure::new(format!("{other:?}"))),
    }
}

async fn cancellation_is_told_as_the_reason(site: &Site) -> Outcome {
    let job = site
        .submit(&site.shell("a", "touch on; exec sleep 300"))
        .await?;
    site.file("on").await?;
    site.scheduler.cancel(&[Target::whole(job.clone())]).await?;
    let end = site.end(&job).await?;
    fits_cancelled(&end)?;
    if end.reason == EndReason::Cancelled {
        Ok(())
    } else {
        Err(Failure::does_not_apply(
            "the batch system does not tell who ended a job, only by which signal",
        ))
    }
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
    // LSF's first signal is INT, that of the others TERM.
    let script =
        "trap 'touch told; exit 1' TERM INT; touch on; for n in {1..600}; do sleep 0.1; done";
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
    withdrawn(site, &child).await?;
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
    let over =
        |state: &JobState| matches!(state, JobState::Ended(end) if fits_cancelled(end).is_ok());
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

async fn a_running_array_is_cancelled_whole(site: &Site) -> Outcome {
    let script = "touch on$2; exec sleep 300";
    let job = site.submit(&site.array("a", 3, script)).await?;
    for index in 0..3 {
        site.file(&format!("on{index}")).await?;
    }
    site.scheduler.cancel(&[Target::whole(job.clone())]).await?;
    cancelled(site, &job).await?;
    for element in site.status(&job).await?.elements {
        let JobState::Ended(end) = &element.state else {
            return Err(Failure::new(format!("{element:?}")));
        };
        fits_cancelled(end)?;
    }
    Ok(())
}

async fn a_pending_array_is_cancelled_whole(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("a", "sleep 2")).await?;
    let child = after(
        site.array("b", 3, "touch ran"),
        &parent,
        DependencyKind::Any,
    );
    let child = site.submit(&child).await?;
    withdrawn(site, &child).await?;
    site.succeeded(&parent).await?;
    ensure!(!site.has("ran"), "it started");
    Ok(())
}

async fn a_pending_element_never_starts_once_cancelled(site: &Site) -> Outcome {
    let script = "touch ran$2; for n in {1..600}; do [ -e off ] && break; sleep 0.1; done";
    let mut job = site.array("a", 4, script);
    job.array = Some(ArrayRequest {
        count: 4,
        at_most: Some(1),
    });
    let job = site.submit(&job).await?;
    site.file("ran0").await?;
    let target = Target::element(job.clone(), 2);
    site.scheduler.cancel(&[target]).await?;
    fs_err::write(site.path().join("off"), "")?;
    let status = site.ended(&job).await?;
    let ran: Vec<bool> = (0..4)
        .map(|index| site.has(&format!("ran{index}")))
        .collect();
    ensure_eq!(ran, [true, true, false, true]);
    let element = status.elements.iter().find(|element| element.index == 2);
    match element.map(|element| &element.state) {
        // Slurm forgets elements that were cancelled before they started.
        None | Some(JobState::Unknown) => Ok(()),
        Some(JobState::Ended(end)) if end.reason != EndReason::Completed => Ok(()),
        Some(other) => Err(Failure::new(format!("element 2 is {other:?}"))),
    }
}
