//! Files and paths that tasks return: what stops a recomputation, what does not, and what is gone.

use reflow_tests::{Case, Program};

use crate::case;
use crate::series::{Run, Series, system, text};

pub(crate) const CASES: &[Case] = &[
    case("a_file_made_again_identically_stops_there", file_stops),
    case("a_path_made_again_runs_what_reads_it", path_goes_on),
    case("an_output_that_was_deleted_is_made_again", deleted),
    case("no_verify_trusts_what_was_deleted", trusted),
    case("a_path_that_was_deleted_is_made_again", deleted_path),
    case("verify_sees_changed_content", changed),
    case(
        "verify_sees_changed_content_in_directories",
        changed_directory,
    ),
    case("verify_passes_what_is_as_it_was", untouched),
    case(
        "verify_passes_paths_whichever_way_they_are_written",
        written_otherwise,
    ),
    case("existence_is_checked_in_later_dispatches", later_dispatch),
    case("existence_is_checked_in_the_worker", in_the_worker),
    case("retry_checks_as_the_run_does", on_retry),
    case("a_changed_file_is_not_passed_off_as_the_old_one", tampered),
    case("outputs_of_a_deleted_run_are_made_again", run_deleted),
    case(
        "outputs_of_another_run_in_the_same_directory_are_not_taken",
        directory_reused,
    ),
    case("files_outside_the_run_directory_count", outside),
    case("a_returned_list_of_files_counts_one_by_one", lists),
];

/// A task that makes a file for each of three numbers, and one that reads each.
const MADE: &str = r#"
    [tasks.list]
    shell = "echo list >> $BODIES; seq 3"
    returns = "list[int]"
    output = "lines"
    [tasks.make]
    array = true
    shell = "echo make {i} >> $BODIES; mkdir -p out; echo $(( {i} / 2 )) > out/{i}; echo {run_dir}/out/{i}"
    params.i = { type = "int", result = "list" }
    returns = "file"
    version = "1"
    [tasks.read]
    array = true
    shell = "echo read $(basename {made}) >> $BODIES; echo got $(cat {made})"
    params.made = { type = "file", result = "make" }
    returns = "str"
"#;

const MAKES: [&str; 3] = ["make 1", "make 2", "make 3"];
const READS: [&str; 3] = ["read 1", "read 2", "read 3"];

fn made(tasks: &str) -> (Series, Run) {
    let series = Series::new();
    series.workflow(tasks);
    let first = series.run(&[]);
    first.ran(&[&["list"], &MAKES[..], &READS].concat());
    (series, first)
}

/// What a task returned is taken as it was written.
fn written_otherwise() {
    let (series, first) = made(&MADE.replace("{run_dir}/out", "{run_dir}/./out/../out"));
    let second = series.run(&["--verify"]);
    second.is_cached();
    assert_eq!(series.value(&second, "make"), series.value(&first, "make"));
}

fn bumped(tasks: &str) -> String {
    tasks.replace("version = \"1\"", "version = \"2\"")
}

fn paths() -> String {
    MADE.replace("\"file\"", "\"path\"")
}

fn file_stops() {
    let (series, first) = made(MADE);
    let second = series.run(&[]);
    second.is_cached();
    assert_eq!(series.value(&second, "make"), series.value(&first, "make"));
    assert_eq!(series.content(&second, "make[2]"), "1\n");
    series.workflow(&bumped(MADE));
    let third = series.run(&[]);
    third.ran(&MAKES);
    assert_eq!(third.counts("read"), (0, 3));
    assert_eq!(series.value(&third, "read[2]"), "got 1");
    let path = series.value(&third, "make[2]");
    let own = third.path(&series, "out/3");
    assert_eq!(path, text(&own), "what was made by this run is its own");
    // Other content of one alone.
    series.workflow(&MADE.replace("{i} / 2", "{i} / 3 + 5 * ({i} / 3)"));
    let fourth = series.run(&[]);
    fourth.ran(&[&MAKES[..], &["read 2", "read 3"]].concat());
}

fn path_goes_on() {
    let (series, _) = made(&paths());
    series.run(&[]).is_cached();
    series.workflow(&bumped(&paths()));
    series.run(&[]).ran(&[MAKES, READS].concat());
    series.run(&[]).is_cached();
    // Also where nothing but the execution is another.
    series
        .run(&["--force-tasks", "make"])
        .ran(&[MAKES, READS].concat());
    series.run(&[]).is_cached();
}

