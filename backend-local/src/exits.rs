//! How processes ended that outlived their supervisor: written by the watcher, who inherits them, and
//! read by the next supervisor. A line each, with the id of the process, its start time, its exit status
//! or `-`, its signal or `-`, and 1 where it led a group, as what a supervisor starts does.

use std::collections::HashMap;
use std::path::Path;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PastExit {
    pub(crate) code: Option<u8>,
    pub(crate) signal: Option<u8>,
    /// Whether it was started by a supervisor, rather than by something that one had started.
    pub(crate) is_direct: bool,
}

/// By id and start time.
pub(crate) type Exits = HashMap<(u32, u64), PastExit>;

/// Returns the line of an exit.
pub(crate) fn line(process: u32, started: u64, exit: PastExit) -> String {
    let field = |value: Option<u8>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    format!(
        "{process} {started} {} {} {}\n",
        field(exit.code),
        field(exit.signal),
        u8::from(exit.is_direct)
    )
}

/// Reads what is there; lines that make no sense are passed over.
pub(crate) fn read(path: &Path) -> Exits {
    let text = fs_err::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<((u32, u64), PastExit)> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [process, started, code, signal, is_direct] = fields[..] else {
        return None;
    };
    let field = |text: &str| match text {
        "-" => Some(None),
        text => text.parse().ok().map(Some),
    };
    let exit = PastExit {
        code: field(code)?,
        signal: field(signal)?,
        is_direct: is_direct == "1",
    };
    Some(((process.parse().ok()?, started.parse().ok()?), exit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_a_line_cut_short_is_not() {
        let code = PastExit {
            code: Some(3),
            signal: None,
            is_direct: true,
        };
        let signal = PastExit {
            code: None,
            signal: Some(9),
            is_direct: false,
        };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("exits");
        assert!(read(&path).is_empty());
        let text = line(7, 100, code) + &line(8, 101, signal) + "9 102 1";
        fs_err::write(&path, text).expect("writable");
        let found = read(&path);
        assert_eq!(found.len(), 2);
        assert_eq!(found[&(7, 100)], code);
        assert_eq!(found[&(8, 101)], signal);
    }
}
