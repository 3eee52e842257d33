use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use proptest::prelude::*;

use super::*;
use crate::id::{RunId, Tag, WorkflowName};
use crate::rundir::ValueRef;

pub(super) fn task() -> TaskName {
    TaskName::new("align").unwrap()
}

pub(super) fn digest(number: u32) -> Digest {
    blake3::hash(&number.to_le_bytes()).into()
}

pub(super) fn origin(number: u32) -> Origin {
    Origin {
        run_id: RunId::new(format!("run-{number}")).unwrap(),
        run_dir: PathBuf::from(format!("/runs/{number}")),
        workflow: WorkflowName::new("genomes").unwrap(),
        flow: None,
        task: task(),
    }
}

pub(super) fn tag(number: u32) -> Tag {
    Tag::from_digest('r', &blake3::hash(&number.to_le_bytes()))
}

/// An entry whose value is `value`, made at `made`, by element 0 of the submission `number`.
pub(super) fn entry(value: u32, number: u32, made: u64) -> CacheEntry {
    CacheEntry {
        value: ValueRef::Inline {
            json: serde_json::value::to_raw_value(&value).unwrap(),
            items: None,
        },
        digests: crate::results::ValueDigests {
            whole: digest(value),
            entries: None,
            files: None,
        },
        made_ms: made,
        forced: false,
        tag: tag(number),
        element: 0,
    }
}

/// What was found, as values and origins.
pub(super) fn shown(candidates: &[Candidate]) -> Vec<(String, String)> {
    candidates
        .iter()
        .map(|candidate| {
            let ValueRef::Inline { json, .. } = &candidate.entry.value else {
                panic!("all values are inline");
            };
            (
                json.get().to_owned(),
                candidate.origin.run_id.as_str().to_owned(),
            )
        })
        .collect()
}

pub(super) fn segments(store: &Path) -> Vec<String> {
    Cache::new(store).shelf(&task()).names().unwrap()
}

#[test]
fn what_was_published_is_found_and_nothing_else() {
    let store = tempfile::tempdir().unwrap();
    let cache = Cache::new(&store.path().join("store"));
    assert!(cache.open(&task()).unwrap().is_empty());
    let entries = vec![(digest(1), entry(10, 1, 5)), (digest(2), entry(20, 1, 5))];
    assert!(
        cache
            .publish(&task(), "a-0", &origin(7), entries.clone())
            .unwrap()
    );
    assert!(!cache.publish(&task(), "a-0", &origin(7), entries).unwrap());
    let found = cache.open(&task()).unwrap();
    assert!(!found.is_empty());
    assert_eq!(
        shown(&found.find(&digest(2)).unwrap()),
        [("20".to_owned(), "run-7".to_owned())]
    );
    assert!(found.find(&digest(3)).unwrap().is_empty());
    assert!(found.warnings().is_empty());
    let other = TaskName::new("other").unwrap();
    assert!(cache.open(&other).unwrap().is_empty());
}

#[test]
fn what_was_forced_comes_first_then_what_was_made_first() {
    let store = tempfile::tempdir().unwrap();
    let cache = Cache::new(store.path());
    for (value, made, forced) in [(1, 30, false), (2, 20, false), (3, 40, true), (4, 50, true)] {
        let entry = CacheEntry {
            forced,
            ..entry(value, value, made)
        };
        let name = format!("s-{value}");
        cache
            .publish(&task(), &name, &origin(value), vec![(digest(0), entry)])
            .unwrap();
    }
    let found = cache.open(&task()).unwrap().find(&digest(0)).unwrap();
    let values: Vec<_> = shown(&found).into_iter().map(|(value, _)| value).collect();
    assert_eq!(values, ["4", "3", "2", "1"]);
}

#[test]
fn names_that_are_no_file_names_are_refused() {
    let store = tempfile::tempdir().unwrap();
    let cache = Cache::new(store.path());
    for name in ["", "../x", ".x", "merged-1-x"] {
        assert!(matches!(
            cache.publish(&task(), name, &origin(0), vec![]),
            Err(CacheError::Name(_))
        ));
    }
}

