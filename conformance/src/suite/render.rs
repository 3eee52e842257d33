use reflow_core::scheduler::{ArrayRequest, Found, SchedulerErrorKind};

use crate::case::{case, ensure, ensure_eq};
use crate::{Case, Need, Outcome, Site};

pub(super) const CASES: &[Case] = &[
    case!(Site, "N1", Need::NOTHING, the_name_can_be_selected),
    case!(Site, "R1", Need::NOTHING, rendering_is_pure),
    case!(Site, "R2", Need::NOTHING, what_makes_no_sense_is_refused),
];

async fn the_name_can_be_selected(site: &Site) -> Outcome {
    let name = site.scheduler.name();
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    ensure!(!name.is_empty() && name.bytes().all(fits), "{name:?}");
    ensure_eq!(site.scheduler.name(), name);
    Ok(())
}

async fn rendering_is_pure(site: &Site) -> Outcome {
    let job = site.array("a", 3, "touch ran");
    ensure_eq!(site.scheduler.render(&job)?, site.scheduler.render(&job)?);
    let found = site.scheduler.find(std::slice::from_ref(&job.tag)).await?;
    ensure!(!matches!(found[..], [Found::Present(_)]), "{found:?}");
    Ok(())
}

async fn what_makes_no_sense_is_refused(site: &Site) -> Outcome {
    let mut none = site.array("a", 1, "true");
    none.array = Some(ArrayRequest {
        count: 0,
        at_most: None,
    });
    let empty = site.job("b", &[]);
    let nul = site.job("c", &["true", "a\0b"]);
    let mut relative = site.shell("d", "true");
    relative.command.directory = "relative".into();
    for job in [none, empty, nul, relative] {
        let Err(error) = site.try_submit(&job).await else {
            return Err(crate::Failure::new(format!("{job:?} was taken")));
        };
        ensure_eq!(error.error.kind(), SchedulerErrorKind::InvalidRequest);
        ensure!(!error.may_exist, "a job may exist: {error}");
    }
    Ok(())
}
