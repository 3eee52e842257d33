use reflow_core::id::JobId;
use reflow_core::scheduler::DependencyKind::{Any, ElementWise, NotOk, Ok as AfterOk};
use reflow_core::scheduler::{EndReason, FailedParent, JobRequest, JobState};

use crate::case::{case, ensure, ensure_eq};
use crate::site::after;
use crate::{Case, Failure, Need, Outcome, Site};

const AFTER_NOT_OK: Need = Need {
    holds: |setup| setup.scheduler.capabilities().after_not_ok,
    otherwise: "needs dependencies on failure",
};
const ELEMENT_WISE: Need = Need {
    holds: |setup| setup.scheduler.capabilities().element_wise,
    otherwise: "needs dependencies from element to element",
};
/// After-ok that holds what its name says.
const CANCELS: Need = Need {
    holds: |setup| setup.scheduler.capabilities().failed_parent == FailedParent::Cancelled,
    otherwise: "needs children of failed parents to be cancelled",
};

pub(super) const CASES: &[Case] = &[
    case!(Site, "S5", Need::NOTHING, after_ok_waits_for_the_parent),
    case!(Site, "S5", Need::NOTHING, after_ok_runs_on_an_ended_parent),
    case!(Site, "S5", CANCELS, after_ok_never_runs_on_a_failed_parent),
    case!(
        Site,
        "S5",
        CANCELS,
        after_ok_never_runs_on_a_parent_that_had_failed
    ),
    case!(
        Site,
        "S5",
        CANCELS,
        the_end_of_a_cancelled_child_releases_its_own
    ),
    case!(Site, "S5", Need::NOTHING, after_any_runs_on_a_failed_parent),
    case!(Site, "S5", Need::NOTHING, after_any_runs_on_an_ended_parent),
    case!(Site, "S5", Need::NOTHING, after_any_waits_for_a_whole_array),
    case!(
        Site,
        "S5",
        AFTER_NOT_OK,
        after_not_ok_runs_on_a_failed_parent
    ),
    case!(
        Site,
        "S5",
        AFTER_NOT_OK,
        after_not_ok_never_runs_on_a_good_parent
    ),
    case!(Site, "S5", Need::NOTHING, all_dependencies_must_hold),
    case!(
        Site,
        "S5",
        ELEMENT_WISE,
        elements_wait_for_their_own_element_alone
    ),
    case!(
        Site,
        "S5",
        ELEMENT_WISE,
        an_element_never_runs_on_a_failed_element
    ),
];

const SLOW: &str = "sleep 1; touch parent";
const SLOW_FAILURE: &str = "sleep 1; exit 3";

fn child(site: &Site, parent: &JobId, kind: reflow_core::scheduler::DependencyKind) -> JobRequest {
    after(site.shell("child", "ls > child"), parent, kind)
}

/// The child ends without having run.
async fn never_runs(site: &Site, child: &JobId) -> Outcome {
    let end = site.end(child).await?;
    ensure_eq!(end.reason, EndReason::DependencyFailed);
    ensure!(!site.has("child"), "the child ran");
    Ok(())
}

async fn after_ok_waits_for_the_parent(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", SLOW)).await?;
    site.succeed(&child(site, &parent, AfterOk)).await?;
    let seen = site.file("child").await?;
    ensure!(
        seen.lines().any(|line| line == "parent"),
        "it ran first: {seen}"
    );
    Ok(())
}

async fn after_ok_runs_on_an_ended_parent(site: &Site) -> Outcome {
    let parent = site.succeed(&site.shell("parent", "true")).await?;
    site.succeed(&child(site, &parent, AfterOk)).await?;
    Ok(())
}

async fn after_ok_never_runs_on_a_failed_parent(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", SLOW_FAILURE)).await?;
    let child = site.submit(&child(site, &parent, AfterOk)).await?;
    never_runs(site, &child).await
}

async fn after_ok_never_runs_on_a_parent_that_had_failed(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", "exit 3")).await?;
    site.ended(&parent).await?;
    match site.submit(&child(site, &parent, AfterOk)).await {
        Ok(child) => never_runs(site, &child).await,
        // Refusing it at once is as good.
        Err(_) => Ok(()),
    }
}

