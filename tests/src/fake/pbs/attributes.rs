//! The attributes of jobs as OpenPBS shows them.
//!
//! States: "Q queued, H held, R running, E exiting (staging out), W waiting, B array begun, F finished
//! (history), X finished element while the array is still active, S/U suspended".

use serde_json::{Map, Value, json};

use crate::fake::{Cause, ElementState, FakeOptions, How, Job, Waiting};

use super::array::ranges;
use super::print::{time, time_in_comment};
use super::rules::{exit_status, text, used};
use super::{id, output};

/// What PBS shows of a whole job or of an element.
pub(super) struct Shown {
    /// The letter of its state.
    pub(super) state: &'static str,
    /// The number of its substate.
    pub(super) substate: u32,
}

/// The substates of what has not ended, by the header job.h of the source: queued, held, waiting for a
/// dependency, waiting for a time, running, suspended, exiting, array begun.
const QUEUED: u32 = 10;
const HELD: u32 = 20;
const DEPENDENT: u32 = 22;
const TIMED: u32 = 30;
const RUNNING: u32 = 42;
const SUSPENDED: u32 = 45;
const EXITING: u32 = 51;
const BEGUN: u32 = 70;

/// "`substate` at F: 92 finished ok (or dependency-deleted: no Exit_status), 93 failed, 91 deleted by user
/// ("terminated")."
const TERMINATED: u32 = 91;
const FINISHED: u32 = 92;
const FAILED: u32 = 93;

/// Returns the state of an element, or of a plain job.
pub(super) fn of_element(job: &Job, position: usize) -> Shown {
    let element = &job.elements[position];
    let shown = |state, substate| Shown { state, substate };
    match element.state {
        ElementState::Pending if element.held => shown("H", HELD),
        ElementState::Pending if job.waiting != Waiting::No => shown("H", DEPENDENT),
        ElementState::Pending if !job.is_due(crate::fake::now()) => shown("W", TIMED),
        ElementState::Pending => shown("Q", QUEUED),
        // "Killed while running is asynchronous: state R substate 42 until the process ended."
        ElementState::Running if element.suspended => shown("S", SUSPENDED),
        ElementState::Running => shown("R", RUNNING),
        ElementState::Exiting => shown("E", EXITING),
        ElementState::Ended => {
            let state = if job.is_array() && !job.is_ended() {
                "X"
            } else {
                "F"
            };
            shown(state, ended(job, position))
        }
    }
}

fn ended(job: &Job, position: usize) -> u32 {
    let Some(outcome) = &job.elements[position].outcome else {
        return FINISHED;
    };
    match (&outcome.cause, &outcome.how) {
        (Some(Cause::Deleted(_)), _) => TERMINATED,
        (Some(Cause::Dependency), _) | (None, How::Exited(0)) => FINISHED,
        _ => FAILED,
    }
}

/// Returns the state of a job.
pub(super) fn of_job(job: &Job) -> Shown {
    if !job.is_array() {
        return of_element(job, 0);
    }
    if job.is_ended() {
        // "its substate was 93 whenever one failed, 91 if one was deleted".
        let substates = (0..job.elements.len()).map(|position| ended(job, position));
        let worst = substates
            .max_by_key(|substate| match *substate {
                TERMINATED => 2,
                FAILED => 1,
                _ => 0,
            })
            .unwrap_or(FINISHED);
        return Shown {
            state: "F",
            substate: worst,
        };
    }
    if job.started.is_some() {
        return Shown {
            state: "B",
            substate: BEGUN,
        };
    }
    // Until it has begun it is as its elements are.
    let pending = |position: &usize| job.elements[*position].state == ElementState::Pending;
    match (0..job.elements.len()).find(pending) {
        Some(position) => of_element(job, position),
        None => of_element(job, 0),
    }
}

/// Returns the attributes of a job as a whole.
pub(super) fn job(options: &FakeOptions, job: &Job) -> Map<String, Value> {
    attributes(options, job, None)
}

/// Returns the attributes of an element of an array.
pub(super) fn element(options: &FakeOptions, job: &Job, position: usize) -> Map<String, Value> {
    attributes(options, job, Some(position))
}

