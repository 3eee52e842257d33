use reflow_core::scheduler::{EndReason, JobRequest};

use super::past::PastJob;
use super::*;
use crate::element::{Element, End, Phase};

fn request(text: &str) -> JobRequest {
    serde_json::from_str(text).expect("the test writes a request")
}

const ARRAY: &str = r#"{"tag": "raaaaaaaaaaaaaa", "command": {"argv": ["true"], "directory": "/"},
    "array": {"count": 3}, "output": {"stdout": "/dev/null", "stderr": "/dev/null"}, "requeue": false}"#;

fn past() -> Past {
    Past {
        instance: "abc".to_owned(),
        next: 7,
        ..Past::default()
    }
}

#[test]
fn a_log_says_what_was_written_even_where_it_was_cut_short() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("jobs");
    let mut log = Log::create(&path, &past()).expect("the directory is writable");
    log.submitted(7, 1000, &request(ARRAY)).expect("written");
    let end = End {
        code: Some(3),
        elapsed: 20,
        peak: 512,
        ..End::without_status(EndReason::Failed, 1040)
    };
    log.started(7, 0, 1020);
    log.ended(7, 0, 1020, &end);
    log.note(7, 0, "a \"remark\"\nof two lines");
    log.started(7, 1, 1030);
    let process = PastProcess {
        id: 4711,
        started: 99,
        job: 7,
        is_worker: true,
        current: Some((1, 77)),
        exit: None,
    };
    log.process(5, &process);
    log.killed(7, 1, EndReason::Walltime);
    log.flush().expect("written");
    let whole = fs_err::read(&path).expect("it is there");
    fs_err::write(&path, [&whole[..], b"E 7 1 9"].concat()).expect("writable");

    let past = read(&path).expect("a log");
    assert_eq!(past.next, 8);
    let job = &past.jobs[&7];
    assert_eq!(job.elements[0].end, end);
    assert_eq!(job.elements[0].started, 1020);
    assert_eq!(job.elements[1].phase, Phase::Running);
    assert_eq!(job.elements[2].phase, Phase::Pending);
    assert_eq!(job.notes, [(0, "a \"remark\"\nof two lines".to_owned())]);
    assert_eq!(past.processes[&5], process);
    assert_eq!(past.next_process, 6);
    assert_eq!(past.placed[&(7, 1)], 5);
    assert_eq!(past.killed[&(7, 1)], EndReason::Walltime);
    assert!(past.unplaced.is_empty());

    // Written anew, it says the same.
    Log::create(&path, &past).expect("the directory is writable");
    let again = read(&path).expect("a log");
    assert_eq!(again.jobs[&7].elements, past.jobs[&7].elements);
    assert_eq!(again.next, 8);
    assert_eq!(again.processes, past.processes);
    assert_eq!(again.killed, past.killed);
    assert_eq!(again.placed, past.placed);
}

#[test]
fn old_jobs_are_dropped_unless_an_open_one_depends_on_them() {
    let mut past = past();
    for number in 1..=3 {
        let mut job = PastJob {
            request: request(ARRAY),
            submitted: 1,
            elements: vec![
                Element {
                    phase: Phase::Ended,
                    end: End::without_status(EndReason::Completed, 50),
                    started: 40,
                };
                3
            ],
            notes: Vec::new(),
        };
        if number == 3 {
            job.elements[0] = Element::default();
            job.request.dependencies =
                serde_json::from_str(r#"[{"job": "local-abc-2", "kind": "ok"}]"#)
                    .expect("a dependency");
        }
        past.jobs.insert(number, job);
    }
    past.trim(100);
    assert_eq!(past.jobs.keys().copied().collect::<Vec<_>>(), [2, 3]);
}