#[test]
fn segments_stay_few_however_often_something_is_published() {
    let store = tempfile::tempdir().unwrap();
    let cache = Cache::new(store.path());
    for number in 0..600 {
        let entries = vec![(digest(number), entry(number, number, 1))];
        cache
            .publish(&task(), &format!("s-{number}"), &origin(number), entries)
            .unwrap();
        // At most seven of each tier: 600 in base 8 has four digits.
        assert!(segments(store.path()).len() <= 4 * 7);
    }
    let found = cache.open(&task()).unwrap();
    for number in 0..600 {
        let expected = (number.to_string(), format!("run-{number}"));
        assert_eq!(shown(&found.find(&digest(number)).unwrap()), [expected]);
    }
}

#[test]
fn a_store_that_cannot_be_written_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    fs::write(&store, "no directory").unwrap();
    let cache = Cache::new(&store);
    let error = cache
        .publish(
            &task(),
            "a-0",
            &origin(0),
            vec![(digest(0), entry(0, 0, 0))],
        )
        .unwrap_err();
    assert!(
        error.to_string().contains(store.to_str().unwrap()),
        "{error}"
    );
    assert!(matches!(cache.open(&task()), Err(CacheError::Io { .. })));
}

#[test]
fn a_damaged_segment_costs_what_is_in_it_and_never_gives_another_answer() {
    let store = tempfile::tempdir().unwrap();
    let cache = Cache::new(store.path());
    let one = |number| vec![(digest(number), entry(number, number, 1))];
    cache.publish(&task(), "whole", &origin(0), one(0)).unwrap();
    let three = (1..4).flat_map(one).collect();
    cache.publish(&task(), "broken", &origin(1), three).unwrap();
    let path = store.path().join("cache/align/broken");
    let whole = fs::read(&path).unwrap();
    let check = |bytes: &[u8], what: &str| {
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let found = cache.open(&task()).unwrap();
        let mut missing = 0;
        let asked: Vec<Digest> = (0..5).map(digest).collect();
        for (number, candidates) in found.find_many(&asked).unwrap().iter().enumerate() {
            let expected = (number.to_string(), format!("run-{}", number.min(1)));
            match shown(candidates).as_slice() {
                [] => missing += u32::from((1..4).contains(&number)),
                [one] => assert!(*one == expected && number < 4, "{what}"),
                _ => panic!("{what}: more than was published"),
            }
        }
        assert_eq!(shown(&found.find(&digest(0)).unwrap()).len(), 1, "{what}");
        assert_eq!(missing > 0, !found.warnings().is_empty(), "{what}");
    };
    for cut in 0..whole.len() {
        check(&whole[..cut], &format!("cut at {cut}"));
    }
    for position in 0..whole.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[position] ^= bits;
            check(&bytes, &format!("byte {position} xor {bits:#x}"));
        }
    }
    check(b"{}", "foreign");
    check(&[0; 4096], "zeros");
}

#[test]
fn what_is_equal_is_kept_once_and_found_once() {
    const EQUAL: u32 = 20_000;
    let store = tempfile::tempdir().unwrap();
    let cache = Cache::new(store.path());
    for number in 0..2 {
        let entries = (0..EQUAL).map(|element| {
            let entry = CacheEntry {
                element,
                ..entry(element, number, u64::from(number))
            };
            (digest(element % 10), entry)
        });
        let name = format!("s-{number}");
        cache
            .publish(&task(), &name, &origin(number), entries.collect())
            .unwrap();
    }
    let opened = cache.open(&task()).unwrap();
    assert_eq!(opened.sizes().records, 2 * 10);
    let asked: Vec<Digest> = (0..EQUAL).map(|element| digest(element % 10)).collect();
    let found = opened.find_many(&asked).unwrap();
    for (element, candidates) in found.iter().enumerate() {
        let first = &found[element % 10];
        assert!(std::sync::Arc::ptr_eq(candidates, first));
        let value = (element % 10).to_string();
        let expected = [0, 1].map(|number| (value.clone(), format!("run-{number}")));
        assert_eq!(shown(candidates), expected);
    }
}

