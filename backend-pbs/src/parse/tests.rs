use std::time::Duration;

use reflow_core::scheduler::Memory;

use super::*;

const ENDED: &str = include_str!("../../tests/fixtures/qstat-ended.json");
const BROKEN: &str = include_str!("../../tests/fixtures/qstat-broken.json");
const NONE: &str = include_str!("../../tests/fixtures/qstat-none.json");
const TORQUE: &str = include_str!("../../tests/fixtures/qstat-torque-6.1.txt");

fn at(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[test]
fn what_is_asked_for_is_read_and_the_rest_passed_over() {
    let answer = json(ENDED).expect("is an answer");
    assert_eq!(answer.records.len(), 8);
    assert_eq!(answer.now, at(1_795_365_700));
    let record = &answer.records[4];
    assert_eq!(record.id, "5.localhost");
    assert_eq!(record.state, Some('F'));
    assert_eq!(record.substate, Some(93));
    assert_eq!(record.exit, Some(-29));
    assert_eq!(record.node.as_deref(), Some("localhost"));
    assert_eq!(record.started, at(1_795_365_550));
    assert_eq!(record.ended(), at(1_795_365_553));
    assert_eq!(record.elapsed, Some(Duration::from_secs(3)));
    assert_eq!(record.memory, Some(Memory::from_bytes(2796 << 10)));
    let deleted = &answer.records[5];
    assert_eq!(
        deleted.depend.as_deref(),
        Some("afterok:2.localhost@localhost")
    );
    assert!(deleted.is_held_by_system && !deleted.has_run());
}

#[test]
fn an_answer_without_jobs_knows_none_and_other_objects_are_no_answer() {
    assert!(json(NONE).expect("is an answer").records.is_empty());
    for text in ["", "hello", "{}", "{\"a\":1}", "[]", "{\"error\":\"away\"}"] {
        assert!(json(text).is_err(), "{text}");
    }
    let greeted = format!("Welcome!\n{NONE}");
    assert!(json(&greeted).is_ok());
}

#[test]
fn what_is_no_json_is_repaired() {
    assert!(serde_json::from_str::<serde_json::Value>(BROKEN).is_err());
    let answer = json(BROKEN).expect("can be repaired");
    let ends: Vec<_> = answer.records.iter().map(|record| record.exit).collect();
    assert_eq!(ends, [Some(0), Some(7)]);
}

#[test]
fn a_job_that_cannot_be_read_is_not_known_and_the_others_are() {
    // A list where there is none in any version, with a comma too many.
    let text = ENDED.replacen("\"Exit_status\":7,", "\"Exit_status\":7,,", 1);
    let answer = json(&text).expect("is whole");
    let ids: Vec<&str> = answer.records.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids.len(), 7);
    assert!(!ids.contains(&"2.localhost"));
}

#[test]
fn half_an_answer_is_none() {
    for text in [ENDED, BROKEN] {
        let end = text.rfind('}').expect("is an object");
        let cuts = (1..end).step_by(13).chain(end - 20..=end);
        for cut in cuts.filter(|cut| text.is_char_boundary(*cut)) {
            assert!(json(&text[..cut]).is_err(), "{}", &text[..cut]);
        }
    }
    for cut in 1..TORQUE.len() - 1 {
        let part = &TORQUE[..cut];
        assert_eq!(text(part).is_ok(), part.ends_with("\n\n"), "{part}");
    }
}

#[test]
fn a_key_that_comes_twice_counts_as_the_last() {
    let text = ENDED.replacen(
        "\"Exit_status\":7,",
        "\"Exit_status\":1,\n\"Exit_status\":7,",
        1,
    );
    assert_eq!(json(&text).expect("is whole").records[1].exit, Some(7));
}

#[test]
fn the_text_of_torque_is_read() {
    let answer = text(TORQUE).expect("is an answer");
    assert_eq!(answer.now, None);
    let ids: Vec<&str> = answer.records.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "1097.torque.example.org",
            "1098[0].torque.example.org",
            "1098[1].torque.example.org"
        ]
    );
    let record = &answer.records[0];
    assert_eq!((record.state, record.exit), (Some('C'), Some(7)));
    assert_eq!(record.node.as_deref(), Some("node1"));
    assert_eq!(record.ended(), at(1_795_365_553));
    assert_eq!(record.elapsed, Some(Duration::from_secs(3)));
    assert_eq!(answer.records[2].exit, Some(-11));
    assert!(text("").expect("knows nothing").records.is_empty());
    assert!(text("hello\n").is_err());
}

#[test]
fn bytes_that_are_no_text_are_read_around() {
    let bytes = [ENDED.as_bytes(), b"\xff\xfe"].concat();
    let lossy = String::from_utf8_lossy(&bytes);
    assert_eq!(json(&lossy).expect("is an answer").records.len(), 8);
}
