use reflow_core::id::JobId;
use reflow_core::scheduler::{EndReason, JobState};

use crate::case::{case, ensure, ensure_eq};
use crate::site::after;
use crate::{Case, Failure, Need, Outcome, Site};

pub(super) const CASES: &[Case] = &[
    case!(Site, "T4", Need::NOTHING, the_exit_status_is_told),
    case!(
        Site,
        "T4",
        Need::NOTHING,
        a_signal_is_told_or_its_exit_status
    ),
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
fn unknown_like(job: &JobId) -> Result<JobId, Failure> {
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
    ensure_eq!(ended, [true, false, true, true, true]);
    ensure_eq!(answer[2].elements.len(), 2);
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
