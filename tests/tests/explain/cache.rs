//! What is remembered is shown, cleaned up, and published again.

use reflow_tests::{Case, local_case as case};
use serde_json::Value;

use crate::setting::{Setting, WORKFLOW};

const SOURCE: [&str; 2] = ["--source", "words.txt"];
const STORE: &str = ".local/share/reflow";

pub(crate) const CASES: &[Case] = &[
    case("what_is_remembered_is_shown", what_is_remembered_is_shown),
    case("gc_shows_first_and_then_does", gc_shows_first_and_then_does),
    case(
        "gc_without_a_criterion_takes_what_is_damaged_alone",
        gc_without_a_criterion_takes_what_is_damaged_alone,
    ),
    case(
        "gc_leaves_what_a_live_run_uses",
        gc_leaves_what_a_live_run_uses,
    ),
    case("unreachable_values_go", unreachable_values_go),
    case("rebuild_gives_what_was_there", rebuild_gives_what_was_there),
    case("rebuild_passes_over_damage", rebuild_passes_over_damage),
    case(
        "wrong_requests_say_what_to_do",
        wrong_requests_say_what_to_do,
    ),
];

fn all(setting: &Setting) -> Value {
    setting.program.json(&["cache", "list", "--all"])
}

fn what_is_remembered_is_shown() {
    let setting = Setting::new(WORKFLOW);
    let empty = setting.program.run(&["cache", "stats"]).expect(0).stdout;
    assert!(empty.contains("nothing is remembered"), "{empty}");
    let run = setting.run(&SOURCE);
    let id = setting.id(&run);
    let stats = setting.program.json(&["cache", "stats"]);
    assert_eq!(stats["results"], 5);
    let tasks: Vec<&str> = stats["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .filter_map(|task| task["task"].as_str())
        .collect();
    assert_eq!(tasks, ["count", "split", "total"]);
    let listed = setting.program.json(&["cache", "list", "count"]);
    assert_eq!(listed["total"], 3);
    let shown = setting.program.json(&["cache", "show", &run, "count[2]"]);
    let result = &shown["results"][0];
    assert_eq!(
        (&result["value"], &result["element"]),
        (&3.into(), &2.into())
    );
    assert_eq!(result["run"], id.as_str());
    let identity = shown["identity"].as_str().expect("an identity");
    let by_prefix = setting.program.json(&["cache", "show", &identity[..16]]);
    assert_eq!(by_prefix["results"], shown["results"]);
    let said = setting
        .program
        .run(&["cache", "list", "-n", "1"])
        .expect(0)
        .stdout;
    assert!(said.contains("and 4 older, see `--all`"), "{said}");
}

fn gc_shows_first_and_then_does() {
    let setting = Setting::new(WORKFLOW);
    setting.run(&SOURCE);
    let before = all(&setting);
    let shown = setting.program.json(&["cache", "gc", "--max-size", "1B"]);
    assert_eq!(shown["applied"], false);
    assert_eq!((&shown["kept"], &shown["in_use"]), (&0.into(), &0.into()));
    let gone = shown["gone"].as_array().expect("tasks");
    let results: Option<u64> = gone.iter().map(|it| it["results"].as_u64()).sum();
    assert_eq!(results, Some(5));
    assert!(gone.iter().all(|it| it["why"] == "size"));
    assert_eq!(all(&setting), before, "nothing went");
    let kept = setting.program.json(&[
        "cache",
        "gc",
        "--max-size",
        "1G",
        "--older-than",
        "1d",
        "--apply",
    ]);
    assert_eq!(kept["kept"], 5);
    assert_eq!(all(&setting), before);
    let done = setting
        .program
        .json(&["cache", "gc", "--max-size", "1B", "--apply"]);
    assert_eq!(done["applied"], true);
    assert_eq!(all(&setting)["total"], 0);
    // Nothing is found any more, and everything goes on.
    let again = setting.run(&SOURCE);
    assert_eq!(setting.counts(&again, "count"), (0, 3));
    assert_eq!(setting.reasons(&again, "count", 0), ["not_found"]);
}

fn gc_without_a_criterion_takes_what_is_damaged_alone() {
    let setting = Setting::new(WORKFLOW);
    setting.run(&SOURCE);
    let before = all(&setting);
    let broken = setting.program.home().join(STORE).join("cache/count/x");
    fs_err::write(&broken, "reflowt1 and then nothing of use for anybody").expect("written");
    let outcome = setting.program.run(&["cache", "gc"]).expect(0);
    for part in [
        "nothing goes; 5 results stay",
        "would go: `",
        "which is damaged",
        "--apply",
    ] {
        assert!(outcome.stdout.contains(part), "{}", outcome.stdout);
    }
    assert!(broken.exists());
    setting.program.run(&["cache", "gc", "--apply"]).expect(0);
    assert!(!broken.exists());
    assert_eq!(all(&setting), before);
    let outcome = setting.program.run(&["cache", "gc"]).expect(0);
    assert!(
        outcome.stdout.contains("--older-than 30d"),
        "{}",
        outcome.stdout
    );
}

fn gc_leaves_what_a_live_run_uses() {
    let setting = Setting::new(
        "[workflow]\nname = \"live\"\n[tasks.first]\nshell = \"echo 1\"\nreturns = \"int\"\n\
         [tasks.other]\nshell = \"echo 2\"\nreturns = \"int\"\n\
         [tasks.last]\nshell = \"echo {n}; test {wait} = 0 || until test -e ../go; do sleep 0.05; done\"\n\
         params.n = { type = \"int\", result = \"first\" }\n\
         params.wait = { type = \"int\", default = 0 }\nreturns = \"int\"\n",
    );
    setting.run(&[]);
    let text = fs_err::read_to_string(setting.program.home().join("w/reflow.toml")).expect("read");
    let without_other = text.replace("[tasks.other]\nshell = \"echo 2\"\nreturns = \"int\"\n", "");
    setting.program.write("w/reflow.toml", &without_other);
    setting
        .program
        .run(&["submit", "-w", "w", "--run-dir", "live", "--wait", "1"])
        .expect(0);
    let shown = setting
        .program
        .json(&["cache", "gc", "--max-size", "1B", "--apply"]);
    // It has taken `first` of the first run; `other` and `last` of that are not its business.
    assert_eq!((&shown["in_use"], &shown["kept"]), (&1.into(), &1.into()));
    let left = all(&setting);
    assert_eq!(left["results"][0]["task"], "first");
    setting.program.write("go", "");
    setting.program.run(&["wait", "live"]).expect(0);
    let done = setting.program.json(&["cache", "gc", "--max-size", "1B"]);
    assert_eq!(done["in_use"], 0);
}

fn unreachable_values_go() {
    let setting = Setting::new(
        "[workflow]\nname = \"files\"\n[tasks.make]\nshell = \"echo {n} > made.txt\"\n\
         params.n = { type = \"int\", default = 1 }\n\
         returns = \"path\"\noutput = { file = \"made.txt\" }\n\
         [tasks.long]\nshell = \"seq 1 {m}\"\nparams.m = { type = \"int\", default = 3000 }\n\
         returns = \"list[int]\"\noutput = \"lines\"\n",
    );
    let first = setting.run(&[]);
    let second = setting.run(&["--n", "2", "--m", "4000"]);
    let gone = |flags: &[&str]| {
        let mut arguments = vec!["cache", "gc", "--unreachable"];
        arguments.extend(flags);
        setting.program.json(&arguments)["gone"].clone()
    };
    assert_eq!(gone(&[]), serde_json::json!([]));
    let home = setting.program.home();
    fs_err::remove_file(home.join(&first).join("made.txt")).expect("it was made");
    let document = gone(&[]);
    assert_eq!(document[0]["task"], "make");
    assert_eq!(
        (&document[0]["results"], &document[0]["why"]),
        (&1.into(), &"unreachable".into())
    );
    fs_err::remove_dir_all(home.join(&second)).expect("a run directory");
    gone(&["--apply"]);
    let left = all(&setting);
    // The long value of the first run, which is there.
    assert_eq!(left["total"], 1);
    let result = &left["results"][0];
    let id = setting.id(&first);
    assert_eq!(
        (&result["task"], &result["run"]),
        (&"long".into(), &id.as_str().into())
    );
}

fn rebuild_gives_what_was_there() {
    let setting = Setting::new(WORKFLOW);
    setting.run(&SOURCE);
    setting.words("a\nXX\nccc\ndddd\n");
    setting.run(&SOURCE);
    setting.run(&["--source", "words.txt", "--force-tasks", "count"]);
    let before = all(&setting);
    assert_eq!(before["total"], 5 + 4 + 4);
    let known = setting.program.json(&["cache", "rebuild"]);
    assert_eq!(
        (&known["published"], &known["runs"]),
        (&0.into(), &3.into())
    );
    let store = setting.program.home().join(STORE);
    fs_err::remove_dir_all(store.join("cache")).expect("the cache");
    let rebuilt = setting.program.json(&["cache", "rebuild"]);
    assert_eq!(rebuilt["published"], before["total"]);
    assert_eq!(all(&setting), before);
    setting.program.json(&["cache", "rebuild"]);
    assert_eq!(all(&setting), before);
    let hit = setting.run(&SOURCE);
    assert_eq!(setting.counts(&hit, "count"), (4, 0));
    // A part of it, by directory.
    fs_err::remove_dir_all(store.join("cache")).expect("the cache");
    let part = setting.program.json(&["cache", "rebuild", "run1"]);
    assert_eq!(part["published"], 5);
}

fn rebuild_passes_over_damage() {
    let setting = Setting::new(WORKFLOW);
    let first = setting.run(&SOURCE);
    let second = setting.run(&["--source", "words.txt", "--extra", "1"]);
    let home = setting.program.home();
    let packs = home.join(&first).join(".reflow/packs");
    let mut packs = fs_err::read_dir(packs).expect("packs");
    let damaged = packs.next().expect("a pack").expect("it can be read");
    fs_err::write(damaged.path(), "garbage").expect("overwritten");
    fs_err::remove_dir_all(home.join(STORE).join("cache")).expect("the cache");
    let outcome = setting.program.run(&["cache", "rebuild"]).expect(0);
    let outcome = outcome.says(&["warning: results of", "are left out"]);
    assert!(outcome.stdout.starts_with("2 runs: "), "{}", outcome.stdout);
    // What is whole is there again.
    let third = setting.run(&["--source", "words.txt", "--extra", "1"]);
    assert_eq!(setting.counts(&third, "count"), (3, 0));
    fs_err::remove_dir_all(home.join(&second)).expect("a run directory");
    setting
        .program
        .run(&["cache", "rebuild"])
        .expect(0)
        .says(&["is left out", "holds no run"]);
}

fn wrong_requests_say_what_to_do() {
    let setting = Setting::new(WORKFLOW);
    let run = setting.run(&SOURCE);
    let program = &setting.program;
    for (arguments, parts) in [
        (vec!["cache", "gc", "--older-than", "soon"], vec!["soon"]),
        (vec!["cache", "gc", "--max-size", "10"], vec!["10"]),
        (
            vec!["cache", "list", "cuont"],
            vec!["`cuont`", "did you mean `count`?"],
        ),
        (
            vec!["cache", "show", "xyz"],
            vec!["is not the beginning of an identity", "reflow cache list"],
        ),
        (
            vec!["cache", "show", "0000000000000000"],
            vec!["nothing is remembered"],
        ),
        (
            vec!["cache", "show", &run, "count"],
            vec!["name one element, as `count[0]`"],
        ),
        (
            vec!["cache", "show", &run, "cuont[0]"],
            vec!["did you mean `count`?"],
        ),
        (vec!["cache", "rebuild", "w"], vec!["holds no run"]),
    ] {
        program.run(&arguments).expect(2).says(&parts);
    }
}
