//! Inputs that are edited while their run is under way: the run ends, and nothing wrong is remembered.

use reflow_tests::{Case, Program, wait_for};

use crate::case;
use crate::series::{Series, system, text};

pub(crate) const CASES: &[Case] = &[
    case("an_edit_while_a_body_runs_is_not_remembered", while_running),
    case("an_edit_while_a_job_waits_is_not_remembered", while_waiting),
    case("an_edit_in_a_directory_is_not_remembered", in_a_directory),
    case(
        "an_edit_of_a_produced_file_is_not_remembered",
        of_a_produced_file,
    ),
    case(
        "an_edit_of_a_file_that_is_given_as_a_path_is_not_remembered",
        of_a_file_given_as_a_path,
    ),
    case(
        "an_edit_of_a_file_in_nested_lists_is_not_remembered",
        of_a_file_in_nested_lists,
    ),
    case(
        "an_edit_of_a_file_behind_an_empty_list_is_not_remembered",
        of_a_file_behind_an_empty_list,
    ),
    case(
        "an_edit_of_a_file_beside_a_path_is_not_remembered",
        of_a_file_beside_a_path,
    ),
    case("a_body_may_link_to_what_it_reads", linked),
    case("a_touch_while_a_body_runs_ends_right", touch),
    case(
        "an_edit_of_the_workflow_counts_for_the_next_run",
        of_the_workflow,
    ),
];

/// A series in whose workflows a body can wait for the file `go`.
fn gated(tasks: &str) -> Series {
    let program = Program::local();
    let gate = program.home().join("go");
    let series = Series::of(program.with_variable("GATE", text(&gate)));
    series.workflow(tasks);
    series
}

/// A line of a body that waits for the gate.
const WAIT: &str = "for i in $(seq 900); do [ ! -e $GATE ] || break; sleep 0.1; done";

fn open(series: &Series) {
    series.program.write("go", "");
}

fn close(series: &Series) {
    fs_err::remove_file(series.path("go")).expect("it is open");
}

/// Submits, waits until a body has written a line, edits, and returns the run when it has ended.
fn edited(series: &Series, flags: &[&str], edit: impl FnOnce()) -> crate::series::Run {
    let before = fs_err::read_to_string(series.path("bodies")).expect("it is there");
    let directory = series.submit(flags);
    wait_for("a body to start", || {
        fs_err::read_to_string(series.path("bodies")).expect("it is there") != before
    });
    edit();
    open(series);
    series.wait(&directory)
}

fn while_running() {
    let series = gated(&format!(
        r#"
        [tasks.slow]
        shell = "echo slow >> $BODIES; {WAIT}; cat {{source}}"
        params.source = {{ type = "file" }}
        returns = "str"
        "#
    ));
    let source = series.program.write("source", "one");
    let flags = ["--source", text(&source)];
    let first = edited(&series, &flags, || {
        series.program.write("source", "two");
    });
    first.ran(&["slow"]);
    // As it was at the submit: what was made of something else must not be given for it.
    series.program.write("source", "one");
    let second = series.run(&flags);
    second.ran(&["slow"]);
    assert_eq!(series.value(&second, "slow"), "one");
    series.program.write("source", "two");
    let third = series.run(&flags);
    third.ran(&["slow"]);
    assert_eq!(series.value(&third, "slow"), "two");
    for content in ["one", "two"] {
        series.program.write("source", content);
        let run = series.run(&flags);
        run.is_cached();
        assert_eq!(series.value(&run, "slow"), content);
    }
}

