use reflow_core::id::JobId;
use reflow_core::scheduler::{EndReason, JobState, Memory};

use crate::case::{case, ensure, ensure_eq};
use crate::site::after;
use crate::{Case, Failure, Need, Outcome, Site};

const MEMORY: Need = Need {
    holds: |setup| setup.memory_enforced,
    otherwise: "needs a site that ends jobs which go over their memory",
};

pub(super) const CASES: &[Case] = &[
    case!(Site, "T4", Need::NOTHING, the_exit_status_is_told),
    case!(
        Site,
        "T4",
        Need::NOTHING,
        a_signal_is_told_or_its_exit_status
    ),
    case!(
        Site,
        "T4",
        Need::NOTHING,
        every_exit_status_is_told_as_it_was
    ),
    case!(Site, "T4", Need::NOTHING, a_missing_program_is_a_failure),
    case!(slow Site, "T4", Need::NOTHING, a_job_over_its_walltime_is_told_so),
    case!(slow Site, "T4", Need::NOTHING, a_job_that_ignores_signals_ends_at_its_walltime),
    case!(slow Site, "T4", MEMORY, a_job_over_its_memory_is_told_so),
    case!(Site, "T1", Need::NOTHING, many_jobs_are_answered_in_order),
    case!(Site, "T2", Need::NOTHING, an_unknown_job_is_unknown),
    case!(
        Site,
        "T3",
        Need::NOTHING,
        waiting_and_running_are_told_apart
    ),
    case!(Site, "T4", Need::NOTHING, times_are_told),
];

/// An id in the form of a real one, of a job that never was.
pub(super) fn unknown_like(job: &JobId) -> Result<JobId, Failure> {
    let text = job.as_str();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    JobId::new(format!("87654321{}", &text[digits..]))
        .map_err(|error| Failure::new(error.to_string()))
}

async fn the_exit_status_is_told(site: &Site) -> Outcome {
    let job = site.submit(&site.shell("a", "exit 3")).await?;
    let end = site.end(&job).await?;
    ensure_eq!((end.reason, end.code), (EndReason::Failed, Some(3)));
    Ok(())
}

async fn every_exit_status_is_told_as_it_was(site: &Site) -> Outcome {
    let script = "codes=(0 1 42 100 200 255); exit ${codes[$2]}";
    let job = site.submit(&site.array("a", 6, script)).await?;
    site.end(&job).await?;
    let codes: Vec<Option<i32>> = site
        .status(&job)
        .await?
        .elements
        .iter()
        .map(|element| match &element.state {
            JobState::Ended(end) => end.code,
            _ => None,
        })
        .collect();
    ensure_eq!(codes, [0, 1, 42, 100, 200, 255].map(Some));
    Ok(())
}

async fn a_missing_program_is_a_failure(site: &Site) -> Outcome {
    let job = site.submit(&site.job("a", &["/no/such/program"])).await?;
    let end = site.end(&job).await?;
    let reason = end.reason;
    ensure!(
        matches!(reason, EndReason::Failed | EndReason::StartFailure),
        "{end:?}"
    );
    ensure!(end.code != Some(0), "{end:?}");
    Ok(())
}

/// Waits for the end of a job beyond a limit of the batch system, and fails unless that was the reason.
async fn ends_at_its_limit(site: &Site, job: &JobId, reason: EndReason) -> Outcome {
    let time = site.setup.shortest_walltime.duration() + site.setup.limit_lag;
    let status = site
        .until_within(site.patience + time, job, "ended", |status| {
            matches!(status.state, JobState::Ended(_) | JobState::Unknown)
        })
        .await?;
    match status.state {
        JobState::Ended(end) => {
            ensure_eq!(end.reason, reason);
            Ok(())
        }
        _ if site.capabilities().history.is_none() => Ok(()),
        other => Err(Failure::new(format!("{other:?}"))),
    }
}

async fn a_job_over_its_walltime_is_told_so(site: &Site) -> Outcome {
    let mut job = site.shell("a", "sleep 1200; touch later");
    job.resources.time = Some(site.setup.shortest_walltime);
    let job = site.submit(&job).await?;
    ends_at_its_limit(site, &job, EndReason::Walltime).await?;
    ensure!(!site.has("later"), "it ran to its end");
    Ok(())
}

