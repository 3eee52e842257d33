//! What counts for a task: its names, its code, its version, its types.

use reflow_tests::Case;
use serde_json::json;

use crate::case;
use crate::series::Series;

pub(crate) const CASES: &[Case] = &[
    case("another_parameter_is_another_result", another_parameter),
    case("a_run_again_runs_nothing", again),
    case("a_parameter_counts_for_its_tasks_alone", own_parameter),
    case("a_default_counts_as_the_value_that_it_is", default_value),
    case("another_workflow_has_results_of_its_own", another_workflow),
    case("shared_tasks_are_taken_by_other_workflows", shared),
    case("a_flow_counts_by_its_own_name", flow_prefix),
    case("all_that_changes_a_command_counts", code),
    case("types_and_names_of_parameters_count", types),
    case("what_cannot_change_a_result_does_not_count", no_change),
    case("an_upstream_counts_by_its_values_alone", renamed_upstream),
    case("a_version_counts_also_without_code", version),
];

/// A list, an array over it, and what gathers.
pub(crate) const SQUARES: &str = r#"
    [tasks.list]
    shell = "echo list >> $BODIES; seq {n}"
    params.n = { type = "int", default = 3 }
    returns = "list[int]"
    output = "lines"
    [tasks.square]
    array = true
    shell = "echo square {i} >> $BODIES; echo $(( {i} * {i} ))"
    params.i = { type = "int", result = "list" }
    returns = "int"
    [tasks.sum]
    shell = "echo sum >> $BODIES; printf '%s\n' {all} | awk '{ n += $1 } END { print n + 0 }'"
    params.all = { type = "list[int]", result = "square" }
    returns = "int"
"#;

/// One task.
const ONE: &str = r#"
    [tasks.one]
    shell = "echo one >> $BODIES; echo 7"
    returns = "int"
"#;

fn another_parameter() {
    let series = Series::new();
    series.workflow(
        r#"
        [tasks.read]
        shell = "echo read {source} >> $BODIES; echo from {source}"
        params.source = { type = "str" }
        returns = "str"
        "#,
    );
    for source in ["a.csv", "b.csv"] {
        let run = series.run(&["--source", source]);
        run.ran(&[&format!("read {source}")]);
        assert_eq!(series.value(&run, "read"), format!("from {source}"));
    }
    for source in ["a.csv", "b.csv"] {
        let run = series.run(&["--source", source]);
        run.is_cached();
        assert_eq!(series.value(&run, "read"), format!("from {source}"));
    }
}

fn again() {
    let series = Series::new();
    series.workflow(SQUARES);
    let first = series.run(&[]);
    first.ran(&["list", "square 1", "square 2", "square 3", "sum"]);
    let second = series.run(&[]);
    second.is_cached();
    assert_eq!(second.counts("square"), (0, 3));
    for run in [&first, &second] {
        assert_eq!(series.value(run, "square"), json!([1, 4, 9]));
        assert_eq!(series.value(run, "sum"), 14);
    }
    // Also without the directory of the run that made them: they are small.
    fs_err::remove_dir_all(first.path(&series, "")).expect("it is ours");
    let third = series.run(&[]);
    third.is_cached();
    assert_eq!(series.value(&third, "sum"), 14);
}

fn own_parameter() {
    let series = Series::new();
    series.workflow(
        r#"
        [tasks.left]
        shell = "echo left >> $BODIES; echo {a}"
        params.a = { type = "int", default = 1 }
        returns = "int"
        [tasks.right]
        shell = "echo right >> $BODIES; echo {b}"
        params.b = { type = "int", default = 1 }
        returns = "int"
        [tasks.both]
        shell = "echo both >> $BODIES; echo {l} {r}"
        params.l = { type = "int", result = "left" }
        params.r = { type = "int", result = "right" }
        returns = "str"
        "#,
    );
    series.run(&[]).ran(&["left", "right", "both"]);
    let run = series.run(&["--a", "2"]);
    run.ran(&["left", "both"]);
    assert_eq!(series.value(&run, "both"), "2 1");
    let run = series.run(&["--b", "2"]);
    run.ran(&["right", "both"]);
    assert_eq!(series.value(&run, "both"), "1 2");
    // Both halves are known, not what is made of them.
    let run = series.run(&["--a", "2", "--b", "2"]);
    run.ran(&["both"]);
    assert_eq!(series.value(&run, "both"), "2 2");
}

fn default_value() {
    let series = Series::new();
    series.workflow(SQUARES);
    series.run(&[]);
    series.run(&["--n", "3"]).is_cached();
    series.workflow(&SQUARES.replace("default = 3", "default = 4"));
    let run = series.run(&[]);
    run.ran(&["list", "square 4", "sum"]);
    assert_eq!(series.value(&run, "sum"), 30);
    series.run(&["--n", "3"]).is_cached();
}

