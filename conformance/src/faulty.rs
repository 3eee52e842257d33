use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use reflow_core::scheduler::Scheduler;

use crate::Site;

/// Makes connections to a batch system whose programs can be made to fail.
///
/// Implemented by tests: the suite knows no programs by name.
#[async_trait]
pub trait FaultyClients: fmt::Debug + Send + Sync {
    /// Connects through programs of this connection's own, which work as the real ones for now. They are
    /// kept in `directory`, which exists.
    async fn connect(&self, directory: &Path) -> Result<Box<dyn FaultyConnection>, String>;
}

/// A connection whose programs can be made to fail.
pub trait FaultyConnection: fmt::Debug + Send + Sync {
    /// Returns the connection. It gives up on a program within seconds.
    fn scheduler(&self) -> Arc<dyn Scheduler>;

    /// Makes the programs for `call` fail from now on, all others work.
    fn set(&self, call: Call, fault: Fault);

    /// Makes all programs work again.
    fn clear(&self);

    /// Returns how often programs for `call` have been started until now.
    fn calls(&self, call: Call) -> usize;
}

/// What a program of a batch system is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// To submit a job: `sbatch`, `qsub`, `bsub`.
    Submit,
    /// To ask about jobs, in the queue or in the history: `squeue`, `sacct`, `qstat`, `bjobs`, `bhist`.
    Query,
    /// To cancel jobs: `scancel`, `qdel`, `bkill`.
    Cancel,
}

/// How a program fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It prints nothing and ends with 0, without having asked anybody.
    Empty,
    /// It prints what makes no sense and ends with 0.
    Garbage,
    /// It carries out what it is asked, and its answer comes with bytes that are not UTF-8.
    NotUtf8,
    /// It carries out what it is asked, ends with 0, and half of its answer is lost.
    CutInHalf,
    /// It does nothing for longer than the connection waits.
    Late,
    /// It is killed by a signal before it has asked anybody.
    Dead,
    /// It carries out what it is asked and is killed by a signal before it answers.
    AnswerLost,
    /// It fails in the batch system's words for a server that cannot be reached.
    Transient,
    /// The same, the next time alone.
    TransientOnce,
    /// It fails in the batch system's words for a request that it does not take.
    Refused,
}

/// What only a test has: a site, and a connection to the same batch system whose programs can be made to
/// fail, of the case's own.
#[derive(Debug)]
pub struct FaultyRig {
    /// What any user has.
    pub site: Arc<Site>,
    /// The connection.
    pub clients: Box<dyn FaultyConnection>,
}
