//! Workflow files, right and wrong.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::{Loaded, load};
use crate::workflow::{Graph, Mode, ParameterKind};

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs_err::write(path, text).expect("written");
    }
    directory
}

fn root(directory: &TempDir) -> String {
    let root = fs_err::canonicalize(directory.path()).expect("it is there");
    root.to_str().expect("UTF-8").to_owned()
}

fn loaded(text: &str) -> Loaded {
    load(directory(&[("reflow.toml", text)]).path()).expect("right")
}

/// The errors, with the directory left out.
fn errors_in(directory: &TempDir) -> String {
    let errors = load(directory.path()).expect_err("wrong").to_string();
    errors
        .replace(&format!("{}/", root(directory)), "")
        .replace(&root(directory), "DIR")
}

fn errors(text: &str) -> String {
    errors_in(&directory(&[("reflow.toml", text)]))
}

#[test]
fn the_example_is_a_workflow() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/wordcount");
    let loaded = load(&example).expect("right");
    assert_eq!(loaded.files.len(), 1);
    let graph = Graph::check(loaded.description).expect("right");
    let names: Vec<_> = graph
        .order()
        .iter()
        .map(|task| graph.declared(*task).name.to_string())
        .collect();
    assert_eq!(names, ["split", "count", "total"]);
    let modes = |name: &str| {
        let task = graph.find(name).expect("a task");
        graph.task(task).inputs[0].modes(graph.is_array(task))
    };
    assert_eq!(modes("count"), [Mode::FanOut]);
    assert_eq!(modes("total"), [Mode::Gather]);
    let flags: Vec<_> = graph
        .parameters()
        .flags()
        .iter()
        .map(|flag| {
            (
                flag.name.as_str(),
                flag.short,
                flag.required,
                flag.default.clone(),
            )
        })
        .collect();
    assert_eq!(
        flags,
        [
            ("text", Some('t'), true, None),
            ("parts", None, false, Some(json!(8)))
        ]
    );
    let split = graph.declared(graph.find("split").expect("a task"));
    assert_eq!(split.resources.time.expect("set").seconds(), 300);
    assert_eq!(split.resources.mem.expect("set").mebibytes(), 500);
}