fn attributes(options: &FakeOptions, job: &Job, element: Option<usize>) -> Map<String, Value> {
    let submission = &job.submission;
    let server = &options.server;
    let more = |name: &str| submission.more.get(name).cloned();
    let shown = element.map_or_else(|| of_job(job), |position| of_element(job, position));
    // What a plain job shows, an array shows for its elements only.
    let single = element.or((!job.is_array()).then_some(0));
    let mut all = Map::new();
    let mut set = |name: &str, value: Value| {
        all.insert(name.to_owned(), value);
    };
    set("Job_Name", submission.name.clone().into());
    set("Job_Owner", format!("{}@{server}", submission.user).into());
    let used = single.and_then(|position| used(job, position));
    if let Some(used) = used.filter(|_| matches!(shown.state, "E" | "F" | "X" | "R")) {
        set("resources_used", used);
    }
    set("job_state", shown.state.into());
    set("queue", submission.queue.clone().into());
    set("server", server.clone().into());
    if let Some(account) = more("account") {
        set("Account_Name", account);
    }
    set("Checkpoint", "u".into());
    set("ctime", time(job.submitted).into());
    if let Some(depend) = more("depend").filter(|_| job.waiting != Waiting::No) {
        set("depend", depend);
    }
    set("Error_Path", output::shown(server, job, 'e', false).into());
    if let Some(position) = single.filter(|&position| job.elements[position].started.is_some()) {
        let _ = position;
        set("exec_host", format!("{server}/0").into());
        set(
            "exec_vnode",
            format!("({server}:ncpus={})", submission.cpus).into(),
        );
    }
    set("Hold_Types", holds(job, single).into());
    set("Join_Path", more("join").unwrap_or_else(|| "n".into()));
    set("Keep_Files", more("keep").unwrap_or_else(|| "n".into()));
    set(
        "Mail_Points",
        more("mail_points").unwrap_or_else(|| "a".into()),
    );
    set("mtime", time(job.changed).into());
    set("Output_Path", output::shown(server, job, 'o', false).into());
    set("Priority", more("priority").unwrap_or_else(|| 0.into()));
    set("qtime", time(job.submitted).into());
    let rerunable = more("rerunable") != Some(false.into());
    set("Rerunable", if rerunable { "True" } else { "False" }.into());
    set(
        "Resource_List",
        more("Resource_List").unwrap_or_else(|| json!({})),
    );
    let started = single.map_or(job.started, |position| job.elements[position].started);
    if let Some(started) = started {
        set("stime", time(started).into());
    }
    if let Some(position) = single
        && let Some(ended) = job.elements[position].ended.filter(|_| started.is_some())
    {
        set("obittime", time(ended).into());
        set("jobdir", "/".into());
    }
    set("substate", shown.substate.into());
    set(
        "Variable_List",
        more("Variable_List").unwrap_or_else(|| json!({})),
    );
    if let Some(comment) = comment(job, single, server) {
        set("comment", comment.into());
    }
    set("etime", time(job.submitted).into());
    if let Some(umask) = text(submission, "umask") {
        set("umask", super::variables::typed(umask));
    }
    if let Some(position) = single {
        let started = job.elements[position].started.is_some();
        set("run_count", i32::from(started).into());
        if let Some(status) = status(job, position) {
            set("Exit_status", status.into());
        }
    } else {
        array_attributes(&mut set, job);
    }
    if let Some(position) = element {
        set("array_id", id::of_job(job, server).into());
        set("array_index", job.elements[position].index.into());
    }
    set(
        "Submit_arguments",
        more("Submit_arguments").unwrap_or_default(),
    );
    if let Some(ended) = job.ended {
        set("history_timestamp", (ended / 1000).into());
    }
    set(
        "project",
        more("project").unwrap_or_else(|| "_pbs_project_default".into()),
    );
    set("Submit_Host", server.clone().into());
    all
}

/// "Exit status: `Exit_status` (int) on a finished job. Absent: not run (deleted by dependency, or qdel-ed
/// in queue). Element deleted before it ran: substate 91, `Exit_status` 0 in history (1 while array
/// active)".
fn status(job: &Job, position: usize) -> Option<i32> {
    let element = &job.elements[position];
    let outcome = element.outcome.as_ref()?;
    if element.state != ElementState::Ended {
        return None;
    }
    let status = exit_status(&outcome.how, outcome.cause.as_ref());
    match (&outcome.cause, element.index) {
        (Some(Cause::Deleted(_)), Some(_)) => status.or(Some(i32::from(!job.is_ended()))),
        _ => status,
    }
}

