//! Each reason for which an element runs is named.

use reflow_tests::{Case, local_case as case};

use crate::setting::{Setting, WORKFLOW};

const SOURCE: [&str; 2] = ["--source", "words.txt"];

pub(crate) const CASES: &[Case] = &[
    case("the_first_run_and_hits", the_first_run_and_hits),
    case("one_line_of_a_file", one_line_of_a_file),
    case("more_elements", more_elements),
    case("another_order", another_order),
    case("another_parameter_value", another_parameter_value),
    case("parts_of_the_code", parts_of_the_code),
    case("the_declaration", the_declaration),
    case("choices_of_the_user", choices_of_the_user),
    case("outputs_that_were_deleted", outputs_that_were_deleted),
    case(
        "outputs_that_a_check_did_not_pass",
        outputs_that_a_check_did_not_pass,
    ),
    case(
        "an_element_that_failed_before",
        an_element_that_failed_before,
    ),
    case("the_run_that_differs_least", the_run_that_differs_least),
    case("a_dry_run_says_the_same", a_dry_run_says_the_same),
    case("what_is_asked_wrongly", what_is_asked_wrongly),
];

fn the_first_run_and_hits() {
    let setting = Setting::new(WORKFLOW);
    let first = setting.run(&SOURCE);
    let said = setting.explain(&[&first]).stdout;
    assert_eq!(
        said.matches("no earlier run of this task is known").count(),
        3,
        "{said}"
    );
    assert!(said.contains("count[]: 3 of 3 ran"), "{said}");
    let second = setting.run(&SOURCE);
    let said = setting.explain(&[&second]).stdout;
    let id = setting.id(&first);
    assert!(said.contains(&format!("split: taken from {id}")), "{said}");
    assert!(
        said.contains(&format!("count[]: 3 of 3 taken from {id}")),
        "{said}"
    );
    // Where the value was made first, and not where it was taken last.
    let third = setting.run(&SOURCE);
    let task = setting.task(&third, "count[2]");
    let elements = task["elements"].as_array().expect("one");
    assert_eq!(elements.len(), 1);
    assert_eq!(elements[0]["taken"]["run"], id.as_str());
    assert_eq!(elements[0]["taken"]["element"], 2);
}

fn one_line_of_a_file() {
    let setting = Setting::new(WORKFLOW);
    let first = setting.run(&SOURCE);
    setting.words("a\nXX\nccc\n");
    let second = setting.run(&SOURCE);
    let said = setting.explain(&[&second]).stdout;
    assert!(said.contains("content of words.txt changed"), "{said}");
    let id = setting.id(&first);
    assert!(
        said.contains(&format!("count[]: 2 of 3 taken from {id}; 1 ran")),
        "{said}"
    );
    assert!(
        said.contains("count[1]: upstream split[1] has a new value"),
        "{said}"
    );
    let alone = setting.explain(&[&second, "count[1]"]).stdout;
    let expected = "count[1]: ran\n  - upstream split[1] has a new value";
    assert!(alone.contains(expected), "{alone}");
    assert!(said.contains(&format!("compared with {id}")), "{said}");
    // The number of characters is the same: what is computed from it is not computed again.
    assert!(said.contains(&format!("total: taken from {id}")), "{said}");
    setting.words("a\nXXX\nccccc\n");
    let third = setting.run(&SOURCE);
    let said = setting.explain(&[&third]).stdout;
    assert!(
        said.contains("count[1-2]: upstream split[1-2] have new values"),
        "{said}"
    );
    assert!(
        said.contains("  - upstream count[1-2] have new values"),
        "{said}"
    );
}

fn more_elements() {
    let setting = Setting::new(WORKFLOW);
    setting.run(&SOURCE);
    setting.words("a\nbb\nccc\ndddd\neeeee\n");
    let second = setting.run(&SOURCE);
    assert_eq!(setting.counts(&second, "count"), (3, 2));
    let said = setting.explain(&[&second]).stdout;
    assert!(
        said.contains("count[3-4]: upstream split now has 5 elements, had 3"),
        "{said}"
    );
    assert!(
        said.contains("upstream count now has 5 elements, had 3"),
        "{said}"
    );
}

fn another_order() {
    let setting = Setting::new(WORKFLOW);
    setting.run(&SOURCE);
    setting.words("ccc\na\nbb\n");
    let second = setting.run(&SOURCE);
    assert_eq!(setting.counts(&second, "count"), (3, 0));
    assert_eq!(setting.reasons(&second, "total", 0), ["upstream_order"]);
    let said = setting.explain(&[&second, "total"]).stdout;
    assert!(
        said.contains("the values of upstream count are in another order"),
        "{said}"
    );
}

