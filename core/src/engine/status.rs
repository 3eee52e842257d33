use std::io;
use std::path::PathBuf;
use std::time::Duration;

use fs_err as fs;

use super::ingest::state_of;
use super::read::elements_asked_for;
use super::view::{Try, View};
use super::{
    Counts, Element, ElementReport, ElementState, EngineError, Phase, RunState, RunStatus,
    TaskStatus, Width,
};
use crate::results::{LogSpan, ResultRecord};
use crate::rundir::{DispatchMode, Request, RunDir};
use crate::scheduler::Memory;
use crate::workflow::TaskIndex;

/// Lines of standard error shown of a failed element, and the most bytes looked at for them.
const STDERR_LINES: usize = 10;
const STDERR_BYTES: u64 = 8 << 10;

/// Returns the state of a run: counts of elements by state, and the failed ones with their reasons.
///
/// Reads the run directory only: nothing is asked of the batch system.
pub fn status(dir: &RunDir) -> Result<RunStatus, EngineError> {
    let mut view = View::read(dir)?;
    let record = dir.record();
    let mut tasks = Vec::with_capacity(view.graph.len());
    let mut failures = Vec::new();
    for index in (0..view.graph.len() as u32).map(TaskIndex) {
        let task = view.state.task(index);
        let declared = view.graph.declared(index);
        let (width, elements, message) = match &task.width {
            Width::Unknown => (None, Counts::default(), None),
            Width::Known(width) => (Some(*width), task.counts, None),
            Width::Never { message, .. } => (None, Counts::default(), Some(message.clone())),
        };
        let jobs = task
            .submissions
            .iter()
            .filter_map(|position| view.state.submission(*position).job.clone())
            .collect();
        tasks.push(TaskStatus {
            name: declared.name.clone(),
            array: declared.array,
            width,
            elements,
            message,
            jobs,
        });
        if task.counts.failed + task.counts.lost + task.counts.cancelled > 0 {
            let is_failure = |(element, entry): &(u32, &Element)| match entry.state {
                ElementState::Failed | ElementState::Lost => true,
                // By somebody else, and not through us.
                ElementState::Cancelled => view.state.reason(index, *element).is_some(),
                _ => false,
            };
            let failed = (0..).zip(&task.elements).filter(is_failure);
            let failed: Vec<u32> = failed
                .map(|(element, _)| element)
                .take(RunStatus::MOST_FAILURES)
                .collect();
            for element in failed {
                failures.push(report(&mut view, index, element)?);
            }
        }
    }
    let (state, message) = run_state(&view)?;
    Ok(RunStatus {
        run_id: record.run_id.clone(),
        run_dir: dir.path().to_owned(),
        workflow: record.description.name.clone(),
        backend: record.backend.name.clone(),
        created: record.created.clone(),
        state,
        message,
        tasks,
        failures,
    })
}

fn run_state(view: &View) -> Result<(RunState, Option<String>), EngineError> {
    let state = &view.state;
    let says = |text: &str| Some(text.to_owned());
    Ok(if let Some(finished) = state.finished {
        let unexpanded = state.tasks.iter().find_map(|task| match &task.width {
            Width::Never {
                state: ElementState::Failed,
                message,
            } => Some(message.clone()),
            _ => None,
        });
        (finished, unexpanded)
    } else if view
        .dir
        .requests_since(state.requests)?
        .iter()
        .any(|(_, request)| request.as_ref().is_some_and(Request::cancels_all))
        || state.is_cancelled
    {
        (RunState::Running, says("it is being cancelled"))
    } else if let Some(why) = &state.paused {
        (
            RunState::Paused,
            Some(format!(
                "nothing can be queued: {why}; `reflow wait` tries again"
            )),
        )
    } else if view.dir.record().dispatch == DispatchMode::Login {
        (
            RunState::Running,
            says("it goes on while `reflow drive`, `reflow wait` or `reflow run` watches it"),
        )
    } else if state.is_released
        && !state
            .live()
            .any(|(_, submission)| submission.record.drives() && submission.phase != Phase::Over)
    {
        (
            RunState::Stalled,
            says("no job is queued that would plan again; `reflow wait` goes on with it"),
        )
    } else {
        (RunState::Running, None)
    })
}