fn another_workflow() {
    let series = Series::new();
    series.workflow(ONE);
    series.run(&[]).ran(&["one"]);
    let other = ONE.replace("echo 7", "echo 8");
    let other = format!("[workflow]\nname = \"other\"\n{other}");
    series.program.write("reflow.toml", &other);
    let run = series.run(&[]);
    run.ran(&["one"]);
    assert_eq!(series.value(&run, "one"), 8);
    // Nor where code and all else is the same.
    let other = format!("[workflow]\nname = \"third\"\n{ONE}");
    series.program.write("reflow.toml", &other);
    series.run(&[]).ran(&["one"]);
}

fn shared() {
    let series = Series::new();
    let tasks = format!("{ONE}\n cache = {{ shared = true }}");
    series.workflow(&tasks);
    series.run(&[]).ran(&["one"]);
    let other = format!("[workflow]\nname = \"other\"\n{tasks}");
    series.program.write("reflow.toml", &other);
    let run = series.run(&[]);
    run.is_cached();
    assert_eq!(series.value(&run, "one"), 7);
    // Its code counts all the same.
    let changed = other.replace("echo 7", "echo 8");
    series.program.write("reflow.toml", &changed);
    let run = series.run(&[]);
    run.ran(&["one"]);
    assert_eq!(series.value(&run, "one"), 8);
    // One that is not shared is another task.
    series.workflow(ONE);
    series.run(&[]).ran(&["one"]);
}

fn flow_prefix() {
    let series = Series::new();
    series.program.write(
        "quality.toml",
        r#"
        [workflow]
        name = "quality"
        [tasks.samples]
        shell = "echo samples >> $BODIES; printf '%s\n' s1 s2"
        returns = "list[str]"
        output = "lines"
        [tasks.check]
        array = true
        shell = "echo check {sample} >> $BODIES; echo ok {sample}"
        params.sample = { type = "str", result = "samples" }
        returns = "str"
        "#,
    );
    let including = |name: &str, prefixes: &[&str]| {
        let lines: Vec<String> = prefixes
            .iter()
            .map(|prefix| format!("{{ file = \"quality.toml\", prefix = \"{prefix}\" }}"))
            .collect();
        let lines = lines.join(", ");
        let text = format!("include = [{lines}]\n[workflow]\nname = \"{name}\"\n");
        series.program.write("reflow.toml", &text);
    };
    including("pipeline", &["raw"]);
    series.run(&[]).ran(&["samples", "check s1", "check s2"]);
    including("pipeline", &["raw", "clean"]);
    let run = series.run(&[]);
    run.is_cached();
    assert_eq!(series.value(&run, "clean_check"), json!(["ok s1", "ok s2"]));
    including("pipeline", &["renamed"]);
    series.run(&[]).is_cached();
    // In another workflow it is another flow.
    including("others", &["raw"]);
    series.run(&[]).ran(&["samples", "check s1", "check s2"]);
}

fn code() {
    let series = Series::new();
    let one = "
        [tasks.one]
        shell = \"\"\"
        echo one >> $BODIES
        echo 7
        \"\"\"
        returns = \"int\"
    ";
    series.workflow(one);
    series.run(&[]).ran(&["one"]);
    let changes = [
        one.replace("echo 7", "echo 7 # seven"),
        format!("{one}\n output = \"json\""),
        format!("{one}\n env = {{ THREADS = \"4\" }}"),
        format!("{one}\n env = {{ THREADS = \"5\" }}"),
        format!("{one}\n env = {{ CORES = \"5\" }}"),
        format!("{one}\n setup = [\"true\"]"),
        format!("{one}\n setup = [\"true\", \"true\"]"),
        format!("{one}\n interpreter = [\"sh\", \"-eu\"]"),
        format!("{one}\n interpreter = [\"sh\", \"-e\", \"-u\"]"),
        one.replace(
            "shell = \"\"\"",
            "command = [\"bash\", \"-c\", \"\"\"",
        )
        .replace("\"\"\"\n        returns", "\"\"\"]\n        returns"),
        "[tasks.one]\ncommand = [\"sh\", \"-c\", \"echo one >> $BODIES; echo 7\"]\nreturns = \"int\""
            .to_owned(),
        "[tasks.one]\ncommand = [\"sh\", \"-c\", \"echo one >> $BODIES; echo 7\", \"a b\"]\nreturns = \"int\""
            .to_owned(),
        "[tasks.one]\ncommand = [\"sh\", \"-c\", \"echo one >> $BODIES; echo 7\", \"a\", \"b\"]\nreturns = \"int\""
            .to_owned(),
    ];
    for changed in &changes {
        series.workflow(changed);
        let run = series.run(&[]);
        assert_eq!(run.bodies, ["one"], "{changed}");
        assert_eq!(series.value(&run, "one"), 7);
    }
    for changed in &changes {
        series.workflow(changed);
        series.run(&[]).is_cached();
    }
    series.workflow(one);
    series.run(&[]).is_cached();
}

