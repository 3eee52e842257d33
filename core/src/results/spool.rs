use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use fs_err as fs;

use super::{ResultRecord, SpoolFrame, WorkerRecord, room};
use crate::segment::{append_frame, read_frames};

/// Longest time that a result stays without `fdatasync` while its worker goes on: a power cut loses at
/// most that, and those elements run again.
const SYNC_INTERVAL: Duration = Duration::from_millis(50);
const SHARD: u32 = 1024;

/// The spool directory of one submission.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
}

/// The answer to a claim of an array index.
#[derive(Debug)]
pub enum IndexClaim {
    /// It is ours.
    Claimed(SpoolWriter),
    /// Somebody was here before; this is what they left.
    Taken(SpoolContent),
}

impl Spool {
    /// Returns the spool in `dir`.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Returns the file of an index that a worker of its own runs.
    pub fn index_file(&self, index: u32) -> PathBuf {
        self.dir
            .join((index / SHARD).to_string())
            .join(index.to_string())
    }

    /// Returns the directory of what is written after its element was given up.
    fn late(&self) -> PathBuf {
        let mut name = self.dir.clone().into_os_string();
        name.push(".late");
        PathBuf::from(name)
    }

    /// Returns the file of an index that was [set aside](Self::set_aside).
    pub fn late_file(&self, index: u32) -> PathBuf {
        self.late().join(index.to_string())
    }

    /// Sets the file of an index aside and claims the index for `worker` in its place: what its worker
    /// writes from now on, should it live on somewhere, is kept and read by no other worker.
    ///
    /// Returns what is in the file, or none where nobody ever claimed the index, or a worker runs it that
    /// serves many.
    pub fn set_aside(&self, index: u32, worker: &WorkerRecord) -> io::Result<Option<SpoolContent>> {
        let late = self.late_file(index);
        if !late.try_exists()? {
            fs::create_dir_all(self.late())?;
            crate::fault::reach("spool/set-aside");
            match fs::rename(self.index_file(index), &late) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                other => other?,
            }
        }
        // Nobody may claim it anew: a job that was started again by the batch system would.
        self.claim(index, worker)?;
        Ok(Some(read_spool(&late)?))
    }

    /// Returns the files that were set aside.
    pub fn late_files(&self) -> io::Result<Vec<PathBuf>> {
        list(&self.late(), |name, is_dir| {
            !is_dir && !name.starts_with('.')
        })
    }

    /// Returns the index whose file `path` is, or none for the file of a worker that serves many.
    pub fn index_of(path: &Path) -> Option<u32> {
        path.file_name()?.to_str()?.parse().ok()
    }

    /// Claims an index for the worker that runs it alone.
    pub fn claim(&self, index: u32, worker: &WorkerRecord) -> io::Result<IndexClaim> {
        let path = self.index_file(index);
        let open = || {
            fs::OpenOptions::new()
                .append(true)
                .create_new(true)
                .open(&path)
        };
        crate::fault::reach("spool/claim");
        let opened = match room::when_there_is_room(open) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                crate::fault::reach("spool/folder");
                let folder = path.parent().unwrap_or(&self.dir);
                room::when_there_is_room(|| fs::create_dir_all(folder))?;
                room::when_there_is_room(open)
            }
            other => other,
        };
        match opened {
            Ok(file) => Ok(IndexClaim::Claimed(SpoolWriter::start(file, worker)?)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(IndexClaim::Taken(read_spool(&path)?))
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the file of a claimed index again, to add to it.
    pub fn reopen(&self, index: u32) -> io::Result<SpoolWriter> {
        crate::fault::reach("spool/reopen");
        let file = fs::OpenOptions::new()
            .append(true)
            .open(self.index_file(index))?;
        Ok(SpoolWriter {
            syncer: None,
            closes_soon: false,
            file,
            buffer: Vec::new(),
        })
    }

    /// Makes a file for a worker that serves many indices.
    pub fn serve(&self, worker: &WorkerRecord) -> io::Result<SpoolWriter> {
        room::when_there_is_room(|| fs::create_dir_all(&self.dir))?;
        crate::fault::reach("spool/serve");
        let path = self.dir.join(format!("w{}", worker.log));
        let open = || {
            fs::OpenOptions::new()
                .append(true)
                .create_new(true)
                .open(&path)
        };
        let file = room::when_there_is_room(open)?;
        SpoolWriter::start(file, worker)
    }

    /// Returns the files of workers that serve many indices.
    pub fn serving_files(&self) -> io::Result<Vec<PathBuf>> {
        list(&self.dir, |name, is_dir| !is_dir && name.starts_with('w'))
    }

    /// Returns all spool files. What somebody else has put beside them is passed over.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let is_number = |name: &str| name.parse::<u32>().is_ok();
        let mut files = self.serving_files()?;
        for shard in list(&self.dir, |name, is_dir| is_dir && is_number(name))? {
            files.extend(list(&shard, |name, is_dir| !is_dir && is_number(name))?);
        }
        Ok(files)
    }
}