async fn the_end_of_a_cancelled_child_releases_its_own(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", SLOW_FAILURE)).await?;
    let child = site.submit(&child(site, &parent, AfterOk)).await?;
    let last = after(site.shell("last", "touch last"), &child, Any);
    site.succeed(&last).await?;
    ensure!(site.has("last") && !site.has("child"), "the wrong one ran");
    Ok(())
}

async fn after_any_runs_on_a_failed_parent(site: &Site) -> Outcome {
    let parent = site
        .submit(&site.shell("parent", "sleep 1; touch parent; exit 3"))
        .await?;
    site.succeed(&child(site, &parent, Any)).await?;
    let seen = site.file("child").await?;
    ensure!(
        seen.lines().any(|line| line == "parent"),
        "it ran first: {seen}"
    );
    Ok(())
}

async fn after_any_runs_on_an_ended_parent(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", "exit 3")).await?;
    site.ended(&parent).await?;
    site.succeed(&child(site, &parent, Any)).await?;
    Ok(())
}

async fn after_any_waits_for_a_whole_array(site: &Site) -> Outcome {
    let script = "[ $2 = 1 ] || sleep 1; touch parent$2; exit $2";
    let parent = site.submit(&site.array("parent", 3, script)).await?;
    site.succeed(&child(site, &parent, Any)).await?;
    let seen = site.file("child").await?;
    let parents = seen
        .lines()
        .filter(|line| matches!(*line, "parent0" | "parent1" | "parent2"));
    ensure_eq!(parents.count(), 3);
    Ok(())
}

async fn after_not_ok_runs_on_a_failed_parent(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", SLOW_FAILURE)).await?;
    site.succeed(&child(site, &parent, NotOk)).await?;
    Ok(())
}

async fn after_not_ok_never_runs_on_a_good_parent(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", SLOW)).await?;
    let child = site.submit(&child(site, &parent, NotOk)).await?;
    never_runs(site, &child).await
}

async fn all_dependencies_must_hold(site: &Site) -> Outcome {
    let quick = site.submit(&site.shell("quick", "touch quick")).await?;
    let slow = site.submit(&site.shell("parent", SLOW)).await?;
    let child = after(child(site, &quick, AfterOk), &slow, Any);
    site.succeed(&child).await?;
    let seen = site.file("child").await?;
    ensure!(
        ["parent", "quick"]
            .iter()
            .all(|name| seen.lines().any(|line| line == *name)),
        "{seen}"
    );
    Ok(())
}

/// Element 1 of the parent ends only when element 0 of the child has run.
async fn elements_wait_for_their_own_element_alone(site: &Site) -> Outcome {
    let wait =
        "[ $2 = 0 ] || for n in {1..300}; do [ -e child0 ] && exit; sleep 0.1; done; exit $2";
    let parent = site.submit(&site.array("parent", 2, wait)).await?;
    let child = after(
        site.array("child", 2, "touch child$2"),
        &parent,
        ElementWise,
    );
    site.succeed(&child).await?;
    site.succeeded(&parent).await
}

async fn an_element_never_runs_on_a_failed_element(site: &Site) -> Outcome {
    let parent = site.submit(&site.array("parent", 3, "[ $2 != 1 ]")).await?;
    let child = after(
        site.array("child", 3, "touch child$2"),
        &parent,
        ElementWise,
    );
    let id = site.submit(&child).await?;
    let status = site.ended(&id).await?;
    ensure!(
        site.has("child0") && site.has("child2"),
        "good elements did not run"
    );
    ensure!(!site.has("child1"), "the element of a failed one ran");
    let one = status.elements.iter().find(|element| element.index == 1);
    match one.map(|element| &element.state) {
        None | Some(JobState::Unknown) => Ok(()),
        Some(JobState::Ended(end)) if end.reason == EndReason::DependencyFailed => Ok(()),
        Some(other) => Err(Failure::new(format!("element 1 is {other:?}"))),
    }
}
