use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use fs_err as fs;

use super::reader::{read_journal_since, read_terms};
use super::{Entry, Holder, Journal, Liveness, Record};
use crate::engine::Clock;
use crate::segment::append_frame;

/// How often a holder shows that it is there.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a holder that cannot be looked at may be silent, on the observer's own clock.
const SILENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(500);

/// The right to write the journal and to send requests, until a newer term exists.
#[derive(Debug)]
pub struct Lease {
    dir: PathBuf,
    term: u64,
    file: fs::File,
    clock: Clock,
}

/// An error of the lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else took over.
    #[error("another process has taken over the run")]
    Lost,
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The answer to taking the lease.
#[derive(Debug)]
pub enum Taken {
    /// It is ours; the journal up to here.
    Mine(Lease, Journal),
    /// Somebody holds it and is alive, as far as can be known.
    Held(Holder),
}

/// Takes the lease, unless a living process holds it.
///
/// A holder that is gone is replaced at once. One that cannot be looked at from here is replaced when
/// its files have not moved for 30 seconds on our own clock. With `force`, the holder is replaced
/// whatever it does: it stops at its next look.
///
/// The journal that is returned begins at the term `since`, where that counts, else at the first.
pub async fn take(
    dir: &Path,
    liveness: &dyn Liveness,
    clock: &Clock,
    force: bool,
    since: u64,
) -> io::Result<Taken> {
    let own = liveness.own();
    loop {
        let journal = read_journal_since(dir, since)?;
        if journal.term > 0 && !journal.is_released && !force {
            match &journal.holder {
                Some(holder) if *holder == own || liveness.is_gone(holder) => {}
                holder => {
                    if moves(dir, &journal).await? {
                        let unknown = Holder {
                            host: "unknown".to_owned(),
                            boot: String::new(),
                            pid: 0,
                            started: 0,
                        };
                        return Ok(Taken::Held(holder.clone().unwrap_or(unknown)));
                    }
                }
            }
        }
        let term = journal.term + 1;
        let Some(file) = create(dir, term)? else {
            continue;
        };
        let before = measure(dir, term, since)?;
        let lease = begin(dir, term, file, clock, own, &before)?;
        return Ok(Taken::Mine(lease, before));
    }
}

