//! The fault layer: what each fault looks like to whoever calls, and what the real program sees of it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use reflow_tests::faulty::{Fault, FaultPlan, Faulty, When, Words};
use tempfile::TempDir;

/// A real program that answers in a known way, and writes down what has arrived.
struct Place {
    directory: TempDir,
    faulty: Faulty,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let real = directory.path().join("real");
        fs_err::create_dir(&real).expect("writable");
        let arrived = directory.path().join("arrived");
        for name in ["ask", "send"] {
            let text = format!(
                "#!/bin/sh\necho \"$0 $*\" >> '{}'\n[ \"$1\" != - ] || cat\necho 'Job <12> is öpen.'\necho heard >&2\nexit 7\n",
                arrived.display()
            );
            let path = real.join(name);
            fs_err::write(&path, text).expect("writable");
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("ours");
        }
        let front = directory.path().join("front");
        let faulty = Faulty::before(&real, &["ask", "send", "missing"], &front);
        Self { directory, faulty }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        #[expect(
            clippy::disallowed_methods,
            reason = "the program in front is what is tested"
        )]
        let mut command = Command::new(self.faulty.bin().join(program));
        // As a job has it.
        command.args(arguments).env_clear().current_dir("/");
        command
    }

    fn call(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = self.command(program, arguments);
        command.output().expect("it can be run")
    }

    /// How often the real program was run.
    fn arrived(&self) -> usize {
        let path: PathBuf = self.directory.path().join("arrived");
        fs_err::read_to_string(path).map_or(0, |text| text.lines().count())
    }

    /// The one answer that a fault gives, before the request has arrived and after it.
    fn answers(what: &Fault) -> [(Output, usize); 2] {
        [false, true].map(|arrives| {
            let place = Self::new();
            let mut plan = FaultPlan::times(1, what.clone());
            plan.arrives = arrives;
            place.faulty.set("ask", plan);
            let output = place.call("ask", &[]);
            let arrived = place.arrived();
            is_real(&place.call("ask", &[]));
            (output, arrived)
        })
    }
}

const ANSWER: &[u8] = "Job <12> is öpen.\n".as_bytes();

#[track_caller]
fn is_real(output: &Output) {
    assert_eq!(output.stdout, ANSWER);
    assert_eq!(output.stderr, b"heard\n");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn without_a_plan_the_real_program_answers_and_the_call_is_counted() {
    let place = Place::new();
    is_real(&place.call("ask", &["a b", "$c"]));
    is_real(&place.call("send", &[]));
    is_real(&place.call("ask", &[]));
    assert_eq!(place.faulty.count().to_string(), "3 calls (ask 2, send 1)");
    let calls = place.faulty.calls();
    assert_eq!(calls[0].arguments, ["a b", "$c"]);
    assert_eq!(calls[0].fault, None);
    assert!(calls.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms));
    assert!(!place.faulty.bin().join("missing").exists());
}

