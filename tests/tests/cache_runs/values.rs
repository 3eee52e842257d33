//! Values that differ are different inputs, and values that are the same are not.

use reflow_tests::{Case, Program};
use serde_json::json;

use crate::case;
use crate::series::{Series, files_below, text};

pub(crate) const CASES: &[Case] = &[
    case("parameters_that_differ_are_different", parameters),
    case("results_that_differ_are_different", results),
    case("values_that_are_the_same_are_not_different", same),
    case("large_values_are_taken_whole", large),
    case("large_values_that_are_gone_are_made_again", large_gone),
    case(
        "a_large_value_that_was_changed_is_made_again",
        large_changed,
    ),
];

/// Values of which no two are the same, as they are written in JSON.
const DIFFERENT: &[&str] = &[
    "null",
    "true",
    "1",
    "1.0",
    "\"1\"",
    "[1]",
    "[[1]]",
    "{\"1\":1}",
    "\"true\"",
    "\"null\"",
    "\"\"",
    "[]",
    "{}",
    "[\"\"]",
    "[null]",
    "[1,2,3]",
    "[1,3,2]",
    "[1,[2,3]]",
    "[[1,2],3]",
    "[\"1,2\",3]",
    "{\"a\":1,\"b\":2}",
    "{\"a\":2,\"b\":1}",
    "{\"a\":{\"b\":1}}",
    "9007199254740992",
    "9007199254740993",
    "9007199254740992.0",
    "-9007199254740993",
    "9223372036854775807",
    "9223372036854775806",
    "0.1",
    "0.10000000000000002",
    "0.5",
    "1e300",
    // An é of one character, and one of two: what Unicode calls equivalent are other bytes to a command.
    "\"\u{e9}\"",
    "\"e\u{301}\"",
    "\"a b\"",
    "\"a  b\"",
    "\"a\\nb\"",
    "\"a\\tb\"",
    "\"\\u0000\"",
    "\"\u{4e16}\"",
];

/// Values that are the same, written differently.
const SAME: &[(&str, &str)] = &[
    ("{\"a\":1,\"b\":2}", "{\"b\":2, \"a\":1}"),
    ("[1, 2]", " [1,2] "),
    ("\"\u{e9}\"", "\"\\u00e9\""),
    ("0.5", "5e-1"),
    ("100.0", "1e2"),
    (
        "{\"x\":{\"b\":[1],\"a\":null}}",
        "{\"x\":{\"a\":null,\"b\":[1]}}",
    ),
];

const TAKES: &str = r#"
    [tasks.take]
    shell = "echo take >> $BODIES; cat {x:file}; echo ."
    params.x = { type = "json" }
    returns = "str"
"#;

fn parameters() {
    let series = Series::new();
    series.workflow(TAKES);
    let mut firsts = Vec::new();
    for value in DIFFERENT {
        let run = series.run(&["--x", value]);
        assert_eq!(run.bodies, ["take"], "{value} is like none before it");
        firsts.push(series.value(&run, "take"));
    }
    for (value, first) in DIFFERENT.iter().zip(&firsts) {
        let run = series.run(&["--x", value]);
        assert_eq!(run.bodies, [""; 0], "{value} is known");
        assert_eq!(series.value(&run, "take"), *first, "{value}");
    }
}

fn same() {
    let series = Series::new();
    series.workflow(TAKES);
    for (one, other) in SAME {
        let first = series.run(&["--x", one]);
        assert_eq!(first.bodies.len(), 1, "{one}");
        let second = series.run(&["--x", other]);
        assert_eq!(second.bodies, [""; 0], "{other} is {one}");
    }
}

/// An array over values that the run is told in a file, and a task that takes them whole. The file is not
/// an input, so only what is made of it counts.
const GIVES: &str = r#"
    [tasks.give]
    shell = "echo give >> $BODIES; cat $ANSWER"
    returns = "list[json]"
    output = "json"
    cache = false
    [tasks.each]
    array = true
    shell = "echo each >> $BODIES; cat {x:file}; echo ."
    params.x = { type = "json", result = "give" }
    returns = "str"
    [tasks.whole]
    shell = "echo whole >> $BODIES; cat {x:file}; echo ."
    params.x = { type = "list[json]", result = "give" }
    returns = "str"
"#;

fn giving() -> Series {
    let program = Program::local();
    let answer = program.home().join("answer");
    let series = Series::of(program.with_variable("ANSWER", text(&answer)));
    series.workflow(GIVES);
    series
}

fn give(series: &Series, list: &str) {
    series.program.write("answer", list);
}

