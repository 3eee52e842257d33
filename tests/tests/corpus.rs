//! The corpus of the fuzz targets, fed to each parser: as it is, cut off, and changed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use reflow_tests::Random;

type Parser = fn(&[u8]) -> Option<usize>;

/// Each target of `fuzz/` with its parser.
const TARGETS: &[(&str, Parser)] = &[
    ("lsf_custom", reflow_backend_lsf::fuzzing::lsf_custom),
    ("lsf_long", reflow_backend_lsf::fuzzing::lsf_long),
    ("lsf_names", reflow_backend_lsf::fuzzing::lsf_names),
    ("lsf_site", reflow_backend_lsf::fuzzing::lsf_site),
    ("pbs_json", reflow_backend_pbs::fuzzing::pbs_json),
    ("pbs_objects", reflow_backend_pbs::fuzzing::pbs_objects),
    ("pbs_text", reflow_backend_pbs::fuzzing::pbs_text),
    (
        "slurm_accounting",
        reflow_backend_slurm::fuzzing::slurm_accounting,
    ),
    (
        "slurm_partitions",
        reflow_backend_slurm::fuzzing::slurm_partitions,
    ),
    ("slurm_queue", reflow_backend_slurm::fuzzing::slurm_queue),
];

/// How often each answer is cut, and how often it is changed.
const TRIES: u32 = 200;

/// Bytes that mean something in one format or another, or nothing in any.
const BYTES: &[u8] = b"{}[]\":,\\\t\n |.=-0\xff\x00";

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names(directory: PathBuf) -> BTreeSet<String> {
    fs_err::read_dir(directory)
        .expect("the folder is there")
        .map(|entry| entry.expect("can be read").file_name())
        .map(|name| name.into_string().expect("our names are UTF-8"))
        .collect()
}

#[test]
fn no_parser_panics_on_what_the_corpus_became() {
    for (target, parse) in TARGETS {
        let directory = fuzz().join("corpus").join(target);
        for name in names(directory.clone()) {
            let answer = fs_err::read(directory.join(&name)).expect("can be read");
            parse(&answer);
            let mut random = Random::new(answer.len() as u64);
            for _ in 0..TRIES {
                parse(&answer[..random.below(answer.len() as u64 + 1) as usize]);
                parse(&changed(&answer, &mut random));
            }
        }
    }
}

/// A few bytes replaced, removed or doubled.
fn changed(answer: &[u8], random: &mut Random) -> Vec<u8> {
    let mut changed = answer.to_vec();
    for _ in 0..=random.below(8) {
        if changed.is_empty() {
            break;
        }
        let at = random.below(changed.len() as u64) as usize;
        match random.below(3) {
            0 => changed[at] = *random.one(BYTES),
            1 => {
                let end = (at + random.below(40) as usize).min(changed.len());
                changed.drain(at..end);
            }
            _ => {
                let end = (at + random.below(40) as usize).min(changed.len());
                let twice = changed[at..end].to_vec();
                changed.splice(at..at, twice);
            }
        }
    }
    changed
}

#[test]
fn real_answers_are_understood() {
    for (target, parse) in TARGETS {
        let directory = fuzz().join("corpus").join(target);
        let understood = names(directory.clone()).into_iter().any(|name| {
            let answer = fs_err::read(directory.join(name)).expect("can be read");
            parse(&answer).is_some_and(|parts| parts > 0)
        });
        assert!(understood, "{target}: no answer of the corpus is read");
    }
}

#[test]
fn every_target_is_checked_here() {
    let listed: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(fuzz().join("corpus")), listed);
    let files: BTreeSet<String> = listed.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(fuzz().join("fuzz_targets")), files);
}
