use crate::scheduler::{EndReason, ExitStatus, JobState};

/// Returns the state of a job with these parts: running when one runs, pending when none runs and one
/// waits, ended only when all have ended, and then as the worst of them.
///
/// `is_behind` says that there are parts of which nothing is known now: it keeps the job from having
/// ended, as a part that is `Unknown` does.
pub fn summary<'a>(
    states: impl Iterator<Item = &'a JobState> + Clone,
    is_behind: bool,
) -> JobState {
    let of = |kind: fn(&JobState) -> bool| states.clone().find(|state| kind(state)).cloned();
    let since = states
        .clone()
        .filter_map(|state| match state {
            JobState::Running { since } => *since,
            _ => None,
        })
        .min();
    if of(|state| matches!(state, JobState::Running { .. })).is_some() {
        return JobState::Running { since };
    }
    if let Some(pending) = of(|state| matches!(state, JobState::Pending { never: false, .. }))
        .or_else(|| of(|state| matches!(state, JobState::Pending { .. })))
    {
        return pending;
    }
    if is_behind || of(|state| *state == JobState::Unknown).is_some() {
        return JobState::Unknown;
    }
    let ends: Vec<&ExitStatus> = states
        .filter_map(|state| match state {
            JobState::Ended(end) => Some(end),
            _ => None,
        })
        .collect();
    let Some(first) = ends.first() else {
        return JobState::Unknown;
    };
    let worst = ends
        .iter()
        .find(|end| end.reason != EndReason::Completed)
        .unwrap_or(first);
    if ends.len() == 1 {
        return JobState::Ended((*worst).clone());
    }
    JobState::Ended(ExitStatus {
        started: ends.iter().filter_map(|end| end.started).min(),
        ended: ends.iter().filter_map(|end| end.ended).max(),
        elapsed: None,
        peak_memory: ends.iter().filter_map(|end| end.peak_memory).max(),
        node: None,
        ..(*worst).clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_ended_when_all_its_parts_have_and_as_the_worst() {
        let ended = |code| JobState::Ended(ExitStatus::from_code(code));
        let waits = |never| JobState::Pending {
            reason: None,
            never,
        };
        let runs = JobState::Running { since: None };
        let of = |states: &[JobState], is_behind| summary(states.iter(), is_behind);
        assert_eq!(of(&[ended(0), waits(false), runs.clone()], false), runs);
        assert_eq!(
            of(&[ended(0), waits(true), waits(false)], false),
            waits(false)
        );
        assert_eq!(of(&[ended(0), ended(3), ended(0)], false), ended(3));
        assert_eq!(of(&[ended(0), ended(3)], true), JobState::Unknown);
        assert_eq!(of(&[ended(0), JobState::Unknown], false), JobState::Unknown);
        assert_eq!(of(&[], false), JobState::Unknown);
    }
}
