use reflow_core::scheduler::{ArrayRequest, EndReason, JobState};

use crate::case::{case, ensure, ensure_eq};
use crate::{Case, Failure, Need, Outcome, Site};

const LIMIT: Need = Need {
    holds: |setup| setup.scheduler.capabilities().concurrency_limit,
    otherwise: "needs a limit on the elements that run at the same time",
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

async fn the_limit_on_running_elements_holds(site: &Site) -> Outcome {
    fs_err::create_dir(site.path().join("now"))?;
    let script =
        "touch now/$2; ls now | wc -l >> counts; sleep 0.6; ls now | wc -l >> counts; rm now/$2";
    let mut job = site.array("a", 6, script);
    job.array = Some(ArrayRequest {
        count: 6,
        at_most: Some(2),
    });
    site.succeed(&job).await?;
    let counts = site.file("counts").await?;
    let counts: Vec<u32> = counts
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect();
    ensure_eq!(counts.len(), 12);
    ensure!(counts.iter().all(|count| *count <= 2), "{counts:?}");
    Ok(())
}

async fn a_failing_element_is_told_apart(site: &Site) -> Outcome {
    let id = site
        .submit(&site.array("a", 3, "[ $2 != 1 ] || exit 4"))
        .await?;
    let status = site
        .until(&id, "told apart", |status| {
            status.elements.len() == 3 && status.elements.iter().all(|one| one.state.is_ended())
        })
        .await?;
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
