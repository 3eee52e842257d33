use std::fmt;
use std::io::Write;
use std::path::Path;

use fs_err as fs;
use reflow_core::rundir::{create_exclusive, publish};

/// What a file system does not do as it should.
#[derive(Debug)]
pub(super) struct Failed {
    what: &'static str,
    why: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not work: {}", self.what, self.why)
    }
}

/// Does in an empty directory what reflow does with files, and looks whether it came out right.
pub(super) fn look(directory: &Path) -> Result<(), Failed> {
    let failed = |what| {
        move |error: std::io::Error| Failed {
            what,
            why: error.to_string(),
        }
    };
    let wrong = |what, why: &str| {
        Err(Failed {
            what,
            why: why.to_owned(),
        })
    };
    let what = "exclusive create";
    let path = directory.join("exclusive");
    let first = create_exclusive(&path, b"first").map_err(failed(what))?;
    let second = create_exclusive(&path, b"second").map_err(failed(what))?;
    if !first || second || fs::read(&path).map_err(failed(what))? != b"first" {
        return wrong(
            what,
            "of two that create the same file, the second one did not lose",
        );
    }
    let what = "rename";
    let path = directory.join("renamed");
    for content in ["first", "second"] {
        publish(&path, content.as_bytes()).map_err(failed(what))?;
        if fs::read(&path).map_err(failed(what))? != content.as_bytes() {
            return wrong(
                what,
                "the file has another content than the one put in its place",
            );
        }
    }
    let what = "append";
    let path = directory.join("appended");
    let open = || {
        fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .map_err(failed(what))
    };
    let (mut one, mut two) = (open()?, open()?);
    for _ in 0..2 {
        one.write_all(b"a").map_err(failed(what))?;
        two.write_all(b"b").map_err(failed(what))?;
    }
    if fs::read(&path).map_err(failed(what))? != b"abab" {
        return wrong(what, "what two writers appended is not all there");
    }
    let what = "sync";
    one.sync_all().map_err(failed(what))?;
    one.sync_data().map_err(failed(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_directory_passes_and_one_that_is_not_there_says_what_failed() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        look(directory.path()).expect("the file system of tests is sound");
        let failed = look(&directory.path().join("none")).expect_err("there is no such directory");
        assert!(
            failed
                .to_string()
                .starts_with("exclusive create does not work: "),
            "{failed}"
        );
    }
}
