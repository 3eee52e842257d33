//! Dependencies from element to element.

use reflow_core::id::JobId;
use reflow_core::scheduler::DependencyKind::{ElementWise, ElementWiseAny};
use reflow_core::scheduler::{EndReason, FailedParent, JobState, JobStatus};

use super::settle::withdrawn;
use crate::case::{case, ensure};
use crate::site::after;
use crate::{Case, Failure, Need, Outcome, Site};

const ELEMENT_WISE: Need = Need {
    holds: |setup| setup.scheduler.capabilities().element_wise,
    otherwise: "needs dependencies from element to element",
};
const ELEMENT_WISE_ANY: Need = Need {
    holds: |setup| setup.scheduler.capabilities().element_wise_any,
    otherwise: "needs dependencies from element to element, on any end",
};

pub(super) const CASES: &[Case] = &[
    case!(
        Site,
        "S5",
        ELEMENT_WISE,
        elements_wait_for_their_own_element_alone
    ),
    case!(Site, "S5", ELEMENT_WISE, elements_run_on_an_ended_array),
    case!(
        Site,
        "S5",
        ELEMENT_WISE,
        elements_wait_for_their_own_element_of_every_parent
    ),
    case!(
        Site,
        "S5",
        ELEMENT_WISE,
        an_element_never_runs_on_a_failed_element
    ),
    case!(
        Site,
        "S5",
        ELEMENT_WISE_ANY,
        elements_wait_for_the_end_of_their_own_element_alone
    ),
    case!(
        Site,
        "S5",
        ELEMENT_WISE_ANY,
        an_element_runs_on_the_end_of_a_failed_element
    ),
];

/// Element 0 ends at once. Element 1 ends, with `$STATUS`, only when element 0 of the
/// child has run.
const WAITS_FOR_CHILD: &str =
    "[ $2 = 0 ] || for n in {1..600}; do [ -e child0 ] && exit $STATUS; sleep 0.1; done; exit $2";

async fn own_element_alone(
    site: &Site,
    status: &str,
    kind: reflow_core::scheduler::DependencyKind,
) -> Result<JobId, Failure> {
    let mut parent = site.array("parent", 2, WAITS_FOR_CHILD);
    let variables = &mut parent.command.environment;
    variables.insert("STATUS".to_owned(), status.to_owned());
    let parent = site.submit(&parent).await?;
    let child = site.array("child", 2, "touch child$2");
    site.succeed(&after(child, &parent, kind)).await?;
    Ok(parent)
}

async fn elements_wait_for_their_own_element_alone(site: &Site) -> Outcome {
    let parent = own_element_alone(site, "0", ElementWise).await?;
    site.succeeded(&parent).await
}

async fn elements_wait_for_the_end_of_their_own_element_alone(site: &Site) -> Outcome {
    let parent = own_element_alone(site, "3", ElementWiseAny).await?;
    site.ended(&parent).await?;
    ensure!(
        site.has("child1"),
        "the element of a failed one did not run"
    );
    Ok(())
}

async fn elements_run_on_an_ended_array(site: &Site) -> Outcome {
    let parent = site.succeed(&site.array("parent", 2, "true")).await?;
    let child = site.array("child", 2, "touch child$2");
    site.succeed(&after(child, &parent, ElementWise)).await?;
    ensure!(site.has("child0") && site.has("child1"), "not all ran");
    Ok(())
}

async fn elements_wait_for_their_own_element_of_every_parent(site: &Site) -> Outcome {
    let one = site.array("one", 2, "touch one$2");
    let two = site.array("two", 2, "sleep 1; touch two$2");
    let (one, two) = (site.submit(&one).await?, site.submit(&two).await?);
    let script = "[ -e one$2 ] && [ -e two$2 ] && touch child$2";
    let child = after(site.array("child", 2, script), &one, ElementWise);
    site.succeed(&after(child, &two, ElementWise)).await?;
    ensure!(site.has("child0") && site.has("child1"), "not all ran");
    Ok(())
}

async fn an_element_never_runs_on_a_failed_element(site: &Site) -> Outcome {
    let parent = site.submit(&site.array("parent", 3, "[ $2 != 1 ]")).await?;
    let child = after(
        site.array("child", 3, "touch child$2"),
        &parent,
        ElementWise,
    );
    let id = site.submit(&child).await?;
    let pends = site.capabilities().failed_parent == FailedParent::PendForever;
    let status = site
        .until(&id, "settled in all elements", |status| {
            let waits = matches!(one(status), Some(JobState::Pending { never: true, .. }));
            let ended = status.elements.iter().filter(|one| one.state.is_ended());
            status.state.is_ended() || pends && waits && ended.count() == 2
        })
        .await?;
    ensure!(
        site.has("child0") && site.has("child2"),
        "good elements did not run"
    );
    match one(&status) {
        None | Some(JobState::Unknown | JobState::Pending { never: true, .. }) => {}
        Some(JobState::Ended(end)) if end.reason == EndReason::DependencyFailed => {}
        Some(other) => return Err(Failure::new(format!("element 1 is {other:?}"))),
    }
    if !status.state.is_ended() {
        withdrawn(site, &id).await?;
    }
    ensure!(!site.has("child1"), "the element of a failed one ran");
    Ok(())
}

/// The state of element 1.
fn one(status: &JobStatus) -> Option<&JobState> {
    let element = status.elements.iter().find(|element| element.index == 1);
    element.map(|element| &element.state)
}

async fn an_element_runs_on_the_end_of_a_failed_element(site: &Site) -> Outcome {
    let parent = site.array("parent", 3, "sleep 1; touch parent$2; [ $2 != 1 ]");
    let parent = site.submit(&parent).await?;
    let script = "[ -e parent$2 ] && touch child$2";
    let child = after(site.array("child", 3, script), &parent, ElementWiseAny);
    site.succeed(&child).await?;
    for index in 0..3 {
        ensure!(site.has(&format!("child{index}")), "{index} did not run");
    }
    Ok(())
}
