//! The server of a fake: one process per directory.
//!
//! One thread owns the queue. Each client has a thread that reads its question and writes its answer,
//! so that a client that is stopped halfway holds nobody up. It ends when it is asked to, when the test
//! that made the directory is gone, when the directory is, or after
//! [`idle`](super::FakeOptions::idle) with nothing queued; then it leaves the queue in the file `queue`,
//! which the next one reads.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{getpid, set_child_subreaper};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT};

use super::cluster::Cluster;
use super::engine::{Engine, eprint};
use super::job::Job;
use super::options::{Dialect, FakeOptions};
use super::process;
use super::rules::Rules;
use super::text::now;
use super::wire::{Answer, Request};

/// What is written in a fake's directory about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// Which batch system it is.
    pub dialect: Dialect,
    /// What its cluster is like.
    pub options: FakeOptions,
    /// The process that it lives with.
    pub owner: u32,
}

impl Setup {
    /// Reads it from a fake's directory.
    pub fn read(directory: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(directory.join("setup"))?)?)
    }

    /// Writes it.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        fs::write(directory.join("setup"), serde_json::to_vec_pretty(self)?)
    }
}

/// A question on its way, and where its answer goes.
type Call = (Request, Sender<Answer>);

/// Serves a directory until there is a reason to end.
///
/// # Errors
/// When the directory cannot be read, or no socket can be made in it.
pub fn serve(directory: &Path) -> io::Result<()> {
    let setup = Setup::read(directory)?;
    let lock = fs::File::create(directory.join("lock"))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        // Another client has started one at the same time.
        return Ok(());
    }
    // A shell starts what is in its background with these ignored, and that is handed on to jobs, unless
    // somebody takes them: batch systems start jobs with none ignored.
    for signal in [SIGHUP, SIGINT, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    // What jobs leave behind becomes a child of this process, so that it can be ended with it.
    set_child_subreaper(Some(getpid()))?;
    let socket = directory.join("s");
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket)?;
    let (sender, calls) = mpsc::channel();
    std::thread::spawn(move || listen(&listener, &sender));
    let mut cluster = Cluster::new(setup.dialect, setup.options.clone(), directory.to_owned());
    restore(&mut cluster)?;
    let mut engine = Engine::new(cluster, rules(setup.dialect));
    let children = Children;
    let ended_by = run(&mut engine, &calls, &setup, directory);
    drop(children);
    if ended_by == End::Idle {
        save(&engine.cluster)?;
    }
    let _ = fs::remove_file(&socket);
    if ended_by == End::Abandoned {
        let _ = fs::remove_dir_all(directory);
    }
    Ok(())
}

/// Ends the jobs with the server, also where a fault of its own ends it.
struct Children;

impl Drop for Children {
    fn drop(&mut self) {
        process::end_children();
    }
}

/// Returns the rules of a dialect.
fn rules(dialect: Dialect) -> Box<dyn Rules> {
    match dialect {
        Dialect::OpenPbs | Dialect::Torque => Box::new(super::pbs::PbsRules::new(dialect)),
        Dialect::Lsf | Dialect::OpenLava => super::lsf::rules(dialect),
    }
}

/// Why the server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Asked,
    Abandoned,
    Idle,
}

fn run(engine: &mut Engine, calls: &Receiver<Call>, setup: &Setup, directory: &Path) -> End {
    let mut used = Instant::now();
    let mut looked = Instant::now();
    loop {
        let pause = if engine.is_idle() { 200 } else { 10 };
        match calls.recv_timeout(Duration::from_millis(pause)) {
            Ok((request, answer)) => {
                used = Instant::now();
                let ends = matches!(request, Request::End);
                // A client that has gone needs no answer.
                let _ = answer.send(engine.answer(request));
                if ends {
                    return End::Asked;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return End::Asked,
        }
        engine.step();
        if looked.elapsed() > Duration::from_secs(1) {
            looked = Instant::now();
            if !process::is_alive(setup.owner) || !directory.join("setup").exists() {
                return End::Abandoned;
            }
            if engine.is_idle() && used.elapsed() > setup.options.idle {
                return End::Idle;
            }
        }
    }
}

fn listen(listener: &UnixListener, sender: &Sender<Call>) {
    for stream in listener.incoming().flatten() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            if let Err(error) = converse(stream, &sender) {
                eprint(&format!("a client: {error}\n"));
            }
        });
    }
}

fn converse(mut stream: UnixStream, sender: &Sender<Call>) -> io::Result<()> {
    let mut question = Vec::new();
    stream.read_to_end(&mut question)?;
    let request = serde_json::from_slice(&question)?;
    let (answer_to, answer) = mpsc::channel();
    let gone = || io::Error::other("the server is ending");
    sender.send((request, answer_to)).map_err(|_| gone())?;
    let answer = answer.recv().map_err(|_| gone())?;
    stream.write_all(&serde_json::to_vec(&answer)?)
}

fn queue_file(cluster: &Cluster) -> PathBuf {
    cluster.directory.join("queue")
}

/// Leaves the queue for the next server. Nothing in it runs.
fn save(cluster: &Cluster) -> io::Result<()> {
    fs::write(
        queue_file(cluster),
        serde_json::to_vec(&(cluster.next, &cluster.jobs))?,
    )
}

fn restore(cluster: &mut Cluster) -> io::Result<()> {
    let bytes = match fs::read(queue_file(cluster)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let (next, jobs): (u64, BTreeMap<u64, Job>) = serde_json::from_slice(&bytes)?;
    cluster.next = next;
    cluster.jobs = jobs;
    for job in cluster.jobs.values_mut().filter(|job| !job.is_ended()) {
        job.find_ready(now());
        cluster.active.insert(job.number);
    }
    Ok(())
}