fn deleted() {
    let (series, first) = made(MADE);
    fs_err::remove_file(first.path(&series, "out/2")).expect("it is there");
    let second = series.run(&[]);
    second.ran(&["make 2"]);
    assert_eq!(
        (second.counts("make"), second.counts("read")),
        ((1, 2), (0, 3))
    );
    assert_eq!(series.content(&second, "make[1]"), "1\n");
    assert_eq!(series.content(&second, "make[2]"), "1\n");
    series.run(&[]).is_cached();
    // The one that was made again is the one that counts now.
    fs_err::remove_file(second.path(&series, "out/2")).expect("it is there");
    series.run(&[]).ran(&["make 2"]);
}

fn deleted_path() {
    let (series, first) = made(&paths());
    fs_err::remove_file(first.path(&series, "out/2")).expect("it is there");
    // No content is compared: what reads it reads another one.
    let second = series.run(&[]);
    second.ran(&["make 2", "read 2"]);
    series.run(&[]).is_cached();
}

fn trusted() {
    for tasks in [MADE, &paths()] {
        let (series, first) = made(tasks);
        let gone = first.path(&series, "out/2");
        fs_err::remove_file(&gone).expect("it is there");
        let second = series.run(&["--no-verify"]);
        second.is_cached();
        assert_eq!(series.value(&second, "make[1]"), text(&gone));
        assert_eq!(series.run(&[]).bodies[0], "make 2");
    }
}

fn changed() {
    let (series, first) = made(MADE);
    let path = first.path(&series, "out/2");
    fs_err::write(&path, "8\n").expect("it is ours");
    let second = series.run(&["--verify"]);
    second.ran(&["make 2"]);
    assert_eq!(series.content(&second, "make[1]"), "1\n");
    assert_eq!(series.value(&second, "read[1]"), "got 1");
    series.run(&["--verify"]).is_cached();
    // Existence is what counts without it.
    series.run(&[]).is_cached();
}

fn changed_directory() {
    let series = Series::new();
    series.workflow(
        r#"
        [tasks.make]
        shell = "echo make >> $BODIES; mkdir -p out/a; echo 1 > out/a/x; echo {run_dir}/out"
        returns = "file"
        [tasks.read]
        shell = "echo read >> $BODIES; cat {made}/a/x"
        params.made = { type = "file", result = "make" }
        returns = "str"
        "#,
    );
    let first = series.run(&[]);
    series.run(&["--verify"]).is_cached();
    fs_err::write(first.path(&series, "out/a/y"), "").expect("it is ours");
    let second = series.run(&["--verify"]);
    second.ran(&["make"]);
    assert_eq!(second.counts("read"), (0, 1));
    series.run(&["--verify"]).is_cached();
}

fn untouched() {
    let (series, first) = made(MADE);
    series.run(&["--verify"]).is_cached();
    system(
        "touch",
        &["-d", "2001-02-03", text(&first.path(&series, "out/2"))],
    );
    series.run(&["--verify"]).is_cached();
    let (series, _) = made(&paths());
    series.run(&["--verify"]).is_cached();
}

fn later_dispatch() {
    for flags in [&[][..], &["--dispatch", "worker"], &["--dispatch", "login"]] {
        let (series, first) = made(MADE);
        // The width of the array is known only after the list has run.
        series.workflow(&MADE.replace("seq 3", "seq 3 # again"));
        fs_err::remove_file(first.path(&series, "out/3")).expect("it is there");
        let second = series.run(flags);
        second.ran(&["list", "make 3"]);
        assert_eq!(second.counts("make"), (1, 2));
        fs_err::remove_file(first.path(&series, "out/1")).expect("it is there");
        series.workflow(&MADE.replace("seq 3", "seq 3 # once more"));
        let third = series.run(&[flags, &["--no-verify"]].concat());
        third.ran(&["list"]);
    }
}

/// A task behind another one, submitted before it is known what that gives.
const BEHIND: &str = r#"
    [tasks.first]
    shell = "echo first >> $BODIES; echo 1"
    returns = "int"
    [tasks.make]
    shell = "echo make >> $BODIES; echo {n} > made; echo {run_dir}/made"
    params.n = { type = "int", result = "first" }
    returns = "file"
    [tasks.read]
    shell = "echo read >> $BODIES; cat {made}"
    params.made = { type = "file", result = "make" }
    returns = "str"