#[test]
fn however_often_something_was_run_the_newest_of_it_stays() {
    let store = tempfile::tempdir().unwrap();
    let cache = Cache::new(store.path());
    for number in 0..100 {
        let entries = vec![(digest(0), entry(number, number, u64::from(number)))];
        let name = format!("s-{number}");
        cache
            .publish(&task(), &name, &origin(number), entries)
            .unwrap();
        let found = cache.open(&task()).unwrap().find(&digest(0)).unwrap();
        assert!(found.len() <= 8);
        let newest = found.last().unwrap().entry.made_ms;
        assert_eq!(newest, u64::from(number));
    }
    let opened = cache.open(&task()).unwrap();
    let values: Vec<String> = shown(&opened.find(&digest(0)).unwrap())
        .into_iter()
        .map(|(value, _)| value)
        .collect();
    assert_eq!(values, ["0", "1", "2", "3", "96", "97", "98", "99"]);
    assert!(opened.sizes().records < 50);
}

#[test]
fn a_segment_that_cannot_be_read_costs_what_is_in_it_and_is_told() {
    let store = tempfile::tempdir().unwrap();
    let cache = Cache::new(store.path());
    let one = |number| vec![(digest(number), entry(number, number, 1))];
    let unreadable = format!("{}0", crate::store::table::UNREADABLE);
    for (name, number) in [("a", 0), (unreadable.as_str(), 1), ("z", 2)] {
        cache
            .publish(&task(), name, &origin(number), one(number))
            .unwrap();
    }
    let opened = cache.open(&task()).unwrap();
    assert!(opened.warnings().is_empty());
    let found = opened
        .find_many(&[digest(2), digest(1), digest(0)])
        .unwrap();
    let counts: Vec<usize> = found.iter().map(|candidates| candidates.len()).collect();
    assert_eq!(counts, [1, 0, 1]);
    let warnings = opened.warnings();
    assert!(
        warnings[0].to_string().contains("cannot be read"),
        "{warnings:?}"
    );
    assert_eq!(warnings.len(), 1);
}

#[test]
fn a_segment_of_a_later_version_is_left_alone() {
    let store = tempfile::tempdir().unwrap();
    let cache = Cache::new(store.path());
    cache
        .publish(&task(), "a", &origin(0), vec![(digest(0), entry(0, 0, 0))])
        .unwrap();
    let path = store.path().join("cache/align/a");
    let bytes = fs::read(&path).unwrap();
    let header = br#"{"schema":1,"kind":"cache"}"#;
    let later = br#"{"schema":2,"kind":"cache"}"#;
    let at = bytes
        .windows(header.len())
        .position(|part| part == header)
        .unwrap();
    let mut bytes = bytes;
    bytes[at..at + later.len()].copy_from_slice(later);
    bytes[at - 4..at].copy_from_slice(&crc32fast::hash(later).to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let found = cache.open(&task()).unwrap();
    assert!(found.is_empty());
    let warnings = found.warnings();
    assert!(
        warnings[0].to_string().contains("newer reflow"),
        "{warnings:?}"
    );
}

/// One result of the model: whether it was forced, when it was made, its submission, element and value.
type Made = (bool, u64, Tag, u32, u32);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_cache_is_a_map_from_identities_to_the_best_and_newest_that_was_published(
        published in prop::collection::vec(
            prop::collection::vec((0_u32..40, any::<u32>(), 0_u64..20, any::<bool>()), 0..30), 0..40,
        ),
        sizes in 1_usize..50,
    ) {
        let store = tempfile::tempdir().unwrap();
        let cache = Cache::new(store.path());
        let mut model: BTreeMap<u32, Vec<Made>> = BTreeMap::new();
        for (number, entries) in (0..).zip(&published) {
            let mut of_this = BTreeMap::new();
            let made = entries.iter().enumerate().map(|(element, (identity, value, made, forced))| {
                let entry = CacheEntry {
                    element: element as u32, forced: *forced, ..entry(*value, number, *made)
                };
                of_this.entry(*identity)
                    .or_insert((*forced, *made, tag(number), element as u32, *value));
                (digest(*identity), entry)
            }).collect();
            for (identity, made) in of_this {
                model.entry(identity).or_default().push(made);
            }
            cache.publish(&task(), &format!("s-{number}"), &origin(number), made).unwrap();
        }
        for all in model.values_mut() {
            all.sort_by_key(|(forced, made, tag, element, _)| {
                let age = if *forced { u64::MAX - made } else { *made };
                (!*forced, age, tag.clone(), *element)
            });
            let mut newest = all.clone();
            newest.sort_by_key(|(_, made, tag, element, _)| (u64::MAX - made, tag.clone(), *element));
            newest.truncate(4);
            let best = all.iter().take(4).cloned().collect::<Vec<_>>();
            all.retain(|made| best.contains(made) || newest.contains(made));
        }
        let found = cache.open(&task()).unwrap();
        let asked: Vec<u32> = (0..50).rev().cycle().take(sizes * 3).collect();
        let identities: Vec<Digest> = asked.iter().copied().map(digest).collect();
        let many = found.find_many(&identities).unwrap();
        for (number, candidates) in asked.iter().zip(&many) {
            let expected: Vec<String> = model.get(number).into_iter().flatten()
                .map(|(.., value)| value.to_string()).collect();
            let values: Vec<String> = shown(candidates).into_iter().map(|(value, _)| value).collect();
            prop_assert_eq!(&values, &expected);
            prop_assert_eq!(shown(&found.find(&digest(*number)).unwrap()), shown(candidates));
        }
        prop_assert!(found.warnings().is_empty());
    }
}

