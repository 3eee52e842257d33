use reflow_core::scheduler::{
    ArrayRequest, DependencyKind, EndReason, JobState, SchedulerErrorKind,
};

use super::settle::{nothing_queued, withdrawn};
use crate::site::after;

use crate::case::{case, ensure, ensure_eq};
use crate::{Case, Failure, Need, Outcome, Site};

const LIMIT: Need = Need {
    holds: |setup| setup.scheduler.capabilities().concurrency_limit,
    otherwise: "needs a limit on the elements that run at the same time",
};
const SIZE: Need = Need {
    holds: |setup| setup.scheduler.capabilities().array_limit.is_some(),
    otherwise: "needs a limit on the size of arrays",
};

pub(super) const CASES: &[Case] = &[
    case!(Site, "S4", Need::NOTHING, an_array_of_one_runs_once),
    case!(Site, "S4", Need::NOTHING, an_array_of_two_runs_both),
    case!(
        Site,
        "S4",
        Need::NOTHING,
        an_array_of_ten_runs_each_index_once
    ),
    case!(Site, "S4", LIMIT, the_limit_on_running_elements_holds),
    case!(Site, "S4", LIMIT, a_limit_of_one_runs_one_after_another),
    case!(Site, "S4", LIMIT, a_limit_beyond_the_count_changes_nothing),
    case!(Site, "S4", SIZE, an_array_at_the_size_limit_is_taken),
    case!(Site, "S7", SIZE, an_array_beyond_the_size_limit_is_refused),
    case!(Site, "T3", Need::NOTHING, a_failing_element_is_told_apart),
];

/// Every element adds its index to one file, in one write.
async fn each_index_once(site: &Site, count: u32) -> Outcome {
    let job = site.array("a", count, "echo \"$1 $2\" >> ran; echo $2");
    let id = site.submit(&job).await?;
    site.succeeded(&id).await?;
    let ran = site.file("ran").await?;
    let mut lines: Vec<&str> = ran.lines().collect();
    lines.sort_unstable();
    let mut expected: Vec<String> = (0..count).map(|index| format!("--index {index}")).collect();
    expected.sort_unstable();
    ensure_eq!(lines, expected);
    for index in 0..count {
        let output = site.file(&format!("a.out.{index}")).await?;
        ensure_eq!(output, format!("{index}\n"));
    }
    Ok(())
}

async fn an_array_of_one_runs_once(site: &Site) -> Outcome {
    each_index_once(site, 1).await
}

async fn an_array_of_two_runs_both(site: &Site) -> Outcome {
    each_index_once(site, 2).await
}

async fn an_array_of_ten_runs_each_index_once(site: &Site) -> Outcome {
    each_index_once(site, 10).await
}

/// Fails unless at most `at_most` of `count` elements run at the same time, and all of them run.
async fn limit_holds(site: &Site, count: u32, at_most: u32) -> Outcome {
    fs_err::create_dir(site.path().join("now"))?;
    let script =
        "touch now/$2; ls now | wc -l >> counts; sleep 0.6; ls now | wc -l >> counts; rm now/$2";
    let mut job = site.array("a", count, script);
    job.array = Some(ArrayRequest {
        count,
        at_most: Some(at_most),
    });
    site.succeed(&job).await?;
    let counts = site.file("counts").await?;
    let counts: Vec<u32> = counts
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect();
    ensure_eq!(counts.len(), 2 * count as usize);
    ensure!(counts.iter().all(|count| *count <= at_most), "{counts:?}");
    Ok(())
}

async fn the_limit_on_running_elements_holds(site: &Site) -> Outcome {
    limit_holds(site, 6, 2).await
}

async fn a_limit_of_one_runs_one_after_another(site: &Site) -> Outcome {
    limit_holds(site, 3, 1).await
}

async fn a_limit_beyond_the_count_changes_nothing(site: &Site) -> Outcome {
    limit_holds(site, 1, 5).await?;
    fs_err::rename(site.path().join("counts"), site.path().join("before"))?;
    fs_err::remove_dir(site.path().join("now"))?;
    limit_holds(site, 2, 2).await
}

/// It waits for a job that runs until it is cancelled, and is cancelled itself before anything of it runs.
async fn an_array_at_the_size_limit_is_taken(site: &Site) -> Outcome {
    let limit = site.capabilities().array_limit.unwrap_or(0);
    if limit > site.setup.held_array {
        return Err(Failure::does_not_apply(format!(
            "arrays of up to {limit} elements are taken, which is too much to try out"
        )));
    }
    let first = site.submit(&site.shell("first", "exec sleep 600")).await?;
    let job = after(
        site.array("a", limit, "touch ran"),
        &first,
        DependencyKind::Any,
    );
    let id = site.submit(&job).await?;
    let state = site.status(&id).await?.state;
    ensure!(
        matches!(state, JobState::Pending { never: false, .. }),
        "{state:?}"
    );
    withdrawn(site, &id).await?;
    ensure!(!site.has("ran"), "it ran");
    Ok(())
}

async fn an_array_beyond_the_size_limit_is_refused(site: &Site) -> Outcome {
    let limit = site.capabilities().array_limit.unwrap_or(0);
    let job = site.array("a", limit.saturating_add(1), "touch ran");
    let Err(error) = site.try_submit(&job).await else {
        return Err(Failure::new("it was taken"));
    };
    let kind = error.error.kind();
    ensure!(
        matches!(
            kind,
            SchedulerErrorKind::Unsupported | SchedulerErrorKind::Rejected
        ),
        "{kind:?}: {error}"
    );
    ensure!(!error.may_exist, "a job may exist: {error}");
    nothing_queued(site, &job.tag).await
}

async fn a_failing_element_is_told_apart(site: &Site) -> Outcome {
    let id = site
        .submit(&site.array("a", 3, "[ $2 != 1 ] || exit 4"))
        .await?;
    let forgets = site.capabilities().history.is_none();
    let status = site
        .until(&id, "told apart", |status| {
            status.elements.len() == 3 && status.elements.iter().all(|one| one.state.is_ended())
                || forgets && status.state == JobState::Unknown
        })
        .await?;
    if status.state == JobState::Unknown {
        return Err(Failure::does_not_apply(
            "the batch system forgets jobs when they end",
        ));
    }
    for element in &status.elements {
        let JobState::Ended(end) = &element.state else {
            return Err(Failure::new(format!("{element:?}")));
        };
        let expected = if element.index == 1 {
            (EndReason::Failed, Some(4))
        } else {
            (EndReason::Completed, Some(0))
        };
        ensure_eq!((end.reason, end.code), expected);
    }
    Ok(())
}