"#;

fn in_the_worker() {
    let series = Series::new();
    series.workflow(BEHIND);
    let first = series.run(&[]);
    let again = |series: &Series, text: &str| {
        series.workflow(&BEHIND.replace("echo 1\"", &format!("echo 1 # {text}\"")));
    };
    again(&series, "a");
    series.run(&[]).ran(&["first"]);
    fs_err::write(first.path(&series, "made"), "8\n").expect("it is ours");
    again(&series, "b");
    series.run(&[]).ran(&["first"]);
    again(&series, "c");
    let run = series.run(&["--verify"]);
    run.ran(&["first", "make"]);
    assert_eq!(series.value(&run, "read"), "1");
    fs_err::remove_file(run.path(&series, "made")).expect("it is there");
    fs_err::remove_file(first.path(&series, "made")).expect("it is there");
    again(&series, "d");
    series.run(&["--no-verify"]).ran(&["first"]);
    again(&series, "e");
    let run = series.run(&[]);
    run.ran(&["first", "make"]);
    assert_eq!(series.content(&run, "make"), "1\n");
}

fn on_retry() {
    let program = Program::local();
    let gate = program.home().join("gate");
    let series = Series::of(program.with_variable("GATE", text(&gate)));
    let tasks = format!(
        "{MADE}\n\
         [tasks.flaky]\nshell = \"echo flaky >> $BODIES; cat $GATE\"\nreturns = \"int\"\n\
         [tasks.late]\nshell = \"echo late >> $BODIES; echo {{run_dir}} > late; echo {{run_dir}}/late\"\n\
         params.n = {{ type = \"int\", result = \"flaky\" }}\nreturns = \"file\"\n"
    );
    series.workflow(&tasks);
    series.program.write("gate", "1");
    let first = series.run(&[]);
    fs_err::remove_file(&gate).expect("it is ours");
    for (flags, expected) in [
        (&[][..], &["flaky", "late"][..]),
        (&["--no-verify"], &["flaky"]),
    ] {
        let changed = format!("cat $GATE # {}", flags.len());
        series.workflow(&tasks.replace("cat $GATE", &changed));
        let late = first.path(&series, "late");
        fs_err::write(&late, "").expect("it is ours");
        let directory = series.next_directory();
        let arguments = [
            &["run", "-q", "-w", "reflow.toml", "--run-dir", &directory],
            flags,
        ]
        .concat();
        series.program.run(&arguments).expect(1);
        series.new_bodies();
        fs_err::remove_file(&late).expect("it is ours");
        series.program.write("gate", "1");
        series.program.run(&["retry", &directory]).expect(0);
        series.program.run(&["wait", "-q", &directory]).expect(0);
        assert_eq!(series.new_bodies(), expected, "with {flags:?}");
        fs_err::remove_file(&gate).expect("it is ours");
        // What was made again now would be a hit for the next one.
        let _ = fs_err::remove_dir_all(series.path(&directory));
    }
}

fn tampered() {
    let (series, first) = made(MADE);
    fs_err::write(first.path(&series, "out/2"), "8\n").expect("it is ours");
    // Another reader, which reads what is there now.
    let reader = MADE.replace("got", "has");
    series.workflow(&reader);
    series.run(&[]);
    // What it made of the wrong content must not be remembered for the right one.
    fs_err::write(first.path(&series, "out/2"), "1\n").expect("it is ours");
    let run = series.run(&[]);
    assert_eq!(series.value(&run, "read[1]"), "has 1");
    series.workflow(&MADE.replace("got", "sees"));
    let run = series.run(&[]);
    assert_eq!(series.value(&run, "read[1]"), "sees 1");
}

fn run_deleted() {
    let (series, first) = made(MADE);
    let second = series.run(&[]);
    second.is_cached();
    fs_err::remove_dir_all(series.path(&first.directory)).expect("it is ours");
    let third = series.run(&[]);
    third.ran(&MAKES);
    assert_eq!(third.counts("read"), (0, 3));
    assert_eq!(series.content(&third, "make[2]"), "1\n");
    series.run(&[]).is_cached();
}

