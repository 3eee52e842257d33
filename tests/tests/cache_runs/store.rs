//! A store that many use at once, and one that is damaged: it costs hits, and never a run.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use reflow_tests::{Case, Program, wait_for};
use serde_json::json;

use crate::case;
use crate::group::built;
use crate::series::{Series, files_below, system, text};

pub(crate) const CASES: &[Case] = &[
    case("ten_runs_at_once_share_a_store", ten_at_once),
    case("a_store_of_its_own_knows_nothing", own_store),
    case("a_store_may_be_deleted", deleted),
    case("a_store_may_be_truncated", truncated),
    case("a_store_may_be_overwritten_with_garbage", garbage),
    case("a_store_may_be_emptied_file_by_file", emptied),
    case("a_store_may_lose_any_file", lost),
    case("a_store_may_have_foreign_files", foreign),
    case("a_store_may_become_a_file", became_a_file),
    case("a_store_may_be_a_file_from_the_start", is_a_file),
    case("a_store_is_made_again_however_often_it_is_damaged", rebuilt),
    case("a_store_of_many_tasks_takes_few_open_files", many_tasks),
    case("links_in_a_store_that_lead_nowhere_cost_a_warning", purged),
    case("what_is_no_file_of_a_store_costs_hits_alone", odd),
    case("a_disk_that_is_full_costs_hits_alone", full_disk).unless(no_mounts),
];

/// A list, an array that waits for the gate at its third element, and a chain behind it.
const TASKS: &str = r#"
    [tasks.list]
    shell = "echo list >> $BODIES; seq 5"
    returns = "list[int]"
    output = "lines"
    [tasks.work]
    array = true
    shell = """
    echo work {n} >> $BODIES
    if [ {n} = 3 ]; then for i in $(seq 900); do [ ! -e $GATE ] || break; sleep 0.1; done; fi
    mkdir -p out; echo {n} > out/{n}; echo {run_dir}/out/{n}
    """
    params.n = { type = "int", result = "list" }
    returns = "file"
    [tasks.large]
    array = true
    shell = "echo large >> $BODIES; head -c 5000 /dev/zero | tr '\\0' x; cat {file}"
    params.file = { type = "file", result = "work" }
    returns = "str"
    [tasks.bytes]
    shell = "echo bytes >> $BODIES; cat {all:file} | tr -d '\\n' | wc -c"
    params.all = { type = "list[str]", result = "large" }
    returns = "int"
"#;

/// What `bytes` gives.
const BYTES: u64 = 5 * 5001;

fn gated(program: Program) -> Series {
    let gate = program.home().join("go");
    let series = Series::of(program.with_variable("GATE", text(&gate)));
    series.workflow(TASKS);
    series
}

fn ten_at_once() {
    let series = gated(Program::local());
    series.program.write("go", "");
    let mut processes: Vec<_> = (0..10)
        .map(|number| {
            series
                .program
                .command(&[
                    "run",
                    "-q",
                    "-w",
                    "reflow.toml",
                    "--run-dir",
                    &format!("at-once-{number}"),
                ])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts")
        })
        .collect();
    for process in &mut processes {
        let status = process.wait().expect("it is ours");
        assert!(status.success(), "{status}");
    }
    let bodies = series.new_bodies();
    for number in 0..10 {
        let directory = format!("at-once-{number}");
        let value =
            |what: &str| series.program.json(&["result", &directory, what])["value"].clone();
        assert_eq!(value("bytes"), BYTES);
        for (index, path) in value("work").as_array().expect("a list").iter().enumerate() {
            let content =
                fs_err::read_to_string(path.as_str().expect("a path")).expect("it is there");
            assert_eq!(content, format!("{}\n", index + 1));
        }
    }
    assert!(bodies.len() <= 10 * 12, "{bodies:?}");
    let after = series.run(&[]);
    after.is_cached();
    assert_eq!(series.value(&after, "bytes"), BYTES);
}

fn own_store() {
    let series = gated(Program::local());
    series.program.write("go", "");
    let store = series.path("a store of its own");
    let run = |directory: &str, store: &Path| {
        let arguments = [
            "--store",
            text(store),
            "run",
            "-q",
            "-w",
            "reflow.toml",
            "--run-dir",
            directory,
        ];
        series.program.run(&arguments).expect(0);
        series.new_bodies().len()
    };
    assert_eq!(run("a", &store), 12);
    assert_eq!(run("b", &store), 0);
    assert_eq!(run("c", &series.path("another")), 12);
    assert!(
        !series.store().join("cache").exists(),
        "the usual one is not touched"
    );
    assert_eq!(series.run(&[]).bodies.len(), 12);
}