#[test]
fn every_key_of_a_task_is_read() {
    let loaded = loaded(
        r#"
        [backend.slurm]
        anything = true

        [workflow]
        name = "w"
        doc = "What it does"

        [tasks.first]
        command = ["./bin/list", "x"]
        returns = "list[str]"
        output = "lines"

        [tasks.all]
        doc = "Everything"
        array = true
        array_parallelism = 3
        batch = 10
        shell = "echo {item} {data} {label} {size}"
        interpreter = ["sh", "-eu"]
        returns = "str"
        after = "first"
        cache = { enabled = true, code = false, shared = true }
        version = 2
        retries = 2
        retry_mem = 1.5
        retry_time = 2
        setup = """
        module load x
        module load y"""
        env = { OMP_NUM_THREADS = "4" }
        extra = ["--comment=a b"]
        cpus = 4
        mem = "2G"
        time = "1h"
        gpus = 2
        nodes = 1
        tasks = 2
        queue = "long"
        account = "a"
        qos = "q"
        constraint = "c"
        reservation = "r"
        exclusive = true
        signal = { name = "USR1", before = "60s" }
        mail = { to = "me@example.org", on = ["end", "fail"] }
        params.item = { type = "str", results = ["first"] }
        params.data = { type = "file", default = "data/in.csv", help = "Input" }
        params.size = { type = "optional[int]", namespace = "local", short = "-s" }
        params.label = { type = 'literal["a", "b"]', default = "a" }
        "#,
    );
    let root = loaded.files[0]
        .parent()
        .expect("a parent")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let [first, all] = &loaded.description.tasks[..] else {
        panic!("two tasks");
    };
    let body = first.body.as_ref().expect("a body");
    assert_eq!(
        body["program"]["command"][0],
        json!(format!("{root}/bin/list"))
    );
    assert_eq!(body["output"], json!("lines"));
    let mut shown = serde_json::to_value(all).expect("JSON");
    let object = shown.as_object_mut().expect("an object");
    assert_eq!(
        object
            .remove("fingerprint")
            .and_then(|digest| digest.as_str().map(str::len)),
        Some(64)
    );
    let parameters = object.remove("parameters").expect("parameters");
    assert_eq!(
        shown,
        json!({
            "name": "all", "doc": "Everything", "array": true, "array_parallelism": 3, "batch": 10,
            "returns": "str", "after": ["first"], "version": "2", "verify": false,
            "cache": {"enabled": true, "code": false, "shared": true},
            "retry": {"retries": 2, "mem": 1.5, "time": 2.0},
            "setup": ["        module load x", "        module load y"],
            "environment": {"OMP_NUM_THREADS": "4"}, "extra": ["--comment=a b"],
            "resources": {
                "cpus": 4, "mem": "2G", "time": "01:00:00", "gpus": "2", "nodes": 1, "tasks": 2,
                "partition": "long", "account": "a", "qos": "q", "constraint": "c",
                "reservation": "r", "exclusive": "node",
                "signal": {"name": "USR1", "before": "00:01:00"},
                "mail": {"to": "me@example.org", "on": ["end", "fail"]}},
            "body": {"program": {"shell": {
                "script": "echo {item} {data} {label} {size}", "interpreter": ["sh", "-eu"]}},
                "output": "text"},
        })
    );
    assert_eq!(
        parameters,
        json!([
            {"name": "item", "type": "str", "kind": "result", "steps": ["first"],
             "concatenate": true, "broadcast": false},
            {"name": "data", "type": "file", "kind": "plain", "local": false, "help": "Input",
             "default": format!("{root}/data/in.csv")},
            {"name": "size", "type": "optional[int]", "kind": "plain", "local": true, "short": "s"},
            {"name": "label", "type": "literal[\"a\", \"b\"]", "kind": "plain", "local": false,
             "default": "a"},
        ])
    );
    Graph::check(loaded.description).expect("right");
}

