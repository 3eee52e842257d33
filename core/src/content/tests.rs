use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use fs_err as fs;
use proptest::prelude::*;

use super::*;
use crate::identity::{Digest, Encoder, digest_of};

mod links;

/// An entry of a directory, as the definition has it.
enum Entry<'a> {
    File(&'a [u8]),
    Directory(Digest),
    Link(&'a str),
}

/// `H(["reflow/tree/1", [name, kind, content], …])` of entries that are given sorted.
fn tree(entries: &[(&[u8], Entry<'_>)]) -> Digest {
    let mut encoder = Encoder::tagged(1 + entries.len(), "reflow/tree/1");
    for (name, entry) in entries {
        encoder.array(3).byte_string(name);
        match entry {
            Entry::File(bytes) => encoder
                .text("file")
                .byte_string(blake3::hash(bytes).as_bytes()),
            Entry::Directory(digest) => encoder.text("directory").byte_string(digest.as_bytes()),
            Entry::Link(target) => encoder.text("link").byte_string(target.as_bytes()),
        };
    }
    digest_of(&encoder)
}

fn digest(path: &Path) -> Digest {
    read(path).unwrap().digest
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    fs::create_dir(&root).unwrap();
    (dir, root)
}

/// A clock ten seconds ahead: files that were just made are settled by it.
fn later() -> i128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    (i128::from(now.tv_sec) + 10) * 1_000_000_000
}

#[test]
fn a_file_has_the_digest_of_its_bytes_whatever_its_size() {
    let (_dir, root) = directory();
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let path = root.join("file");
    for size in [
        0, 1, 1023, 1024, 1025, 262_143, 262_144, 262_145, 300_000, 524_288, 524_289, 1_048_576,
        1_048_577, 2_999_999,
    ] {
        fs::write(&path, &bytes[..size]).unwrap();
        let content = read(&path).unwrap();
        assert_eq!(content.kind, Kind::File);
        assert_eq!(
            content.digest,
            blake3::hash(&bytes[..size]).into(),
            "{size}"
        );
    }
}

#[test]
fn a_directory_has_the_digest_of_its_sorted_tree() {
    let (_dir, root) = directory();
    assert_eq!(digest(&root), tree(&[]));
    fs::create_dir(root.join("b")).unwrap();
    fs::write(root.join("b/x"), "inner").unwrap();
    fs::write(root.join("a"), "first").unwrap();
    // Sorted by bytes: upper case before lower case, and the umlaut last.
    fs::write(root.join("Z"), "").unwrap();
    fs::write(root.join("ä"), "last").unwrap();
    let inner = tree(&[(b"x", Entry::File(b"inner"))]);
    let expected = tree(&[
        (b"Z", Entry::File(b"")),
        (b"a", Entry::File(b"first")),
        (b"b", Entry::Directory(inner)),
        ("ä".as_bytes(), Entry::File(b"last")),
    ]);
    let content = read(&root).unwrap();
    assert_eq!((content.kind, content.digest), (Kind::Directory, expected));
}

#[test]
fn a_name_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let (_dir, root) = directory();
    let name = b"\xff\xfe".as_slice();
    fs::write(root.join(std::ffi::OsStr::from_bytes(name)), "odd").unwrap();
    assert_eq!(digest(&root), tree(&[(name, Entry::File(b"odd"))]));
}

#[cfg(target_os = "linux")]
#[test]
fn however_many_ask_at_once_the_threads_are_those_of_the_process() {
    let (_dir, root) = directory();
    for n in 0..40 {
        fs::write(root.join(format!("f{n}")), vec![n; 100_000]).unwrap();
    }
    let most = std::thread::available_parallelism().unwrap().get().max(8);
    let content_threads = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| fs::read(task.unwrap().path().join("comm")).ok());
        names.filter(|name| name.starts_with(b"content-")).count()
    };
    let mut seen = 0;
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| read(&root).unwrap()))
            .collect();
        while askers.iter().any(|asker| !asker.is_finished()) {
            seen = seen.max(content_threads());
        }
    });
    assert!(seen <= most, "{seen}");
}

