//! The program in Python, run as a user would.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn program() -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "the second implementation is no program that reflow runs"
    )]
    let mut command = Command::new("python3");
    command
        .arg("-B")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("identity/identity.py"));
    command
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).expect("digests")
}

/// Has the program check the vectors of a file.
pub(crate) fn check(vectors: &Path) {
    text(&program().arg("--check").arg(vectors).output().expect("run"));
}

/// Returns the digests of vectors, each a line of JSON.
pub(crate) fn digests(lines: &[String]) -> Vec<String> {
    let mut child = program()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = lines.join("\n");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("ended");
    let text = text(&output);
    writer.join().expect("no panic").expect("written");
    text.lines()
        .map(|line| line.split(' ').next().expect("a digest").to_owned())
        .collect()
}
