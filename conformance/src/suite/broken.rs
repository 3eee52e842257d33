//! Conditions that can no longer hold: nobody is left waiting for ever without a word.

use reflow_core::id::JobId;
use reflow_core::scheduler::DependencyKind::{Any, NotOk, Ok as AfterOk};
use reflow_core::scheduler::{DependencyKind, FailedParent, JobRequest, Target};

use super::settle::{Settled, ends_as_told, not_left_waiting, settled, withdrawn};
use super::status::unknown_like;
use crate::case::{case, ensure};
use crate::site::after;
use crate::{Case, Failure, Need, Outcome, Site};

const AFTER_NOT_OK: Need = Need {
    holds: |setup| setup.scheduler.capabilities().after_not_ok,
    otherwise: "needs dependencies on failure",
};
/// OpenPBS 23.06.06 goes by the element that ends last.
const WHOLE_ARRAYS: Need = Need {
    holds: |setup| {
        let told = setup.scheduler.capabilities().failed_parent;
        matches!(told, FailedParent::Cancelled | FailedParent::PendForever)
    },
    otherwise: "needs after-ok that looks at every element of an array",
};
const RELEASES: Need = Need {
    holds: |setup| setup.scheduler.capabilities().releases_cancelled,
    otherwise: "needs jobs that release others when they are cancelled before they start",
};
const HOLDS: Need = Need {
    holds: |setup| !setup.scheduler.capabilities().releases_cancelled,
    otherwise: "needs a batch system that holds the children of jobs that never started",
};

pub(super) const CASES: &[Case] = &[
    case!(
        Site,
        "S5",
        Need::NOTHING,
        after_ok_on_a_failed_parent_ends_as_told
    ),
    case!(
        Site,
        "S5",
        Need::NOTHING,
        after_ok_on_a_parent_that_had_failed_ends_as_told
    ),
    case!(
        Site,
        "S5",
        Need::NOTHING,
        after_ok_on_an_array_whose_last_element_fails_ends_as_told
    ),
    case!(
        Site,
        "S5",
        WHOLE_ARRAYS,
        after_ok_on_an_array_whose_first_element_fails_ends_as_told
    ),
    case!(
        Site,
        "S5",
        Need::NOTHING,
        after_ok_on_one_failed_parent_of_several_ends_as_told
    ),
    case!(
        Site,
        "S5",
        AFTER_NOT_OK,
        after_not_ok_never_runs_on_a_good_parent
    ),
    case!(Site, "S5", Need::NOTHING, three_jobs_in_a_row_end_as_told),
    case!(
        Site,
        "S5",
        Need::NOTHING,
        after_any_runs_on_a_parent_cancelled_while_it_ran
    ),
    case!(
        Site,
        "S5",
        Need::NOTHING,
        after_ok_on_a_parent_cancelled_while_it_ran_is_not_left_waiting
    ),
    case!(
        Site,
        "S5",
        RELEASES,
        after_any_runs_on_a_parent_cancelled_before_it_ran
    ),
    case!(
        Site,
        "T2",
        HOLDS,
        a_job_held_by_a_parent_that_never_ran_is_told_never_to_start
    ),
    case!(
        Site,
        "S5",
        Need::NOTHING,
        after_ok_on_a_parent_cancelled_before_it_ran_is_not_left_waiting
    ),
    case!(
        Site,
        "S5",
        Need::NOTHING,
        after_any_runs_on_an_unknown_parent
    ),
    case!(
        Site,
        "S5",
        Need::NOTHING,
        after_ok_on_an_unknown_parent_is_not_left_waiting
    ),
];

const SLOW_FAILURE: &str = "sleep 1; exit 3";
const ENDLESS: &str = "touch on; exec sleep 300";

fn child(site: &Site, parent: &JobId, kind: DependencyKind) -> JobRequest {
    after(site.shell("child", "touch child"), parent, kind)
}

async fn after_ok_on_a_failed_parent_ends_as_told(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", SLOW_FAILURE)).await?;
    let child = site.submit(&child(site, &parent, AfterOk)).await?;
    ends_as_told(site, &child, "child").await
}

async fn after_ok_on_a_parent_that_had_failed_ends_as_told(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", "exit 3")).await?;
    site.ended(&parent).await?;
    match site.try_submit(&child(site, &parent, AfterOk)).await {
        Ok(child) => ends_as_told(site, &child, "child").await,
        // Refusing it at once is as good.
        Err(error) => {
            ensure!(!error.may_exist, "a job may exist: {error}");
            Ok(())
        }
    }
}

async fn after_ok_on_an_array_whose_last_element_fails_ends_as_told(site: &Site) -> Outcome {
    let script = "[ $2 = 0 ] || { sleep 1.5; exit 3; }";
    let parent = site.submit(&site.array("parent", 2, script)).await?;
    let child = site.submit(&child(site, &parent, AfterOk)).await?;
    ends_as_told(site, &child, "child").await
}

async fn after_ok_on_an_array_whose_first_element_fails_ends_as_told(site: &Site) -> Outcome {
    let script = "[ $2 != 0 ] || exit 3; sleep 1.5";
    let parent = site.submit(&site.array("parent", 2, script)).await?;
    let child = site.submit(&child(site, &parent, AfterOk)).await?;
    ends_as_told(site, &child, "child").await
}