#[test]
fn a_file_that_was_finished_while_it_was_looked_at_is_read_again() {
    let (_dir, root) = directory();
    let path = root.join("file");
    fs::write(&path, "half").unwrap();
    let writes = [path.clone(), root.join("another")];
    for asked in [&path, &root] {
        // The clock is read after the walk and before the content.
        let written = AtomicBool::new(false);
        let writes = writes.clone();
        let memory = Memory::with_clock(None, move || {
            if !written.swap(true, Ordering::Relaxed) {
                for path in &writes {
                    let old = fs::read(path).unwrap_or_default();
                    fs::write(path, [&old[..], b" and whole"].concat()).unwrap();
                }
            }
            later()
        });
        let content = read_all(&[asked], &memory).unwrap()[0];
        assert_eq!(content, read(asked).unwrap());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_remembered_is_opened_before_it_is_believed() {
    use rustix::fs::inotify;
    let (_dir, root) = directory();
    let path = root.join("file");
    fs::write(&path, "content").unwrap();
    let memory = Memory::with_clock(None, later);
    read_all(&[&path], &memory).unwrap();
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    inotify::add_watch(&watch, &path, inotify::WatchFlags::OPEN).unwrap();
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut opened = move || {
        let mut events = inotify::Reader::new(&watch, &mut buffer);
        events.next().is_ok()
    };
    assert!(!opened());
    // A client of a shared file system asks the server when a file is opened, and else tells what it knew.
    read_all(&[&path], &memory).unwrap();
    assert!(opened());
    while opened() {}
    Signature::of(&path).unwrap();
    assert!(opened());
}

#[test]
fn what_has_no_content_is_an_error_that_names_it() {
    let (_dir, root) = directory();
    let missing = root.join("missing");
    let error = read(&missing).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    let socket = root.join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [&socket, &root, Path::new("/dev/null")] {
        let error = read(path).unwrap_err();
        assert!(matches!(error, ContentError::Special { .. }), "{error:?}");
        let named = if *path == root {
            socket.as_path()
        } else {
            path
        };
        assert!(
            error.to_string().contains(named.to_str().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn many_paths_are_answered_in_their_order_and_one_fault_is_one() {
    let (_dir, root) = directory();
    let paths: Vec<PathBuf> = (0..300).map(|n| root.join(format!("f{n}"))).collect();
    for (n, path) in paths.iter().enumerate() {
        if n != 77 {
            fs::write(path, n.to_string()).unwrap();
        }
    }
    for (n, content) in read_each(&paths, None).into_iter().enumerate() {
        match content {
            Ok(content) => assert_eq!(
                content.digest,
                blake3::hash(n.to_string().as_bytes()).into()
            ),
            Err(error) => assert!(n == 77 && error.to_string().contains("f77"), "{n}: {error}"),
        }
    }
    assert!(read_each::<PathBuf>(&[], None).is_empty());
}

#[test]
fn a_file_that_is_written_while_it_is_hashed_is_an_error_that_says_so() {
    let (_dir, root) = directory();
    let path = root.join("growing");
    fs::write(&path, vec![0; 8 << 20]).unwrap();
    let stop = AtomicBool::new(false);
    let outcomes = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            while !stop.load(Ordering::Relaxed) {
                std::io::Write::write_all(&mut file, b"x").unwrap();
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
        });
        // On a busy machine one may fit between two writes.
        let outcomes: Vec<_> = (0..20).map(|_| read(&path)).collect();
        stop.store(true, Ordering::Relaxed);
        outcomes
    });
    let errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(!errors.is_empty());
    for error in errors {
        assert!(
            matches!(&error, ContentError::Changed { path: named } if *named == path),
            "{error:?}"
        );
    }
}

#[test]
fn what_is_remembered_is_not_read_again() {
    let (dir, root) = directory();
    let store = dir.path().join("store");
    let path = root.join("file");
    fs::write(&path, "content").unwrap();
    let real = digest(&path);
    // Remembered wrongly on purpose: whoever gets this has not read the file.
    let false_digest: Digest = blake3::hash(b"something else").into();
    let walked = walk::walk(&path, 1).unwrap();
    let tree::Node::File(found) = walked else {
        panic!("it is a file");
    };
    let memory = Memory::with_clock(Some(&store), later);
    memory.remember(&found, &false_digest, later());
    assert_eq!(read_all(&[&path], &memory).unwrap()[0].digest, false_digest);
    memory.publish().unwrap();
    assert_eq!(read_all(&[&path], &memory).unwrap()[0].digest, false_digest);
    let another = Memory::with_clock(Some(&store), later);
    assert_eq!(
        read_all(&[&path], &another).unwrap()[0].digest,
        false_digest
    );
    let in_tree = read_all(&[&root], &another).unwrap()[0].digest;
    assert_ne!(in_tree, tree(&[(b"file", Entry::File(b"content"))]));
    // Any change of the file makes it unknown.
    fs::write(&path, "CONTENT").unwrap();
    assert_eq!(
        read_all(&[&path], &another).unwrap()[0].digest,
        blake3::hash(b"CONTENT").into()
    );
    assert_ne!(real, false_digest);
}

#[test]
fn what_was_hashed_is_found_by_the_next_process() {
    let (dir, root) = directory();
    let store = dir.path().join("store");
    for n in 0..20 {
        fs::write(root.join(format!("f{n}")), n.to_string()).unwrap();
    }
    let memory = Memory::with_clock(Some(&store), later);
    let content = read_all(&[&root], &memory).unwrap()[0];
    assert!(!store.exists());
    memory.publish().unwrap();
    let files = fs::read_dir(store.join("files")).unwrap().count();
    assert_eq!(files, 1);
    let again = Memory::with_clock(Some(&store), later);
    assert_eq!(read_all(&[&root], &again).unwrap()[0], content);
    // Nothing was hashed, so nothing is new.
    again.publish().unwrap();
    assert_eq!(fs::read_dir(store.join("files")).unwrap().count(), 1);
}

#[test]
fn a_file_that_was_just_changed_is_hashed_and_not_remembered() {
    let (dir, root) = directory();
    let store = dir.path().join("store");
    let path = root.join("file");
    fs::write(&path, "new").unwrap();
    let memory = Memory::new(Some(&store));
    assert_eq!(
        read_all(&[&path], &memory).unwrap()[0].digest,
        blake3::hash(b"new").into()
    );
    memory.publish().unwrap();
    assert!(!store.exists());
    // Ahead of our clock, which is what the clock of a server may be.
    let behind = Memory::with_clock(Some(&store), || later() - 3_600_000_000_000);
    read_all(&[&path], &behind).unwrap();
    behind.publish().unwrap();
    assert!(!store.exists());
}

#[test]
fn what_is_damaged_is_hashed_and_remembered_again() {
    let (dir, root) = directory();
    let store = dir.path().join("store");
    fs::write(root.join("x"), "some bytes").unwrap();
    for _ in 0..3 {
        let memory = Memory::with_clock(Some(&store), later);
        read_all(&[&root], &memory).unwrap();
        memory.publish().unwrap();
        let files = store.join("files");
        let tables = || {
            fs::read_dir(&files)
                .unwrap()
                .map(|file| file.unwrap().path())
        };
        let before: Vec<_> = tables().collect();
        // It is known: nothing is published.
        let memory = Memory::with_clock(Some(&store), later);
        read_all(&[&root], &memory).unwrap();
        memory.publish().unwrap();
        assert_eq!(tables().collect::<Vec<_>>(), before);
        for table in before {
            fs::write(table, "garbage").unwrap();
        }
    }
}

#[test]
fn a_memory_that_is_damaged_or_no_directory_costs_reading() {
    let (dir, root) = directory();
    let store = dir.path().join("store");
    let path = root.join("file");
    fs::write(&path, "content").unwrap();
    let expected: Digest = blake3::hash(b"content").into();
    let memory = Memory::with_clock(Some(&store), later);
    read_all(&[&path], &memory).unwrap();
    memory.publish().unwrap();
    let segment = fs::read_dir(store.join("files"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = fs::read(&segment).unwrap();
    for position in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x10;
        fs::write(&segment, &bytes).unwrap();
        let memory = Memory::with_clock(Some(&store), later);
        assert_eq!(read_all(&[&path], &memory).unwrap()[0].digest, expected);
    }
    fs::remove_dir_all(&store).unwrap();
    fs::write(&store, "no directory").unwrap();
    let memory = Memory::with_clock(Some(&store), later);
    assert_eq!(read_all(&[&path], &memory).unwrap()[0].digest, expected);
    let error = memory.publish().unwrap_err();
    assert!(error.to_string().contains("files"), "{error}");
}

#[test]
fn the_signature_of_a_tree_says_whether_a_file_in_it_was_written() {
    let (_dir, root) = directory();
    fs::create_dir(root.join("sub")).unwrap();
    fs::write(root.join("sub/f"), "one").unwrap();
    let before = Signature::of(&root).unwrap();
    assert_eq!(before, read(&root).unwrap().signature);
    assert_eq!(before, Signature::of(&root).unwrap());
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(root.join("sub/f"), "two").unwrap();
    let written = Signature::of(&root).unwrap();
    assert_ne!(before, written);
    assert!(!before.is_alike(&written));
    // A change of permissions is none of the content.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(root.join("sub/f"), mode).unwrap();
    let permitted = Signature::of(&root).unwrap();
    assert!(permitted != written && permitted.is_alike(&written));
    let file = Signature::of(&root.join("sub/f")).unwrap();
    assert!(file.is_alike(&file) && !file.is_alike(&written));
    fs::rename(root.join("sub/f"), root.join("sub/g")).unwrap();
    assert_ne!(Signature::of(&root).unwrap(), written);
}

proptest! {
    #[test]
    fn a_signature_survives_its_own_text(
        inode: u64, size: u64, mtime_ns in any::<i64>(), ctime_ns in any::<i64>(), tree: [u8; 32],
    ) {
        for signature in [
            Signature::Tree {
                whole: Digest::from_bytes(tree), alike: blake3::hash(&tree).into(),
            },
            Signature::File(FileSignature {
                inode, size, mtime_ns: mtime_ns.into(), ctime_ns: ctime_ns.into(),
            }),
        ] {
            prop_assert_eq!(signature.to_string().parse(), Ok(signature));
        }
    }

    #[test]
    fn foreign_text_is_no_signature(text in "[a-z0-9:]{0,40}") {
        if let Ok(signature) = text.parse::<Signature>() {
            prop_assert_eq!(signature.to_string().parse(), Ok(signature));
        }
    }
}