/// Tells all that is known of one element, its earlier tries included.
///
/// # Errors
///
/// [`EngineError::NotFound`] for a task or an index that the run does not have, [`EngineError::NoValue`]
/// while the number of elements is not known.
pub fn element(
    dir: &RunDir,
    task: &str,
    index: Option<u32>,
) -> Result<Vec<ElementReport>, EngineError> {
    let mut view = View::read(dir)?;
    let task = view.task(task)?;
    let elements = elements_asked_for(&view, task, index)?;
    let mut reports = Vec::with_capacity(elements.len());
    for element in elements {
        reports.push(report(&mut view, task, element)?);
    }
    Ok(reports)
}

/// Tells all that is known of one element.
fn report(view: &mut View, task: TaskIndex, element: u32) -> io::Result<ElementReport> {
    let tries = view.tries(task, element);
    let mut reports = Vec::with_capacity(tries.len());
    for of in &tries {
        reports.push(report_try(view, task, element, of)?);
    }
    let declared = view.graph.declared(task);
    let attempts = view.state.attempts.get(&(task, element));
    let spent = attempts.map_or(0, |it| u32::from(it.automatic));
    let mut report = reports.pop().unwrap_or_else(|| {
        ElementReport::new(declared.name.clone(), declared.array.then_some(element))
    });
    report.retries_left = declared.retry.retries.saturating_sub(spent);
    report.past = reports;
    Ok(report)
}

fn report_try(
    view: &mut View,
    task: TaskIndex,
    element: u32,
    of: &Try,
) -> io::Result<ElementReport> {
    let result = view.result(task, element, of)?;
    let late = view.late_result(element, of)?;
    let declared = view.graph.declared(task);
    let submission = of
        .submission
        .map(|position| view.state.submission(position));
    let mut report = ElementReport {
        attempt: u32::from(of.attempt),
        state: of.state,
        reason: of.reason,
        message: of.message.clone(),
        late: late.and_then(|late| state_of(late.outcome)),
        job: submission.and_then(|submission| submission.job.clone()),
        log: submission.map(|submission| view.dir.logs(&submission.record.tag)),
        ..ElementReport::new(declared.name.clone(), declared.array.then_some(element))
    };
    if let Some(result) = result {
        if report.message.is_none() {
            report.message.clone_from(&result.message);
        }
        report.reason = report.reason.or(result.cause);
        report.exit_status = result.exit_status;
        report.signal = result.signal;
        report.elapsed = (result.wall_ms > 0).then(|| Duration::from_millis(result.wall_ms));
        report.peak_memory =
            (result.peak_kib > 0).then(|| Memory::from_bytes(result.peak_kib << 10));
        report.node = result
            .worker
            .as_ref()
            .map(|worker| worker.node.clone())
            .filter(|node| !node.is_empty());
        if let Some((base, span)) = log_of(view, of, &result) {
            report.stderr = last_lines(&with_extension(&base, "err"), span)?;
            let extension = if span.3 > span.2 { "err" } else { "out" };
            report.log = Some(with_extension(&base, extension));
        }
    }
    Ok(report)
}

/// Returns the path of the output of an element without its ending, and the part that is its own.
pub(super) fn log_of(view: &View, of: &Try, result: &ResultRecord) -> Option<(PathBuf, LogSpan)> {
    let tag = &view.state.submission(of.submission?).record.tag;
    let name = &result.worker.as_ref()?.log;
    Some((view.dir.logs(tag).join(name), result.log?))
}

pub(super) fn with_extension(base: &std::path::Path, extension: &str) -> PathBuf {
    let mut name = base.to_owned().into_os_string();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

/// Returns a part of a file; what is missing of it is left out.
pub(super) fn part_of(path: &std::path::Path, start: u64, end: u64) -> io::Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    if start < end {
        match fs::File::open(path) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(start))?;
                file.take(end - start).read_to_end(&mut bytes)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

fn last_lines(path: &std::path::Path, span: LogSpan) -> io::Result<String> {
    let bytes = part_of(
        path,
        span.2.max(span.3.saturating_sub(STDERR_BYTES)),
        span.3,
    )?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(crate::command::last_lines(text.trim_end(), STDERR_LINES).to_owned())
}
