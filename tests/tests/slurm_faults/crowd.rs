//! Many jobs at once: arrays beyond the limit, limits on what runs, many small jobs, cancel under load.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use reflow_tests::{Calls, Case, Rig, ends_by_itself, figure, now_ms, wait_for, wait_within};
use serde_json::json;

use crate::{LONG, case};

pub(crate) const CASES: &[Case] = &[
    case(
        "three_thousand_elements_never_more_than_twenty_at_once",
        three_thousand,
    ),
    case(
        "sixty_singletons_behind_one_root_twenty_times_over",
        singletons,
    ),
    case(
        "seven_scattered_elements_of_five_hundred_are_retried_alone",
        scattered_retry,
    ),
    case(
        "cancel_under_load_lets_nothing_start_any_more",
        cancel_under_load,
    ),
];

/// What bodies wrote when they started and ended, `+` or `-`, their element and nanoseconds since 1970.
struct Trace(Vec<(u64, i32, u32)>);

/// A line of shell that writes what [`Trace`] reads; `SIGN` is `+` or `-`.
fn mark(sign: char) -> String {
    // One write of a short line to a file opened for appending is not mixed with others.
    format!("echo {sign} {{n}} $(date +%s%N) >> {{run_dir}}/trace")
}

impl Trace {
    fn read(file: &Path) -> Self {
        let text = fs_err::read_to_string(file).unwrap_or_default();
        let mut events: Vec<(u64, i32, u32)> = text
            .lines()
            .map(|line| {
                let fields: Vec<&str> = line.split(' ').collect();
                let [sign, element, time] = fields[..] else {
                    panic!("a line of the trace: {line:?}");
                };
                let number = |text: &str| text.parse().expect("a number");
                let step = if sign == "+" { 1 } else { -1 };
                (number(time), step, number(element) as u32)
            })
            .collect();
        events.sort_unstable();
        Self(events)
    }

    fn starts(&self) -> BTreeMap<u32, u32> {
        let mut starts = BTreeMap::new();
        for (_, _, element) in self.0.iter().filter(|(_, step, _)| *step == 1) {
            *starts.entry(*element).or_default() += 1;
        }
        starts
    }

    fn most_at_once(&self) -> i32 {
        let mut now = 0;
        let steps = self.0.iter().map(|(_, step, _)| {
            now += step;
            now
        });
        steps.max().unwrap_or(0)
    }
}

fn three_thousand() {
    let rig = Rig::start(&[("SLURM_RIG_MAXARRAY", "1001")]);
    let (program, calls) = Calls::of(rig.program());
    program.write(
        "reflow.toml",
        &format!(
            r#"
            [workflow]
            name = "many"
            [tasks.list]
            shell = "seq 0 2999"
            returns = "list[int]"
            output = "lines"
            [tasks.work]
            array = true
            array_parallelism = 20
            shell = '''
            {}
            sleep 0.1
            {}
            echo {{n}}'''
            params.n = {{ type = "int", result = "list" }}
            returns = "int"
            [tasks.total]
            shell = "awk '{{ n += $1 }} END {{ print n }}' {{all:file}}"
            params.all = {{ type = "list[int]", result = "work" }}
            returns = "int"
            "#,
            mark('+'),
            mark('-')
        ),
    );
    let began = now_ms();
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    let run = submitted["run_id"].as_str().expect("a run id").to_owned();
    let end = ends_by_itself(&program.home().join("run"), 2 * LONG);
    let trace = Trace::read(&program.home().join("run/trace"));
    let most = trace.most_at_once();
    figure(format_args!(
        "3,000 elements, 20 at once: {:.1} s, at most {most} at once, {}",
        (end - began) as f64 / 1e3,
        calls.count()
    ));
    let starts = trace.starts();
    assert_eq!(starts.len(), 3000);
    let twice: Vec<_> = starts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "started more than once: {twice:?}");
    assert!(most <= 20, "{most} ran at once");
    assert_eq!(
        program.json(&["result", &run, "total"])["value"],
        json!(2999 * 3000 / 2)
    );
    let jobs = program.json(&["status", &run])["tasks"][1]["jobs"].clone();
    assert!(
        jobs.as_array().is_some_and(|jobs| jobs.len() >= 3),
        "3,000 elements do not fit two arrays: {jobs}"
    );
}

fn singletons() {
    const WIDTH: u32 = 60;
    const ROUNDS: u32 = 20;
    let rig = Rig::start(&[]);
    let (program, calls) = Calls::of(rig.program());
    let mut workflow = String::from(
        "[workflow]\nname = \"fan\"\n[tasks.root]\nshell = \"echo 7\"\nreturns = \"int\"\n",
    );
    for place in 0..WIDTH {
        writeln!(
            workflow,
            "[tasks.leaf{place}]\nshell = \"echo {place} >> {{run_dir}}/starts; echo {{n}}\"\n\
             params.n = {{ type = \"int\", result = \"root\" }}\nreturns = \"int\""
        )
        .expect("a string takes everything");
    }
    program.write("reflow.toml", &workflow);
    let began = now_ms();
    for round in 0..ROUNDS {
        let name = format!("run{round}");
        let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", &name]);
        let run = submitted["run_id"].as_str().expect("a run id").to_owned();
        ends_by_itself(&program.home().join(&name), LONG);
        let status = program.json(&["status", &run]);
        assert_eq!(status["state"], "succeeded", "round {round}: {status}");
        let starts =
            fs_err::read_to_string(program.home().join(&name).join("starts")).expect("leaves ran");
        let mut places: Vec<u32> = (starts.lines())
            .map(|line| line.parse().expect("a number"))
            .collect();
        places.sort_unstable();
        assert_eq!(places, (0..WIDTH).collect::<Vec<_>>(), "round {round}");
    }
    figure(format_args!(
        "{WIDTH} singletons, {ROUNDS} times: {:.1} s, {}",
        (now_ms() - began) as f64 / 1e3,
        calls.count()
    ));
    // Guards of dispatch jobs that did their work are cancelled by Slurm itself.
    wait_for("the queue to be empty", || rig.queue().is_empty());
}

