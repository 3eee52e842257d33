//! The process that runs the jobs, and the one that watches over it.
//!
//! One loop owns everything: the [queue](crate::queue), the log, the processes. Questions come in
//! from tasks that each serve one connection, answers of warm workers from tasks that each read one
//! pipe, deaths by `SIGCHLD`. After each batch of events the records are written, then what was
//! decided is done, then the questions are answered.
//!
//! Whenever it is killed, the next one finds in the log what each process runs: that is written down
//! before an index is handed over, and right after a process was started, one at a time. So of all
//! elements, one alone may have been started without a word, and the watcher has inherited its process.

mod adopt;
mod ends;
mod limits;
mod process;
mod questions;
mod run;
mod server;
mod spawn;
mod start;
mod watcher;
mod workers;

pub use start::supervise;
