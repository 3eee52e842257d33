//! Other processes of the user, and queries that are not answered as they should be.

use std::future::Future;

use reflow_core::id::JobId;
use reflow_core::scheduler::{EndReason, Found, JobState, JobStatus, SchedulerErrorKind, Target};

use crate::case::{case, ensure, ensure_eq};
use crate::{Call, Case, Failure, Fault, FaultyRig, Need, Outcome, Rig};

pub(super) const CASES: &[Case] = &[
    case!(
        Rig(SecondConnection),
        "S6",
        Need::NOTHING,
        another_process_sees_the_job
    ),
    case!(
        Rig(SecondConnection),
        "C2",
        Need::NOTHING,
        another_process_cancels_the_job
    ),
    case!(Faulty, "T5", Need::NOTHING, an_empty_answer_is_no_verdict),
    case!(Faulty, "T5", Need::NOTHING, a_garbled_answer_is_no_verdict),
    case!(
        Faulty,
        "T5",
        Need::NOTHING,
        an_answer_that_is_not_text_is_no_verdict
    ),
    case!(Faulty, "T5", Need::NOTHING, half_an_answer_is_no_verdict),
    case!(Faulty, "T5", Need::NOTHING, a_late_answer_is_no_verdict),
    case!(
        Faulty,
        "T5",
        Need::NOTHING,
        a_killed_program_gives_no_verdict
    ),
    case!(
        Faulty,
        "T5",
        Need::NOTHING,
        no_answer_is_an_error_and_no_verdict
    ),
    case!(
        Faulty,
        "F3",
        Need::NOTHING,
        a_tag_is_never_absent_by_a_failure
    ),
    case!(
        Faulty,
        "T1",
        Need::NOTHING,
        many_jobs_take_as_many_calls_as_few
    ),
    case!(
        Faulty,
        "T5",
        Need::NOTHING,
        a_query_is_asked_again_after_a_transient_failure
    ),
    case!(
        Faulty,
        "T5",
        Need::NOTHING,
        a_refused_query_is_not_asked_again
    ),
    case!(
        Faulty,
        "C2",
        Need::NOTHING,
        cancelling_without_an_answer_is_an_error
    ),
];

async fn another_process_sees_the_job(rig: &Rig) -> Outcome {
    // It ends when it has been found: some forget it then.
    let script = "for n in {1..600}; do [ -e found ] && break; sleep 0.1; done; exit 3";
    let job = rig.site.shell("a", script);
    let id = rig.site.submit(&job).await?;
    let found = rig.other.find(&[job.tag]).await?;
    ensure_eq!(found, [Found::Present(vec![id.clone()])]);
    fs_err::write(rig.site.path().join("found"), "")?;
    let end = rig.site.end(&id).await?;
    let seen = rig.other.status(&[id]).await?;
    ensure_eq!(seen[0].state, JobState::Ended(end));
    Ok(())
}

async fn another_process_cancels_the_job(rig: &Rig) -> Outcome {
    let job = rig.site.shell("a", "touch on; exec sleep 300");
    let id = rig.site.submit(&job).await?;
    rig.site.file("on").await?;
    rig.other.cancel(&[Target::whole(id.clone())]).await?;
    let end = rig.site.ended(&id).await?.state;
    let ran_on = matches!(&end, JobState::Ended(end) if end.reason == EndReason::Completed);
    ensure!(!ran_on, "{end:?}");
    Ok(())
}

/// A job that has failed with 3, one that runs, and an array of four whose last element runs.
struct Known {
    failed: JobId,
    running: JobId,
    array: JobId,
}

impl Known {
    async fn submit(rig: &FaultyRig) -> Result<Self, Failure> {
        let site = &rig.site;
        let failed = site.submit(&site.shell("a", "exit 3")).await?;
        let running = site.shell("b", "touch on; exec sleep 300");
        let running = site.submit(&running).await?;
        let array = site.array("c", 4, "[ $2 = 3 ] || exit 0; touch on3; exec sleep 300");
        let array = site.submit(&array).await?;
        site.ended(&failed).await?;
        site.file("on").await?;
        site.file("on3").await?;
        site.running(&running).await?;
        site.running(&array).await?;
        Ok(Self {
            failed,
            running,
            array,
        })
    }