/// Damages the store between runs and in the middle of one: every run succeeds with the right values. Then,
/// with `repair`, everything is as before.
fn damaged(damage: impl Fn(&Path), repair: impl Fn(&Path)) {
    let series = gated(Program::local());
    series.program.write("go", "");
    let all = series.run(&[]);
    assert_eq!(all.bodies.len(), 12);
    series.run(&[]).is_cached();
    damage(&series.store());
    let after = series.run(&[]);
    assert_eq!(series.value(&after, "bytes"), BYTES);
    damage(&series.store());
    // While a run is on: some of its results are known, others are not yet.
    fs_err::remove_file(series.path("go")).expect("it is open");
    series.workflow(&TASKS.replace("echo work", "echo  work"));
    let directory = series.submit(&[]);
    wait_for("elements to end", || {
        series.path(&directory).join("out/2").exists()
    });
    damage(&series.store());
    series.program.write("go", "");
    let during = series.wait(&directory);
    assert_eq!(series.value(&during, "bytes"), BYTES);
    damage(&series.store());
    let last = series.run(&[]);
    assert_eq!(series.value(&last, "bytes"), BYTES);
    assert_eq!(
        series.value(&last, "large[3]").as_str().map(str::len),
        Some(5001)
    );
    repair(&series.store());
    let again = series.run(&[]);
    assert_eq!(series.value(&again, "bytes"), BYTES);
    let known = series.run(&[]);
    known.is_cached();
    assert_eq!(series.value(&known, "bytes"), BYTES);
}

fn nothing(_: &Path) {}

fn deleted() {
    damaged(
        |store| fs_err::remove_dir_all(store).expect("it is ours"),
        nothing,
    );
}

fn each_file(store: &Path, change: impl Fn(&Path)) {
    for file in files_below(store) {
        change(&file);
    }
}

fn truncated() {
    damaged(
        |store| {
            each_file(store, |file| {
                let bytes = fs_err::read(file).expect("it is there");
                fs_err::write(file, &bytes[..bytes.len() / 2]).expect("it is ours");
            });
        },
        nothing,
    );
}

fn garbage() {
    damaged(
        |store| {
            each_file(store, |file| {
                let bytes = fs_err::read(file).expect("it is there");
                let garbage: Vec<u8> = (0..bytes.len()).map(|i| (i * 37 + 11) as u8).collect();
                fs_err::write(file, garbage).expect("it is ours");
            });
        },
        nothing,
    );
    // One byte in the middle of each is enough.
    damaged(
        |store| {
            each_file(store, |file| {
                let mut bytes = fs_err::read(file).expect("it is there");
                let middle = bytes.len() / 2;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 0x55;
                }
                fs_err::write(file, bytes).expect("it is ours");
            });
        },
        nothing,
    );
}

fn emptied() {
    damaged(
        |store| each_file(store, |file| fs_err::write(file, "").expect("it is ours")),
        nothing,
    );
}

fn lost() {
    let series = gated(Program::local());
    series.program.write("go", "");
    series.run(&[]);
    for (number, file) in files_below(&series.store()).iter().enumerate() {
        // Later runs may have made it again, or made it needless.
        let _ = fs_err::remove_file(file);
        let run = series.run(&[]);
        assert_eq!(series.value(&run, "bytes"), BYTES, "without file {number}");
        series.run(&[]).is_cached();
    }
}

fn foreign() {
    damaged(
        |store| {
            let mut folders = vec![store.to_owned(), store.join("cache"), store.join("runs")];
            folders.extend(
                files_below(store)
                    .iter()
                    .filter_map(|file| Some(file.parent()?.to_owned())),
            );
            for folder in folders {
                if folder.is_dir() {
                    for name in ["README", ".nfs0001", "x-y", "\u{e9}-1", "tmp.part"] {
                        fs_err::write(folder.join(name), "not ours").expect("it is writable");
                    }
                    fs_err::create_dir_all(folder.join("folder-1")).expect("it is writable");
                }
            }
        },
        nothing,
    );
}

fn became_a_file() {
    damaged(
        |store| {
            if store.is_dir() {
                fs_err::remove_dir_all(store).expect("it is ours");
                fs_err::write(store, "a file").expect("it is ours");
            }
        },
        |store| fs_err::remove_file(store).expect("it is a file"),
    );
}

fn is_a_file() {
    let series = gated(Program::local());
    series.program.write("go", "");
    let store = series.program.write("store", "a file");
    for directory in ["a", "b"] {
        let arguments = [
            "--store",
            text(&store),
            "run",
            "-w",
            "reflow.toml",
            "--run-dir",
            directory,
        ];
        series
            .program
            .run(&arguments)
            .expect(0)
            .says(&[text(&store)]);
        assert_eq!(series.new_bodies().len(), 12);
        assert_eq!(
            series.program.json(&["result", directory, "bytes"])["value"],
            json!(BYTES)
        );
    }
    assert_eq!(
        fs_err::read_to_string(&store).expect("it is there"),
        "a file"
    );
}

fn rebuilt() {
    let series = gated(Program::local());
    series.program.write("go", "");
    let first = series.run(&[]);
    let rebuild = || series.program.json(&["cache", "rebuild", &first.directory]);
    for _ in 0..3 {
        // Under the names that it had, and under those that it got again.
        let tables = files_below(&series.store().join("cache"));
        for table in tables {
            fs_err::write(table, "garbage").expect("it is ours");
        }
        assert_eq!(rebuild()["published"], 12);
        assert_eq!(rebuild()["published"], 0);
        series.run(&[]).is_cached();
    }
    assert_eq!(rebuild()["known"], 12);
}