/// Returns what `keep` takes by name, and whether it is a directory, of what is in a directory. One that
/// is not there, or has just been removed by whoever packed what was in it, holds nothing.
fn list(dir: &Path, keep: impl Fn(&str, bool) -> bool) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut kept = Vec::new();
    for entry in entries {
        let entry = entry?;
        let is_dir = entry.file_type()?.is_dir();
        // Names that are not UTF-8 are nobody's results.
        if entry
            .file_name()
            .to_str()
            .is_some_and(|name| keep(name, is_dir))
        {
            kept.push(entry.path());
        }
    }
    Ok(kept)
}

/// Appends to one spool file.
#[derive(Debug)]
pub struct SpoolWriter {
    file: fs::File,
    buffer: Vec<u8>,
    /// Syncs beside the work, once there is something to sync.
    syncer: Option<Syncer>,
    /// Whether closing, which follows at once, is soon enough to sync.
    closes_soon: bool,
}

/// A thread that syncs a file some time after it was told of new content, so that whoever writes does not
/// wait for the disk.
#[derive(Debug)]
struct Syncer {
    told: mpsc::SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Syncer {
    fn start(file: &fs::File) -> io::Result<Self> {
        let file = file.try_clone()?;
        let (told, news) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("sync".to_owned())
            .spawn(move || {
                while news.recv().is_ok() {
                    crate::fault::reach("spool/sync");
                    file.sync_data()?;
                    std::thread::sleep(SYNC_INTERVAL);
                }
                Ok(())
            })?;
        Ok(Self { told, thread })
    }

    /// Tells of new content. What cannot be told is known already: the thread syncs it next.
    fn tell(&self) -> bool {
        !matches!(
            self.told.try_send(()),
            Err(mpsc::TrySendError::Disconnected(()))
        )
    }

    /// Returns the error that ended the thread.
    fn error(self) -> io::Result<()> {
        drop(self.told);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that syncs has panicked")))
    }
}

impl SpoolWriter {
    fn start(file: fs::File, worker: &WorkerRecord) -> io::Result<Self> {
        let mut writer = Self {
            file,
            buffer: Vec::new(),
            syncer: None,
            closes_soon: false,
        };
        crate::fault::reach("spool/first");
        writer.frame(&SpoolFrame::Worker(worker.clone()))?;
        Ok(writer)
    }

    fn frame(&mut self, frame: &SpoolFrame) -> io::Result<()> {
        self.buffer.clear();
        let payload = serde_json::to_vec(frame)?;
        append_frame(&mut self.buffer, &payload);
        room::write_all(&mut self.file, &self.buffer)
    }

    /// Says that the next element is the last, and that [`close`](Self::close) follows it.
    pub fn expect_last(&mut self) {
        self.closes_soon = true;
    }

    /// Writes that the body of an element is about to start.
    pub fn start_element(&mut self, element: u32) -> io::Result<()> {
        crate::fault::reach("spool/start");
        self.frame(&SpoolFrame::Start(element))
    }

    /// Writes the end of an element.
    pub fn end_element(&mut self, result: ResultRecord) -> io::Result<()> {
        crate::fault::reach("spool/end");
        self.frame(&SpoolFrame::End(Box::new(result)))?;
        if self.closes_soon {
            return Ok(());
        }
        let syncer = match &self.syncer {
            Some(syncer) => syncer,
            None => self.syncer.insert(Syncer::start(&self.file)?),
        };
        if !syncer.tell()
            && let Some(syncer) = self.syncer.take()
        {
            syncer.error()?;
        }
        Ok(())
    }