/// Makes the file of a term, unless somebody else was faster.
pub(crate) fn create(dir: &Path, term: u64) -> io::Result<Option<fs::File>> {
    crate::fault::reach("journal/create");
    let made = fs::OpenOptions::new()
        .append(true)
        .create_new(true)
        .open(dir.join(term.to_string()));
    match made {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads what counts of the terms before.
///
/// Done after the new file exists: whoever held the term before looks for it between announcing a
/// request and sending it, so everything that was sent is within these lengths.
/// Terms behind ours are left alone, should there be any by now: either they find our first record and
/// cut it, or it does not count.
pub(crate) fn measure(dir: &Path, term: u64, since: u64) -> io::Result<Journal> {
    crate::fault::reach("journal/measure");
    read_terms(dir, since, term)
}

/// Writes the first record of a term: from now on what was measured counts, and nothing behind it.
pub(crate) fn begin(
    dir: &Path,
    term: u64,
    file: fs::File,
    clock: &Clock,
    holder: Holder,
    before: &Journal,
) -> io::Result<Lease> {
    let mut lease = Lease {
        dir: dir.to_owned(),
        term,
        file,
        clock: clock.clone(),
    };
    crate::fault::reach("journal/first");
    lease.append(Record::Term {
        holder,
        cuts: before.uncut.clone(),
    })?;
    lease.sync()?;
    Ok(lease)
}

/// Waits for a sign of life of whoever holds the newest term, and says whether one came.
async fn moves(dir: &Path, journal: &Journal) -> io::Result<bool> {
    let look = || -> io::Result<(u64, u64, u64)> {
        let length =
            |name: String| fs::metadata(dir.join(name)).map_or(0, |metadata| metadata.len());
        let term = super::reader::terms(dir)?.last().copied().unwrap_or(0);
        Ok((
            term,
            length(term.to_string()),
            length(format!("{term}.beat")),
        ))
    };
    let before = look()?;
    if before.0 != journal.term {
        return Ok(true);
    }
    let started = tokio::time::Instant::now();
    while started.elapsed() < SILENCE {
        tokio::time::sleep(LOOK).await;
        if look()? != before {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Lease {
    /// Returns the number of the term.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Appends a record.
    pub fn append(&mut self, record: Record) -> io::Result<Entry> {
        let entry = Entry {
            at: self.clock.now_ms(),
            record,
        };
        let mut buffer = Vec::new();
        append_frame(&mut buffer, &serde_json::to_vec(&entry)?);
        crate::fault::reach("journal/append");
        self.file.write_all(&buffer)?;
        Ok(entry)
    }

    /// Makes what was appended survive a power cut.
    pub fn sync(&mut self) -> io::Result<()> {
        crate::fault::reach("journal/sync");
        self.file.sync_data()
    }

    /// Checks that nobody has taken over.
    pub fn check(&self) -> Result<(), LeaseError> {
        if self.dir.join((self.term + 1).to_string()).try_exists()? {
            Err(LeaseError::Lost)
        } else {
            Ok(())
        }
    }

    /// Shows that we are there.
    pub fn beat(&self) -> io::Result<()> {
        self.heart().beat()
    }

    /// Returns what shows that we are there while something blocks.
    pub(crate) fn heart(&self) -> Heart {
        Heart(self.dir.join(format!("{}.beat", self.term)))
    }
}

/// Shows that the holder of a term is there: its file.
#[derive(Debug)]
pub(crate) struct Heart(PathBuf);

impl Heart {
    fn beat(&self) -> io::Result<()> {
        crate::fault::reach("journal/beat");
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.0)?;
        file.write_all(b".")
    }

    /// Does what may block for long, such as reading the content of many files, and beats meanwhile.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.every(HEARTBEAT, work)
    }

    fn every<T>(&self, period: Duration, work: impl FnOnce() -> T) -> T {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let beat = move || {
                while ended.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                    // Whether we still hold the lease is asked before anything is done with it.
                    let _ = self.beat();
                }
            };
            // Without a thread we are silent, and somebody else may take over.
            let beats = std::thread::Builder::new().spawn_scoped(scope, beat);
            if let Err(error) = beats {
                tracing::debug!(%error, "no thread for the heartbeat");
            }
            let done = work();
            drop(end);
            done
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::read_journal;
    use crate::workflow::TaskIndex;

    /// A process table of our own making.
    #[derive(Debug, Clone)]
    struct Table {
        me: u32,
        gone: Vec<u32>,
    }

    fn holder(pid: u32) -> Holder {
        Holder {
            host: "h".to_owned(),
            boot: "b".to_owned(),
            pid,
            started: 0,
        }
    }

    impl Liveness for Table {
        fn own(&self) -> Holder {
            holder(self.me)
        }
        fn is_gone(&self, holder: &Holder) -> bool {
            self.gone.contains(&holder.pid)
        }
    }

    async fn mine(dir: &Path, me: u32, gone: &[u32], force: bool) -> (Lease, Journal) {
        match take(
            dir,
            &Table {
                me,
                gone: gone.to_vec(),
            },
            &Clock::system(),
            force,
            0,
        )
        .await
        .unwrap()
        {
            Taken::Mine(lease, journal) => (lease, journal),
            Taken::Held(holder) => panic!("held by {holder:?}"),
        }
    }

    #[tokio::test]
    async fn a_holder_shows_that_it_is_there_while_something_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let (lease, _) = mine(dir.path(), 1, &[], false).await;
        let beats = || fs::metadata(dir.path().join("1.beat")).map_or(0, |file| file.len());
        let done = lease.heart().every(Duration::from_millis(1), || {
            while beats() < 3 {
                std::thread::yield_now();
            }
            7
        });
        assert_eq!(done, 7);
        let after = beats();
        lease.heart().during(|| ());
        assert_eq!(beats(), after);
    }

    fn expanded(width: u32) -> Record {
        Record::Expanded {
            task: TaskIndex(0),
            width,
        }
    }

    fn widths(dir: &Path) -> Vec<u32> {
        let records = read_journal(dir)
            .unwrap()
            .entries
            .into_iter()
            .map(|entry| entry.record);
        records
            .filter_map(|record| {
                if let Record::Expanded { width, .. } = record {
                    Some(width)
                } else {
                    None
                }
            })
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_replaced_holder_writes_afterwards_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let (mut first, _) = mine(dir.path(), 1, &[], false).await;
        first.append(expanded(1)).unwrap();
        let (mut second, journal) = mine(dir.path(), 2, &[1], false).await;
        assert_eq!(journal.entries.len(), 2);
        assert!(matches!(first.check(), Err(LeaseError::Lost)));
        first.append(expanded(666)).unwrap();
        second.append(expanded(2)).unwrap();
        let (mut third, _) = mine(dir.path(), 3, &[], true).await;
        second.append(expanded(667)).unwrap();
        third.append(expanded(3)).unwrap();
        assert_eq!(widths(dir.path()), [1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_taker_that_died_before_its_first_record_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let (mut first, _) = mine(dir.path(), 1, &[], false).await;
        first.append(expanded(1)).unwrap();
        fs::write(dir.path().join("2"), b"").unwrap();
        first.append(expanded(2)).unwrap();
        let (mut third, _) = mine(dir.path(), 3, &[1], false).await;
        assert_eq!(third.term(), 3);
        third.append(expanded(3)).unwrap();
        first.append(expanded(666)).unwrap();
        assert_eq!(widths(dir.path()), [1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_cannot_be_looked_at_is_replaced_only_after_silence() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = mine(dir.path(), 1, &[], false).await;
        let table = Table {
            me: 2,
            gone: vec![],
        };
        let clock = Clock::system();
        let beating = async {
            loop {
                tokio::time::sleep(HEARTBEAT).await;
                first.beat().unwrap();
            }
        };
        tokio::select! {
            taken = take(dir.path(), &table, &clock, false, 0) => assert!(matches!(taken.unwrap(), Taken::Held(_))),
            () = beating => unreachable!("it never ends"),
        }
        let started = tokio::time::Instant::now();
        assert!(matches!(
            take(dir.path(), &table, &clock, false, 0).await.unwrap(),
            Taken::Mine(..)
        ));
        assert!(started.elapsed() >= SILENCE);
    }
}