/// "`array_state_count` = `"Queued:0 Running:3 Exiting:0 Expired:0"` (string), `array_indices_submitted`
/// `"0-3"`, `array_indices_remaining` `"3-5"` or `"-"`. After the end all counts are 0. Parent
/// `Exit_status` is UNRELIABLE (0 although element 0 or 1 failed)".
fn array_attributes(set: &mut impl FnMut(&str, Value), job: &Job) {
    let Some(array) = &job.submission.array else {
        return;
    };
    set("array", "True".into());
    let counts = job.counts;
    let expired = counts.succeeded + counts.failed;
    let count = if job.is_ended() {
        "Queued:0 Running:0 Exiting:0 Expired:0".to_owned()
    } else {
        format!(
            "Queued:{} Running:{} Exiting:{} Expired:{expired}",
            counts.pending, counts.running, counts.exiting
        )
    };
    set("array_state_count", count.into());
    set("array_indices_submitted", array.written.clone().into());
    let step = match array.indices.as_slice() {
        [first, second, ..] => second - first,
        _ => 1,
    };
    let remaining: Vec<u32> = job
        .elements
        .iter()
        .filter(|element| element.state == ElementState::Pending)
        .filter_map(|element| element.index)
        .collect();
    set("array_indices_remaining", ranges(&remaining, step).into());
    if let Some(limit) = array.limit {
        // "`-J 0-3%2`: at most 2 run; attribute `max_run_subjobs = 2`".
        set("max_run_subjobs", limit.into());
    }
    if job.is_ended() && job.started.is_some() {
        let status = job
            .last_outcome()
            .and_then(|outcome| exit_status(&outcome.how, outcome.cause.as_ref()));
        set("Exit_status", status.unwrap_or(0).into());
    }
}

/// "While waiting: state H, `Hold_Types = s`"; the same stays with a child that the server has deleted.
fn holds(job: &Job, single: Option<usize>) -> &'static str {
    let by_user = match single {
        Some(position) => job.elements[position].held,
        None => job.elements.iter().all(|element| element.held),
    };
    let by_server = job.waiting != Waiting::No;
    match (by_user, by_server) {
        (true, true) => "us",
        (true, false) => "u",
        (false, true) => "s",
        (false, false) => "n",
    }
}

/// "`comment`: `... and finished` / `and failed` / `and terminated by reflowt@localhost` / `and exceeded
/// resource walltime`."
fn comment(job: &Job, single: Option<usize>, server: &str) -> Option<String> {
    if let Some(never) = &job.submission.never {
        return job.ended.is_none().then(|| never.clone());
    }
    let limit = job.submission.array.as_ref().and_then(|array| array.limit);
    let Some(position) = single else {
        if let Some(started) = job.started {
            return Some(format!("Job Array Began at {}", time_in_comment(started)));
        }
        // "`-J 0-3%0`: accepted and NEVER runs".
        return (limit == Some(0))
            .then(|| "Not Running: Number of concurrent running subjobs limit reached".to_owned());
    };
    let element = &job.elements[position];
    let started = element.started.map(|started| {
        format!(
            "Job run at {} on ({server}:ncpus={})",
            time_in_comment(started),
            job.submission.cpus
        )
    });
    let Some(outcome) = element
        .outcome
        .as_ref()
        .filter(|_| element.state == ElementState::Ended)
    else {
        return started;
    };
    let end = match (&outcome.cause, &outcome.how) {
        (Some(Cause::Deleted(by)), _) => format!("terminated by {by}@{server}"),
        (Some(Cause::Limit), _) => "exceeded resource walltime".to_owned(),
        (Some(Cause::Memory), _) => "exceeded resource mem".to_owned(),
        (Some(Cause::Dependency), _) => return None,
        (None, How::Exited(0)) => "finished".to_owned(),
        (None, _) => "failed".to_owned(),
    };
    let begin = started.unwrap_or_else(|| "Not Running: Job".to_owned());
    Some(format!("{begin} and {end}"))
}
