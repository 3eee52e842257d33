//! Supervisors that end themselves where they are told to.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Signal, getpid, kill_process};

/// Where to end: `POINT COUNT DIRECTORY`, when the point is reached for that many times in one process.
/// Of all processes one does, the one that creates a file there.
pub(crate) const VARIABLE: &str = "TEST_KILLED_AT";

struct Plan {
    point: String,
    count: u32,
    mark: PathBuf,
    reached: AtomicU32,
}

static PLAN: OnceLock<Plan> = OnceLock::new();

/// Installs the plan of the environment, if there is one.
pub(crate) fn install() {
    let Ok(text) = std::env::var(VARIABLE) else {
        return;
    };
    let mut fields = text.splitn(3, ' ');
    let mut field = || fields.next().unwrap();
    let plan = Plan {
        point: field().to_owned(),
        count: field().parse().unwrap(),
        mark: Path::new(field()).join("was-killed"),
        reached: AtomicU32::new(0),
    };
    assert!(PLAN.set(plan).is_ok());
    assert!(reflow_core::fault::install(reach));
}

fn reach(point: &'static str) {
    let plan = PLAN.get().unwrap();
    if plan.point == point
        && plan.reached.fetch_add(1, Ordering::Relaxed) + 1 == plan.count
        && std::fs::File::create_new(&plan.mark).is_ok()
    {
        kill_process(getpid(), Signal::KILL).unwrap();
    }
}
