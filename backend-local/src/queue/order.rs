use std::collections::{BTreeMap, BTreeSet};

use super::Needs;

/// How long jobs of one size may be passed by smaller ones before nothing else starts until one of
/// them fits, in milliseconds.
pub(super) const PATIENCE: u64 = 60_000;

/// The jobs that could start an element now if there were room, by what an element needs.
///
/// Among jobs that fit, the one with the fewest running elements goes first, then the oldest. So a
/// wide array does not hold up the branch beside it, and an array with nothing running goes before
/// everything younger: nobody starves. Sizes that do not fit are passed by ones that do, for
/// [`PATIENCE`] at most.
#[derive(Debug, Default)]
pub(super) struct Order {
    sizes: BTreeMap<Needs, Size>,
}

#[derive(Debug, Default)]
struct Size {
    jobs: BTreeSet<(u32, u64)>,
    /// Since when none of them has been able to start, on the monotonic clock.
    blocked: Option<u64>,
}

impl Order {
    /// Adds a job with `running` elements.
    pub(super) fn insert(&mut self, needs: Needs, running: u32, job: u64) {
        self.sizes
            .entry(needs)
            .or_default()
            .jobs
            .insert((running, job));
    }

    /// Removes a job that was added with the same values.
    pub(super) fn remove(&mut self, needs: Needs, running: u32, job: u64) {
        if let Some(size) = self.sizes.get_mut(&needs) {
            size.jobs.remove(&(running, job));
            if size.jobs.is_empty() {
                self.sizes.remove(&needs);
            }
        }
    }

    /// Notes that a job of this size was started.
    pub(super) fn started(&mut self, needs: Needs) {
        if let Some(size) = self.sizes.get_mut(&needs) {
            size.blocked = None;
        }
    }

    /// Returns the job that starts next, if one can.
    pub(super) fn next(&mut self, capacity: Needs, free: Needs, mono: u64) -> Option<u64> {
        let mut best: Option<(u32, u64)> = None;
        let mut impatient: Option<u64> = None;
        let mut best_size_blocked = None;
        for (needs, size) in &mut self.sizes {
            if !needs.fits(capacity) {
                continue;
            }
            let Some(&first) = size.jobs.first() else {
                continue;
            };
            if needs.fits(free) {
                if best.is_none_or(|best| first < best) {
                    best = Some(first);
                    best_size_blocked = size.blocked;
                }
            } else {
                let since = *size.blocked.get_or_insert(mono);
                if mono.saturating_sub(since) >= PATIENCE {
                    impatient = Some(impatient.map_or(since, |earliest| earliest.min(since)));
                }
            }
        }
        // Whoever has waited longest beyond patience has the machine drained for it.
        match (impatient, best_size_blocked) {
            (Some(since), Some(own)) if own <= since => best.map(|(_, job)| job),
            (Some(_), _) => None,
            (None, _) => best.map(|(_, job)| job),
        }
    }
}
