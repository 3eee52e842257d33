//! Links, and directories of a shape that links make.

use super::*;
use std::os::unix::fs::symlink;

#[test]
fn links_are_followed_but_for_those_that_lead_nowhere_or_back() {
    let (dir, root) = directory();
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    fs::write(dir.path().join("elsewhere/f"), "far").unwrap();
    fs::create_dir(root.join("sub")).unwrap();
    fs::write(root.join("sub/g"), "near").unwrap();
    symlink("sub/g", root.join("to-file")).unwrap();
    symlink("../elsewhere", root.join("to-directory")).unwrap();
    symlink("gone", root.join("to-nothing")).unwrap();
    symlink("to-file/x", root.join("through-a-file")).unwrap();
    symlink("round", root.join("round")).unwrap();
    symlink("..", root.join("sub/up")).unwrap();
    symlink("../..", root.join("sub/above")).unwrap();
    let elsewhere = tree(&[(b"f", Entry::File(b"far"))]);
    let sub = tree(&[
        (b"above", Entry::Link("../..")),
        (b"g", Entry::File(b"near")),
        (b"up", Entry::Link("..")),
    ]);
    let expected = tree(&[
        (b"round", Entry::Link("round")),
        (b"sub", Entry::Directory(sub)),
        (b"through-a-file", Entry::Link("to-file/x")),
        (b"to-directory", Entry::Directory(elsewhere)),
        (b"to-file", Entry::File(b"near")),
        (b"to-nothing", Entry::Link("gone")),
    ]);
    assert_eq!(digest(&root), expected);
    // What leads to a directory from outside is that directory.
    symlink("data", dir.path().join("link")).unwrap();
    assert_eq!(digest(&dir.path().join("link")), expected);
}

#[test]
fn a_link_to_a_directory_that_counts_already_is_a_link() {
    let (dir, root) = directory();
    fs::create_dir(root.join("a")).unwrap();
    fs::create_dir(root.join("b")).unwrap();
    symlink("../b", root.join("a/to-b")).unwrap();
    symlink("../a", root.join("b/to-a")).unwrap();
    // From outside it leads back in, to itself, and to a directory that is only there.
    let outside = dir.path().join("outside");
    fs::create_dir_all(outside.join("sub")).unwrap();
    fs::create_dir(dir.path().join("far")).unwrap();
    fs::write(dir.path().join("far/f"), "far").unwrap();
    symlink("../data/a", outside.join("back")).unwrap();
    symlink("sub", outside.join("own")).unwrap();
    symlink("../far", outside.join("sub/far")).unwrap();
    symlink("../../far", outside.join("sub/on")).unwrap();
    symlink("../outside", root.join("out")).unwrap();
    let a = tree(&[(b"to-b", Entry::Link("../b"))]);
    let b = tree(&[(b"to-a", Entry::Link("../a"))]);
    let far = tree(&[(b"f", Entry::File(b"far"))]);
    let sub = tree(&[
        (b"far", Entry::Link("../far")),
        (b"on", Entry::Directory(far)),
    ]);
    let out = tree(&[
        (b"back", Entry::Link("../data/a")),
        (b"own", Entry::Link("sub")),
        (b"sub", Entry::Directory(sub)),
    ]);
    let expected = tree(&[
        (b"a", Entry::Directory(a)),
        (b"b", Entry::Directory(b)),
        (b"out", Entry::Directory(out)),
    ]);
    assert_eq!(digest(&root), expected);
}

#[test]
fn directories_that_all_lead_to_each_other_are_read_once_each() {
    let (_dir, root) = directory();
    for own in 0..30 {
        let own = root.join(format!("d{own}"));
        fs::create_dir(&own).unwrap();
        for other in 0..30 {
            symlink(format!("../d{other}"), own.join(format!("to-{other}"))).unwrap();
        }
    }
    // Levels with two links each: 2^60 paths.
    for level in 0..60 {
        let level_dir = root.join(format!("level{level}"));
        fs::create_dir(&level_dir).unwrap();
        for link in ["left", "right"] {
            symlink(format!("../level{}", level + 1), level_dir.join(link)).unwrap();
        }
    }
    assert_eq!(read(&root).unwrap().kind, Kind::Directory);
}

#[test]
fn a_directory_with_too_many_entries_is_refused() {
    let (dir, root) = directory();
    // Links to directories outside, where each leads to the next twice.
    for level in 0..12 {
        let level_dir = dir.path().join(format!("level{level}"));
        fs::create_dir(&level_dir).unwrap();
        for link in ["left", "right"] {
            symlink(format!("../level{}", level + 1), level_dir.join(link)).unwrap();
        }
    }
    symlink("../level0", root.join("start")).unwrap();
    assert!(walk::walk(&root, 1 + (1 << 13)).is_ok());
    let error = walk::walk(&root, 1000).unwrap_err().to_string();
    assert!(
        error.contains("data` has more than 1000 entries"),
        "{error}"
    );
    assert!(error.contains("`path`"), "{error}");
}

#[test]
fn a_directory_as_deep_as_a_path_can_be_is_read_on_any_thread() {
    let (_dir, root) = directory();
    let deep = root.join("d/".repeat((4000 - root.as_os_str().len()) / 2));
    fs::create_dir_all(&deep).unwrap();
    let reader = std::thread::Builder::new().stack_size(1 << 20);
    let reader = reader.spawn(move || (read(&root).unwrap(), Signature::of(&root).unwrap()));
    let (content, signature) = reader.unwrap().join().unwrap();
    assert_eq!(content.signature, signature);
}
