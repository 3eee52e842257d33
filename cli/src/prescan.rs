use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Flags of reflow's own that take a value and may stand before the command.
const WITH_VALUE: [&str; 3] = ["--backend", "--config", "--store"];

/// What must be known of the command line before it can be parsed: which workflow's parameters are
/// flags, and how errors are shown. Lenient: what is wrong is found when it is parsed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Prescan {
    /// The command.
    pub(crate) command: Option<String>,
    /// The value of `--workflow`.
    pub(crate) workflow: Option<PathBuf>,
    /// Whether help is asked for.
    pub(crate) help: bool,
    /// Whether JSON is asked for.
    pub(crate) json: bool,
}

impl Prescan {
    /// Looks through the arguments after the program's name.
    pub(crate) fn of(arguments: &[OsString]) -> Self {
        let mut found = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let text = argument.to_string_lossy();
            match text.as_ref() {
                "--" => break,
                "--json" => found.json = true,
                "-h" | "--help" => found.help = true,
                "-w" | "--workflow" => found.workflow = rest.next().map(PathBuf::from),
                flag if WITH_VALUE.contains(&flag) => {
                    rest.next();
                }
                flag if flag.starts_with('-') => {
                    if let Some(value) = attached(argument) {
                        found.workflow = Some(value);
                    }
                }
                word => {
                    found.command.get_or_insert_with(|| word.to_owned());
                }
            }
        }
        found
    }
}

/// Returns the value of `--workflow=X`, `-w=X` or `-wX`.
fn attached(argument: &OsStr) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = argument.as_bytes();
    let value = bytes
        .strip_prefix(b"--workflow=")
        .or_else(|| bytes.strip_prefix(b"-w="))
        .or_else(|| bytes.strip_prefix(b"-w"))?;
    Some(PathBuf::from(OsStr::from_bytes(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(line: &str) -> Prescan {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Prescan::of(&words)
    }

    #[test]
    fn the_workflow_is_found_in_every_spelling() {
        for line in [
            "submit -w a/b",
            "--backend slurm submit -wa/b --text x",
            "run -w=a/b",
            "run --json --workflow=a/b",
            "run --workflow a/b --help",
        ] {
            assert_eq!(
                scan(line).workflow.as_deref(),
                Some(std::path::Path::new("a/b")),
                "{line}"
            );
        }
        assert_eq!(scan("run -- -w a").workflow, None);
    }

    #[test]
    fn the_command_is_not_the_value_of_a_flag() {
        let found = scan("--store status --json run --text submit");
        assert_eq!(found.command.as_deref(), Some("run"));
        assert!(found.json && !found.help);
    }
}
