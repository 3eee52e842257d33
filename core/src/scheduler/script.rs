//! The job script, written once for all backends.
//!
//! A backend gives the expression of its array index and lines of its own; everything else comes
//! from the [`Command`]: variables, working directory, setup lines, and the command itself, which
//! takes the place of the shell.

use std::fmt::Write as _;

use super::{Command, SchedulerError, SchedulerErrorKind};

/// Returns `text` as one word of bash, whatever characters it has.
///
/// A word with control characters is written as `$'...'` on one line: `sbatch` refuses scripts with
/// a carriage return before a line end, and a line of a value must never be read as a directive.
pub fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 8);
    if text.chars().any(|c| c.is_ascii_control()) {
        quoted.push_str("$'");
        for c in text.chars() {
            match c {
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                '\'' => quoted.push_str("\\'"),
                '\\' => quoted.push_str("\\\\"),
                c if c.is_ascii_control() => {
                    write!(quoted, "\\x{:02x}", c as u32).expect("writing to a string");
                }
                c => quoted.push(c),
            }
        }
    } else {
        quoted.push('\'');
        quoted.push_str(&text.replace('\'', "'\\''"));
    }
    quoted.push('\'');
    quoted
}

/// Returns the line that gives the job back what the submitting client had to have another value of.
pub fn restore(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("export {name}={}", quote(value)),
        None => format!("unset {name}"),
    }
}

/// Returns the job script for `command`.
///
/// `index` is the shell expression of the element's index from 0, such as `$SLURM_ARRAY_TASK_ID` or
/// `$((PBS_ARRAY_INDEX - 1))`, for an array, else none. `prologue` are lines of the backend, put
/// before everything else.
///
/// A setup line that fails ends the script with the line's exit status; a directory that cannot be
/// entered ends it with 1. Both say so on standard error.
///
/// # Errors
/// [`SchedulerErrorKind::InvalidRequest`] when something cannot be said in a script: a NUL character,
/// a variable whose name is none, an empty command.
pub fn body(
    command: &Command,
    index: Option<&str>,
    prologue: &[String],
) -> Result<String, SchedulerError> {
    check(command)?;
    let mut script = String::from("#!/bin/bash\n");
    for line in prologue {
        script.push_str(line);
        script.push('\n');
    }
    for (name, value) in &command.environment {
        // The name is checked to be an identifier, which needs no quotes.
        script.push_str("export ");
        script.push_str(name);
        script.push('=');
        script.push_str(&quote(value));
        script.push('\n');
    }
    let directory = command.directory.to_str().ok_or_else(|| {
        invalid(format!(
            "the working directory `{}` is not UTF-8",
            command.directory.display()
        ))
    })?;
    script.push_str("cd -- ");
    script.push_str(&quote(directory));
    script.push_str(" || { echo 'reflow: could not enter the working directory' >&2; exit 1; }\n");
    for line in &command.setup {
        script.push_str(line);
        script.push_str("\nreflow_status=$?; [ $reflow_status -eq 0 ] || { printf ");
        script.push_str("'reflow: setup failed with exit status %s: %s\\n' $reflow_status ");
        script.push_str(&quote(line));
        script.push_str(" >&2; exit $reflow_status; }\n");
    }
    if !command.setup.is_empty() {
        script.push_str("unset reflow_status\n");
    }
    script.push_str("exec --");
    for word in &command.argv {
        script.push(' ');
        script.push_str(&quote(word));
    }
    if let Some(index) = index {
        script.push_str(" --index \"");
        script.push_str(index);
        script.push('"');
    }
    script.push('\n');
    Ok(script)
}

