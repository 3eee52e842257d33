//! A store of a group: everybody publishes, and everybody takes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use reflow_tests::{Case, Program};

use crate::case;
use crate::identity::SQUARES;
use crate::series::{Series, files_below, system, text};

pub(crate) const CASES: &[Case] = &[
    case("a_group_shares_a_store_whatever_the_umask", shared).unless(no_users),
    case("gc_leaves_what_its_user_may_not_look_at", private).unless(no_users),
    case("a_store_of_ones_own_obeys_the_umask", of_ones_own).unless(no_users),
    case("a_store_with_the_sticky_bit_stays_small", sticky).unless(no_users),
    case("a_store_that_is_read_only_gives_hits", read_only).unless(no_users),
    case("a_store_that_cannot_be_read_costs_hits_alone", unreadable).unless(no_users),
];

/// The group of these tests. It has no name, nor have its members.
const GROUP: u32 = 61_400;

fn no_users() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("becoming another user needs root");
    }
    (!Path::new("/usr/bin/setpriv").exists()).then_some("setpriv is not installed")
}

/// Returns a series of another user, member of the group, with this umask.
fn user(number: u32, umask: &str, store: &Path) -> Series {
    let program = Program::local().with_variable("REFLOW_STORE", text(store));
    let program = program.with_binary(|home| wrapper(home, number, umask));
    let series = Series::of(program);
    series.workflow(SQUARES);
    for entry in ["", "bodies"] {
        let path = series.path(entry);
        system("chown", &[&format!("{number}:{GROUP}"), text(&path)]);
    }
    series
}

/// The program that was built.
pub(crate) fn built() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let target = test.ancestors().nth(2);
    target
        .expect("it is below the target directory")
        .join("reflow")
}

/// A program that starts reflow as that user.
fn wrapper(home: &Path, number: u32, umask: &str) -> PathBuf {
    // The program itself may lie where only root can look.
    let copy = home.join("reflow-copy");
    fs_err::copy(built(), &copy).expect("it was built");
    let path = home.join("as-user");
    let script = format!(
        "#!/bin/sh\numask {umask}\nexec setpriv --reuid={number} --regid={GROUP} --clear-groups '{}' \"$@\"\n",
        copy.display()
    );
    fs_err::write(&path, script).expect("home is writable");
    for path in [&copy, &path] {
        let mode = std::fs::Permissions::from_mode(0o755);
        fs_err::set_permissions(path, mode).expect("it is ours");
    }
    path
}

/// A directory of the group, with the set-group-id bit or another mode.
fn directory(mode: &str) -> tempfile::TempDir {
    let store = tempfile::Builder::new()
        .prefix("reflow-group-")
        .tempdir()
        .expect("the temporary directory is writable");
    system("chgrp", &[&GROUP.to_string(), text(store.path())]);
    system("chmod", &[mode, text(store.path())]);
    store
}

fn shared() {
    let store = directory("2770");
    let (ada, grace) = (
        user(61_401, "077", store.path()),
        user(61_402, "077", store.path()),
    );
    assert_eq!(ada.run(&[]).bodies.len(), 5);
    // The other one takes them, and adds to them.
    grace.run(&[]).is_cached();
    let run = grace.run(&["--n", "4"]);
    run.ran(&["list", "square 4", "sum"]);
    let run = ada.run(&["--n", "4"]);
    run.is_cached();
    assert_eq!(ada.value(&run, "sum"), 30);
    assert_eq!(ada.run(&["--n", "5"]).bodies.len(), 3);
    grace.run(&["--n", "5"]).is_cached();
    for file in files_below(store.path()) {
        let mode = fs_err::metadata(&file)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o040, 0o040, "the group reads {}", file.display());
        assert_eq!(mode & 0o007, 0, "nobody else reads {}", file.display());
    }
}

fn private() {
    let store = directory("2770");
    let (ada, grace) = (
        user(61_401, "077", store.path()),
        user(61_402, "077", store.path()),
    );
    ada.workflow(
        "[tasks.make]\nshell = \"echo make >> $BODIES; echo 1 > made\"\nreturns = \"path\"\n\
         output = { file = \"made\" }\n",
    );
    ada.run(&[]).ran(&["make"]);
    system("chmod", &["0700", text(ada.program.home())]);
    let gc = [
        "cache",
        "gc",
        "--unreachable",
        "--max-size",
        "1B",
        "--apply",
    ];
    let said = grace.program.run(&gc).expect(0);
    said.says(&["cannot be read, so its results stay"]);
    ada.run(&[]).is_cached();
}

fn of_ones_own() {
    let above = directory("0755");
    system("chown", &["61401", text(above.path())]);
    let store = above.path().join("of/mine");
    let ada = user(61_401, "077", &store);
    ada.run(&[]);
    ada.run(&[]).is_cached();
    for path in [&above.path().join("of"), &store, &store.join("runs")] {
        let mode = fs_err::metadata(path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "nobody else enters {}", path.display());
    }
}

fn sticky() {
    let store = directory("3777");
    let (ada, grace) = (
        user(61_401, "022", store.path()),
        user(61_402, "022", store.path()),
    );
    ada.run(&[]);
    for n in 10..22 {
        grace.run(&["--n", &n.to_string()]);
    }
    grace.run(&[]).is_cached();
    ada.run(&["--n", "15"]).is_cached();
    let tables = files_below(&store.path().join("cache/sum"));
    assert!(tables.len() < 8, "{tables:?}");
}

fn read_only() {
    let store = directory("2770");
    let ada = user(61_401, "022", store.path());
    ada.run(&[]);
    system("chmod", &["-R", "a-w,a+rX", text(store.path())]);
    let grace = user(61_402, "022", store.path());
    grace.run(&[]).is_cached();
    let run = grace.run(&["--n", "4"]);
    run.ran(&["list", "square 4", "sum"]);
    assert_eq!(grace.value(&run, "sum"), 30);
    // Nothing could be published.
    grace.run(&["--n", "4"]).ran(&["list", "square 4", "sum"]);
}

fn unreadable() {
    let store = directory("2770");
    user(61_401, "022", store.path()).run(&[]);
    system("chmod", &["0700", text(store.path())]);
    system("chown", &["0:0", text(store.path())]);
    let grace = user(61_402, "022", store.path());
    let run = grace.run(&[]);
    assert_eq!(run.bodies.len(), 5);
    assert!(
        run.said.stderr.contains(text(store.path())),
        "it is said: {}",
        run.said.stderr
    );
}