fn directory_reused() {
    for ty in ["file", "path"] {
        let series = Series::new();
        let tasks = r#"
            [tasks.make]
            shell = "echo make >> $BODIES; echo {x} > made; echo {run_dir}/made"
            params.x = { type = "int" }
            returns = "file"
            [tasks.list]
            shell = "echo list >> $BODIES; mkdir l; for i in $(seq 300); do echo {x} > l/$i; done"
            params.x = { type = "int" }
            returns = "list[file]"
            output = { glob = "{run_dir}/l/*" }
            "#;
        series.workflow(
            &tasks
                .replace("\"file\"", &format!("\"{ty}\""))
                .replace("[file]", &format!("[{ty}]")),
        );
        let run = |directory: &str, x: &str, flags: &[&str]| {
            let arguments = [
                "run",
                "-q",
                "-w",
                "reflow.toml",
                "--run-dir",
                directory,
                "--x",
                x,
            ];
            let said = series.program.run(&[&arguments, flags].concat()).expect(0);
            series.ended(directory, said)
        };
        run("same", "1", &[]).ran(&["list", "make"]);
        fs_err::remove_dir_all(series.path("same")).expect("it is ours");
        run("same", "2", &[]).ran(&["list", "make"]);
        for (directory, flags) in [
            ("third", &["--no-verify"][..]),
            ("fourth", &["--verify"]),
            ("fifth", &[]),
        ] {
            let again = run(directory, "1", flags);
            assert_eq!(series.content(&again, "make"), "1\n", "{ty}, {directory}");
            let entry = series.value(&again, "list")[7]
                .as_str()
                .expect("a path")
                .to_owned();
            assert_eq!(fs_err::read_to_string(entry).expect("it is there"), "1\n");
        }
    }
}

fn outside() {
    let program = Program::local();
    let folder = program.home().join("shared");
    fs_err::create_dir_all(&folder).expect("home is writable");
    let series = Series::of(program.with_variable("SHARED", text(&folder)));
    let tasks = r#"
        [tasks.make]
        shell = "echo make >> $BODIES; echo 1 > $SHARED/made; echo $SHARED/made"
        returns = "file"
        version = "1"
        [tasks.read]
        shell = "echo read >> $BODIES; cat {made}"
        params.made = { type = "file", result = "make" }
        returns = "str"
    "#;
    series.workflow(tasks);
    series.run(&[]).ran(&["make", "read"]);
    series.run(&[]).is_cached();
    series.workflow(&bumped(tasks));
    series.run(&[]).ran(&["make"]);
    fs_err::remove_file(folder.join("made")).expect("it is there");
    series.run(&[]).ran(&["make"]);
    // As a path, it is another one each time that it is made.
    series.workflow(&tasks.replace("\"file\"", "\"path\""));
    series.run(&[]).ran(&["make", "read"]);
    series.run(&[]).is_cached();
    series.workflow(&bumped(tasks).replace("\"file\"", "\"path\""));
    series.run(&[]).ran(&["make", "read"]);
}

fn lists() {
    let series = Series::new();
    let tasks = r#"
        [tasks.split]
        shell = "echo split >> $BODIES; mkdir out; for i in 1 2 3 4; do echo $(( i / 2 )) > out/$i; done"
        returns = "list[file]"
        output = { glob = "{run_dir}/out/*" }
        [tasks.read]
        array = true
        shell = "echo read $(basename {part}) >> $BODIES; cat {part}"
        params.part = { type = "file", result = "split" }
        returns = "int"
        [tasks.all]
        shell = "echo all >> $BODIES; cat {parts}"
        params.parts = { type = "list[file]", result = "split" }
        returns = "str"
    "#;
    series.workflow(tasks);
    let first = series.run(&[]);
    series.run(&[]).is_cached();
    series.workflow(&tasks.replace("i / 2 ", "i / 2 + (i == 3) "));
    series.run(&[]).ran(&["split", "read 3", "all"]);
    series.workflow(tasks);
    fs_err::remove_file(first.path(&series, "out/4")).expect("it is there");
    // All four come from one body, and all are as they were.
    let run = series.run(&[]);
    run.ran(&["split"]);
    assert_eq!(run.counts("read"), (0, 4));
}
