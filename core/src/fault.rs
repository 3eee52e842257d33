//! Named points between steps of I/O, where tests end, freeze or delay a process.
//!
//! A process that was killed may have stopped anywhere. These points are where it makes a difference:
//! before and after everything that others can see. Outside tests nothing is installed, and a point
//! costs one load.

use std::sync::OnceLock;

static HOOK: OnceLock<fn(&'static str)> = OnceLock::new();

/// Has `hook` called at every point from now on, with the name of the point. Says whether it was taken:
/// the first one stays.
pub fn install(hook: fn(&'static str)) -> bool {
    HOOK.set(hook).is_ok()
}

/// Marks a point. Names are `what/step`, such as `worker/claim`; each stands right before the step.
#[inline]
pub fn reach(point: &'static str) {
    if let Some(hook) = HOOK.get() {
        hook(point);
    }
}
