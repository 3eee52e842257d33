use reflow_core::scheduler::Found;

use crate::case::{case, ensure, ensure_eq};
use crate::{Case, Failure, Need, Outcome, Rig};

pub(super) const CASES: &[Case] = &[
    case!(
        Rig(SecondConnection),
        "S6",
        Need::NOTHING,
        another_process_sees_the_job
    ),
    case!(
        Rig(Unreachable),
        "S2",
        Need::NOTHING,
        a_job_that_cannot_be_sent_does_not_exist
    ),
    case!(
        Rig(Unreachable),
        "T5",
        Need::NOTHING,
        no_answer_is_an_error_and_no_verdict
    ),
    case!(
        Rig(Unreachable),
        "F3",
        Need::NOTHING,
        no_answer_is_never_absent
    ),
];

async fn another_process_sees_the_job(rig: &Rig) -> Outcome {
    let job = rig.site.shell("a", "exit 3");
    let id = rig.site.submit(&job).await?;
    let found = rig.other.find(&[job.tag]).await?;
    ensure_eq!(found, [Found::Present(vec![id.clone()])]);
    let end = rig.site.end(&id).await?;
    let seen = rig.other.status(&[id]).await?;
    ensure_eq!(seen[0].state, reflow_core::scheduler::JobState::Ended(end));
    Ok(())
}

async fn a_job_that_cannot_be_sent_does_not_exist(rig: &Rig) -> Outcome {
    let job = rig.site.shell("a", "touch ran");
    let Err(error) = rig.site.try_submit_to(&rig.other, &job).await else {
        return Err(Failure::new("it was sent"));
    };
    ensure!(
        error.error.kind().is_temporary(),
        "{:?}: {error}",
        error.error.kind()
    );
    let found = rig.site.scheduler.find(&[job.tag]).await?;
    let exists = matches!(found[..], [Found::Present(_)]);
    ensure!(error.may_exist || !exists, "it exists: {error}");
    Ok(())
}

async fn no_answer_is_an_error_and_no_verdict(rig: &Rig) -> Outcome {
    let id = rig.site.succeed(&rig.site.shell("a", "true")).await?;
    let answer = rig.other.status(&[id]).await;
    ensure!(answer.is_err(), "{answer:?}");
    Ok(())
}

async fn no_answer_is_never_absent(rig: &Rig) -> Outcome {
    let job = rig.site.shell("a", "true");
    rig.site.submit(&job).await?;
    match rig.other.find(&[job.tag]).await {
        Err(_) => Ok(()),
        Ok(found) => {
            ensure_eq!(found, [Found::Unknowable]);
            Ok(())
        }
    }
}