#[test]
fn unknown_keys_name_the_nearest_and_their_place() {
    insta::assert_snapshot!(errors(r#"
task = 1
[workflow]
nmae = "w"
[tasks.a]
shell = "true"
tiem = "1h"
colour = "red"
params.x = { type = "int", defualt = 1 }
output = { blob = "x" }
signal = { nam = "USR1", before = "60s" }
[tasks.b]
command = ["true"]
cache = { share = true }
"#), @"
reflow.toml:2:1: unknown key `task` (nearest key: `tasks`)
reflow.toml:3:1: workflow: a workflow needs a `name`
reflow.toml:4:1: workflow: unknown key `nmae` (nearest key: `name`)
reflow.toml:7:1: tasks.a: unknown key `tiem` (nearest key: `time`)
reflow.toml:8:1: tasks.a: unknown key `colour` (keys: account, after, array, array_parallelism, batch, cache, command, constraint, cpus, doc, env, exclusive, extra, gpus, interpreter, mail, mem, nodes, output, params, partition, qos, queue, reservation, retries, retry_mem, retry_time, returns, setup, shell, signal, tasks, time, verify, version)
reflow.toml:9:28: tasks.a.params.x: unknown key `defualt` (nearest key: `default`)
reflow.toml:10:12: tasks.a.output: unknown key `blob` (nearest key: `glob`)
reflow.toml:11:12: tasks.a.signal: unknown key `nam` (nearest key: `name`)
reflow.toml:14:11: tasks.b.cache: unknown key `share` (nearest key: `shared`)
");
}

#[test]
fn values_of_the_wrong_type_all_come_together() {
    insta::assert_snapshot!(errors(r#"
[workflow]
name = "a/b"
[tasks."x y"]
shell = "true"
[tasks.a]
shell = 1
array = "yes"
array_parallelism = -1
mem = 500
time = "90"
cpus = "four"
exclusive = "all"
env = { A = 1 }
returns = "lst[int]"
retries = 1.5
setup = [1]
output = "lined"
params.x = { default = 1 }
params."y-z" = { type = "int" }
params.w = "int"
[tasks.b]
command = "ls -l"
[tasks.c]
shell = "true"
command = ["true"]
[tasks.d]
command = ["true"]
interpreter = ["bash"]
queue = "a"
partition = "b"
[tasks.e]
"#), @r#"
reflow.toml:3:8: workflow.name: `a/b` is not a valid workflow name: a letter or digit, then letters, digits, `_`, `-` and `.`, at most 150 characters
reflow.toml:4:8: tasks.x y: `x y` is not a valid task name: a letter, then letters, digits and `_`, at most 100 characters
reflow.toml:7:9: tasks.a.shell: expected a text, got a whole number
reflow.toml:8:9: tasks.a.array: expected true or false, got a text
reflow.toml:9:21: tasks.a.array_parallelism: expected a whole number from 0, got -1
reflow.toml:10:7: tasks.a.mem: `500` is not a memory size: write a number with a unit, such as `500M` or `16G`
reflow.toml:11:8: tasks.a.time: `90` is not a walltime: write `HH:MM:SS`, `D-HH:MM:SS`, or units such as `90s`, `30m`, `1d 12h`
reflow.toml:12:8: tasks.a.cpus: invalid type: string "four", expected u32
reflow.toml:13:13: tasks.a.exclusive: unknown variant `all`, expected `node` or `user`
reflow.toml:14:13: tasks.a.env.A: expected a text, got a whole number
reflow.toml:15:11: tasks.a.returns: `lst[int]` is not a type: unknown type `lst` at character 1 (nearest type: `list`)
reflow.toml:17:10: tasks.a.setup[0]: expected a text, got a whole number
reflow.toml:18:10: tasks.a.output: there is no output `lined` (nearest: `lines`)
reflow.toml:19:12: tasks.a.params.x: a parameter needs a `type`
reflow.toml:20:8: tasks.a.params.y-z: `y-z` is not a valid parameter name: a letter, then letters, digits and `_`, at most 100 characters
reflow.toml:21:12: tasks.a.params.w: expected a table, got a text
reflow.toml:23:11: tasks.b.command: expected a list of texts, got a text (write each word as a text of its own, or use `shell`)
reflow.toml:25:1: tasks.c: a task has `command` or `shell`, not both
reflow.toml:29:1: tasks.d: `interpreter` is for `shell`
reflow.toml:30:1: tasks.d: `queue` is another word for `partition`: write one of them
reflow.toml:32:1: tasks.e: a task needs a `command` or a `shell`
"#);
}

#[test]
fn parameters_are_given_or_results() {
    insta::assert_snapshot!(errors(r#"
[workflow]
name = "w"
[tasks.a]
shell = "true"
params.x = { type = "int", result = "b", default = 1, short = "x" }
params.y = { type = "int", broadcast = true }
params.z = { type = "int", result = "b", results = ["b"] }
params.s = { type = "int", short = "long" }
params.n = { type = "int", namespace = "mine" }
"#), @"
reflow.toml:6:42: tasks.a.params.x: `default` is for parameters that the caller gives, not for results
reflow.toml:6:55: tasks.a.params.x: `short` is for parameters that the caller gives, not for results
reflow.toml:7:28: tasks.a.params.y: `broadcast` is for parameters with `result` or `results`
reflow.toml:8:42: tasks.a.params.z: a parameter has `result` or `results`, not both
reflow.toml:9:36: tasks.a.params.s.short: `long` cannot be a short flag: write one letter
reflow.toml:10:40: tasks.a.params.n.namespace: a namespace is `local` or `global`, not `mine`
");
}

#[test]
fn syntax_errors_show_line_and_column() {
    insta::assert_snapshot!(errors("[workflow]\nname = \"w\n"), @r#"
    reflow.toml:2:10: not valid TOML: invalid basic string, expected `"`
      name = "w
               ^
    "#);
    insta::assert_snapshot!(errors("[workflow]\nname = \"w\"\n[tasks.a]\nshell = 'a' 'b'\n"), @"
    reflow.toml:4:13: not valid TOML: unexpected key or value, expected newline, `#`
      shell = 'a' 'b'
                  ^
    ");
    insta::assert_snapshot!(errors("[workflow]\nname = \"w\"\nname = \"v\"\n"), @r#"
    reflow.toml:3:1: not valid TOML: duplicate key
      name = "v"
      ^
    "#);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let empty = directory(&[]);
    insta::assert_snapshot!(errors_in(&empty), @"DIR: could not read the workflow file: there is no reflow.toml in this directory: it does not exist");
    let error = load(Path::new("/nonexistent/reflow.toml")).expect_err("not there");
    insta::assert_snapshot!(error, @"/nonexistent/reflow.toml: could not read the workflow file: it does not exist");
    let binary = directory(&[]);
    fs_err::write(binary.path().join("reflow.toml"), b"a = \"\xff\"").expect("written");
    insta::assert_snapshot!(errors_in(&binary), @"reflow.toml: could not read the workflow file: the file is not UTF-8");
    insta::assert_snapshot!(errors(""), @"reflow.toml:1:1: workflow: there is no [workflow] table with the `name` of the workflow");
}

#[test]
fn errors_of_templates_and_of_the_graph_come_together() {
    insta::assert_snapshot!(errors(r#"
[workflow]
name = "w"
[tasks.a]
shell = "wc '{text}'"
params.text = { type = "file" }
returns = "int"
[tasks.b]
command = ["p", "{txet}"]
params.text = { type = "str", result = "aa" }
"#), @"
reflow.toml:5:9: tasks.a: shell at 1:5: `{text}` inside quotes: values are quoted for you (end the quotes before it, or write `{{text}}` for the text itself)
reflow.toml:9:17: tasks.b: command[1] at 1:1: there is no parameter `txet` (nearest parameter: `text`; write `{{txet}}` for the text itself)
workflow `w` has 1 error
  task `b`, parameter `text`: there is no task `aa` (nearest task: `a`)
");
}

#[test]
fn flows_are_included_under_a_prefix() {
    let directory = directory(&[
        (
            "reflow.toml",
            r#"
            include = [
                { file = "flows/qc.toml", prefix = "raw" },
                { file = "./flows/qc.toml", prefix = "clean" },
            ]
            [workflow]
            name = "w"
            [tasks.sum]
            shell = "echo {n} {m}"
            returns = "str"
            params.n = { type = "int", result = "raw_check" }
            params.m = { type = "int", result = "clean_check" }
        "#,
        ),
        (
            "flows/qc.toml",
            r#"
            include = [{ file = "../deep.toml", prefix = "deep" }]
            [workflow]
            name = "qc"
            [tasks.check]
            shell = "wc -l < {table}; cat {x}"
            returns = "int"
            params.table = { type = "file", default = "table.csv", namespace = "local" }
            params.x = { type = "str", result = "deep_leaf" }
        "#,
        ),
        (
            "deep.toml",
            "[workflow]\nname = \"deep\"\n[tasks.leaf]\nshell = \"echo x\"\nreturns = \"str\"\n",
        ),
    ]);
    let loaded = load(&directory.path().join("reflow.toml")).expect("right");
    let root = root(&directory);
    let names: Vec<_> = loaded
        .description
        .tasks
        .iter()
        .map(|task| task.name.to_string())
        .collect();
    assert_eq!(
        names,
        [
            "raw_deep_leaf",
            "raw_check",
            "clean_deep_leaf",
            "clean_check",
            "sum"
        ]
    );
    let files: Vec<_> = loaded
        .files
        .iter()
        .map(|file| file.to_str().expect("UTF-8"))
        .collect();
    assert_eq!(
        files,
        [
            format!("{root}/reflow.toml"),
            format!("{root}/flows/qc.toml"),
            format!("{root}/deep.toml")
        ]
    );
    let ParameterKind::Plain { default, .. } = &loaded.description.tasks[1].parameters[0].kind
    else {
        panic!("a plain parameter");
    };
    assert_eq!(default, &Some(json!(format!("{root}/flows/table.csv"))));
    let flows: Vec<_> = loaded
        .description
        .tasks
        .iter()
        .map(|task| task.flow.as_ref().map_or("", |flow| flow.as_str()))
        .collect();
    assert_eq!(flows, ["deep", "qc", "deep", "qc", ""]);
    let graph = Graph::check(loaded.description).expect("right");
    let flags: Vec<_> = graph
        .parameters()
        .flags()
        .iter()
        .map(|flag| flag.name.as_str())
        .collect();
    assert_eq!(flags, ["raw-check-table", "clean-check-table"]);
}

#[test]
fn wrong_includes_are_refused() {
    let circle = directory(&[
        (
            "reflow.toml",
            "include = [{ file = \"b.toml\", prefix = \"b\" }]\n[workflow]\nname = \"a\"\n",
        ),
        (
            "b.toml",
            "[workflow]\nname = \"b\"\n[[include]]\nfile = \"reflow.toml\"\nprefix = \"a\"\n",
        ),
    ]);
    insta::assert_snapshot!(errors_in(&circle), @"b.toml:3:1: include of `reflow.toml`: could not read the workflow file: the files include each other in a circle: reflow.toml -> b.toml -> reflow.toml");
    insta::assert_snapshot!(errors(r#"
include = [{ file = "none.toml", prefix = "a" }, { file = "x" }, { fiel = "x", prefix = "b" }]
[workflow]
name = "w"
"#), @"
reflow.toml:2:12: include of `none.toml`: could not read the workflow file: it does not exist
reflow.toml:2:50: include[1]: an include needs a `file` and a `prefix`
reflow.toml:2:66: include[2]: an include needs a `file` and a `prefix`
reflow.toml:2:68: include[2]: unknown key `fiel` (nearest key: `file`)
");
    let broken = directory(&[
        (
            "reflow.toml",
            "include = [{ file = \"b.toml\", prefix = \"1\" }, { file = \"c.toml\", prefix = \"c\" }]\n[workflow]\nname = \"a\"\n",
        ),
        (
            "b.toml",
            "[workflow]\nname = \"b\"\n[tasks.t]\nshell = \"true\"\n",
        ),
        (
            "c.toml",
            "[workflow]\nname = \"c\"\n[tasks.t]\nshel = \"true\"\n",
        ),
    ]);
    insta::assert_snapshot!(errors_in(&broken), @"
    c.toml:3:1: tasks.t: a task needs a `command` or a `shell`
    c.toml:4:1: tasks.t: unknown key `shel` (nearest key: `shell`)
    reflow.toml:1:12: include[0]: task `t` of flow `b` cannot be included under the prefix `1`: `1_t` is not a valid task name: a letter, then letters, digits and `_`, at most 100 characters
    ");
}

#[test]
fn moving_a_project_changes_no_fingerprint() {
    let text = "[workflow]\nname = \"w\"\n[tasks.t]\ncommand = [\"./x\"]\n";
    let digests = [text, text, &text.replace("./x", "./y")].map(|text| {
        let digest = loaded(text).description.tasks[0].fingerprint.clone();
        digest.expect("a digest")
    });
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
}

#[test]
fn a_program_below_a_directory_with_braces_is_no_template() {
    let odd = directory(&[(
        "{a} x/reflow.toml",
        "[workflow]\nname = \"w\"\n[tasks.t]\ncommand = [\"bin/x\"]\n",
    )]);
    let loaded = load(&odd.path().join("{a} x")).expect("right");
    let command = super::CompiledCommand::compile(&loaded.description.tasks[0]).expect("compiled");
    let invocation = command
        .prepare(
            &std::collections::BTreeMap::new(),
            Path::new("/run"),
            Path::new("/scratch"),
        )
        .expect("prepared");
    assert_eq!(invocation.argv, [format!("{}/{{a}} x/bin/x", root(&odd))]);
}
