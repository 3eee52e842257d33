use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Fewest threads: small files on a shared file system are waited for more than they are read.
const LEAST: usize = 8;
/// Directories are walked by recursion, and a path has at most some 2,000 parts.
const STACK: usize = 16 << 20;
/// Up to this size a single file is not worth starting threads for.
pub(super) const SMALL: u64 = 1 << 20;

/// Threads of one call that walks and hashes; none where it is not worth it, or where none can be had.
#[derive(Debug)]
pub(super) struct Work {
    pool: Option<ThreadPool>,
}

impl Work {
    /// Returns threads for walking and hashing what is at these paths.
    pub(super) fn for_paths(paths: &[impl AsRef<Path>]) -> Self {
        let little = match paths {
            [] => true,
            [path] => fs_err::metadata(path.as_ref())
                .map_or(true, |path| path.is_file() && path.len() <= SMALL),
            _ => false,
        };
        let pool = (!little).then(|| {
            let cores = available_parallelism().map_or(1, NonZero::get);
            ThreadPoolBuilder::new()
                .num_threads(cores.max(LEAST))
                .thread_name(|number| format!("content-{number}"))
                .stack_size(STACK)
                .build()
        });
        Self {
            // A limit on processes makes it slower, and is no reason to fail.
            pool: pool.and_then(Result::ok),
        }
    }

    /// Runs something on these threads.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce(&Self) -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(|| work(self)),
            None => work(self),
        }
    }

    /// Does both.
    pub(super) fn both<A: Send, B: Send>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        match &self.pool {
            Some(_) => rayon::join(a, b),
            None => (a(), b()),
        }
    }

    /// Does the same with each.
    pub(super) fn each<I: Sync, T: Send>(
        &self,
        items: &[I],
        work: impl Fn(&I) -> T + Sync + Send,
    ) -> Vec<T> {
        match &self.pool {
            Some(_) => items.par_iter().map(work).collect(),
            None => items.iter().map(work).collect(),
        }
    }
}
