//! Reading the states of an array of 10,000 elements, from the queue and from the accounting.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use reflow_backend_slurm::fuzzing;

const ELEMENTS: usize = 10_000;

/// What `squeue` prints: a line for each element that has started or ended.
fn queue() -> String {
    let mut answer = String::new();
    for index in 0..ELEMENTS {
        let line = match index % 3 {
            0 => format!("43_{index}|COMPLETED|None|0|1795397589|1795397590|c{index}|"),
            1 => format!("43_{index}|FAILED|NonZeroExitCode|1024|1795397589|1795397590|c{index}|"),
            _ => format!("43_{index}|RUNNING|None|0|1795397589|1795483989|c{index}|"),
        };
        writeln!(answer, "{line}").expect("writing to a string");
    }
    answer
}

/// What `sacct` prints: a line for each element, and one for its step.
fn accounting() -> String {
    let mut answer = String::new();
    for index in 0..ELEMENTS {
        let (state, code) = match index % 3 {
            0 => ("COMPLETED", "0:0"),
            1 => ("FAILED", "4:0"),
            _ => ("OUT_OF_MEMORY", "0:125"),
        };
        for (step, memory) in [("", ""), (".batch", "2796K")] {
            writeln!(
                answer,
                "43_{index}{step}|{state}|{code}|1795397589|1795397590|1|{memory}|c{index}"
            )
            .expect("writing to a string");
        }
    }
    answer
}

fn status(c: &mut Criterion) {
    let (queue, accounting) = (queue(), accounting());
    assert_eq!(fuzzing::slurm_queue(queue.as_bytes()), Some(ELEMENTS));
    assert_eq!(
        fuzzing::slurm_accounting(accounting.as_bytes()),
        Some(ELEMENTS)
    );
    c.bench_function("slurm/10,000 elements/squeue", |b| {
        b.iter(|| fuzzing::slurm_queue(black_box(queue.as_bytes())));
    });
    c.bench_function("slurm/10,000 elements/sacct", |b| {
        b.iter(|| fuzzing::slurm_accounting(black_box(accounting.as_bytes())));
    });
}

criterion_group!(benches, status);
criterion_main!(benches);