#[test]
fn standard_input_reaches_the_real_program_also_through_a_fault() {
    use std::io::Write;
    for plan in [None, Some(Fault::Banner("motd".into()))] {
        let place = Place::new();
        let begin: &[u8] = if plan.is_some() { b"motd\n" } else { b"" };
        if let Some(plan) = plan {
            place.faulty.set("send", plan);
        }
        let mut child = place
            .command("send", &["-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be run");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(b"#!/bin/sh\n").expect("it reads");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        let said = [begin, b"#!/bin/sh\n", ANSWER, begin].concat();
        assert_eq!(output.stdout, said);
    }
}

#[test]
fn an_empty_answer_and_one_of_something_else_come_with_success() {
    for (output, arrived) in Place::answers(&Fault::Empty) {
        assert_eq!((output.stdout.len(), output.stderr.len()), (0, 0));
        assert_eq!((output.status.code(), arrived <= 1), (Some(0), true));
    }
    let [before, after] = Place::answers(&Fault::Garbage);
    assert_eq!((before.1, after.1), (0, 1));
    for (output, _) in [before, after] {
        assert!(output.status.success());
        assert!(!output.stdout.is_empty());
        assert_ne!(output.stdout, ANSWER);
    }
}

#[test]
fn bytes_that_are_not_utf8_lie_in_the_middle_of_the_answer() {
    let [before, after] = Place::answers(&Fault::NotUtf8);
    assert_eq!((before.1, after.1), (0, 1));
    assert!(String::from_utf8(before.0.stdout).is_err());
    let text = after.0.stdout;
    assert!(text.starts_with(b"Job <12>") && text.ends_with(b".\n"));
    assert!(String::from_utf8(text).is_err());
    assert_eq!(after.0.status.code(), Some(7));
}

#[test]
fn half_an_answer_ends_within_a_line() {
    for (output, arrived) in Place::answers(&Fault::CutInHalf) {
        assert_eq!(output.stdout, &ANSWER[..ANSWER.len() / 2]);
        assert_eq!(arrived, 1);
    }
}

#[test]
fn a_banner_stands_around_the_answer() {
    for (output, arrived) in Place::answers(&Fault::Banner("Welcome to <site>".into())) {
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(
            text,
            "Welcome to <site>\nJob <12> is öpen.\nWelcome to <site>\n"
        );
        assert_eq!((output.status.code(), arrived), (Some(7), 1));
    }
}

#[test]
fn a_dead_program_was_killed_by_a_signal() {
    let [before, after] = Place::answers(&Fault::Dead);
    assert_eq!((before.1, after.1), (0, 1));
    for (output, _) in [before, after] {
        assert_eq!(output.status.signal(), Some(9));
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn a_failure_is_in_the_words_of_the_batch_system() {
    let [before, after] = Place::answers(&Words::Slurm.away("sbatch"));
    assert_eq!((before.1, after.1), (0, 1));
    for (output, _) in [before, after] {
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            output.stderr,
            b"sbatch: error: Unable to contact slurm controller (connect failure)\n"
        );
    }
}

#[test]
fn a_late_answer_is_the_real_one() {
    let late = Duration::from_millis(300);
    for arrives in [false, true] {
        let place = Place::new();
        let mut plan = FaultPlan::always(Fault::Late(late));
        plan.arrives = arrives;
        place.faulty.set("ask", plan);
        let mut child = place.command("ask", &[]);
        let began = Instant::now();
        let child = child.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = child.spawn().expect("it can be run");
        std::thread::sleep(late / 2);
        let arrived = place.arrived();
        is_real(&child.wait_with_output().expect("it ends"));
        assert!(began.elapsed() >= late);
        // On a busy machine the real program may not have started yet.
        assert!(arrived <= usize::from(arrives));
        assert_eq!(place.arrived(), 1);
    }
}

#[test]
fn a_silent_program_is_there_until_it_is_killed_or_the_test_is_over() {
    let place = Place::new();
    place
        .faulty
        .set("all", FaultPlan::always(Fault::Silent).arriving());
    let mut killed = place.command("ask", &[]).spawn().expect("it can be run");
    let mut left = place.command("send", &[]).spawn().expect("it can be run");
    std::thread::sleep(Duration::from_millis(300));
    for child in [&mut killed, &mut left] {
        assert_eq!(child.try_wait().expect("ours"), None);
    }
    killed.kill().expect("ours");
    assert_eq!(killed.wait().expect("ours").signal(), Some(9));
    let Place { directory, faulty } = place;
    drop(faulty);
    assert_eq!(left.wait().expect("it ends").code(), Some(1));
    drop(directory);
}

#[test]
fn a_script_says_which_call_goes_wrong_how() {
    let place = Place::new();
    let fails = |code: u8, when: When| FaultPlan {
        when,
        ..FaultPlan::from(Fault::Fails {
            text: "no".into(),
            code,
        })
    };
    let refused = fails(1, When::Each { of: 3, place: 1 });
    let lost = fails(2, When::Each { of: 3, place: 2 }).arriving();
    place.faulty.set_script("ask", [refused, lost]);
    place.faulty.set("all", fails(3, When::Times(3)));
    let codes: Vec<_> = (0..6)
        .map(|_| place.call("ask", &[]).status.code())
        .collect();
    // The third call is the first that neither plan of its own has, and the third for all.
    assert_eq!(codes, [1, 2, 3, 1, 2, 7].map(Some));
    assert_eq!(place.arrived(), 3);
    place.faulty.clear("ask");
    is_real(&place.call("ask", &[]));
    let shown = place
        .faulty
        .calls()
        .into_iter()
        .map(|call| call.fault.is_some());
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [true, true, true, true, true, false, false]
    );
}

#[test]
fn a_plan_leaves_other_arguments_alone_and_counts_over_all_processes() {
    let place = Place::new();
    let plan = FaultPlan::times(5, Fault::Empty).only("--version");
    place.faulty.set("ask", plan);
    for _ in 0..5 {
        is_real(&place.call("ask", &["-l"]));
    }
    let mut children: Vec<_> = (0..8)
        .map(|_| {
            let mut command = place.command("ask", &["--version"]);
            let command = command.stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().expect("it can be run")
        })
        .collect();
    let codes = children
        .iter_mut()
        .map(|child| child.wait().expect("it ends").code());
    let wrong = codes.filter(|code| *code == Some(0)).count();
    assert_eq!(wrong, 5);
}