    /// Writes that nothing follows, and syncs.
    pub fn close(mut self) -> io::Result<()> {
        crate::fault::reach("spool/close");
        self.frame(&SpoolFrame::Close)?;
        crate::fault::reach("spool/close-sync");
        self.file.sync_data()
    }
}

/// What a spool file holds.
#[derive(Debug, Default)]
pub struct SpoolContent {
    /// Who wrote it.
    pub worker: Option<WorkerRecord>,
    /// Elements whose body was started.
    pub started: Vec<u32>,
    /// Elements that have ended.
    pub ended: Vec<ResultRecord>,
    /// Whether the writer ended in order.
    pub is_closed: bool,
    /// Whether bytes follow that are no whole frame: a write that was cut, or foreign bytes.
    pub is_damaged: bool,
    /// Where to go on reading.
    pub offset: u64,
}

/// Reads a spool file, as far as it is whole.
pub fn read_spool(path: &Path) -> io::Result<SpoolContent> {
    read_spool_after(path, 0)
}

/// Reads what was added to a spool file after `offset`.
pub fn read_spool_after(path: &Path, offset: u64) -> io::Result<SpoolContent> {
    use std::io::{Read, Seek, SeekFrom};
    // Room for most files at once: there may be very many, and each further read costs as much again.
    let mut bytes = Vec::with_capacity(4096);
    let mut file = fs::File::open(path)?;
    if offset > 0 {
        file.seek(SeekFrom::Start(offset))?;
    }
    file.read_to_end(&mut bytes)?;
    let mut content = SpoolContent::default();
    let mut frames = read_frames(&bytes);
    for payload in frames.by_ref() {
        match serde_json::from_slice(payload) {
            Ok(SpoolFrame::Worker(worker)) => content.worker = Some(worker),
            Ok(SpoolFrame::Start(element)) => content.started.push(element),
            Ok(SpoolFrame::End(result)) => content.ended.push(*result),
            Ok(SpoolFrame::Close) => content.is_closed = true,
            Err(_) => content.is_damaged = true,
        }
    }
    content.is_damaged |= frames.is_damaged();
    content.offset = offset + frames.offset() as u64;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Outcome;

    fn worker() -> WorkerRecord {
        WorkerRecord {
            job: Some("7".to_owned()),
            node: "n1".to_owned(),
            log: "x".to_owned(),
        }
    }

    #[test]
    fn an_index_is_claimed_once_and_the_second_sees_what_the_first_did() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().join("S"));
        let IndexClaim::Claimed(mut writer) = spool.claim(5000, &worker()).unwrap() else {
            panic!("not claimed")
        };
        writer.start_element(17).unwrap();
        let IndexClaim::Taken(content) = spool.claim(5000, &worker()).unwrap() else {
            panic!("claimed twice")
        };
        assert_eq!((content.started, content.ended.len()), (vec![17], 0));
        writer
            .end_element(ResultRecord::new(17, Outcome::Failed).with_message("no"))
            .unwrap();
        writer.close().unwrap();
        let files = spool.files().unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(Spool::index_of(&files[0]), Some(5000));
        let content = read_spool(&files[0]).unwrap();
        assert!(content.is_closed && !content.is_damaged);
        assert_eq!(content.ended[0].message.as_deref(), Some("no"));
    }

    #[test]
    fn foreign_bytes_in_a_spool_file_are_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().to_owned());
        let IndexClaim::Claimed(mut writer) = spool.claim(0, &worker()).unwrap() else {
            panic!("not claimed")
        };
        writer
            .end_element(ResultRecord::new(0, Outcome::Skipped))
            .unwrap();
        let path = spool.index_file(0);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(b"\x00garbage\xff");
        fs::write(&path, bytes).unwrap();
        let content = read_spool(&path).unwrap();
        assert_eq!(content.ended.len(), 1);
        assert!(content.is_damaged);
    }
}