fn another_parameter_value() {
    let setting = Setting::new(WORKFLOW);
    setting.run(&SOURCE);
    setting.program.write("other.txt", "a\nbb\nccc\n");
    let second = setting.run(&["--source", "other.txt", "--extra", "7"]);
    let said = setting.explain(&[&second]).stdout;
    assert!(
        said.contains("new parameter value `--source`: words.txt → other.txt"),
        "{said}"
    );
    assert!(
        said.contains("new parameter value `--extra`: 0 → 7"),
        "{said}"
    );
    assert_eq!(setting.reasons(&second, "count", 0), ["parameter"]);
}

fn parts_of_the_code() {
    for (from, to, kind, words) in [
        (
            "printf %s {word} | wc -c",
            "printf %s {word} | wc -m",
            "command",
            "command text changed",
        ),
        (
            r#"setup = ["true"]"#,
            r#"setup = ["true", ":"]"#,
            "setup",
            "setup lines changed",
        ),
        (
            r#"STYLE = "plain""#,
            r#"STYLE = "bold""#,
            "environment",
            "environment changed: STYLE: plain → bold",
        ),
        (
            r#"STYLE = "plain""#,
            r#"OTHER = "x""#,
            "environment",
            "environment changed: STYLE: plain → unset",
        ),
        (
            r#"version = "1""#,
            "version = 2",
            "version",
            "version 1 → 2",
        ),
    ] {
        let setting = Setting::new(WORKFLOW);
        setting.run(&SOURCE);
        setting.edit(from, to);
        let second = setting.run(&SOURCE);
        assert_eq!(setting.counts(&second, "split"), (1, 0), "{to}");
        assert_eq!(setting.counts(&second, "count"), (0, 3), "{to}");
        assert_eq!(setting.reasons(&second, "count", 0)[0], kind, "{to}");
        let said = setting.explain(&[&second]).stdout;
        assert!(said.contains(words), "{said}");
        if kind == "command" {
            assert!(said.contains("- printf %s {word} | wc -c"), "{said}");
            assert!(said.contains("+ printf %s {word} | wc -m"), "{said}");
        }
    }
}

fn the_declaration() {
    let setting = Setting::new(WORKFLOW);
    setting.run(&SOURCE);
    setting.edit(
        "params.extra = { type = \"int\", default = 0 }\nreturns = \"int\"",
        "params.more = { type = \"int\", default = 0 }\nreturns = \"float\"",
    );
    setting.edit("type = \"list[int]\"", "type = \"list[float]\"");
    let second = setting.run(&SOURCE);
    assert_eq!(
        setting.reasons(&second, "count", 0),
        ["return_type", "parameter_added", "parameter_removed"]
    );
    let said = setting.explain(&[&second]).stdout;
    assert!(said.contains("return type int → float"), "{said}");
    assert!(
        said.contains("type of parameter `counts`: list[int] → list[float]"),
        "{said}"
    );
}

fn choices_of_the_user() {
    let setting = Setting::new(WORKFLOW);
    setting.run(&SOURCE);
    let forced = setting.run(&["--source", "words.txt", "--force-tasks", "count"]);
    assert_eq!(setting.counts(&forced, "split"), (1, 0));
    assert_eq!(setting.reasons(&forced, "count", 1), ["forced"]);
    setting.edit("array = true", "array = true\ncache = false");
    let off = setting.run(&SOURCE);
    assert_eq!(setting.reasons(&off, "count", 1), ["caching_off"]);
    setting.edit("cache = false", "");
    setting.edit("version = \"1\"", "version = \"9\"");
    setting.run(&SOURCE);
    let said = setting.explain(&[&off]).stdout;
    assert!(said.contains("caching is off"), "{said}");
}

fn outputs_that_were_deleted() {
    let setting = Setting::new(
        "[workflow]\nname = \"files\"\n[tasks.make]\nshell = \"echo 1 > made.txt\"\n\
         returns = \"file\"\noutput = { file = \"made.txt\" }\n",
    );
    let first = setting.run(&[]);
    let made = setting.program.home().join(&first).join("made.txt");
    fs_err::remove_file(&made).expect("it was made");
    let second = setting.run(&[]);
    assert_eq!(setting.reasons(&second, "make", 0), ["output_deleted"]);
    let said = setting.explain(&[&second]).stdout;
    assert!(
        said.contains(&format!("output {first}/made.txt was deleted")),
        "{said}"
    );
    let id = setting.id(&second);
    let third = setting.run(&[]);
    let said = setting.explain(&[&third]).stdout;
    assert!(said.contains(&format!("make: taken from {id}")), "{said}");
}

