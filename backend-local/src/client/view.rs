//! What the trait tells, made from elements.

use reflow_core::id::JobId;
use reflow_core::scheduler::{ElementStatus, EndReason, ExitStatus, JobState, JobStatus};

use crate::element::Element;
use crate::protocol::Head;

/// Returns the status of a job.
pub(super) fn status(job: JobId, node: &str, head: &Head, elements: &[Element]) -> JobStatus {
    let mut notes = head.notes.iter().rev().collect::<Vec<_>>();
    notes.sort_by_key(|(index, _)| *index);
    let note = |index: u32| {
        let at = notes.binary_search_by_key(&index, |(index, _)| *index).ok();
        at.map(|at| notes[at].1.as_str())
    };
    let states: Vec<ElementStatus> = (0u32..)
        .zip(elements)
        .map(|(index, element)| ElementStatus {
            index,
            state: match element.state(node, note(index)) {
                JobState::Pending { .. } => JobState::Pending {
                    reason: None,
                    never: head.never,
                },
                state => state,
            },
        })
        .collect();
    JobStatus {
        job,
        state: whole(head, &states),
        elements: if head.is_array { states } else { Vec::new() },
    }
}

/// Says why elements are lost, where nothing is said of them.
pub(super) fn explain_lost(status: &mut JobStatus, why: &str) {
    let elements = status.elements.iter_mut().map(|element| &mut element.state);
    for state in elements.chain([&mut status.state]) {
        if let JobState::Ended(end) = state
            && end.reason == EndReason::Lost
        {
            end.native.get_or_insert_with(|| why.to_owned());
        }
    }
}

/// Returns the status of a job that is not known.
pub(super) fn unknown(job: JobId) -> JobStatus {
    JobStatus {
        job,
        state: JobState::Unknown,
        elements: Vec::new(),
    }
}

fn whole(head: &Head, elements: &[ElementStatus]) -> JobState {
    if let [only] = elements
        && !matches!(only.state, JobState::Pending { .. })
    {
        return only.state.clone();
    }
    let mut running = None;
    let mut is_pending = false;
    let mut ends: Vec<&ExitStatus> = Vec::new();
    for element in elements {
        match &element.state {
            JobState::Running { since } => {
                running = Some(running.map_or(*since, |first: Option<_>| first.min(*since)));
            }
            JobState::Ended(end) => ends.push(end),
            JobState::Pending { .. } | JobState::Unknown => is_pending = true,
        }
    }
    if let Some(since) = running {
        return JobState::Running { since };
    }
    if is_pending {
        return JobState::Pending {
            reason: head.reason.clone(),
            never: head.never,
        };
    }
    // The first bad end stands for all of them.
    let failed = ends.iter().find(|end| end.reason != EndReason::Completed);
    let Some(&telling) = failed.or(ends.first()) else {
        return JobState::Unknown;
    };
    let started = ends.iter().filter_map(|end| end.started).min();
    let ended = ends.iter().filter_map(|end| end.ended).max();
    let elapsed = match (started, ended) {
        (Some(started), Some(ended)) => ended.duration_since(started).ok(),
        _ => None,
    };
    JobState::Ended(ExitStatus {
        started,
        ended,
        elapsed,
        peak_memory: ends.iter().filter_map(|end| end.peak_memory).max(),
        ..telling.clone()
    })
}
