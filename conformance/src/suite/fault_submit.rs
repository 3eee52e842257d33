//! Submissions that are not answered as they should be.

use reflow_core::scheduler::{Found, SchedulerErrorKind};

use crate::case::{case, ensure, ensure_eq};
use crate::{Call, Case, Failure, Fault, FaultyRig, Need, Outcome};

pub(super) const CASES: &[Case] = &[
    case!(
        Faulty,
        "S2",
        Need::NOTHING,
        a_job_that_cannot_be_sent_does_not_exist
    ),
    case!(
        Faulty,
        "S2",
        Need::NOTHING,
        a_lost_answer_leaves_a_job_that_is_found
    ),
    case!(
        Faulty,
        "S2",
        Need::NOTHING,
        an_empty_answer_is_no_proof_of_anything
    ),
    case!(Faulty, "S2", Need::NOTHING, a_garbled_answer_is_no_id),
    case!(
        Faulty,
        "S2",
        Need::NOTHING,
        an_id_that_is_not_text_is_no_other_id
    ),
    case!(Faulty, "S2", Need::NOTHING, half_an_id_is_no_id),
    case!(Faulty, "S2", Need::NOTHING, a_late_answer_leaves_it_open),
    case!(Faulty, "S2", Need::NOTHING, a_killed_program_leaves_it_open),
    case!(
        Faulty,
        "S1",
        Need::NOTHING,
        a_transient_failure_is_not_sent_again
    ),
    case!(Faulty, "S7", Need::NOTHING, a_refusal_is_not_sent_again),
];

/// What a submission through a fault came to.
struct Sent {
    /// What was returned.
    kind: Result<(), SchedulerErrorKind>,
    /// Whether a job may exist, by the error.
    may_exist: bool,
    /// Whether it does.
    exists: bool,
}

/// Submits through a fault, once, and fails unless the answer fits what really happened, and the next
/// submission works.
async fn sent(rig: &FaultyRig, fault: Fault) -> Result<Sent, Failure> {
    let site = &rig.site;
    let scheduler = rig.clients.scheduler();
    let job = site.shell("a", "touch on; exec sleep 300");
    let before = rig.clients.calls(Call::Submit);
    rig.clients.set(Call::Submit, fault);
    let answer = site.try_submit_to(&scheduler, &job).await;
    let calls = rig.clients.calls(Call::Submit) - before;
    rig.clients.clear();
    ensure_eq!(calls, 1);
    let found = site.scheduler.find(std::slice::from_ref(&job.tag)).await?;
    let exists = matches!(found[..], [Found::Present(_)]);
    let sent = match answer {
        Ok(id) => {
            ensure_eq!(found, [Found::Present(vec![id])]);
            Sent {
                kind: Ok(()),
                may_exist: true,
                exists,
            }
        }
        Err(error) => {
            ensure!(error.may_exist || !exists, "it exists: {error}");
            Sent {
                kind: Err(error.error.kind()),
                may_exist: error.may_exist,
                exists,
            }
        }
    };
    let again = site.shell("b", "touch again");
    let again = site.try_submit_to(&scheduler, &again).await?;
    site.succeeded(&again).await?;
    Ok(sent)
}

/// Fails unless it was answered with an error after which asking again makes sense.
async fn fails_for_now(rig: &FaultyRig, fault: Fault) -> Result<Sent, Failure> {
    let sent = sent(rig, fault).await?;
    match sent.kind {
        Err(kind) if kind.is_temporary() => Ok(sent),
        other => Err(Failure::new(format!("{other:?}"))),
    }
}

async fn a_job_that_cannot_be_sent_does_not_exist(rig: &FaultyRig) -> Outcome {
    let sent = fails_for_now(rig, Fault::Transient).await?;
    ensure!(!sent.exists, "it exists");
    Ok(())
}

async fn a_lost_answer_leaves_a_job_that_is_found(rig: &FaultyRig) -> Outcome {
    let sent = fails_for_now(rig, Fault::AnswerLost).await?;
    ensure!(sent.may_exist && sent.exists, "it does not exist");
    Ok(())
}

async fn an_empty_answer_is_no_proof_of_anything(rig: &FaultyRig) -> Outcome {
    let sent = fails_for_now(rig, Fault::Empty).await?;
    ensure!(sent.may_exist, "it is told not to exist, and nobody knows");
    Ok(())
}

async fn a_garbled_answer_is_no_id(rig: &FaultyRig) -> Outcome {
    let sent = fails_for_now(rig, Fault::Garbage).await?;
    ensure!(sent.may_exist, "it is told not to exist, and nobody knows");
    Ok(())
}

async fn an_id_that_is_not_text_is_no_other_id(rig: &FaultyRig) -> Outcome {
    let sent = sent(rig, Fault::NotUtf8).await?;
    ensure!(sent.exists, "it does not exist");
    Ok(())
}

async fn half_an_id_is_no_id(rig: &FaultyRig) -> Outcome {
    let sent = sent(rig, Fault::CutInHalf).await?;
    ensure!(sent.exists, "it does not exist");
    Ok(())
}

async fn a_late_answer_leaves_it_open(rig: &FaultyRig) -> Outcome {
    let sent = fails_for_now(rig, Fault::Late).await?;
    ensure!(sent.may_exist, "it is told not to exist, and nobody knows");
    Ok(())
}

async fn a_killed_program_leaves_it_open(rig: &FaultyRig) -> Outcome {
    let sent = fails_for_now(rig, Fault::Dead).await?;
    ensure!(sent.may_exist, "it is told not to exist, and nobody knows");
    Ok(())
}

/// `sent` counts the calls.
async fn a_transient_failure_is_not_sent_again(rig: &FaultyRig) -> Outcome {
    let sent = fails_for_now(rig, Fault::TransientOnce).await?;
    ensure!(!sent.exists, "it exists");
    Ok(())
}

async fn a_refusal_is_not_sent_again(rig: &FaultyRig) -> Outcome {
    let sent = sent(rig, Fault::Refused).await?;
    ensure_eq!(sent.kind, Err(SchedulerErrorKind::Rejected));
    ensure!(!sent.may_exist && !sent.exists, "it exists");
    Ok(())
}
