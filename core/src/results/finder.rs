use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use fs_err as fs;

use super::{Outcome, ResultRecord, Spool, SpoolFrame, WorkerRecord, read_spool, read_spool_after};
use crate::id::Tag;
use crate::rundir::RunDir;
use crate::segment::Pack;

/// Looks results up by submission and element: in the spool, in the packs, and in the spool again,
/// since dispatch may be moving them just then.
///
/// Keeps packs open and remembers how far it has read, so that a worker that serves many indices reads
/// everything once.
#[derive(Debug)]
pub struct ResultFinder {
    dir: RunDir,
    submissions: HashMap<Tag, Known>,
}

#[derive(Debug, Default)]
struct Known {
    packs: Vec<Pack>,
    serving: HashMap<PathBuf, (u64, Option<WorkerRecord>)>,
    found: HashMap<u32, ResultRecord>,
    /// Everything of it is in packs.
    is_closed: bool,
}

impl ResultFinder {
    /// Returns a finder for a run.
    pub fn new(dir: RunDir) -> Self {
        Self {
            dir,
            submissions: HashMap::new(),
        }
    }

    /// Returns the result of `element` in submission `tag`, whose array index is `index`, or none while
    /// there is none.
    pub fn find(
        &mut self,
        tag: &Tag,
        index: u32,
        element: u32,
    ) -> io::Result<Option<ResultRecord>> {
        let is_closed = self.dir.closed(tag);
        let known = self.submissions.entry(tag.clone()).or_default();
        if !known.is_closed {
            known.is_closed = is_closed.try_exists()?;
        }
        if known.is_closed {
            return self.in_packs(tag, element);
        }
        if let Some(result) = self.in_spool(tag, index, element)? {
            return Ok(Some(result));
        }
        if let Some(result) = self.in_packs(tag, element)? {
            return Ok(Some(result));
        }
        self.in_spool(tag, index, element)
    }

    fn in_spool(
        &mut self,
        tag: &Tag,
        index: u32,
        element: u32,
    ) -> io::Result<Option<ResultRecord>> {
        let known = self.submissions.entry(tag.clone()).or_default();
        if let Some(result) = known.found.get(&element) {
            return Ok(Some(result.clone()));
        }
        let spool = Spool::new(self.dir.spool(tag));
        match read_spool(&spool.index_file(index)) {
            Ok(content) => {
                for mut result in content.ended {
                    result.worker.clone_from(&content.worker);
                    known.found.insert(result.element, result);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                for path in spool.serving_files()? {
                    let (offset, worker) = known.serving.entry(path.clone()).or_default();
                    match read_spool_after(&path, *offset) {
                        Ok(content) => {
                            *offset = content.offset;
                            if content.worker.is_some() {
                                worker.clone_from(&content.worker);
                            }
                            for mut result in content.ended {
                                result.worker.clone_from(worker);
                                known.found.insert(result.element, result);
                            }
                        }
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        Ok(known.found.get(&element).cloned())
    }

    fn in_packs(&mut self, tag: &Tag, element: u32) -> io::Result<Option<ResultRecord>> {
        let known = self.submissions.entry(tag.clone()).or_default();
        // An element may be in a second pack where the first tells how it was cut off: a holder of the lease
        // that died before it could record that.
        let mut interrupted = None;
        let mut number = 0;
        loop {
            if number == known.packs.len() {
                match Pack::open(&self.dir.pack(tag, number as u32)) {
                    Ok(pack) => known.packs.push(pack),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Ok(interrupted);
                    }
                    Err(error) => return Err(error),
                }
            }
            if let Some(payload) = known.packs[number].get(element)? {
                match serde_json::from_slice(&payload)? {
                    SpoolFrame::End(result) if result.outcome == Outcome::Interrupted => {
                        interrupted = Some(*result);
                    }
                    SpoolFrame::End(result) => return Ok(Some(*result)),
                    _ => {
                        return Err(io::Error::new(
                            io::ErrorKind::InvalidData,
                            "a pack holds something that is no result",
                        ));
                    }
                }
            }
            number += 1;
        }
    }

    /// Asks the file system anew for what is in the directories of a submission: on NFS, listing a
    /// directory makes new names visible.
    pub fn refresh(&self, tag: &Tag) {
        // Only for its side effect on the client's cache; what cannot be listed holds nothing new.
        let _ = fs::read_dir(self.dir.spool(tag)).map(Iterator::count);
        let _ = fs::read_dir(self.dir.inside("packs")).map(Iterator::count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::testing::empty_run;
    use crate::segment::write_pack;

    #[test]
    fn a_result_comes_before_word_of_a_body_that_was_cut_off() {
        let keep = tempfile::tempdir().unwrap();
        let dir = empty_run(&keep.path().join("run"));
        let tag = Tag::from_digest('t', &blake3::hash(b"t"));
        let outcomes = [Outcome::Interrupted, Outcome::Succeeded];
        for (number, outcome) in (0..).zip(outcomes) {
            let frame = SpoolFrame::End(Box::new(ResultRecord::new(3, outcome)));
            let mut records = vec![(3, serde_json::to_vec(&frame).unwrap())];
            assert!(write_pack(&dir.pack(&tag, number), &mut records).unwrap());
        }
        let found = ResultFinder::new(dir.clone()).find(&tag, 0, 3).unwrap();
        assert_eq!(found.map(|it| it.outcome), Some(Outcome::Succeeded));
        assert!(ResultFinder::new(dir).find(&tag, 0, 4).unwrap().is_none());
    }
}