fn while_waiting() {
    let series = gated(&format!(
        r#"
        [tasks.first]
        shell = "echo first >> $BODIES; {WAIT}"
        [tasks.second]
        shell = "echo second >> $BODIES; cat {{source}}"
        params.source = {{ type = "file" }}
        returns = "str"
        after = ["first"]
        "#
    ));
    let source = series.program.write("source", "one");
    let flags = ["--source", text(&source)];
    let first = edited(&series, &flags, || {
        series.program.write("source", "two");
    });
    first.ran(&["first", "second"]);
    for content in ["one", "two"] {
        series.program.write("source", content);
        let run = series.run(&flags);
        run.ran(&["second"]);
        assert_eq!(series.value(&run, "second"), content);
        series.run(&flags).is_cached();
    }
    // Edited and put back, with the time it had: no body has seen the other content.
    close(&series);
    let reference = series.program.write("reference", "");
    let third = edited(&series, &["--source", text(&source), "--force"], || {
        system("cp", &["-p", text(&source), text(&reference)]);
        series.program.write("source", "three");
        system("cp", &["-p", text(&reference), text(&source)]);
    });
    assert_eq!(series.value(&third, "second"), "two");
}

fn in_a_directory() {
    let series = gated(&format!(
        r#"
        [tasks.slow]
        shell = "echo slow >> $BODIES; {WAIT}; cat {{tree}}/a/b"
        params.tree = {{ type = "file" }}
        returns = "str"
        "#
    ));
    series.program.write("tree/a/b", "one");
    let flags = ["--tree", "tree"];
    edited(&series, &flags, || {
        series.program.write("tree/a/b", "two");
    });
    for content in ["one", "two"] {
        series.program.write("tree/a/b", content);
        let run = series.run(&flags);
        run.ran(&["slow"]);
        assert_eq!(series.value(&run, "slow"), content);
    }
}

fn of_a_produced_file() {
    let series = gated(&format!(
        r#"
        [tasks.make]
        shell = "echo make >> $BODIES; echo one > made; echo {{run_dir}}/made"
        returns = "file"
        [tasks.read]
        shell = "echo read >> $BODIES; {WAIT}; cat {{made}}"
        params.made = {{ type = "file", result = "make" }}
        returns = "str"
        "#
    ));
    let directory = series.submit(&[]);
    wait_for("the reader to start", || {
        fs_err::read_to_string(series.path("bodies"))
            .expect("it is there")
            .contains("read")
    });
    series.program.write(&format!("{directory}/made"), "two\n");
    open(&series);
    let first = series.wait(&directory);
    first.ran(&["make", "read"]);
    series.program.write(&format!("{directory}/made"), "one\n");
    let second = series.run(&[]);
    assert_eq!(series.value(&second, "read"), "one");
    assert_eq!(second.counts("read"), (1, 0));
    series.run(&[]).is_cached();
}

/// Has the file `made` of the run directory edited after the task `make` has ended and before `read` runs,
/// which comes after `hold`, and looks at what later runs make of that.
fn edited_before_its_reader(tasks: &str) {
    let series = gated(&format!(
        "{tasks}\n[tasks.hold]\nshell = \"echo hold >> $BODIES; {WAIT}\"\n"
    ));
    let directory = series.submit(&[]);
    wait_for("what comes before the reader", || {
        let status = series.program.json(&["status", &directory]);
        let tasks = status["tasks"].as_array().expect("a list").clone();
        let others = tasks
            .iter()
            .filter(|task| task["name"] != "hold" && task["name"] != "read");
        let mut others = others.map(|task| &task["elements"]["succeeded"]);
        others.all(|succeeded| succeeded.as_u64() > Some(0))
    });
    series.program.write(&format!("{directory}/made"), "two\n");
    open(&series);
    let first = series.wait(&directory);
    let makers = first.bodies.iter().filter(|body| *body != "hold");
    assert!(
        makers.clone().any(|body| body == "read"),
        "{:?}",
        first.bodies
    );
    series.program.write(&format!("{directory}/made"), "one\n");
    let second = series.run(&[]);
    let read = second.bodies.iter().filter(|body| *body == "read").count();
    assert!(read > 0, "what was made of the edited file is remembered");
    let said = series.program.run(&["explain", &second.directory, "read"]);
    let said = said.expect(0).stdout;
    assert!(
        said.contains("has changed since its content was read"),
        "{said}"
    );
    series.run(&[]).is_cached();
}

