//! How long it takes to make states of one answer about an array of 10,000 elements.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use reflow_backend_pbs::fuzzing::{pbs_json, pbs_text};

const ELEMENTS: usize = 10_000;

/// An element as OpenPBS 23.06.06 shows it, with an environment of some length.
const ELEMENT: &str = include_str!("../tests/fixtures/qstat-array-running.json");

/// An element as Torque shows it.
const TORQUE: &str = include_str!("../tests/fixtures/qstat-torque-6.1.txt");

/// Returns an answer of the real layout, with the record of one element many times under its own ids.
fn json() -> String {
    let start = ELEMENT.find("\"20[0]").expect("has element 0");
    let end = ELEMENT.find("\"20[1]").expect("has element 1");
    let element = &ELEMENT[start..end];
    let mut answer = ELEMENT[..start].to_owned();
    for index in 0..ELEMENTS {
        answer.push_str(&element.replace("20[0]", &format!("20[{index}]")));
    }
    answer.truncate(answer.trim_end().trim_end_matches(',').len());
    answer.push_str("}}\n");
    answer
}

fn text() -> String {
    let job = TORQUE.split("\n\n").next().expect("has a job");
    let mut answer = String::new();
    for index in 0..ELEMENTS {
        let id = format!("1097[{index}].");
        writeln!(answer, "{}\n", job.replace("1097.", &id)).expect("writing to a string");
    }
    answer
}

fn status(criterion: &mut Criterion) {
    let (json, text) = (json(), text());
    assert_eq!(pbs_json(json.as_bytes()), Some(ELEMENTS));
    assert_eq!(pbs_text(text.as_bytes()), Some(ELEMENTS));
    criterion.bench_function("pbs/10,000 elements/qstat -F json", |bencher| {
        bencher.iter(|| pbs_json(black_box(json.as_bytes())));
    });
    criterion.bench_function("pbs/10,000 elements/qstat -f", |bencher| {
        bencher.iter(|| pbs_text(black_box(text.as_bytes())));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = status
}
criterion_main!(benches);