fn cancel_under_load() {
    let rig = Rig::start(&[]);
    let (program, calls) = Calls::of(rig.program());
    program.write(
        "reflow.toml",
        &format!(
            r#"
            [workflow]
            name = "load"
            [tasks.list]
            shell = "seq 0 499"
            returns = "list[int]"
            output = "lines"
            [tasks.work]
            array = true
            shell = '''
            {}
            sleep 3
            {}
            echo {{n}}'''
            params.n = {{ type = "int", result = "list" }}
            returns = "int"
            [tasks.each]
            array = true
            shell = "{}; echo {{n}}"
            params.n = {{ type = "int", result = "work" }}
            returns = "int"
            "#,
            mark('+'),
            mark('-'),
            mark('+').replace("{n} ", "1{n} "),
        ),
    );
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    let run = submitted["run_id"].as_str().expect("a run id").to_owned();
    let trace = program.home().join("run/trace");
    wait_for("sixty elements to have started", || {
        fs_err::read_to_string(&trace).is_ok_and(|text| text.matches('+').count() >= 60)
    });
    let waiting = rig.queue().len();
    let before = calls.count();
    let began = now_ms();
    program.run(&["cancel", &run]).expect(0);
    let returned = now_ms();
    let after = calls.count();
    wait_for("the queue to be empty", || rig.queue().is_empty());
    let empty = now_ms();
    std::thread::sleep(Duration::from_secs(10));
    let late: Vec<_> = (Trace::read(&trace).0.into_iter())
        .filter(|(time, step, _)| *step == 1 && time / 1_000_000 > returned)
        .collect();
    figure(format_args!(
        "cancel with {waiting} elements in the queue: {:.1} s, queue empty {:.1} s later; \
         before it {before}, until it returned {after}",
        (returned - began) as f64 / 1e3,
        (empty - returned) as f64 / 1e3,
    ));
    assert!(
        late.is_empty(),
        "started after cancel had returned: {late:?}"
    );
    program.run(&["wait", &run]).expect(1);
    assert_eq!(program.json(&["status", &run])["state"], "cancelled");
}

fn scattered_retry() {
    /// Of 500: next to each other, at both ends, and far apart.
    const BAD: [u32; 7] = [0, 1, 77, 250, 251, 400, 499];
    let rig = Rig::start(&[]);
    let (program, calls) = Calls::of(rig.program());
    program.write(
        "reflow.toml",
        &format!(
            r#"
            [workflow]
            name = "scattered"
            [tasks.list]
            shell = "seq 0 499"
            returns = "list[int]"
            output = "lines"
            [tasks.work]
            array = true
            array_parallelism = 30
            shell = '''
            {}
            case {{n}} in {}) [ -e {{run_dir}}/mended ] || exit 9 ;; esac
            {}
            echo {{n}}'''
            params.n = {{ type = "int", result = "list" }}
            returns = "int"
            [tasks.total]
            shell = "awk '{{ n += $1 }} END {{ print n }}' {{all:file}}"
            params.all = {{ type = "list[int]", result = "work" }}
            returns = "int"
            "#,
            mark('+'),
            BAD.map(|element| element.to_string()).join("|"),
            mark('-')
        ),
    );
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    let run = submitted["run_id"].as_str().expect("a run id").to_owned();
    let run_dir = program.home().join("run");
    ends_by_itself(&run_dir, LONG);
    let status = program.json(&["status", &run]);
    assert_eq!(status["state"], "failed", "{status}");
    assert_eq!(status["tasks"][1]["elements"]["failed"], 7, "{status}");
    wait_for("the queue to be empty", || rig.queue().is_empty());
    fs_err::write(run_dir.join("mended"), "").expect("the run directory is writable");
    let before = calls.count();
    let began = now_ms();
    let elements = BAD.map(|element| element.to_string()).join(",");
    program
        .run(&["retry", &run, &format!("work[{elements}]"), "total"])
        .expect(0);
    wait_within(LONG, "the queue to be empty", || rig.queue().is_empty());
    let status = program.json(&["status", &run]);
    figure(format_args!(
        "7 scattered elements of 500 retried: {:.1} s; before it {before}, at the end {}",
        (now_ms() - began) as f64 / 1e3,
        calls.count()
    ));
    assert_eq!(status["state"], "succeeded", "{status}");
    assert_eq!(
        program.json(&["result", &run, "total"])["value"],
        json!(499 * 500 / 2)
    );
    let starts = Trace::read(&run_dir.join("trace")).starts();
    assert_eq!(starts.len(), 500);
    for (element, times) in starts {
        let expected = if BAD.contains(&element) { 2 } else { 1 };
        assert_eq!(times, expected, "element {element}");
    }
}