async fn after_ok_on_one_failed_parent_of_several_ends_as_told(site: &Site) -> Outcome {
    let good = site.submit(&site.shell("good", "sleep 1")).await?;
    let bad = site.submit(&site.shell("bad", SLOW_FAILURE)).await?;
    let child = after(child(site, &good, AfterOk), &bad, AfterOk);
    let child = site.submit(&child).await?;
    ends_as_told(site, &child, "child").await
}

async fn after_not_ok_never_runs_on_a_good_parent(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", "sleep 1")).await?;
    let child = site.submit(&child(site, &parent, NotOk)).await?;
    ends_as_told(site, &child, "child").await
}

/// One fails, the second needs it, the third needs the end of both.
async fn three_jobs_in_a_row_end_as_told(site: &Site) -> Outcome {
    let first = site.submit(&site.shell("first", SLOW_FAILURE)).await?;
    let second = site.submit(&child(site, &first, AfterOk)).await?;
    let third = after(site.shell("third", "touch third"), &first, Any);
    let third = site.submit(&after(third, &second, Any)).await?;
    match site.capabilities().failed_parent {
        FailedParent::Cancelled | FailedParent::Runs => {
            ends_as_told(site, &second, "child").await?;
            site.succeeded(&third).await?;
            ensure!(site.has("third"), "the third did not run");
            Ok(())
        }
        FailedParent::Deleted => {
            ends_as_told(site, &second, "child").await?;
            not_left_waiting(site, &third).await
        }
        FailedParent::PendForever => {
            ends_as_told(site, &second, "child").await?;
            // The second has been withdrawn by now, before it ran.
            if site.capabilities().releases_cancelled {
                site.succeeded(&third).await?;
                ensure!(site.has("third"), "the third did not run");
                Ok(())
            } else {
                not_left_waiting(site, &third).await
            }
        }
    }
}

async fn cancelled_while_running(site: &Site, kind: DependencyKind) -> Result<JobId, Failure> {
    let parent = site.submit(&site.shell("parent", ENDLESS)).await?;
    let child = site.submit(&child(site, &parent, kind)).await?;
    site.file("on").await?;
    site.running(&parent).await?;
    site.scheduler.cancel(&[Target::whole(parent)]).await?;
    Ok(child)
}

async fn after_any_runs_on_a_parent_cancelled_while_it_ran(site: &Site) -> Outcome {
    let child = cancelled_while_running(site, Any).await?;
    site.succeeded(&child).await?;
    ensure!(site.has("child"), "it did not run");
    Ok(())
}

async fn after_ok_on_a_parent_cancelled_while_it_ran_is_not_left_waiting(site: &Site) -> Outcome {
    let child = cancelled_while_running(site, AfterOk).await?;
    if site.capabilities().failed_parent == FailedParent::Runs {
        return not_left_waiting(site, &child).await;
    }
    not_left_waiting(site, &child).await?;
    ensure!(!site.has("child"), "it ran");
    Ok(())
}

async fn cancelled_before_it_ran(site: &Site, kind: DependencyKind) -> Result<JobId, Failure> {
    let first = site.submit(&site.shell("first", ENDLESS)).await?;
    let parent = after(site.shell("parent", "touch parent"), &first, Any);
    let parent = site.submit(&parent).await?;
    let child = site.submit(&child(site, &parent, kind)).await?;
    site.scheduler.cancel(&[Target::whole(parent)]).await?;
    Ok(child)
}

async fn after_any_runs_on_a_parent_cancelled_before_it_ran(site: &Site) -> Outcome {
    let child = cancelled_before_it_ran(site, Any).await?;
    site.succeeded(&child).await?;
    ensure!(
        site.has("child") && !site.has("parent"),
        "the wrong one ran"
    );
    Ok(())
}

async fn a_job_held_by_a_parent_that_never_ran_is_told_never_to_start(site: &Site) -> Outcome {
    let child = cancelled_before_it_ran(site, Any).await?;
    match settled(site, &child).await? {
        Settled::Never => withdrawn(site, &child).await,
        other => Err(Failure::new(format!(
            "the capabilities say that it is held for ever, and it is {other:?}"
        ))),
    }
}

async fn after_ok_on_a_parent_cancelled_before_it_ran_is_not_left_waiting(site: &Site) -> Outcome {
    let child = cancelled_before_it_ran(site, AfterOk).await?;
    not_left_waiting(site, &child).await
}

/// An id of the batch system's own form, of a job that it never had.
async fn unknown(site: &Site) -> Result<JobId, Failure> {
    let known = site.submit(&site.shell("known", "true")).await?;
    unknown_like(&known)
}

async fn after_any_runs_on_an_unknown_parent(site: &Site) -> Outcome {
    let unknown = unknown(site).await?;
    site.succeed(&child(site, &unknown, Any)).await?;
    ensure!(site.has("child"), "it did not run");
    Ok(())
}

async fn after_ok_on_an_unknown_parent_is_not_left_waiting(site: &Site) -> Outcome {
    let unknown = unknown(site).await?;
    match site.try_submit(&child(site, &unknown, AfterOk)).await {
        Ok(child) => not_left_waiting(site, &child).await,
        // Refusing it at once is as good.
        Err(error) => {
            ensure!(!error.may_exist, "a job may exist: {error}");
            Ok(())
        }
    }
}
