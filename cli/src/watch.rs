//! Looks at a run until it has ended, and plans it further where nobody else does.
//!
//! Looking costs files, no call to the batch system, so it is done often; planning costs calls and is
//! done seldom.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reflow_core::engine::{RunState, RunStatus};
use reflow_core::rundir::{DispatchMode, RunDir};
use reflow_core::scheduler::Scheduler;

use crate::context::Context;
use crate::engine;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::warn;
use crate::progress::Progress;
use crate::render::status;

/// Between two looks while something happens.
const SHORTEST_LOOK: Duration = Duration::from_millis(50);
/// Between two looks while nothing happens.
const LONGEST_LOOK: Duration = Duration::from_secs(2);
/// Between two looks on this machine, where no queue delays anything.
const LONGEST_LOCAL_LOOK: Duration = Duration::from_millis(100);
/// A look must not take more than one part in this many of the time.
const LOOK_SHARE: u32 = 5;
/// Between the first two dispatches of ours; doubled after each one that changed nothing.
const SHORTEST_DISPATCH: Duration = Duration::from_secs(2);
/// Between two dispatches of ours.
const LONGEST_DISPATCH: Duration = Duration::from_mins(1);
/// How long a run that somebody else dispatches may show no change before we look after it.
const QUIET: Duration = Duration::from_mins(2);

/// How the watching ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With the run.
    Run(Box<RunStatus>),
    /// From the keyboard.
    Interrupted,
}

/// Returns the exit code that tells how a run ended.
pub(crate) fn exit(state: RunState) -> Exit {
    match state {
        RunState::Failed | RunState::Cancelled => Exit::RunFailed,
        _ => Exit::Done,
    }
}

/// Returns what is printed when a run has ended.
pub(crate) fn summary(ended: &RunStatus) -> String {
    let mut text = format!(
        "{} {}: {}\n",
        ended.run_id,
        status::state_words(ended.state),
        status::counts(&ended.totals())
    );
    if let Some(message) = &ended.message {
        let _ = writeln!(text, "  {}", message.trim_end().replace('\n', "\n  "));
    }
    for task in &ended.tasks {
        if let Some(message) = &task.message {
            let _ = writeln!(text, "  {}: {}", task.name, message.trim());
        }
    }
    text.push_str(&status::failures(ended));
    text
}

/// Shows text beside the progress.
pub(crate) fn announce(text: &str) {
    use std::io::Write as _;
    // Progress is worth nothing to a closed standard error.
    anstream::stderr().lock().write_all(text.as_bytes()).ok();
}

/// Watches a run until it has ended.
pub(crate) fn to_the_end(context: &Context, run: &RunDir, quiet: bool) -> Result<Ending, CliError> {
    let mut progress = if quiet || context.output.json {
        Progress::silent()
    } else {
        Progress::on_standard_error()
    };
    let ending = Context::runtime()?.block_on(async {
        let interrupted = tokio::signal::ctrl_c();
        tokio::select! {
            ending = Watch::new(context, run).follow(&mut progress) => ending,
            _ = interrupted => Ok(Ending::Interrupted),
        }
    });
    progress.finish();
    ending
}

struct Watch<'a> {
    context: &'a Context,
    run: &'a RunDir,
    scheduler: Option<Arc<dyn Scheduler>>,
    /// When something last changed.
    changed: Instant,
    dispatched: Instant,
    dispatch_pause: Duration,
    warned: Option<String>,
}

impl<'a> Watch<'a> {
    fn new(context: &'a Context, run: &'a RunDir) -> Self {
        let now = Instant::now();
        Self {
            context,
            run,
            scheduler: None,
            changed: now,
            dispatched: now,
            dispatch_pause: Duration::ZERO,
            warned: None,
        }
    }

    async fn follow(mut self, progress: &mut Progress) -> Result<Ending, CliError> {
        let mut before: Option<RunStatus> = None;
        let mut pause = SHORTEST_LOOK;
        loop {
            let started = Instant::now();
            let status = engine::status(self.run)?;
            let cost = started.elapsed();
            let changed = before.as_ref() != Some(&status);
            if changed {
                progress.show(&status);
                self.changed = Instant::now();
                pause = SHORTEST_LOOK;
            } else {
                pause = (pause * 3 / 2).min(self.longest_look());
            }
            if status.state.is_final() {
                return Ok(Ending::Run(Box::new(status)));
            }
            if self.must_dispatch(&status, changed && before.is_some()) {
                self.dispatch(&status).await?;
            }
            before = Some(status);
            tokio::time::sleep(pause.max(cost * LOOK_SHARE)).await;
        }
    }

    fn longest_look(&self) -> Duration {
        if self.run.record().backend.name == "local" {
            LONGEST_LOCAL_LOOK
        } else {
            LONGEST_LOOK
        }
    }

    /// Returns whether the run goes on only if we plan it.
    fn must_dispatch(&mut self, status: &RunStatus, changed: bool) -> bool {
        let ours = self.run.record().dispatch == DispatchMode::Login;
        if changed && ours {
            self.dispatch_pause = Duration::ZERO;
        }
        let wanted = match status.state {
            RunState::Stalled | RunState::Paused => true,
            _ => ours || self.changed.elapsed() >= QUIET,
        };
        wanted && self.dispatched.elapsed() >= self.dispatch_pause
    }

    async fn dispatch(&mut self, status: &RunStatus) -> Result<(), CliError> {
        self.dispatch_pause = (self.dispatch_pause * 2).clamp(SHORTEST_DISPATCH, LONGEST_DISPATCH);
        let outcome = self.dispatch_once().await;
        self.dispatched = Instant::now();
        let Err(error) = outcome else {
            return Ok(());
        };
        // A batch system that does not answer now may answer later: the wait goes on.
        if error.kind == crate::error::Kind::Scheduler {
            if self.warned.as_ref() != Some(&error.message) {
                warn(&format!("{} ({})", error.message, status.run_id));
                self.warned = Some(error.message);
            }
            return Ok(());
        }
        Err(error)
    }

    async fn dispatch_once(&mut self) -> Result<(), CliError> {
        if self.scheduler.is_none() {
            self.scheduler = Some(self.context.connect_for(self.run).await?);
        }
        let Some(scheduler) = &self.scheduler else {
            return Ok(());
        };
        engine::dispatch(self.run, scheduler.as_ref()).await
    }
}