mod gc {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    const HOUR: u64 = 3_600_000;

    /// Entries 0 to 99, each made an hour after the one before, ten to an origin; now is the hour 100.
    fn hundred(store: &Path) -> Cache {
        let cache = Cache::new(store);
        for number in 0..10 {
            let entries = (number * 10..number * 10 + 10)
                .map(|n| (digest(n), entry(n, n, u64::from(n) * HOUR)))
                .collect();
            let name = format!("s-{number}");
            cache
                .publish(&task(), &name, &origin(number), entries)
                .unwrap();
        }
        cache
    }

    fn left(cache: &Cache) -> Vec<u32> {
        let opened = cache.open(&task()).unwrap();
        assert!(opened.warnings().is_empty());
        (0..100)
            .filter(|n| !opened.find(&digest(*n)).unwrap().is_empty())
            .collect()
    }

    fn options<'a>() -> GcOptions<'a> {
        GcOptions {
            now_ms: 100 * HOUR,
            older_than: None,
            max_bytes: None,
            unreachable: &|_| false,
            in_use: &|_, _| false,
        }
    }

    #[test]
    fn nothing_goes_before_it_is_applied_and_then_what_was_told() {
        let store = tempfile::tempdir().unwrap();
        let cache = hundred(store.path());
        let options = GcOptions {
            older_than: Some(Duration::from_hours(50)),
            unreachable: &|candidate| {
                candidate.entry.element == 0 && candidate.entry.made_ms >= 98 * HOUR
            },
            in_use: &|_, candidate| candidate.origin.run_id.as_str() == "run-2",
            ..options()
        };
        let told = cache.collect_garbage(&options, false).unwrap();
        assert_eq!(left(&cache), (0..100).collect::<Vec<_>>());
        let done = cache.collect_garbage(&options, true).unwrap();
        let expected: Vec<u32> = (20..30).chain(50..98).collect();
        assert_eq!(left(&cache), expected);
        for report in [&told, &done] {
            let of_task = &report.tasks[0];
            assert_eq!((of_task.kept.entries, of_task.in_use), (58, 10));
            let removed = of_task.removed.iter();
            let removed: Vec<_> = removed.map(|(why, gone)| (*why, gone.entries)).collect();
            assert_eq!(removed, [(GcReason::Unreachable, 2), (GcReason::Age, 40)]);
        }
        assert_eq!(told.bytes_before(), done.bytes_before());
        assert!(done.bytes_after() < done.bytes_before());
        // What was expected is what came out, but for what origins and headers take.
        assert!(told.bytes_after().abs_diff(done.bytes_after()) < 4096);
        let again = cache.collect_garbage(&options, true).unwrap();
        assert!(again.tasks[0].removed.is_empty());
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        let store = tempfile::tempdir().unwrap();
        let cache = hundred(store.path());
        let whole = cache
            .collect_garbage(&options(), false)
            .unwrap()
            .bytes_before();
        let most = whole / 2;
        let options = GcOptions {
            max_bytes: Some(most),
            in_use: &|_, candidate| candidate.origin.run_id.as_str() == "run-0",
            ..options()
        };
        let report = cache.collect_garbage(&options, true).unwrap();
        assert!(report.bytes_after() <= most, "{report:?}");
        let left = left(&cache);
        assert_eq!(left[..10], (0..10).collect::<Vec<u32>>());
        let first = left[10];
        assert_eq!(left[10..], (first..100).collect::<Vec<u32>>());
        // Half of it went, so about half of the entries.
        assert!((45..=65).contains(&first), "{first}");
        let again = cache.collect_garbage(&options, true).unwrap();
        assert!(again.tasks[0].removed.is_empty());
    }

