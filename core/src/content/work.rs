use std::num::NonZero;
use std::sync::OnceLock;
use std::thread::available_parallelism;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Fewest threads: small files on a shared file system are waited for more than they are read.
const LEAST: usize = 8;
/// So many files, of so many bytes together, are not worth waking threads for.
const FEW: usize = 16;
const SMALL: u64 = 1 << 20;

/// The threads of the process that walk and hash. None where they cannot be had: a limit on processes makes
/// it slower, and is no reason to fail.
static THREADS: OnceLock<Option<ThreadPool>> = OnceLock::new();

fn threads() -> Option<&'static ThreadPool> {
    let start = || {
        let cores = available_parallelism().map_or(1, NonZero::get);
        ThreadPoolBuilder::new()
            .num_threads(cores.max(LEAST))
            .thread_name(|number| format!("content-{number}"))
            .build()
            .ok()
    };
    THREADS.get_or_init(start).as_ref()
}

/// Who walks and hashes: the threads of the process, or the one that asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pool: Option<&'static ThreadPool>,
}

impl Work {
    /// Returns the threads of the process.
    pub(super) fn on_threads() -> Self {
        Self { pool: threads() }
    }

    /// Returns who works on so many files, of so many bytes together: threads, where they are worth it.
    pub(super) fn on(files: usize, bytes: u64) -> Self {
        if files > FEW || bytes > SMALL {
            Self::on_threads()
        } else {
            Self { pool: None }
        }
    }

    /// Does both.
    pub(super) fn both<A: Send, B: Send>(
        self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        match self.pool {
            Some(pool) => pool.join(a, b),
            None => (a(), b()),
        }
    }

    /// Does the same with each.
    pub(super) fn each<I: Sync, T: Send>(
        self,
        items: &[I],
        work: impl Fn(&I) -> T + Sync + Send,
    ) -> Vec<T> {
        match self.pool {
            Some(pool) => pool.install(|| items.par_iter().map(work).collect()),
            None => items.iter().map(work).collect(),
        }
    }
}
