use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;

use bstr::ByteSlice;

use crate::rundir::JobEnvironment;

/// The variables that bodies get.
pub type Variables = BTreeMap<OsString, OsString>;

/// Returns the variables for bodies: what the batch system gave this job, under what `submit` had
/// (scrubbed when it was saved), under the task's own.
pub(super) fn variables(
    job: impl IntoIterator<Item = (OsString, OsString)>,
    saved: &JobEnvironment,
    task: &BTreeMap<String, String>,
) -> Variables {
    let mut variables: Variables = job.into_iter().collect();
    for (name, value) in saved.variables.iter().chain(task) {
        variables.insert(name.into(), value.into());
    }
    variables
}

/// Runs setup lines once and returns the variables as they leave them.
///
/// # Errors
///
/// The output of the lines, when one of them fails.
pub(super) fn set_up(
    lines: &[String],
    directory: &Path,
    variables: Variables,
) -> io::Result<Result<Variables, String>> {
    use std::os::unix::ffi::OsStringExt;
    if lines.is_empty() {
        return Ok(Ok(variables));
    }
    // The lines may print what they like: the variables come through a descriptor of their own.
    let script = format!("set -e\n{}\nset +e\nenv -0 >&3 3>&-\n", lines.join("\n"));
    #[expect(
        clippy::disallowed_methods,
        reason = "a body's shell, not a client of the batch system"
    )]
    let mut command = std::process::Command::new("bash");
    command
        .arg("-c")
        .arg(format!("exec 3>&1 1>&2\n{script}"))
        .env_clear()
        .envs(&variables)
        .current_dir(directory)
        .stdin(Stdio::null());
    let output = command.output()?;
    if !output.status.success() {
        let text = output.stderr.to_str_lossy();
        let what = format!("the setup lines failed with {}", output.status);
        return Ok(Err(format!(
            "{what}: {}",
            crate::command::last_lines(text.trim_end(), 20)
        )));
    }
    let mut result = Variables::new();
    for pair in output.stdout.split_str(b"\0") {
        if let Some((name, value)) = pair.split_once_str(b"=") {
            result.insert(
                OsString::from_vec(name.to_vec()),
                OsString::from_vec(value.to_vec()),
            );
        }
    }
    Ok(Ok(result))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> Variables {
        [
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("OLD".into(), "1".into()),
        ]
        .into_iter()
        .collect()
    }

    #[test]
    fn what_setup_lines_export_reaches_the_bodies() {
        let lines = [
            "echo noise".to_owned(),
            "export NEW=$'a\nb'".to_owned(),
            "unset OLD".to_owned(),
        ];
        let variables = set_up(&lines, Path::new("/"), path()).unwrap().unwrap();
        assert_eq!(
            variables.get(&OsString::from("NEW")),
            Some(&OsString::from("a\nb"))
        );
        assert!(!variables.contains_key(&OsString::from("OLD")));
    }

    #[test]
    fn a_failing_setup_line_is_a_failure_with_its_text() {
        let lines = [
            "echo no such module >&2; false".to_owned(),
            "export NEW=1".to_owned(),
        ];
        let message = set_up(&lines, Path::new("/"), path()).unwrap().unwrap_err();
        assert!(message.contains("no such module"), "{message}");
    }
}
