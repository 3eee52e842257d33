use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;
use crate::store::shelf::Opened;
use crate::store::table::UNREADABLE;

struct Fixture {
    store: tempfile::TempDir,
    shelf: Shelf,
}

impl Fixture {
    fn new() -> Self {
        let store = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(store.path(), store.path().join("shelf"), "test");
        Self { store, shelf }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.shelf.directory.join(name)
    }

    /// Publishes records that share `part`, their keys the digests of these numbers.
    fn publish(&self, name: &str, part: &str, numbers: &[u32]) {
        let mut keys: Vec<Digest> = numbers.iter().copied().map(key).collect();
        keys.sort_unstable();
        let write = |table: &mut TableWriter| {
            let place = table.share(part.as_bytes())?;
            keys.iter()
                .try_for_each(|key| table.push(key, place, part.as_bytes()))
        };
        assert!(self.shelf.publish(name, &write).unwrap());
    }

    /// Publishes eight tables, one record in each.
    fn eight(&self) -> Vec<String> {
        let names: Vec<String> = (0..8).map(|number| format!("t-{number}")).collect();
        for (number, name) in (0..).zip(&names) {
            self.publish(name, "part", &[number]);
        }
        names
    }

    fn opened(&self) -> Opened {
        self.shelf.open().unwrap()
    }

    /// How often there is a record of each number.
    fn found(&self, numbers: std::ops::Range<u32>) -> Vec<usize> {
        let opened = self.opened();
        let count = |number| {
            let mut count = 0;
            for table in &opened.tables {
                table
                    .find(&[key(number)], &mut |_| {
                        count += 1;
                        Ok(())
                    })
                    .unwrap();
            }
            count
        };
        numbers.map(count).collect()
    }

    fn merge(&self) {
        self.shelf.merge(&|rows| rows.truncate(1)).unwrap();
    }
}

fn key(number: u32) -> Digest {
    blake3::hash(&number.to_le_bytes()).into()
}

#[test]
fn what_cannot_be_found_though_it_is_listed_is_told_and_does_not_keep_others_from_being_merged() {
    let fixture = Fixture::new();
    fixture.eight();
    symlink(fixture.store.path().join("purged"), fixture.path("link")).unwrap();
    let opened = fixture.opened();
    assert_eq!(opened.tables.len(), 8);
    assert_eq!(opened.others.len(), 1);
    assert_eq!(opened.others[0].path, fixture.path("link"));
    assert!(opened.damaged.is_empty());
    fixture.merge();
    assert_eq!(fixture.opened().tables.len(), 1);
    assert_eq!(fixture.found(0..8), [1; 8]);
    assert_eq!(fixture.shelf.names().unwrap().len(), 2);
}

#[test]
fn a_name_that_is_taken_is_no_proof_that_the_records_are_there() {
    let fixture = Fixture::new();
    let names = fixture.eight();
    let merged = fixture.path(&merged_name(&names));
    fs::write(&merged, "garbage").unwrap();
    fixture.merge();
    assert_eq!(fixture.found(0..8), [1; 8]);
    // The same names are published again, with records that the merged one has no more.
    fs::remove_file(&merged).unwrap();
    for name in fixture.shelf.names().unwrap() {
        fs::remove_file(fixture.path(&name)).unwrap();
    }
    fixture.eight();
    fixture.merge();
    assert!(merged.exists());
    for (number, name) in (100..).zip(&names) {
        fixture.publish(name, "another", &[number]);
    }
    fixture.merge();
    assert_eq!(fixture.found(100..108), [1; 8]);
    assert_eq!(fixture.found(0..8), [1; 8]);
    assert_eq!(fixture.opened().tables.len(), 2);
}

#[test]
fn a_link_in_the_place_of_a_merged_table_ends_too() {
    let fixture = Fixture::new();
    let names = fixture.eight();
    let purged = fixture.store.path().join("purged");
    symlink(purged, fixture.path(&merged_name(&names))).unwrap();
    fixture.merge();
    assert_eq!(fixture.found(0..8), [1; 8]);
    assert_eq!(fixture.opened().tables.len(), 1);
}

#[test]
fn a_record_whose_shared_part_is_damaged_gives_way_to_one_that_is_sound() {
    let fixture = Fixture::new();
    fixture.publish("a", "first part", &[1]);
    fixture.publish("b", "other part", &[1]);
    let mut bytes = fs::read(fixture.path("a")).unwrap();
    let at = bytes.windows(5).position(|part| part == b"first");
    bytes[at.unwrap()] ^= 1;
    fs::write(fixture.path("a"), bytes).unwrap();
    for number in 0..6 {
        fixture.publish(&format!("t-{number}"), "part", &[10 + number]);
    }
    fixture.merge();
    let opened = fixture.opened();
    assert_eq!(opened.tables.len(), 1);
    let mut parts = Vec::new();
    let mut each = |found: crate::store::table::Found<'_>| {
        parts.extend(opened.tables[0].shared(found.shared)?);
        Ok(())
    };
    opened.tables[0].find(&[key(1)], &mut each).unwrap();
    assert_eq!(parts, [b"other part"]);
}

#[test]
fn a_table_that_cannot_be_read_is_set_aside() {
    let fixture = Fixture::new();
    fixture.eight();
    fixture.publish(&format!("{UNREADABLE}0"), "part", &[50]);
    // Before the others by its name, and so among the first eight.
    fs::rename(fixture.path("t-7"), fixture.path("z")).unwrap();
    fixture.merge();
    let names = fixture.shelf.names().unwrap();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&format!("{UNREADABLE}0")));
    assert_eq!(fixture.opened().tables.len(), 2);
}

#[test]
fn what_is_no_file_is_told_and_left_alone() {
    let fixture = Fixture::new();
    fixture.eight();
    let fifo = fixture.path("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    fs::create_dir(fixture.path("folder")).unwrap();
    let opened = fixture.opened();
    assert_eq!(opened.tables.len(), 8);
    assert_eq!(opened.others.len(), 2);
    assert!(opened.damaged.is_empty());
    fixture.merge();
    assert_eq!(fixture.found(0..8), [1; 8]);
    assert!(fixture.path("folder").exists() && fifo.exists());
}

#[test]
fn tiers_end_and_do_not_begin_again() {
    let fixture = Fixture::new();
    for number in 0..8 {
        let name = format!("{MERGED}{}-{number}", u32::MAX);
        fixture.publish(&name, "part", &[number]);
    }
    fixture.merge();
    assert_eq!(fixture.found(0..8), [1; 8]);
    assert_eq!(fixture.opened().tables.len(), 1);
}