fn many_tasks() {
    let program = Program::local().with_binary(|home| {
        let path = home.join("limited");
        let limit = format!("[ ! -e '{}' ] || ulimit -n 64", text(&home.join("few")));
        let script = format!("#!/bin/sh\n{limit}\nexec '{}' \"$@\"\n", text(&built()));
        fs_err::write(&path, script).expect("home is writable");
        let mode = std::fs::Permissions::from_mode(0o755);
        fs_err::set_permissions(&path, mode).expect("it is ours");
        path
    });
    let series = Series::of(program);
    let mut tasks = String::new();
    for task in 0..12 {
        let _ = write!(
            tasks,
            "[tasks.t{task}]\nshell = \"echo {task} >> $BODIES; echo {task}\"\nreturns = \"int\"\n"
        );
    }
    series.workflow(&tasks);
    series.run(&[]);
    // As if six others had run the same.
    for table in files_below(&series.store().join("cache")) {
        for number in 0..6 {
            let copy = format!("{}-{number}", text(&table));
            fs_err::copy(&table, copy).expect("it is ours");
        }
    }
    series.program.write("few", "");
    let last = series.run(&[]);
    last.is_cached();
    assert!(
        !last.said.stderr.contains("warning"),
        "{}",
        last.said.stderr
    );
}

fn purged() {
    let series = gated(Program::local());
    series.program.write("go", "");
    let nowhere = series.path("purged");
    let link = |path: &Path| {
        std::os::unix::fs::symlink(&nowhere, path).expect("there is none");
    };
    for (number, inside) in ["", "cache", "files", "runs", "cache/work"]
        .iter()
        .enumerate()
    {
        let store = series.path(&format!("store-{number}"));
        let purged = store.join(inside);
        fs_err::create_dir_all(purged.parent().expect("home is above")).expect("it is ours");
        link(Path::new(text(&purged).trim_end_matches('/')));
        let directory = format!("purged-{number}");
        let arguments = [
            "--store",
            text(&store),
            "run",
            "-w",
            "reflow.toml",
            "--run-dir",
            &directory,
        ];
        let said = series.program.run(&arguments).expect(0);
        if ["", "runs"].contains(inside) {
            said.says(&["leads nowhere"]);
        }
        assert_eq!(series.new_bodies().len(), 12);
        assert_eq!(
            series.program.json(&["result", &directory, "bytes"])["value"],
            json!(BYTES)
        );
    }
}

fn odd() {
    let fifo = |path: &Path| system("mkfifo", &[text(path)]);
    damaged(
        |store| {
            for inside in ["cache/work", "cache/list", "files", "runs"] {
                let directory = store.join(inside);
                if directory.is_dir() && !directory.join("fifo").exists() {
                    fifo(&directory.join("fifo"));
                    fifo(&directory.join("fifo.json"));
                    fs_err::create_dir(directory.join("empty")).expect("it is writable");
                }
            }
            if store.join("cache").is_dir() {
                fs_err::write(store.join("cache/no_folder"), "").expect("it is writable");
            }
        },
        nothing,
    );
}

/// Tells why no file system can be mounted here, if so.
fn no_mounts() -> Option<&'static str> {
    (!rustix::process::geteuid().is_root()).then_some("mounting a small file system needs root")
}

/// A small file system of its own, unmounted when this is dropped.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mounted(at: &'a Path, size: &str) -> Self {
        fs_err::create_dir_all(at).expect("it is ours");
        let size = format!("size={size}");
        system("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", text(at)]);
        Self(at)
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        system("umount", &["--lazy", text(self.0)]);
    }
}

fn full_disk() {
    let program = Program::local();
    let store = program.home().join("small");
    let disk = Disk::mounted(&store, "256k");
    let series = gated(program.with_variable("REFLOW_STORE", text(&store)));
    series.program.write("go", "");
    series.run(&[]);
    series.run(&[]).is_cached();
    fs_err::remove_file(series.path("go")).expect("it is open");
    series.workflow(&TASKS.replace("echo work", "echo  work"));
    let directory = series.submit(&[]);
    wait_for("elements to end", || {
        series.path(&directory).join("out/2").exists()
    });
    // Full to the last byte.
    let full = store.join("full");
    let filled = fs_err::write(&full, vec![0_u8; 1 << 20]);
    assert!(filled.is_err(), "it is smaller than that");
    series.program.write("go", "");
    let during = series.wait(&directory);
    assert_eq!(series.value(&during, "bytes"), BYTES);
    let after = series.run(&[]);
    assert_eq!(series.value(&after, "bytes"), BYTES);
    fs_err::remove_file(&full).expect("it is ours");
    series.run(&[]);
    series.run(&[]).is_cached();
    drop(disk);
}
