//! Fake batch systems: the clients of PBS and LSF over a queue in a directory that really runs scripts.
//!
//! One program, `reflow-fake-scheduler`, stands under the names of the clients (`qsub`, `bjobs`, …). A
//! client is thin: it reads its arguments, asks the server of its directory one [`Request`], and prints
//! the [`Answer`] the way its batch system does. The server ([`server`]) holds the queue in memory and
//! steps it ([`Engine`]); what differs between batch systems is behind [`Rules`]: what is refused, what
//! releases a dependent job, how a job is started, stopped and its output delivered.
//!
//! Everything that a fake says was observed on a real installation (OpenPBS 23.06.06, openlava 2.2) or
//! is documented; the modules of the dialects quote it. Where the same is not known, the fake does the
//! plain thing.

mod act;
pub mod client;
mod cluster;
mod ending;
mod engine;
mod harness;
mod job;
mod lsf;
mod options;
mod pbs;
mod process;
mod rules;
pub mod server;
mod submission;
mod text;
mod wire;

pub use cluster::Cluster;
pub use engine::Engine;
pub use harness::Fake;
pub use job::{Cause, Counts, Element, ElementState, How, Job, Outcome, Waiting};
pub use lsf::LsfOptions;
pub use options::{Dialect, FakeOptions, Queue};
pub use process::signal_number;
pub use rules::{Delivered, Launch, Rules, Step, Verdict};
pub use submission::{Array, Body, Condition, Submission, Which};
pub use text::{Millis, Text, now};
pub use wire::{Action, Answer, Failure, Refusal, Request, Target, call};