    fn ids(&self) -> [JobId; 3] {
        [
            self.failed.clone(),
            self.running.clone(),
            self.array.clone(),
        ]
    }

    /// Fails where an answer says more than the truth.
    fn holds(&self, answer: &[JobStatus]) -> Outcome {
        let jobs: Vec<&JobId> = answer.iter().map(|status| &status.job).collect();
        ensure_eq!(jobs, [&self.failed, &self.running, &self.array]);
        if let JobState::Ended(end) = &answer[0].state {
            ensure_eq!((end.reason, end.code), (EndReason::Failed, Some(3)));
        }
        let ended = answer[1..].iter().any(|status| status.state.is_ended());
        ensure!(!ended, "what runs is told to have ended: {answer:?}");
        for element in &answer[2].elements {
            if let JobState::Ended(end) = &element.state {
                ensure!(
                    element.index < 3,
                    "what runs is told to have ended: {answer:?}"
                );
                ensure_eq!(end.reason, EndReason::Completed);
            }
        }
        Ok(())
    }

    /// Fails unless the answer is the truth.
    async fn are_told_by(&self, rig: &FaultyRig) -> Outcome {
        let answer = rig.clients.scheduler().status(&self.ids()).await?;
        self.holds(&answer)?;
        let runs = |status: &JobStatus| matches!(status.state, JobState::Running { .. });
        ensure!(answer[1..].iter().all(runs), "{answer:?}");
        if rig.site.capabilities().history.is_some() {
            ensure!(answer[0].state.is_ended(), "{answer:?}");
        }
        Ok(())
    }
}

/// Fails where a fault of the queries gives a verdict, or the next query does not work again.
async fn no_verdict(rig: &FaultyRig, fault: Fault) -> Outcome {
    let known = Known::submit(rig).await?;
    rig.clients.set(Call::Query, fault);
    if let Ok(answer) = rig.clients.scheduler().status(&known.ids()).await {
        known.holds(&answer)?;
    }
    rig.clients.clear();
    known.are_told_by(rig).await
}

async fn an_empty_answer_is_no_verdict(rig: &FaultyRig) -> Outcome {
    no_verdict(rig, Fault::Empty).await
}

async fn a_garbled_answer_is_no_verdict(rig: &FaultyRig) -> Outcome {
    no_verdict(rig, Fault::Garbage).await
}

async fn an_answer_that_is_not_text_is_no_verdict(rig: &FaultyRig) -> Outcome {
    no_verdict(rig, Fault::NotUtf8).await
}

async fn half_an_answer_is_no_verdict(rig: &FaultyRig) -> Outcome {
    no_verdict(rig, Fault::CutInHalf).await
}

async fn a_late_answer_is_no_verdict(rig: &FaultyRig) -> Outcome {
    no_verdict(rig, Fault::Late).await
}

async fn a_killed_program_gives_no_verdict(rig: &FaultyRig) -> Outcome {
    no_verdict(rig, Fault::Dead).await
}

/// Fails unless `asking` gives a temporary error.
async fn is_not_answered<T: std::fmt::Debug>(
    asking: impl Future<Output = Result<T, reflow_core::scheduler::SchedulerError>>,
) -> Outcome {
    match asking.await {
        Err(error) if error.kind().is_temporary() => Ok(()),
        Err(error) => Err(Failure::new(format!("{:?}: {error}", error.kind()))),
        Ok(answer) => Err(Failure::new(format!("{answer:?}"))),
    }
}

async fn no_answer_is_an_error_and_no_verdict(rig: &FaultyRig) -> Outcome {
    let known = Known::submit(rig).await?;
    rig.clients.set(Call::Query, Fault::Transient);
    is_not_answered(rig.clients.scheduler().status(&known.ids())).await?;
    rig.clients.clear();
    known.are_told_by(rig).await
}