fn types() {
    let series = Series::new();
    let one = r#"
        [tasks.one]
        shell = "echo one >> $BODIES; echo {x}"
        params.x = { type = "int", default = 7 }
        returns = "int"
    "#;
    series.workflow(one);
    series.run(&[]).ran(&["one"]);
    for changed in [
        one.replace("returns = \"int\"", "returns = \"json\""),
        one.replace("returns = \"int\"", "returns = \"optional[int]\""),
        one.replace(
            "type = \"int\", default = 7",
            "type = \"str\", default = \"7\"",
        ),
        one.replace("type = \"int\"", "type = \"json\""),
        one.replace("type = \"int\"", "type = \"optional[int]\""),
        one.replace("params.x", "params.y").replace("{x}", "{y}"),
        format!("{one} params.z = {{ type = \"int\", default = 7 }}"),
    ] {
        series.workflow(&changed);
        let run = series.run(&[]);
        assert_eq!(run.bodies, ["one"], "{changed}");
        assert_eq!(series.value(&run, "one"), 7);
        series.run(&[]).is_cached();
    }
}

fn no_change() {
    let series = Series::new();
    series.workflow(SQUARES);
    let first = series.run(&[]);
    let square =
        |lines: &str| SQUARES.replace("    array = true", &format!("    array = true\n{lines}"));
    for changed in [
        square("cpus = 1\nmem = \"100M\"\ntime = \"00:10:00\""),
        square("batch = 2"),
        square("array_parallelism = 1"),
        square("retries = 2\nretry_mem = 2.0"),
        square("after = [\"list\"]"),
        square("doc = \"Squares.\""),
        SQUARES.replace(
            "default = 3",
            "default = 3, help = \"How many\", short = \"k\"",
        ),
        SQUARES.replace("default = 3", "default = 3, namespace = \"local\""),
        format!("{SQUARES}\n# a remark"),
        format!("doc = \"What it is for.\"\n{SQUARES}"),
    ] {
        series.workflow(&changed);
        let run = series.run(&[]);
        assert_eq!(run.bodies, [""; 0], "{changed}");
        assert_eq!(series.value(&run, "sum"), series.value(&first, "sum"));
    }
    // Nor what is not of the task: where it runs, what else there is, another order of tasks.
    let tasks: Vec<&str> = SQUARES.split("    [tasks.").collect();
    let reordered = format!(
        "[tasks.{}\n[tasks.{}\n[tasks.{}",
        tasks[3], tasks[2], tasks[1]
    );
    series.workflow(&reordered);
    series.run(&["--dispatch", "worker"]).is_cached();
    series.workflow(&format!("{SQUARES}{ONE}"));
    series.run(&[]).ran(&["one"]);
}

fn renamed_upstream() {
    let series = Series::new();
    series.workflow(SQUARES);
    series.run(&[]);
    let renamed = SQUARES
        .replace("tasks.list", "tasks.numbers")
        .replace("\"list\"", "\"numbers\"");
    series.workflow(&renamed);
    let run = series.run(&[]);
    run.ran(&["list"]);
    assert_eq!(run.counts("square"), (0, 3));
    assert_eq!(series.value(&run, "sum"), 14);
}

fn version() {
    let series = Series::new();
    let plain = SQUARES.replace("    array = true", "    array = true\n version = \"1\"");
    series.workflow(&plain);
    series.run(&[]);
    let bumped = plain.replace("\"1\"", "\"2\"");
    series.workflow(&bumped);
    let run = series.run(&[]);
    // The same values: what sums them up does not run.
    run.ran(&["square 1", "square 2", "square 3"]);
    assert_eq!(run.counts("sum"), (0, 1));
    series.workflow(&plain);
    series.run(&[]).is_cached();

    let loose = |version: &str, comment: &str| {
        series.workflow(&format!(
            "[tasks.one]\nshell = \"echo one >> $BODIES; echo 7 {comment}\"\nreturns = \"int\"\n\
             version = \"{version}\"\ncache = {{ code = false }}\n"
        ));
        series.run(&[])
    };
    loose("1", "").ran(&["one"]);
    loose("1", "# other code").is_cached();
    loose("2", "# other code").ran(&["one"]);
    loose("2", "").is_cached();
    loose("1", "").is_cached();
}