fn results() {
    let series = giving();
    give(&series, &format!("[{}]", DIFFERENT.join(",")));
    let first = series.run(&[]);
    assert_eq!(first.counts("each"), (DIFFERENT.len() as u64, 0));
    // Backwards: every item is known, the list as a whole is not.
    let backwards: Vec<&str> = DIFFERENT.iter().rev().copied().collect();
    give(&series, &format!("[{}]", backwards.join(",")));
    series.run(&[]).ran(&["give", "whole"]);
    // One item, as a list: as if each were the only one.
    for value in ["1.0", "9007199254740993", "\"e\u{301}\""] {
        give(&series, &format!("[{value}]"));
        series.run(&[]).ran(&["give", "whole"]);
        series.run(&[]).ran(&["give"]);
    }
    for (one, other) in SAME {
        give(&series, &format!("[{one}]"));
        series.run(&[]);
        give(&series, &format!("[{other}]"));
        series.run(&[]).ran(&["give"]);
    }
}

/// Two large values of one task, an array of them, and what takes them.
const LARGE: &str = r#"
    [tasks.text]
    shell = "echo text >> $BODIES; head -c 100000 /dev/zero | tr '\\0' x"
    returns = "str"
    [tasks.list]
    shell = "echo list >> $BODIES; for i in $(seq 20); do head -c $((4000 + i * 10)) /dev/zero | tr '\\0' y; echo; done"
    returns = "list[str]"
    output = "lines"
    [tasks.half]
    array = true
    shell = "echo half >> $BODIES; head -c 6000 /dev/zero | tr '\\0' z; cat {item:file}"
    params.item = { type = "str", result = "list" }
    returns = "str"
    [tasks.total]
    shell = "echo total >> $BODIES; cat {text:file} {list:file} {halves:file} | tr -d '\\n' | wc -c"
    params.text = { type = "str", result = "text" }
    params.list = { type = "list[str]", result = "list" }
    params.halves = { type = "list[str]", result = "half" }
    returns = "int"
    version = "1"
"#;

/// How many bytes they have in all: 100000, the list of 20 (4010 to 4200), and each again behind 6000.
const BYTES: u64 = 100_000 + 2 * (20 * 4000 + 10 * 210) + 20 * 6000;

fn newer(tasks: &str) -> String {
    tasks.replace("version = \"1\"", "version = \"2\"")
}

fn large() {
    let series = Series::new();
    series.workflow(LARGE);
    let first = series.run(&[]);
    assert_eq!(first.bodies.len(), 23);
    assert_eq!(series.value(&first, "total"), BYTES);
    let second = series.run(&[]);
    second.is_cached();
    for what in ["text", "list", "half", "half[7]"] {
        assert!(
            series.value(&first, what) == series.value(&second, what),
            "{what}"
        );
    }
    // A body that takes them now gets them whole.
    series.workflow(&newer(LARGE));
    let third = series.run(&[]);
    third.ran(&["total"]);
    assert_eq!(series.value(&third, "total"), BYTES);
}

fn large_gone() {
    let series = Series::new();
    series.workflow(LARGE);
    let first = series.run(&[]);
    let second = series.run(&[]);
    second.is_cached();
    fs_err::remove_dir_all(first.path(&series, "")).expect("it is ours");
    series.workflow(&newer(LARGE));
    let third = series.run(&[]);
    assert!(third.bodies.contains(&"total".to_owned()));
    assert_eq!(series.value(&third, "total"), BYTES);
    let fourth = series.run(&[]);
    fourth.is_cached();
    assert_eq!(
        series.value(&fourth, "text").as_str().map(str::len),
        Some(100_000)
    );
    assert_eq!(
        series.value(&fourth, "half").as_array().map(Vec::len),
        Some(20)
    );
}

fn large_changed() {
    let series = Series::new();
    series.workflow(LARGE);
    let first = series.run(&[]);
    // What a bad disk or an editor does to the files that hold them.
    let values = first.path(&series, ".reflow/values");
    let mut changed = 0;
    for entry in files_below(&values) {
        let mut bytes = fs_err::read(&entry).expect("it is there");
        if let Some(byte) = bytes.iter_mut().rev().nth(10) {
            *byte = b'X';
            changed += 1;
        }
        fs_err::write(&entry, bytes).expect("it is ours");
    }
    assert!(changed > 20, "large values lie in files of their own");
    series.workflow(&newer(LARGE));
    let second = series.run(&[]);
    assert_eq!(series.value(&second, "total"), BYTES);
    let text = series.value(&second, "text");
    assert_eq!(text, json!("x".repeat(100_000)));
}
