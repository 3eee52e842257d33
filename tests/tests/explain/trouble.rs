//! Earlier runs that are damaged, gone or updated.

use fs_err as fs;
use reflow_tests::{Case, local_case as case};

use crate::setting::{Setting, WORKFLOW};

const SOURCE: [&str; 2] = ["--source", "words.txt"];
const DRY: [&str; 6] = ["submit", "--dry-run", "-w", "w", "--source", "words.txt"];

pub(crate) const CASES: &[Case] = &[
    case(
        "an_earlier_run_that_is_damaged",
        an_earlier_run_that_is_damaged,
    ),
    case(
        "a_long_value_whose_run_is_gone",
        a_long_value_whose_run_is_gone,
    ),
    case("a_dry_run_writes_nothing", a_dry_run_writes_nothing),
    case(
        "an_earlier_run_that_was_updated",
        an_earlier_run_that_was_updated,
    ),
    case(
        "a_run_that_was_updated_itself",
        a_run_that_was_updated_itself,
    ),
    case(
        "what_an_updated_run_had_taken",
        what_an_updated_run_had_taken,
    ),
    case("few_of_many_runs_are_read", few_of_many_runs_are_read),
];

fn an_earlier_run_that_is_damaged() {
    let setting = Setting::new(WORKFLOW);
    let first = setting.run(&SOURCE);
    let forget = ["cache", "gc", "--max-size", "1B", "--apply"];
    setting.program.run(&forget).expect(0);
    let packs = setting.program.home().join(&first).join(".reflow/packs");
    let mut damaged = 0;
    for pack in fs::read_dir(packs).expect("packs") {
        let pack = pack.expect("a pack").path();
        let mut bytes = fs::read(&pack).expect("a pack");
        bytes.iter_mut().skip(8).for_each(|byte| *byte ^= 0x55);
        fs::write(&pack, bytes).expect("written");
        damaged += 1;
    }
    assert!(damaged > 0);
    let said = setting.program.run(&DRY).expect(0).stdout;
    let second = setting.run(&SOURCE);
    for said in [said, setting.explain(&[&second]).stdout] {
        let id = setting.id(&first);
        let expected = format!("its result of {id} was not kept (it cannot be read there)");
        assert!(said.contains(&expected), "{said}");
    }
}

fn a_long_value_whose_run_is_gone() {
    let setting = Setting::new(WORKFLOW);
    setting.words(&"a word to make it long\n".repeat(300));
    let first = setting.run(&SOURCE);
    fs::remove_dir_all(setting.program.home().join(first)).expect("removed");
    let document = setting.program.json(&DRY);
    assert_eq!(document["cached"], 0);
    let second = setting.run(&SOURCE);
    assert_eq!(setting.counts(&second, "split"), (0, 1));
    assert_eq!(setting.counts(&second, "count"), (300, 0));
}

fn a_dry_run_writes_nothing() {
    let setting = Setting::new(WORKFLOW);
    // Only what has not just been written is remembered.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    setting.program.run(&DRY).expect(0);
    let store = setting.program.home().join(".local/share/reflow");
    assert!(!store.exists(), "the store was made");
    setting.run(&SOURCE);
    assert!(store.join("files").exists());
}

/// Elements of which the one with a `c` fails while the version is below 3.
const FRAGILE: &str = r#"
[workflow]
name = "fragile"

[tasks.list]
shell = "echo a; echo b; echo c"
returns = "list[str]"
output = "lines"

[tasks.each]
array = true
version = "1"
shell = "echo {x}; test {x} != c"
params.x = { type = "str", result = "list" }
returns = "str"
"#;

/// Runs again what failed, by the workflow as it is now.
fn retry(setting: &Setting, run: &str) {
    let retry = ["retry", run, "--update", "-w", "w"];
    setting.program.run(&retry).expect(0);
    setting.program.run(&["wait", run]).expect(0);
}

fn an_earlier_run_that_was_updated() {
    let setting = Setting::new(FRAGILE);
    let first = setting.try_run(&[], 1);
    setting.edit("version = \"1\"", "version = \"2\"");
    setting.edit("; test {x} != c", "");
    retry(&setting, &first);
    let second = setting.run(&[]);
    assert_eq!(setting.counts(&second, "each"), (1, 2));
    // The run has the second version by now; these elements of it ran by the first.
    assert_eq!(setting.reasons(&second, "each", 0), ["version", "command"]);
    let said = setting.explain(&[&second]).stdout;
    assert!(said.contains("version 1 → 2"), "{said}");
}

fn what_an_updated_run_had_taken() {
    let setting = Setting::new(FRAGILE);
    setting.try_run(&[], 1);
    let second = setting.try_run(&[], 1);
    assert_eq!(setting.counts(&second, "each"), (2, 1));
    setting.edit("version = \"1\"", "version = \"2\"");
    setting.edit("; test {x} != c", "");
    retry(&setting, &second);
    let third = setting.run(&[]);
    assert_eq!(setting.counts(&third, "each"), (1, 2));
    assert_eq!(setting.reasons(&third, "each", 0), ["version", "command"]);
}

fn a_run_that_was_updated_itself() {
    let setting = Setting::new(FRAGILE);
    setting.try_run(&[], 1);
    setting.edit("version = \"1\"", "version = \"2\"");
    let second = setting.try_run(&[], 1);
    setting.edit("version = \"2\"", "version = \"3\"");
    setting.edit("; test {x} != c", "");
    retry(&setting, &second);
    let said = setting.explain(&[&second, "each[0]"]).stdout;
    assert!(said.contains("version 1 → 2"), "{said}");
    assert!(!said.contains("command text"), "{said}");
    let said = setting.explain(&[&second, "each[2]"]).stdout;
    assert!(said.contains("version 1 → 3"), "{said}");
    assert!(said.contains("command text"), "{said}");
}

fn few_of_many_runs_are_read() {
    let setting = Setting::new(WORKFLOW);
    for run in 0..8 {
        setting.words(&format!("a\nbb\n{run}\n"));
        setting.run(&SOURCE);
    }
    setting.words("a\nbb\nnew\n");
    let one_changed = setting.run(&SOURCE);
    let reads = |run: &str| {
        let mut explain = setting.program.command(&["explain", run, "count"]);
        let output = explain.env("REFLOW_LOG", "reflow_core=debug").output();
        let log = String::from_utf8(output.expect("explained").stderr).expect("text");
        log.matches("an earlier run is read").count()
    };
    assert_eq!(
        setting.reasons(&one_changed, "count", 2),
        ["upstream_value"]
    );
    let read = reads(&one_changed);
    assert!((1..=4).contains(&read), "{read}");
    // Nothing differs from the newest: no other is read.
    let forget = ["cache", "gc", "--max-size", "1B", "--apply"];
    setting.program.run(&forget).expect(0);
    let all_the_same = setting.run(&SOURCE);
    assert_eq!(setting.reasons(&all_the_same, "count", 2), ["not_found"]);
    assert_eq!(reads(&all_the_same), 1);
}
