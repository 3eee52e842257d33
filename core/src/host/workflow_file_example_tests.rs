//! The documentation and the example do what they say.

use std::path::Path;

use serde_json::json;

use super::load;

#[test]
fn the_reference_names_every_key_and_every_reserved_flag() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/workflow-file.md");
    let reference = fs_err::read_to_string(path).expect("the reference is there");
    for key in super::workflow_file_task::task_keys() {
        assert!(
            reference.contains(&format!("`{key}`")) || key == "params",
            "`{key}` is missing"
        );
    }
    for key in super::workflow_file_task::PARAMETER_KEYS
        .iter()
        .chain(&crate::config::TOP_LEVEL_KEYS)
    {
        assert!(
            reference.contains(&format!("`{key}`")),
            "`{key}` is missing"
        );
    }
    for flag in crate::workflow::RESERVED_FLAGS {
        assert!(
            reference.contains(&format!("`--{flag}`")),
            "--{flag} is missing"
        );
    }
    for short in crate::workflow::RESERVED_SHORT_FLAGS {
        assert!(
            reference.contains(&format!("`-{short}`")),
            "-{short} is missing"
        );
    }
}

/// Runs what a task prepared, as the worker would, and reads its result.
#[expect(
    clippy::disallowed_methods,
    reason = "that the example does what it says can only be seen by running it"
)]
fn run(
    task: &crate::workflow::TaskDescription,
    inputs: &[(&str, serde_json::Value)],
    run_dir: &Path,
) -> serde_json::Value {
    let inputs = inputs
        .iter()
        .map(|(name, value)| {
            (
                crate::id::ParameterName::new(*name).expect("a name"),
                value.clone(),
            )
        })
        .collect();
    let scratch = tempfile::tempdir().expect("a directory");
    let command = super::CompiledCommand::compile(task).expect("compiled");
    let invocation = command
        .prepare(&inputs, run_dir, scratch.path())
        .expect("prepared");
    for (path, content) in invocation.files {
        fs_err::write(path, content).expect("written");
    }
    let output = std::process::Command::new(&invocation.argv[0])
        .args(&invocation.argv[1..])
        .current_dir(run_dir)
        .output()
        .expect("the program runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    command
        .collect(&output.stdout, &inputs, run_dir)
        .expect("a result")
}

#[test]
fn the_example_counts_words_whatever_its_paths_look_like() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/wordcount");
    let sample = fs_err::read_to_string(example.join("sample.txt")).expect("the sample");
    let odd = "a 'b' \"c\" $d; é {part} [x] *";
    let directory = tempfile::tempdir().expect("a directory");
    let run_dir = directory.path().join(odd);
    fs_err::create_dir(&run_dir).expect("made");
    let text = run_dir.join(format!("{odd}.txt"));
    fs_err::write(&text, &sample).expect("written");
    let tasks = load(&example).expect("right").description.tasks;
    let parts = run(
        &tasks[0],
        &[("text", json!(text)), ("parts", json!(8))],
        &run_dir,
    );
    let parts = parts.as_array().expect("a list");
    assert_eq!(parts.len(), 8);
    let counts: Vec<_> = parts
        .iter()
        .map(|part| run(&tasks[1], &[("part", part.clone())], &run_dir))
        .collect();
    let total = run(&tasks[2], &[("counts", json!(counts))], &run_dir);
    assert_eq!(total, json!(sample.split_whitespace().count()));
}
