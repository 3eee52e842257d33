use reflow_core::scheduler::{Found, Target};

use crate::case::{case, ensure, ensure_eq};
use crate::site::new_tag;
use crate::{Case, Need, Outcome, Site};

const HISTORY: Need = Need {
    holds: |setup| setup.scheduler.capabilities().history.is_some(),
    otherwise: "needs a history of ended jobs",
};

pub(super) const CASES: &[Case] = &[
    case!(
        Site,
        "S6",
        Need::NOTHING,
        a_job_is_found_as_soon_as_it_is_submitted
    ),
    case!(Site, "F1", HISTORY, an_ended_job_is_found),
    case!(Site, "F1", HISTORY, a_cancelled_job_is_found),
    case!(Site, "F1", Need::NOTHING, every_job_of_a_tag_is_found),
    case!(
        Site,
        "F2",
        Need::NOTHING,
        a_tag_that_was_never_used_is_not_present
    ),
];

async fn a_job_is_found_as_soon_as_it_is_submitted(site: &Site) -> Outcome {
    for job in [site.shell("a", "sleep 60"), site.array("b", 2, "sleep 60")] {
        let id = site.submit(&job).await?;
        let found = site.scheduler.find(&[job.tag]).await?;
        ensure_eq!(found, [Found::Present(vec![id])]);
    }
    Ok(())
}

async fn an_ended_job_is_found(site: &Site) -> Outcome {
    let job = site.array("a", 2, "true");
    let id = site.succeed(&job).await?;
    let found = site.scheduler.find(&[job.tag]).await?;
    ensure_eq!(found, [Found::Present(vec![id])]);
    Ok(())
}

async fn a_cancelled_job_is_found(site: &Site) -> Outcome {
    let job = site.shell("a", "touch on; exec sleep 300");
    let id = site.submit(&job).await?;
    site.file("on").await?;
    site.scheduler.cancel(&[Target::whole(id.clone())]).await?;
    site.ended(&id).await?;
    let found = site.scheduler.find(&[job.tag]).await?;
    ensure_eq!(found, [Found::Present(vec![id])]);
    Ok(())
}

async fn every_job_of_a_tag_is_found(site: &Site) -> Outcome {
    let job = site.shell("a", "sleep 2");
    let (first, second) = (site.submit(&job).await?, site.submit(&job).await?);
    let other = site.shell("b", "sleep 2");
    let third = site.submit(&other).await?;
    let found = site.scheduler.find(&[other.tag, job.tag]).await?;
    let [Found::Present(one), Found::Present(two)] = &found[..] else {
        return Err(crate::Failure::new(format!("{found:?}")));
    };
    ensure_eq!(one, &[third]);
    ensure!(
        two.len() == 2 && two.contains(&first) && two.contains(&second),
        "{two:?}"
    );
    Ok(())
}

async fn a_tag_that_was_never_used_is_not_present(site: &Site) -> Outcome {
    let found = site.scheduler.find(&[new_tag(), new_tag()]).await?;
    ensure_eq!(found.len(), 2);
    ensure!(
        found.iter().all(|one| !matches!(one, Found::Present(_))),
        "{found:?}"
    );
    ensure_eq!(site.scheduler.find(&[]).await?.len(), 0);
    Ok(())
}