/// Refuses a command that no script can say.
pub(crate) fn check(command: &Command) -> Result<(), SchedulerError> {
    if command.argv.first().is_none_or(String::is_empty) {
        return Err(invalid("the command is empty".to_owned()));
    }
    for name in command.environment.keys() {
        if !is_variable(name) {
            return Err(invalid(format!(
                "`{name}` is not the name of an environment variable: a letter or `_`, then letters, digits and `_`"
            )));
        }
    }
    let texts = (command.argv.iter().map(|text| ("an argument", text)))
        .chain(
            command
                .environment
                .values()
                .map(|text| ("the environment", text)),
        )
        .chain(command.setup.iter().map(|text| ("a setup line", text)));
    for (place, text) in texts {
        if text.contains('\0') {
            return Err(invalid(format!("{place} has a NUL character: {text:?}")));
        }
    }
    if command
        .directory
        .as_os_str()
        .as_encoded_bytes()
        .contains(&0)
    {
        return Err(invalid(
            "the working directory has a NUL character".to_owned(),
        ));
    }
    Ok(())
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn invalid(message: String) -> SchedulerError {
    SchedulerError::new(SchedulerErrorKind::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::command::{Call, Output, Runner, RunnerOptions};

    fn command(argv: &[&str]) -> Command {
        Command {
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            directory: "/".into(),
            environment: BTreeMap::new(),
            setup: Vec::new(),
            serves_indices: false,
        }
    }

    fn run(script: &str) -> Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let mut call = Call::new(["bash", "-s"]);
        call.stdin = script.as_bytes().to_vec();
        let runner = Runner::new(RunnerOptions {
            environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            ..RunnerOptions::default()
        });
        runtime.block_on(runner.run(&call)).expect("bash runs")
    }

    #[test]
    fn everything_is_quoted() {
        let mut command = command(&[
            "/opt/a b/reflow",
            "worker",
            "it's $HOME; \"x\"",
            "",
            "a\r\nb",
        ]);
        command.directory = "/scratch/größe & co".into();
        command
            .environment
            .insert("NAME".into(), "a\n#SBATCH -p x".into());
        command.setup = vec!["module load gcc".into(), "# remark".into()];
        insta::assert_snapshot!(
            body(&command, Some("$SLURM_ARRAY_TASK_ID"), &["unset LC_ALL".into()]).expect("is valid"),
            @r#"
        #!/bin/bash
        unset LC_ALL
        export NAME=$'a\n#SBATCH -p x'
        cd -- '/scratch/größe & co' || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
        module load gcc
        reflow_status=$?; [ $reflow_status -eq 0 ] || { printf 'reflow: setup failed with exit status %s: %s\n' $reflow_status 'module load gcc' >&2; exit $reflow_status; }
        # remark
        reflow_status=$?; [ $reflow_status -eq 0 ] || { printf 'reflow: setup failed with exit status %s: %s\n' $reflow_status '# remark' >&2; exit $reflow_status; }
        unset reflow_status
        exec -- '/opt/a b/reflow' worker 'it'\''s $HOME; "x"' '' $'a\r\nb' --index "$SLURM_ARRAY_TASK_ID"
        "#
        );
    }

    #[test]
    fn a_failing_setup_line_is_the_failure_of_the_job_with_its_text() {
        let mut command = command(&["echo", "ran"]);
        command.setup = vec![
            "true".into(),
            "(exit 7) # 100%s".into(),
            "echo later".into(),
        ];
        let output = run(&body(&command, None, &[]).expect("is valid"));
        assert_eq!(output.exit, crate::command::Exit::Code(7));
        assert_eq!(output.stdout_text(), "");
        assert_eq!(
            output.stderr_text(),
            "reflow: setup failed with exit status 7: (exit 7) # 100%s\n"
        );
    }

    #[test]
    fn setup_changes_the_environment_of_the_command() {
        let mut command = command(&["printenv", "VALUE"]);
        command.environment.insert("VALUE".into(), "own".into());
        command.setup = vec!["export VALUE=\"$VALUE and setup\"".into()];
        let output = run(&body(&command, None, &[]).expect("is valid"));
        assert_eq!(output.stdout_text(), "own and setup\n");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let mut command = command(&["echo", "ran"]);
        command.directory = "/nowhere at all".into();
        let output = run(&body(&command, None, &[]).expect("is valid"));
        assert!(!output.success());
        assert!(output.stderr_text().contains("/nowhere at all"));
        assert_eq!(output.stdout_text(), "");
    }

    #[test]
    fn the_index_is_an_expression() {
        let command = command(&["printf", "%s|"]);
        let script = body(&command, Some("$((N - 1))"), &["N=5".into()]).expect("is valid");
        assert_eq!(run(&script).stdout_text(), "--index|4|");
    }

    #[test]
    fn what_a_script_cannot_say_is_refused() {
        let mut bad_name = command(&["x"]);
        bad_name.environment.insert("A-B".into(), String::new());
        for command in [command(&[]), command(&[""]), command(&["a\0b"]), bad_name] {
            let error = body(&command, None, &[]).expect_err("cannot be said");
            assert_eq!(error.kind(), SchedulerErrorKind::InvalidRequest);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        #[test]
        fn any_argument_and_variable_arrives_unchanged(
            words in proptest::collection::vec("[^\0]{0,12}", 0..8),
            nasty in "[-'\"\\\\$`;|&<>(){}*?~!# \t\r\n\u{1}\u{7f}é]{0,12}",
            value in "[^\0]{0,20}",
        ) {
            let mut command = command(&["bash", "-c", "printf '%s\\0' \"$VALUE\" \"$@\"", "x"]);
            command.argv.extend(words.iter().cloned());
            command.argv.push(nasty.clone());
            command.environment.insert("VALUE".into(), value.clone());
            let output = run(&body(&command, None, &[]).expect("is valid"));
            let mut expected = vec![value];
            expected.extend(words);
            expected.push(nasty);
            let expected: Vec<u8> = expected.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
            prop_assert_eq!(output.stdout, expected, "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
