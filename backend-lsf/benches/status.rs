//! Reading the states of an array of 10,000 elements, in each form in which LSF tells them.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use reflow_backend_lsf::fuzzing;

const ELEMENTS: usize = 10_000;

/// What `bjobs -o` prints: a line for each element.
fn custom() -> String {
    let mut answer = String::new();
    for index in 1..=ELEMENTS {
        let line = match index % 4 {
            0 => format!("43^{index}^DONE^-^-^2 Mbytes^12 second(s)^Nov 22 16:45^n{index}^-"),
            1 => format!("43^{index}^EXIT^4^-^1.5 Gbytes^3 second(s)^Nov 22 16:45^4*n{index}^-"),
            2 => format!("43^{index}^RUN^-^-^-^9 second(s)^Nov 22 16:45^n{index}^-"),
            _ => format!(
                "43^{index}^PEND^-^-^-^0 second(s)^-^-^The job array has reached its job slot limit;"
            ),
        };
        writeln!(answer, "{line}").expect("writing to a string");
    }
    answer
}

/// What `bjobs -l` prints: about forty lines of 80 columns for each element, the script of reflow's worker
/// among them.
fn long() -> String {
    let script = "#!/bin/bash;exec >>/scratch/user/run/.reflow/logs/S1/out.\"$((LSB_JOBINDEX - 1))\" 2>&1 || exit 1;export REFLOW_JOB_ID=\"$LSB_JOBID\";unset LSB_NTRIES;export LC_ALL=C.UTF-8;cd -- /scratch/user/run;exec -- /opt/reflow/bin/reflow worker /scratch/user/run S1 --index \"$((LSB_JOBINDEX - 1))\"";
    let mut answer = String::new();
    for index in 1..=ELEMENTS {
        let (status, last) = match index % 4 {
            0 => (
                "DONE",
                "Sun Nov 22 16:45:09: Done successfully. The CPU time used is 0.1 seconds.\n",
            ),
            1 => (
                "EXIT",
                "Sun Nov 22 16:45:09: Exited with exit code 4. The CPU time used is 0.1 seconds.\n",
            ),
            2 => (
                "RUN",
                "Sun Nov 22 16:45:09: Resource usage collected.\n                     MEM: 6 Mbytes;  SWAP: 243 Mbytes\n",
            ),
            _ => (
                "PEND",
                " PENDING REASONS:\n The job array has reached its job slot limit;\n",
            ),
        };
        let mut block = format!(
            "\nJob <43[{index}]>, Job Name <rabcdefghijklmn[{index}]>, User <reflowt>, Project <default>, Status <{status}>, Queue <normal>, Command <{script}>\nSun Nov 22 16:45:01: Submitted from host <login1>, CWD </scratch/user/run>, Output File </dev/null>, Requested Resources <rusage[mem=1000] span[hosts=1]>;\n"
        );
        if status != "PEND" {
            writeln!(block, "Sun Nov 22 16:45:02: [{index}] started on <node{index}>, Execution Home </home/reflowt>, Execution CWD </scratch/user/run>;").expect("writing to a string");
        }
        block.push_str(last);
        block.push_str("\n SCHEDULING PARAMETERS:\n           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem\n loadSched   -     -     -     -       -     -    -     -     -      -      -  \n loadStop    -     -     -     -       -     -    -     -     -      -      -  \n");
        for line in block.lines() {
            let columns: Vec<char> = line.chars().collect();
            let (first, rest) = columns.split_at(columns.len().min(80));
            answer.extend(first);
            answer.push('\n');
            for part in rest.chunks(59) {
                answer.push_str("                     ");
                answer.extend(part);
                answer.push('\n');
            }
        }
        answer.push_str(
            "------------------------------------------------------------------------------\n",
        );
    }
    answer
}

fn status(c: &mut Criterion) {
    let (custom, long) = (custom(), long());
    assert_eq!(fuzzing::lsf_custom(custom.as_bytes()), Some(ELEMENTS));
    assert_eq!(fuzzing::lsf_long(long.as_bytes()), Some(ELEMENTS));
    c.bench_function("lsf/10,000 elements/bjobs -o", |b| {
        b.iter(|| fuzzing::lsf_custom(black_box(custom.as_bytes())));
    });
    c.bench_function("lsf/10,000 elements/bjobs -l", |b| {
        b.iter(|| fuzzing::lsf_long(black_box(long.as_bytes())));
    });
}

criterion_group!(benches, status);
criterion_main!(benches);