    #[test]
    fn a_task_of_which_nothing_is_left_goes_and_so_does_what_was_left_behind() {
        let store = tempfile::tempdir().unwrap();
        let cache = hundred(store.path());
        let directory = store.path().join("cache/align");
        let broken = directory.join("broken");
        fs::write(&broken, b"reflowt1 and then nothing of use for anybody").unwrap();
        let draft = directory.join(format!(".draft-{:032x}", 7));
        fs::write(&draft, "").unwrap();
        let all = |_: &Candidate| true;
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec as u64 * 1000;
        let young = GcOptions {
            now_ms: now,
            unreachable: &all,
            ..options()
        };
        let told = cache.collect_garbage(&young, false).unwrap();
        assert_eq!((told.drafts, told.tasks[0].damaged.len()), (0, 1));
        let old = GcOptions {
            now_ms: now + 25 * HOUR,
            ..young
        };
        assert_eq!(cache.collect_garbage(&old, false).unwrap().drafts, 1);
        assert!(draft.exists() && broken.exists());
        let done = cache.collect_garbage(&old, true).unwrap();
        assert_eq!((done.drafts, done.bytes_after()), (1, 0));
        assert!(!directory.exists());
        assert!(cache.tasks().unwrap().is_empty());
    }

    #[test]
    fn files_that_are_none_of_ours_stay() {
        let store = tempfile::tempdir().unwrap();
        let cache = hundred(store.path());
        let foreign = store.path().join("cache/align/README");
        fs::write(
            &foreign,
            "somebody's notes, which are longer than a trailer",
        )
        .unwrap();
        let options = GcOptions {
            unreachable: &|_| true,
            ..options()
        };
        let report = cache.collect_garbage(&options, true).unwrap();
        assert_eq!(report.warnings[0].path, foreign);
        assert!(foreign.exists());
    }

    #[test]
    fn what_is_in_the_way_costs_a_warning_and_the_rest_is_done() {
        let store = tempfile::tempdir().unwrap();
        let cache = hundred(store.path());
        let at = |name: &str| store.path().join(name);
        fs::write(at("cache/no_folder"), "").unwrap();
        fs::create_dir(at("cache/align/folder")).unwrap();
        fs::write(at("cache/align/broken"), "reflowt1").unwrap();
        let folder = format!(".draft-{:032x}", 1);
        for above in ["", "runs", "files", "cache", "cache/align"] {
            fs::create_dir_all(at(above).join(&folder)).unwrap();
            fs::write(at(above).join(format!(".draft-{:032x}", 2)), "").unwrap();
            fs::write(at(above).join(".draft-of-a-letter"), "").unwrap();
        }
        // One that cannot be removed.
        let full = at("runs").join(&folder);
        fs::create_dir(full.join("inside")).unwrap();
        assert_eq!(cache.tasks().unwrap(), [task()]);
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec as u64 * 1000;
        let report = cache
            .collect_garbage(
                &GcOptions {
                    now_ms: now + 25 * HOUR,
                    unreachable: &|candidate| candidate.entry.made_ms < 50 * HOUR,
                    ..options()
                },
                true,
            )
            .unwrap();
        let paths: Vec<_> = report.warnings.iter().map(|it| it.path.clone()).collect();
        assert_eq!(paths, [at("cache/align/folder"), full]);
        assert_eq!(report.drafts, 10);
        assert_eq!(report.tasks[0].damaged.len(), 1);
        assert!(!at("cache/align/broken").exists());
        assert!(at(".draft-of-a-letter").exists());
        fs::remove_dir(at("cache/align/folder")).unwrap();
        assert_eq!(left(&cache), (50..100).collect::<Vec<_>>());
    }

