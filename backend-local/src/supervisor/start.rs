use std::fs::File;
use std::os::fd::IntoRawFd;
use std::path::Path;

use reflow_core::fault::reach;
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{getpid, set_child_subreaper};

use super::run::Supervisor;
use super::{adopt, server, watcher};
use crate::clock;
use crate::location::{Location, Owner, boot_id, io_error};
use crate::log::{self, Log, Past};
use crate::memory::Groups;
use crate::queue::{Job, Queue};
use crate::{capacity, check, tree};

/// Runs the supervisor of `directory` until it is idle or stopped.
///
/// This is what `LAUNCHER supervisor --dir DIRECTORY` calls, in a process of its own: it leaves the
/// terminal's session, adopts every orphan among its descendants, and waits for all its children, so
/// nothing else may be running in the process. It starts the same program with the same arguments once
/// more: that process runs the jobs, and is started again when it is killed. It blocks, and brings the
/// runtime that it needs. Where another supervisor serves the directory already, it returns at once
/// without an error.
///
/// # Errors
/// [`SchedulerErrorKind::Permission`] where others can enter the directory,
/// [`SchedulerErrorKind::Io`] where its files cannot be read or written.
pub fn supervise(directory: &Path) -> Result<(), SchedulerError> {
    let location = Location {
        directory: directory.to_owned(),
    };
    // On a thread of its own, since the caller's may be inside a runtime already.
    let run = move || -> Result<(), SchedulerError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| io_error(&error))?;
        runtime.block_on(async {
            match watcher::own_watcher() {
                Some(watcher) => serve(location, watcher).await,
                None => watcher::watch(&location).await,
            }
        })
    };
    let thread = std::thread::Builder::new()
        .name("supervisor".to_owned())
        .spawn(run)
        .map_err(|error| io_error(&error))?;
    thread.join().unwrap_or_else(|_| {
        Err(SchedulerError::new(
            SchedulerErrorKind::Io,
            "the supervisor failed; its last words are in the file `messages` of its directory",
        ))
    })
}

/// Takes a lock, or returns none where another process holds it.
pub(super) fn lock(path: &Path) -> Result<Option<File>, SchedulerError> {
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| io_error(&error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(io_error(&error.into())),
    }
}

async fn serve(location: Location, watcher: (u32, u64)) -> Result<(), SchedulerError> {
    if !location.check()? {
        return Err(SchedulerError::new(
            SchedulerErrorKind::InvalidRequest,
            format!(
                "there is no directory of a supervisor at `{}`",
                location.directory.display()
            ),
        ));
    }
    reach("supervisor/lock");
    let Some(lock) = lock(&location.lock())? else {
        return Ok(());
    };
    // Never closed: whoever waits for the lock waits for the end of the process.
    let _ = lock.into_raw_fd();
    set_child_subreaper(Some(getpid())).map_err(|error| io_error(&error.into()))?;
    let plate = location.read_plate()?;
    let settings = plate.settings;
    let now = clock::now();

    reach("supervisor/read-log");
    let mut past = read_past(&location)?;
    let boot = boot_id();
    if past.boot != boot {
        // Nothing of that life of the machine is left.
        log::bury(&mut past, now.wall);
        past.boot = boot;
    }
    let survivors = adopt::judge(&mut past, &location, watcher, now);
    past.watcher = Some(watcher);
    past.began = tree::start_time(std::process::id()).unwrap_or_default();
    past.trim(now.wall.saturating_sub(settings.history.seconds() * 1000));
    remove_old_siblings(&location, &plate.owner, settings.history.seconds());
    let log = Log::create(&location.log(), &past).map_err(|error| io_error(&error))?;

    let mut queue = Queue::new(capacity::capacity(&settings));
    let instance = past.instance.clone();
    let parents = |request: &reflow_core::scheduler::JobRequest| {
        crate::ids::parents(&instance, &request.dependencies)
    };
    for (number, job) in past.jobs {
        let needs = check::demand(&job.request, queue.capacity());
        let parents = parents(&job.request);
        let mut restored = Job::new(job.request, needs, parents, job.elements);
        restored.notes = job.notes;
        queue.insert(now, number, restored);
    }
    let listener = server::listen(&location)?;
    let mut supervisor = Supervisor::new(
        location.clone(),
        settings,
        instance.clone(),
        past.next,
        queue,
        log,
    );
    supervisor.watcher = Some(watcher);
    supervisor.next_process = past.next_process;
    supervisor.adopt(survivors, &past.killed);
    let result = supervisor.run(listener).await;
    Groups::clean(&instance);
    let _ = fs_err::remove_file(location.socket());
    result
}

/// Reads what the last supervisor here left; a fresh past where there was none.
fn read_past(location: &Location) -> Result<Past, SchedulerError> {
    match log::read(&location.log()) {
        Ok(past) => Ok(past),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut random = [0; 5];
            getrandom::fill(&mut random).map_err(|error| {
                SchedulerError::new(
                    SchedulerErrorKind::Io,
                    format!("could not get random bytes: {error}"),
                )
            })?;
            let key = location.directory.file_name().unwrap_or_default();
            let key = key
                .to_string_lossy()
                .replace(|c: char| !c.is_ascii_alphanumeric(), "x");
            let random = data_encoding::BASE32_NOPAD
                .encode(&random)
                .to_ascii_lowercase();
            Ok(Past {
                instance: format!("{key}{}", &random[..4]),
                next: 1,
                boot: boot_id(),
                ..Past::default()
            })
        }
        Err(error) => Err(io_error(&error)),
    }
}

/// Removes the directories of supervisors of earlier boots that nobody has touched for as long as
/// jobs are remembered.
fn remove_old_siblings(location: &Location, owner: &Owner, history: u64) {
    let Some(parent) = location.directory.parent() else {
        return;
    };
    let Ok(entries) = fs_err::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let sibling = Location {
            directory: entry.path(),
        };
        let is_other_boot = sibling
            .read_plate()
            .is_ok_and(|plate| plate.owner.host == owner.host && !plate.owner.is_same_boot(owner));
        let is_old = fs_err::metadata(sibling.log())
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| {
                clock::milliseconds(time) + history.saturating_mul(1000) < clock::wall()
            });
        if is_other_boot && is_old {
            let _ = fs_err::remove_dir_all(&sibling.directory);
        }
    }
}