async fn a_job_that_ignores_signals_ends_at_its_walltime(site: &Site) -> Outcome {
    let script = "trap '' TERM INT USR1 USR2; for n in {1..1200}; do sleep 1; done; touch later";
    let mut job = site.shell("a", script);
    job.resources.time = Some(site.setup.shortest_walltime);
    let job = site.submit(&job).await?;
    ends_at_its_limit(site, &job, EndReason::Walltime).await?;
    ensure!(!site.has("later"), "it ran to its end");
    Ok(())
}

async fn a_job_over_its_memory_is_told_so(site: &Site) -> Outcome {
    // Taken once and held: some batch systems look only from time to time.
    let script = "x=$(head -c 256M /dev/zero | tr '\\0' x); sleep 1200; echo ${#x} > later";
    let mut job = site.shell("a", script);
    job.resources.mem = Some(Memory::from_mebibytes(64));
    let job = site.submit(&job).await?;
    ends_at_its_limit(site, &job, EndReason::Memory).await?;
    ensure!(!site.has("later"), "it ran to its end");
    Ok(())
}

async fn a_signal_is_told_or_its_exit_status(site: &Site) -> Outcome {
    let job = site.submit(&site.shell("a", "kill -KILL $$")).await?;
    let end = site.end(&job).await?;
    ensure_eq!(end.reason, EndReason::Failed);
    ensure!(end.signal == Some(9) || end.code == Some(137), "{end:?}");
    Ok(())
}

async fn many_jobs_are_answered_in_order(site: &Site) -> Outcome {
    let good = site.submit(&site.shell("a", "true")).await?;
    let bad = site.submit(&site.shell("b", "exit 3")).await?;
    let array = site.submit(&site.array("c", 2, "true")).await?;
    for job in [&good, &bad, &array] {
        site.ended(job).await?;
    }
    let asked = [bad.clone(), unknown_like(&good)?, array, good, bad];
    let answer = site.scheduler.status(&asked).await?;
    let jobs: Vec<&JobId> = answer.iter().map(|status| &status.job).collect();
    ensure_eq!(jobs, asked.iter().collect::<Vec<_>>());
    let ended: Vec<bool> = answer
        .iter()
        .map(|status| status.state.is_ended())
        .collect();
    if site.capabilities().history.is_some() {
        ensure_eq!(ended, [true, false, true, true, true]);
        ensure_eq!(answer[2].elements.len(), 2);
    }
    ensure_eq!(site.scheduler.status(&[]).await?.len(), 0);
    Ok(())
}

async fn an_unknown_job_is_unknown(site: &Site) -> Outcome {
    let job = site.submit(&site.shell("a", "true")).await?;
    let unknown = unknown_like(&job)?;
    ensure_eq!(site.status(&unknown).await?.state, JobState::Unknown);
    let foreign = JobId::new("never[].seen").map_err(|error| Failure::new(error.to_string()))?;
    ensure_eq!(site.status(&foreign).await?.state, JobState::Unknown);
    Ok(())
}

async fn waiting_and_running_are_told_apart(site: &Site) -> Outcome {
    let parent = site
        .submit(&site.shell(
            "a",
            "touch on; for n in {1..300}; do [ -e off ] && exit; sleep 0.1; done",
        ))
        .await?;
    let kind = reflow_core::scheduler::DependencyKind::Any;
    let child = site
        .submit(&after(site.shell("b", "true"), &parent, kind))
        .await?;
    site.file("on").await?;
    site.running(&parent).await?;
    let waiting = site.status(&child).await?.state;
    ensure!(
        matches!(waiting, JobState::Pending { never: false, .. }),
        "{waiting:?}"
    );
    fs_err::write(site.path().join("off"), "")?;
    site.succeeded(&child).await
}

async fn times_are_told(site: &Site) -> Outcome {
    let job = site.submit(&site.shell("a", "sleep 1.1")).await?;
    let end = site.end(&job).await?;
    let (Some(started), Some(ended)) = (end.started, end.ended) else {
        return Err(Failure::new(format!("{end:?}")));
    };
    // Batch systems keep whole seconds.
    let ran = ended
        .duration_since(started)
        .map_or(0, |time| time.as_secs());
    ensure!((1..60).contains(&ran), "{end:?}");
    Ok(())
}
