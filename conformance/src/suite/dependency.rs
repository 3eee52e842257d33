//! Conditions that come to hold: on running and on ended parents, single ones, arrays, and several.

use reflow_core::id::JobId;
use reflow_core::scheduler::DependencyKind::{Any, NotOk, Ok as AfterOk};
use reflow_core::scheduler::{DependencyKind, JobRequest};

use crate::case::{case, ensure, ensure_eq};
use crate::site::after;
use crate::{Case, Need, Outcome, Site};

const AFTER_NOT_OK: Need = Need {
    holds: |setup| setup.scheduler.capabilities().after_not_ok,
    otherwise: "needs dependencies on failure",
};

/// The end of a parent that nobody remembers is not known to be a good or a bad one.
const REMEMBERS: Need = Need {
    holds: |setup| setup.scheduler.capabilities().history.is_some(),
    otherwise: "needs a history of ended jobs",
};
const REMEMBERS_NOT_OK: Need = Need {
    holds: |setup| (AFTER_NOT_OK.holds)(setup) && (REMEMBERS.holds)(setup),
    otherwise: "needs dependencies on failure, and a history of ended jobs",
};

pub(super) const CASES: &[Case] = &[
    case!(Site, "S5", Need::NOTHING, after_ok_waits_for_the_parent),
    case!(Site, "S5", Need::NOTHING, after_ok_waits_for_a_whole_array),
    case!(Site, "S5", REMEMBERS, after_ok_runs_on_an_ended_parent),
    case!(Site, "S5", REMEMBERS, after_ok_runs_on_an_ended_array),
    case!(Site, "S5", Need::NOTHING, after_any_runs_on_a_failed_parent),
    case!(Site, "S5", Need::NOTHING, after_any_runs_on_an_ended_parent),
    case!(Site, "S5", Need::NOTHING, after_any_waits_for_a_whole_array),
    case!(Site, "S5", Need::NOTHING, after_any_runs_on_an_ended_array),
    case!(
        Site,
        "S5",
        AFTER_NOT_OK,
        after_not_ok_runs_on_a_failed_parent
    ),
    case!(
        Site,
        "S5",
        REMEMBERS_NOT_OK,
        after_not_ok_runs_on_a_parent_that_had_failed
    ),
    case!(
        Site,
        "S5",
        AFTER_NOT_OK,
        after_not_ok_runs_on_an_array_whose_last_element_fails
    ),
    case!(Site, "S5", Need::NOTHING, all_dependencies_must_hold),
    case!(Site, "S5", Need::NOTHING, many_parents_are_waited_for),
    case!(
        Site,
        "S5",
        Need::NOTHING,
        an_array_waits_for_a_job_and_for_an_array
    ),
];

const SLOW: &str = "sleep 1; touch parent";

fn child(site: &Site, parent: &JobId, kind: DependencyKind) -> JobRequest {
    after(site.shell("child", "ls > child"), parent, kind)
}

/// Fails unless the child saw each of `files` when it ran.
async fn saw(site: &Site, files: &[&str]) -> Outcome {
    let seen = site.file("child").await?;
    for file in files {
        ensure!(
            seen.lines().any(|line| line == *file),
            "it ran before {file} was there: {seen}"
        );
    }
    Ok(())
}

async fn after_ok_waits_for_the_parent(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", SLOW)).await?;
    site.succeed(&child(site, &parent, AfterOk)).await?;
    saw(site, &["parent"]).await
}

async fn after_ok_waits_for_a_whole_array(site: &Site) -> Outcome {
    let script = "[ $2 = 1 ] || sleep 1; touch parent$2";
    let parent = site.submit(&site.array("parent", 3, script)).await?;
    site.succeed(&child(site, &parent, AfterOk)).await?;
    saw(site, &["parent0", "parent1", "parent2"]).await
}

async fn after_ok_runs_on_an_ended_parent(site: &Site) -> Outcome {
    let parent = site.succeed(&site.shell("parent", "true")).await?;
    site.succeed(&child(site, &parent, AfterOk)).await?;
    saw(site, &[]).await
}

