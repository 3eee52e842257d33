use std::io;
use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;

/// Opens a file for reading, and returns it with its size; none where there is something else, of which
/// reading might never end.
pub(super) fn open(path: &Path) -> io::Result<Option<(fs::File, u64)>> {
    let file = fs::OpenOptions::new()
        .read(true)
        // A pipe would have us wait for a writer.
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path)?;
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata.len())))
}