fn of_a_file_given_as_a_path() {
    edited_before_its_reader(
        r#"
        [tasks.make]
        shell = "echo make >> $BODIES; echo one > made; echo {run_dir}/made"
        returns = "file"
        [tasks.read]
        shell = "echo read >> $BODIES; cat {made}"
        params.made = { type = "path", result = "make" }
        returns = "str"
        after = ["hold"]
        "#,
    );
}

fn of_a_file_in_nested_lists() {
    edited_before_its_reader(
        r#"
        [tasks.make]
        shell = "echo make >> $BODIES; echo one > made; printf '[[],[\"%s/made\"]]' $PWD"
        returns = "list[list[file]]"
        output = "json"
        [tasks.read]
        array = true
        shell = "echo read >> $BODIES; cat {made} < /dev/null"
        params.made = { type = "list[file]", result = "make" }
        returns = "str"
        after = ["hold"]
        "#,
    );
}

fn of_a_file_behind_an_empty_list() {
    edited_before_its_reader(
        r#"
        [tasks.list]
        shell = "echo list >> $BODIES; seq 2"
        returns = "list[int]"
        output = "lines"
        [tasks.make]
        array = true
        shell = "echo make {i} >> $BODIES; if [ {i} = 1 ]; then echo '[]'; else echo one > made; printf '[\"%s/made\"]' $PWD; fi"
        params.i = { type = "int", result = "list" }
        returns = "list[file]"
        output = "json"
        [tasks.read]
        array = true
        shell = "echo read >> $BODIES; cat {made}"
        params.made = { type = "file", result = "make" }
        returns = "str"
        after = ["hold"]
        "#,
    );
}

fn of_a_file_beside_a_path() {
    edited_before_its_reader(
        r#"
        [tasks.make]
        shell = "echo make >> $BODIES; echo one > made; echo {run_dir}/made"
        returns = "file"
        [tasks.other]
        shell = "echo other >> $BODIES; echo one > other; echo {run_dir}/other"
        returns = "path"
        [tasks.read]
        shell = "echo read >> $BODIES; cat {made}"
        params.made = { type = "list[path]", results = ["make", "other"] }
        returns = "str"
        after = ["hold"]
        "#,
    );
}

fn linked() {
    let series = Series::new();
    series.workflow(
        r#"
        [tasks.use]
        shell = "echo use >> $BODIES; ln {source} link; chmod 644 {source}; cat link"
        params.source = { type = "file" }
        returns = "str"
        "#,
    );
    let source = series.program.write("source", "one");
    let flags = ["--source", text(&source)];
    series.run(&flags).ran(&["use"]);
    series.run(&flags).is_cached();
}

fn touch() {
    let series = gated(&format!(
        r#"
        [tasks.slow]
        shell = "echo slow >> $BODIES; {WAIT}; cat {{source}}"
        params.source = {{ type = "file" }}
        returns = "str"
        "#
    ));
    let source = series.program.write("source", "one");
    let flags = ["--source", text(&source)];
    let first = edited(&series, &flags, || {
        system("touch", &["-d", "2001-02-03", text(&source)]);
    });
    assert_eq!(series.value(&first, "slow"), "one");
    // Whether it is remembered is open; what it gives is not.
    let second = series.run(&flags);
    assert_eq!(series.value(&second, "slow"), "one");
    series.run(&flags).is_cached();
}

fn of_the_workflow() {
    let tasks = format!(
        r#"
        [tasks.first]
        shell = "echo first >> $BODIES; {WAIT}; echo 1"
        returns = "int"
        [tasks.second]
        shell = "echo second >> $BODIES; echo old {{n}}"
        params.n = {{ type = "int", result = "first" }}
        returns = "str"
        "#
    );
    let series = gated(&tasks);
    let newer = tasks.replace("old", "new");
    let first = edited(&series, &[], || series.workflow(&newer));
    first.ran(&["first", "second"]);
    assert_eq!(series.value(&first, "second"), "old 1");
    let second = series.run(&[]);
    second.ran(&["second"]);
    assert_eq!(series.value(&second, "second"), "new 1");
    series.workflow(&tasks);
    let third = series.run(&[]);
    third.is_cached();
    assert_eq!(series.value(&third, "second"), "old 1");
}