fn outputs_that_a_check_did_not_pass() {
    let setting = Setting::new(
        "[workflow]\nname = \"files\"\n[tasks.make]\nshell = \"echo 1 > made.txt\"\n\
         returns = \"file\"\noutput = { file = \"made.txt\" }\n\
         [tasks.lucky]\nshell = \"echo 7\"\nreturns = \"int\"\n\
         verify = \"test ! -e ../bad # {value}\"\n",
    );
    let first = setting.run(&[]);
    let made = setting.program.home().join(&first).join("made.txt");
    fs_err::write(&made, "another").expect("it was made");
    setting.program.write("bad", "");
    let second = setting.run(&["--verify"]);
    assert_eq!(setting.reasons(&second, "make", 0), ["output_changed"]);
    assert_eq!(setting.reasons(&second, "lucky", 0), ["refused"]);
    let said = setting.explain(&[&second]).stdout;
    let id = setting.id(&first);
    for part in [
        format!("output {first}/made.txt was changed"),
        format!("the task's `verify` did not accept the result of {id}"),
    ] {
        assert!(said.contains(&part), "{said}");
    }
}

fn an_element_that_failed_before() {
    let setting = Setting::new(
        "[workflow]\nname = \"fails\"\n[tasks.list]\nshell = \"echo a; echo b\"\n\
         returns = \"list[str]\"\noutput = \"lines\"\n\
         [tasks.try]\narray = true\nshell = \"echo {x}; test {x} = a || test -e ../there\"\n\
         params.x = { type = \"str\", result = \"list\" }\nreturns = \"str\"\n",
    );
    let first = setting.try_run(&[], 1);
    let id = setting.id(&first);
    setting.program.write("there", "");
    let second = setting.run(&[]);
    assert_eq!(setting.counts(&second, "try"), (1, 1));
    assert_eq!(setting.reasons(&second, "try", 1), ["not_kept"]);
    let said = setting.explain(&[&second]).stdout;
    let expected = format!("its result of {id} was not kept (it failed there)");
    assert!(said.contains(&expected), "{said}");
}

fn the_run_that_differs_least() {
    let setting = Setting::new(WORKFLOW);
    let near = setting.run(&["--source", "words.txt", "--extra", "1"]);
    setting.edit("version = \"1\"", "version = \"2\"");
    setting.run(&["--source", "words.txt", "--extra", "5"]);
    setting.edit("version = \"2\"", "version = \"1\"");
    let last = setting.run(&["--source", "words.txt", "--extra", "2"]);
    let task = setting.task(&last, "count");
    assert_eq!(task["compared_with"], setting.id(&near).as_str());
    assert_eq!(setting.reasons(&last, "count", 0), ["parameter"]);
}

fn a_dry_run_says_the_same() {
    let setting = Setting::new(WORKFLOW);
    let first = setting.run(&SOURCE);
    setting.words("a\nXX\nccc\n");
    let arguments = ["submit", "--dry-run", "-w", "w", "--source", "words.txt"];
    let said = setting.program.run(&arguments).expect(0).stdout;
    assert!(said.contains("split: would run"), "{said}");
    assert!(said.contains("content of words.txt changed"), "{said}");
    // What comes after it may be taken, if it gives the same again.
    let open = "total: not decided yet\n    - it needs a result of count that is not there yet";
    assert!(said.contains(open), "{said}");
    assert_eq!(said.matches("compared with").count(), 2, "{said}");
    setting.words("a\nbb\nccc\n");
    let said = setting.program.run(&arguments).expect(0).stdout;
    let id = setting.id(&first);
    assert!(
        said.contains(&format!("split: would be taken from {id}")),
        "{said}"
    );
    assert!(
        said.contains(&format!("count[]: 3 of 3 would be taken from {id}")),
        "{said}"
    );
    assert!(!said.contains("ids:"), "nothing gets one: {said}");
    let mut json = vec!["--extra", "3"];
    json.splice(0..0, arguments);
    let document = setting.program.json(&json);
    assert_eq!(document["cached"], 1);
    let count = &document["tasks"][1];
    assert_eq!(count["task"], "count");
    assert_eq!(
        count["reasons"][0]["text"],
        "new parameter value `--extra`: 0 → 3"
    );
    assert_eq!(count["width"], 3);
}

fn what_is_asked_wrongly() {
    let setting = Setting::new(WORKFLOW);
    let run = setting.run(&SOURCE);
    let program = &setting.program;
    program
        .run(&["explain", "nothing"])
        .expect(2)
        .says(&["there is no run `nothing`"]);
    program
        .run(&["explain", &run, "cuont"])
        .expect(2)
        .says(&["has no task `cuont`; did you mean `count`?"]);
    program
        .run(&["explain", &run, "count[7]"])
        .expect(2)
        .says(&["`count` has 3 elements, so its indices end before 7"]);
    program
        .run(&["explain", &run, "total[0]"])
        .expect(2)
        .says(&["`total` is no array task"]);
}
