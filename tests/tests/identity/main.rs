//! `docs/identity.md` is a complete definition: two programs that know nothing of each other compute the
//! same digests from it, reflow and `tests/identity/identity.py`.

mod ours;
mod python;
mod random;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use reflow_tests::{local_case, python_case, run_cases};
use serde_json::Value;

fn main() -> ExitCode {
    run_cases(&[
        local_case("reflow_computes_every_vector", reflow_computes_every_vector),
        local_case(
            "digests_differ_where_inputs_do",
            digests_differ_where_inputs_do,
        ),
        python_case("the_python_program_computes_every_vector", || {
            python::check(&vectors_file());
        }),
        python_case("both_agree_on_random_inputs", both_agree_on_random_inputs),
    ])
}

fn vectors_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("identity/vectors.json")
}

fn vectors() -> Vec<Value> {
    let text = fs_err::read_to_string(vectors_file()).expect("the vectors");
    serde_json::from_str(&text).expect("a list")
}

fn name(vector: &Value) -> &str {
    vector["name"].as_str().expect("each vector has a name")
}

fn reflow_computes_every_vector() {
    let vectors = vectors();
    assert!(vectors.len() >= 60, "{} vectors", vectors.len());
    let faults: Vec<String> = vectors
        .iter()
        .filter_map(|vector| {
            let found = ours::digest(vector).to_string();
            (vector["digest"] != *found).then(|| format!("{}: {found}", name(vector)))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Names that stand for the same input are written down here: all others differ.
fn digests_differ_where_inputs_do() {
    const SAME: &[(&str, &str)] = &[
        ("blake3 of 1 bytes", "integer 0"),
        ("float -0.0", "an integer of -0 is the float"),
        ("object of five", "object of five, in another order"),
        (
            "nested objects, keys in one order",
            "nested objects, keys in another order",
        ),
        (
            "value: int",
            "value: float written as a whole number is an integer",
        ),
        ("value: int", "value: optional with a value"),
        ("value: none", "value: json null"),
        ("value: none", "value: optional null"),
        (
            "value: file in the run directory",
            "value: the same file in another run directory",
        ),
        (
            "value: path that a task returned",
            "value: path with slashes that say nothing",
        ),
        (
            "tree: two files",
            "tree: two files, listed in another order",
        ),
        ("task: of a workflow", "task: parameters in another order"),
    ];
    let vectors = vectors();
    let mut seen = std::collections::BTreeMap::new();
    for vector in &vectors {
        let digest = vector["digest"].as_str().expect("a digest");
        if let Some(first) = seen.insert(digest, name(vector)) {
            let pair = (first, name(vector));
            let first = SAME.iter().find(|same| same.1 == pair.0);
            let first = first.map_or(pair.0, |same| same.0);
            assert!(SAME.contains(&(first, pair.1)), "{pair:?} are the same");
        }
    }
    for (a, b) in SAME {
        let digest = |of: &str| {
            let vector = vectors.iter().find(|vector| name(vector) == of);
            vector.unwrap_or_else(|| panic!("no vector {of}"))["digest"].clone()
        };
        assert_eq!(digest(a), digest(b), "{a}, {b}");
    }
}

fn both_agree_on_random_inputs() {
    let seed = random::seed();
    let mut vectors = random::Vectors::new(seed);
    // As text: what is compared includes how a number that was written is read.
    let lines: Vec<String> = (0..400).map(|number| vectors.vector(number)).collect();
    let theirs = python::digests(&lines);
    assert_eq!(theirs.len(), lines.len());
    for (line, theirs) in lines.iter().zip(theirs) {
        let vector: Value = serde_json::from_str(line).expect("a vector");
        assert_eq!(
            ours::digest(&vector).to_string(),
            theirs,
            "seed {seed}: {line}"
        );
    }
}