async fn after_ok_runs_on_an_ended_array(site: &Site) -> Outcome {
    let parent = site.succeed(&site.array("parent", 2, "true")).await?;
    site.succeed(&child(site, &parent, AfterOk)).await?;
    saw(site, &[]).await
}

async fn after_any_runs_on_a_failed_parent(site: &Site) -> Outcome {
    let parent = site
        .submit(&site.shell("parent", "sleep 1; touch parent; exit 3"))
        .await?;
    site.succeed(&child(site, &parent, Any)).await?;
    saw(site, &["parent"]).await
}

async fn after_any_runs_on_an_ended_parent(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", "exit 3")).await?;
    site.ended(&parent).await?;
    site.succeed(&child(site, &parent, Any)).await?;
    saw(site, &[]).await
}

async fn after_any_waits_for_a_whole_array(site: &Site) -> Outcome {
    let script = "[ $2 = 1 ] || sleep 1; touch parent$2; exit $2";
    let parent = site.submit(&site.array("parent", 3, script)).await?;
    site.succeed(&child(site, &parent, Any)).await?;
    saw(site, &["parent0", "parent1", "parent2"]).await
}

async fn after_any_runs_on_an_ended_array(site: &Site) -> Outcome {
    let parent = site.submit(&site.array("parent", 2, "exit $2")).await?;
    site.ended(&parent).await?;
    site.succeed(&child(site, &parent, Any)).await?;
    saw(site, &[]).await
}

async fn after_not_ok_runs_on_a_failed_parent(site: &Site) -> Outcome {
    let parent = site
        .submit(&site.shell("parent", "sleep 1; touch parent; exit 3"))
        .await?;
    site.succeed(&child(site, &parent, NotOk)).await?;
    saw(site, &["parent"]).await
}

async fn after_not_ok_runs_on_a_parent_that_had_failed(site: &Site) -> Outcome {
    let parent = site.submit(&site.shell("parent", "exit 3")).await?;
    site.ended(&parent).await?;
    site.succeed(&child(site, &parent, NotOk)).await?;
    saw(site, &[]).await
}

async fn after_not_ok_runs_on_an_array_whose_last_element_fails(site: &Site) -> Outcome {
    let script = "[ $2 = 0 ] || { sleep 1.5; touch parent$2; exit 3; }; touch parent$2";
    let parent = site.submit(&site.array("parent", 2, script)).await?;
    site.succeed(&child(site, &parent, NotOk)).await?;
    saw(site, &["parent0", "parent1"]).await
}

async fn all_dependencies_must_hold(site: &Site) -> Outcome {
    let quick = site
        .submit(&site.shell("quick", "sleep 1.5; touch quick"))
        .await?;
    let slow = site.submit(&site.shell("parent", SLOW)).await?;
    let child = after(child(site, &quick, AfterOk), &slow, Any);
    site.succeed(&child).await?;
    saw(site, &["parent", "quick"]).await
}

async fn many_parents_are_waited_for(site: &Site) -> Outcome {
    let names: Vec<String> = (0..6).map(|number| format!("parent{number}")).collect();
    let mut child = site.shell("child", "ls > child");
    for (number, name) in names.iter().enumerate() {
        let script = format!("sleep 2.{number}; touch {name}");
        let parent = match number {
            0 => site.submit(&site.array(name, 2, &script)).await?,
            _ => site.submit(&site.shell(name, &script)).await?,
        };
        let kind = if number < 4 { Any } else { AfterOk };
        child = after(child, &parent, kind);
    }
    site.succeed(&child).await?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    saw(site, &names).await
}

async fn an_array_waits_for_a_job_and_for_an_array(site: &Site) -> Outcome {
    let single = site.submit(&site.shell("parent", SLOW)).await?;
    let array = site
        .submit(&site.array("array", 2, "sleep 1; touch parent$2"))
        .await?;
    let child = site.array("child", 3, "ls > child$2");
    let child = after(after(child, &single, AfterOk), &array, Any);
    site.succeed(&child).await?;
    for index in 0..3 {
        let seen = site.file(&format!("child{index}")).await?;
        let parents = seen
            .lines()
            .filter(|line| matches!(*line, "parent" | "parent0" | "parent1"));
        ensure_eq!(parents.count(), 3);
    }
    Ok(())
}
