//! Kills with -9 at every point, of every kind of process.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use reflow_tests::{Case, local_case, slow_case, slow_slurm_case};

use crate::plan::{Place, Plan, census};
use crate::rig::{Backend, Rig};
use crate::story::{End, Told, tell};

pub(crate) const CASES: &[Case] = &[
    local_case("fifty_kills_on_this_machine", fifty),
    slow_case("kills_at_every_point_on_this_machine", local),
    slow_slurm_case("kills_at_every_point_on_slurm", slurm),
];

fn fifty() {
    kill(Backend::Local, 3, 50, 6);
}

fn local() {
    kill(Backend::Local, 4, 450, 8);
}

fn slurm() {
    kill(Backend::Slurm, 3, 80, 16);
}

/// Reads a number that replays: `REFLOW_FAULTS_SEED`, `REFLOW_FAULTS_RUNS`.
fn given(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "said by whoever runs the test")]
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// Makes `kills` runs in which something is killed, some at a time, and tells what became of them.
fn kill(backend: Backend, width: u32, kills: usize, at_a_time: usize) {
    let begin = Instant::now();
    let first = given("REFLOW_FAULTS_SEED").unwrap_or(1);
    let kills = given("REFLOW_FAULTS_RUNS").map_or(kills, |runs| runs as usize);
    let places = census(backend, width, 1);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(Plan, Told)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_a_time.min(kills) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= kills {
                        return;
                    }
                    let seed = first + number as u64;
                    let place = &places[(seed as usize - 1) % places.len()];
                    let plan = Plan::of(seed, backend, place);
                    let told = one(&plan, width);
                    done.lock()
                        .expect("no thread panics with it")
                        .push((plan, told));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no thread panics with it");
    done.sort_by_key(|(plan, _)| plan.seed);
    let failures = show(&places, &done, begin);
    assert!(
        failures == 0,
        "{failures} of {} runs went wrong; replay one with REFLOW_FAULTS_SEED=N REFLOW_FAULTS_RUNS=1",
        done.len()
    );
}

fn one(plan: &Plan, width: u32) -> Told {
    let rig = Rig::new(
        plan.backend,
        plan.dispatch,
        width,
        plan.story.nap(),
        &plan.text(),
    );
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tell(&rig, plan)));
    let mut told = ended.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .unwrap_or_else(|| "a panic".to_owned());
        Told {
            faults: vec![text],
            ..Told::default()
        }
    });
    if !told.faults.is_empty() {
        told.faults
            .push(format!("left in {}", rig.program.home().display()));
        rig.program.keep();
    }
    told
}

/// Prints the kills by role and point, and returns the number of runs that went wrong.
fn show(places: &[Place], done: &[(Plan, Told)], begin: Instant) -> usize {
    let mut rows: BTreeMap<(&str, &str), [usize; 7]> = BTreeMap::new();
    for (plan, told) in done {
        let rule = &plan.rules[0];
        let row = rows.entry((&rule.role, &rule.point)).or_default();
        row[0] += told.fired;
        match told.end {
            End::Alone => row[1] += 1,
            End::Waited => row[2] += 1,
            End::Resubmitted => row[3] += 1,
            End::Cancelled => row[4] += 1,
        }
        row[5] += told.lost;
        row[6] += usize::from(!told.faults.is_empty());
    }
    let mut out = std::io::stdout().lock();
    let mut say = |text: String| {
        // A closed standard output is nothing that a run can help.
        let _ = writeln!(out, "{text}");
    };
    say(format!(
        "\n{:<12} {:<28} kills alone waited resubmitted cancelled lost wrong",
        "role", "point"
    ));
    let mut total = [0; 7];
    for ((role, point), row) in &rows {
        let [kills, alone, waited, again, cancelled, lost, wrong] = row;
        say(format!(
            "{role:<12} {point:<28} {kills:>5} {alone:>5} {waited:>6} {again:>11} {cancelled:>9} {lost:>4} {wrong:>5}"
        ));
        for (sum, number) in total.iter_mut().zip(row) {
            *sum += number;
        }
    }
    let reached: std::collections::BTreeSet<&str> =
        places.iter().map(|place| place.point.as_str()).collect();
    let mut slow: Vec<_> = done.iter().map(|(plan, told)| (told.took, plan)).collect();
    slow.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
    for (took, plan) in slow.iter().take(5) {
        say(format!("{:.1} s: {plan}", took.as_secs_f64()));
    }
    say(format!(
        "{} runs, {} kills at {} of {} places ({} points), {} elements lost, {} wrong, in {:.0} s",
        done.len(),
        total[0],
        rows.len(),
        places.len(),
        reached.len(),
        total[5],
        total[6],
        begin.elapsed().as_secs_f64()
    ));
    for (plan, told) in done.iter().filter(|(_, told)| !told.faults.is_empty()) {
        say(format!("WRONG {plan}"));
        for fault in &told.faults {
            say(format!("    {fault}"));
        }
    }
    total[6]
}