async fn a_tag_is_never_absent_by_a_failure(rig: &FaultyRig) -> Outcome {
    let job = rig.site.shell("a", "touch on; exec sleep 300");
    let id = rig.site.submit(&job).await?;
    rig.site.file("on").await?;
    let scheduler = rig.clients.scheduler();
    for fault in [
        Fault::Garbage,
        Fault::NotUtf8,
        Fault::CutInHalf,
        Fault::Late,
        Fault::Dead,
        Fault::Transient,
    ] {
        rig.clients.set(Call::Query, fault);
        if let Ok(found) = scheduler.find(std::slice::from_ref(&job.tag)).await {
            ensure!(found != [Found::Absent], "{fault:?} gives {found:?}");
            if let [Found::Present(jobs)] = &found[..] {
                ensure!(
                    jobs.iter().all(|job| *job == id),
                    "{fault:?} gives {found:?}"
                );
            }
        }
    }
    rig.clients.clear();
    ensure_eq!(
        scheduler.find(&[job.tag]).await?,
        [Found::Present(vec![id])]
    );
    Ok(())
}

/// How many programs are started for a query about `jobs`.
async fn calls(rig: &FaultyRig, jobs: &[JobId]) -> Result<usize, Failure> {
    let before = rig.clients.calls(Call::Query);
    rig.clients.scheduler().status(jobs).await?;
    Ok(rig.clients.calls(Call::Query) - before)
}

async fn many_jobs_take_as_many_calls_as_few(rig: &FaultyRig) -> Outcome {
    let mut jobs = Vec::new();
    for number in 0..8 {
        let job = match number {
            0 | 4 => rig.site.array("a", 2, "exit $2"),
            _ => rig.site.shell("a", &format!("exit {}", number % 2)),
        };
        jobs.push(rig.site.submit(&job).await?);
    }
    for job in &jobs {
        rig.site.ended(job).await?;
    }
    let few = calls(rig, &jobs[..2]).await?;
    let many = calls(rig, &jobs).await?;
    ensure!(many <= few, "{many} calls for 8 jobs, {few} for 2");
    Ok(())
}

async fn a_query_is_asked_again_after_a_transient_failure(rig: &FaultyRig) -> Outcome {
    let known = Known::submit(rig).await?;
    rig.clients.set(Call::Query, Fault::TransientOnce);
    known.are_told_by(rig).await
}

async fn a_refused_query_is_not_asked_again(rig: &FaultyRig) -> Outcome {
    let id = rig.site.succeed(&rig.site.shell("a", "true")).await?;
    let usual = calls(rig, std::slice::from_ref(&id)).await?;
    rig.clients.set(Call::Query, Fault::Refused);
    let before = rig.clients.calls(Call::Query);
    let answer = rig.clients.scheduler().status(&[id]).await;
    let made = rig.clients.calls(Call::Query) - before;
    match answer {
        Err(error) => ensure!(
            error.kind() != SchedulerErrorKind::Unreachable,
            "a refusal is taken for a server that is away: {error}"
        ),
        Ok(answer) => ensure!(!answer[0].state.is_ended(), "{answer:?}"),
    }
    ensure!(made <= usual, "{made} calls, where {usual} do otherwise");
    Ok(())
}

async fn cancelling_without_an_answer_is_an_error(rig: &FaultyRig) -> Outcome {
    let job = rig.site.shell("a", "touch on; exec sleep 300");
    let id = rig.site.submit(&job).await?;
    rig.site.file("on").await?;
    let targets = [Target::whole(id.clone())];
    for fault in [Fault::Transient, Fault::Dead] {
        for call in [Call::Cancel, Call::Query] {
            rig.clients.set(call, fault);
        }
        is_not_answered(rig.clients.scheduler().cancel(&targets)).await?;
        rig.clients.clear();
    }
    rig.clients.scheduler().cancel(&targets).await?;
    rig.site.ended(&id).await?;
    Ok(())
}
