use std::path::Path;

use fs_err as fs;

use super::*;
use crate::identity::Digest;

const RECORDS: u32 = 3000;

fn key(number: u32) -> Digest {
    blake3::hash(&number.to_le_bytes()).into()
}

/// Writes a table and returns its keys, sorted.
fn table(path: &Path) -> Vec<Digest> {
    let mut keys: Vec<Digest> = (0..RECORDS).map(key).collect();
    keys.sort_unstable();
    let mut writer = TableWriter::create(path.parent().unwrap(), "test").unwrap();
    for key in &keys {
        writer.push(key, Place::NONE, key.as_bytes()).unwrap();
    }
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(writer.publish(name).unwrap());
    keys
}

#[test]
fn a_damaged_block_costs_the_keys_in_it_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table");
    let keys = table(&path);
    let whole = fs::read(&path).unwrap();
    let blocks = keys.len().div_ceil(PER_BLOCK);
    let index = whole.len() - TRAILER - blocks * 4 - keys.len() * ENTRY;
    for damaged in [
        0..1,
        1..2,
        7..8,
        10..13,
        20..24,
        blocks - 1..blocks,
        0..blocks,
    ] {
        let mut bytes = whole.clone();
        for block in damaged.clone() {
            bytes[index + block * BLOCK] ^= 0x10;
        }
        fs::write(&path, bytes).unwrap();
        let table = Table::open(&path, "test").unwrap();
        let mut is_found = vec![false; keys.len()];
        table
            .find(&keys, &mut |found| {
                assert_eq!(found.payload, keys[found.asked].as_bytes());
                is_found[found.asked] = true;
                Ok(())
            })
            .unwrap();
        for (at, is_found) in is_found.into_iter().enumerate() {
            let is_damaged = damaged.contains(&(at / PER_BLOCK));
            assert_eq!(is_found, !is_damaged, "{at} of {damaged:?}");
        }
        assert!(matches!(table.noted(), Some(Noted::Damage(_))));
    }
}

#[test]
fn a_length_that_no_table_has_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table");
    table(&path);
    let mut bytes = fs::read(&path).unwrap();
    let trailer = bytes.len() - TRAILER;
    bytes[trailer + 16..trailer + 20].copy_from_slice(&(LONGEST_HEADER + 1).to_le_bytes());
    let checksum = crc32fast::hash(&bytes[trailer..trailer + 20]);
    bytes[trailer + 20..trailer + 24].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let opened = Table::open(&path, "test");
    assert!(matches!(opened, Err(TableError::Damaged(_))), "{opened:?}");
}
