//! The commands that jobs and reflow itself run. Their form is no promise: the program that submitted
//! a run is pinned with it.

mod dispatch;
mod probe;
mod supervisor;
mod worker;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

/// Runs a hidden command, if the arguments name one.
pub(crate) fn execute(arguments: &[OsString]) -> Option<ExitCode> {
    let command = arguments.get(1).and_then(|argument| argument.to_str())?;
    let options = || Options::read(arguments.get(2..).unwrap_or_default());
    let ended = match command {
        "worker" => options().and_then(|options| worker::execute(&options)),
        "dispatch" => options().and_then(|options| dispatch::execute(&options)),
        "probe" => options().and_then(|options| probe::execute(&options)),
        "supervisor" => options().and_then(|options| supervisor::execute(&options)),
        _ => return None,
    };
    Some(match ended {
        Ok(code) => code,
        Err(error) => error.show(Output { json: false }).into(),
    })
}

/// Flags with their values. Read by hand: the whole command line costs more than a worker does.
#[derive(Debug, Default)]
struct Options(BTreeMap<String, OsString>);

impl Options {
    fn read(arguments: &[OsString]) -> Result<Self, CliError> {
        let mut options = BTreeMap::new();
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let name = flag
                .to_str()
                .and_then(|flag| flag.strip_prefix("--"))
                .ok_or_else(|| unknown(flag))?;
            let value = match name {
                "serve" => OsString::new(),
                "dir" | "index" | "run-dir" | "submission" => {
                    rest.next().ok_or_else(|| missing(name))?.clone()
                }
                _ => return Err(unknown(flag)),
            };
            // A batch system that adds an index has the last word.
            options.insert(name.to_owned(), value);
        }
        Ok(Self(options))
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn path(&self, name: &str) -> Result<PathBuf, CliError> {
        let value = self.0.get(name).ok_or_else(|| missing(name))?;
        Ok(PathBuf::from(value))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str())
    }

    fn parsed<T>(&self, name: &str) -> Result<T, CliError>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let text = self.text(name).ok_or_else(|| missing(name))?;
        text.parse()
            .map_err(|error| CliError::request(format!("--{name} {text}: {error}")))
    }
}

fn unknown(flag: &OsStr) -> CliError {
    CliError::request(format!("unknown flag `{}`", flag.display()))
        .with_hint("this is a command of reflow's own; `reflow --help` lists those for people")
}

fn missing(name: &str) -> CliError {
    CliError::request(format!("--{name} needs a value"))
        .with_hint("this is a command of reflow's own; `reflow --help` lists those for people")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, CliError> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Options::read(&words)
    }

    #[test]
    fn flags_are_read_with_their_values() {
        let options = read("--run-dir /a --submission t --index 3").expect("sound flags");
        assert_eq!(options.parsed::<u32>("index").expect("a number"), 3);
        assert_eq!(
            options.path("run-dir").expect("a path"),
            PathBuf::from("/a")
        );
        assert!(!options.has("serve"));
        assert!(read("--index").is_err());
        assert!(read("--color always").is_err());
        assert!(read("index 3").is_err());
        assert!(
            read("--index x")
                .expect("a flag")
                .parsed::<u32>("index")
                .is_err()
        );
    }
}