    #[test]
    fn digests_of_files_go_by_age_and_damaged_ones_in_any_case() {
        use crate::store::files::{Known, shelf};
        let store = tempfile::tempdir().unwrap();
        let cache = Cache::new(store.path());
        let files = shelf(store.path());
        let day = 24 * HOUR;
        let publish = |name: &str, number: u32, made_ms: u64| {
            let known = Known {
                digest: digest(number),
                made_ms,
            };
            let place = crate::store::table::Place::NONE;
            files
                .publish(name, &|table| {
                    table.push(&digest(number), place, &known.payload())
                })
                .unwrap();
        };
        publish("new", 1, 95 * day);
        publish("old", 2, 5 * day);
        fs::write(store.path().join("files/broken"), "reflowt1").unwrap();
        let options = GcOptions {
            now_ms: 100 * day,
            ..options()
        };
        for apply in [false, true] {
            let report = cache.collect_garbage(&options, apply).unwrap();
            assert_eq!(report.files.removed.entries, 1);
            assert_eq!(report.files.damaged.len(), 1);
            assert!(report.warnings.is_empty());
        }
        let left: Vec<u64> = files
            .open()
            .unwrap()
            .tables
            .iter()
            .map(|it| it.len())
            .collect();
        assert_eq!(left, [1]);
        let options = GcOptions {
            older_than: Some(Duration::from_hours(24)),
            ..options
        };
        let report = cache.collect_garbage(&options, true).unwrap();
        assert_eq!(report.files.removed.entries, 1);
        assert!(report.files.damaged.is_empty());
        assert!(files.names().unwrap().is_empty());
    }

    #[test]
    fn the_end_of_time_is_a_time() {
        let store = tempfile::tempdir().unwrap();
        let cache = Cache::new(store.path());
        let entries = vec![(digest(0), entry(0, 0, u64::MAX))];
        cache.publish(&task(), "a", &origin(0), entries).unwrap();
        let options = GcOptions {
            max_bytes: Some(0),
            ..options()
        };
        cache.collect_garbage(&options, true).unwrap();
    }

    #[test]
    fn publishers_and_readers_beside_it_lose_nothing() {
        let store = tempfile::tempdir().unwrap();
        let cache = Cache::new(store.path());
        let is_old = |candidate: &Candidate| candidate.entry.made_ms == 0;
        std::thread::scope(|scope| {
            let publishers: Vec<_> = (0..3)
                .map(|publisher| {
                    let cache = &cache;
                    scope.spawn(move || {
                        for number in (publisher..240).step_by(3) {
                            // Every other one is garbage at once.
                            let made = u64::from(number % 2);
                            let entries = vec![(digest(number), entry(number, number, made))];
                            let name = format!("s-{number}");
                            assert!(
                                cache
                                    .publish(&task(), &name, &origin(number), entries)
                                    .unwrap()
                            );
                            // Whoever has published finds it, whatever others do to the files.
                            let found = cache.open(&task()).unwrap().find(&digest(number)).unwrap();
                            assert!(made == 0 || found.len() == 1, "{number} is lost");
                        }
                    })
                })
                .collect();
            let runs = Cell::new(0);
            while publishers.iter().any(|publisher| !publisher.is_finished()) {
                let options = GcOptions {
                    unreachable: &is_old,
                    ..options()
                };
                cache.collect_garbage(&options, true).unwrap();
                runs.set(runs.get() + 1);
            }
            assert!(runs.get() > 1);
        });
        let opened = cache.open(&task()).unwrap();
        for number in (1..240).step_by(2) {
            assert_eq!(
                opened.find(&digest(number)).unwrap().len(),
                1,
                "{number} is lost"
            );
        }
        assert!(opened.warnings().is_empty());
    }
}
