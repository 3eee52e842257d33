//! Checkpoints against the full fold: holders that freeze at any point and write their checkpoint late.

use fs_err as fs;
use proptest::prelude::*;
use serde_json::json;

use super::checkpoint::{Checkpoint, write};
use super::{Clock, ElementState, RunState, State};
use crate::elements::ElementSet;
use crate::id::{JobId, Tag};
use crate::journal::{
    Edge, HandBack, Holder, Journal, Lease, NotSent, Raised, Record, Reopen, SubmissionKind,
    SubmissionRecord, begin, create, measure, read_journal,
};
use crate::rundir::RunDir;
use crate::rundir::testing::empty_run;
use crate::scheduler::{DependencyKind, EndReason};
use crate::workflow::{Graph, TaskIndex};

const WIDTH: u32 = 6;

fn graph() -> Graph {
    let takes =
        |step: &str| json!([{"name": "x", "type": "int", "kind": "result", "steps": [step]}]);
    let tasks = json!([
        {"name": "a", "returns": "list[int]", "parameters": []},
        {"name": "b", "array": true, "returns": "int", "parameters": takes("a")},
        {"name": "c", "array": true, "returns": "int", "parameters": takes("b")},
    ]);
    let description = json!({"schema": 1, "name": "w", "tasks": tasks});
    Graph::check(serde_json::from_value(description).expect("well formed")).expect("valid")
}

fn tag(number: u8) -> Tag {
    Tag::new(format!("taaaaaaaaaaaaa{}", char::from(b'a' + number))).expect("a tag")
}

fn task() -> impl Strategy<Value = TaskIndex> {
    (0u32..3).prop_map(TaskIndex)
}

fn tags() -> impl Strategy<Value = Tag> {
    (0u8..6).prop_map(tag)
}

fn elements() -> impl Strategy<Value = ElementSet> {
    prop::collection::btree_set(0..WIDTH, 0..5).prop_map(|set| set.into_iter().collect())
}

fn ended() -> impl Strategy<Value = ElementState> {
    prop::sample::select(vec![
        ElementState::Succeeded,
        ElementState::Cached,
        ElementState::Failed,
        ElementState::Lost,
        ElementState::Cancelled,
        ElementState::Skipped,
    ])
}

fn words() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["x".to_owned(), "y \"z\"".to_owned()])
}

fn intent() -> impl Strategy<Value = Record> {
    let kind = prop_oneof![
        4 => (task(), 1u32..4, elements(), 1u32..3, 0u8..2).prop_map(
            |(task, attempt, elements, batch, mem)| {
                let raised = Raised { mem, time: 0 };
                SubmissionKind::Elements { task, attempt, elements, batch, raised }
            },
        ),
        1 => (0u32..3).prop_map(|round| SubmissionKind::Watch { round }),
        1 => Just(SubmissionKind::Dispatch),
        1 => tags().prop_map(|of| SubmissionKind::Guard { of }),
    ];
    (tags(), kind, tags()).prop_map(|(tag, kind, parent)| {
        Record::Intent(SubmissionRecord {
            tag,
            kind,
            after: vec![Edge {
                tag: parent,
                kind: DependencyKind::Ok,
            }],
            at_most: None,
        })
    })
}

fn record() -> impl Strategy<Value = Record> {
    let why = prop_oneof![
        words().prop_map(|message| NotSent::Rejected { message }),
        words().prop_map(|message| NotSent::Temporary { message }),
        words().prop_map(|message| NotSent::Limit { message }),
    ];
    let reason = prop::option::of(Just(EndReason::NodeFailure));
    let items = prop::collection::vec((0..WIDTH, 0u32..3), 0..4);
    let causes = prop::collection::vec((Just(EndReason::Memory), elements()), 0..2);
    let back = prop::sample::select(vec![
        HandBack::Unstarted,
        HandBack::Replaced,
        HandBack::Left,
        HandBack::Displaced,
    ]);
    let again = prop::sample::select(vec![Reopen::Retries, Reopen::Request, Reopen::Upstream]);
    let all_ended = prop::collection::vec((ended(), elements()), 0..3);
    prop_oneof![
        3 => (task(), 1..=WIDTH).prop_map(|(task, width)| Record::Expanded { task, width }),
        1 => (task(), ended(), words())
            .prop_map(|(task, state, message)| Record::Unexpanded { task, state, message }),
        6 => intent(),
        3 => tags().prop_map(|tag| {
            Record::Submitted { tag, job: JobId::new("7").expect("an id") }
        }),
        2 => (tags(), why).prop_map(|(tag, why)| Record::NotSent { tag, why }),
        4 => (tags(), 0u32..3, all_ended, elements(), items, causes)
            .prop_map(|(tag, pack, ended, handed_back, items, causes)| {
                Record::Ingested { tag, pack, ended, handed_back, items, causes }
            }),
        3 => (task(), elements(), ended(), reason, words())
            .prop_map(|(task, elements, state, reason, message)| {
                Record::Ended { task, elements, state, reason, message }
            }),
        1 => (tags(), elements(), back)
            .prop_map(|(tag, elements, why)| Record::HandedBack { tag, elements, why }),
        2 => (task(), elements(), again)
            .prop_map(|(task, elements, why)| Record::Reopened { task, elements, why }),
        1 => (0u32..3).prop_map(|number| Record::Answered { number }),
        1 => tags().prop_map(|tag| Record::Closed { tag }),
        1 => Just(Record::CancelRequested),
        1 => words().prop_map(|message| Record::Paused { message }),
        1 => Just(Record::Resumed),
        1 => Just(Record::Released),
        1 => Just(Record::Finished { state: RunState::Failed }),
    ]
}

/// What happens next. A number picks one of the processes there are.
#[derive(Debug, Clone)]
enum Step {
    /// A process creates the file of the next term, and freezes.
    Create,
    /// A process that created one measures, from the newest checkpoint on, and freezes.
    Measure(usize),
    /// A process that measured writes the first record of its term, and freezes.
    Begin(usize),
    /// A holder wakes up and writes its checkpoint, whatever has become of its lease.
    Keep(usize),
    /// A holder wakes up and appends, whatever has become of its lease.
    Append(usize, Box<Record>),
    /// All of these at once, by one process.
    Take,
}

enum Process {
    Created(u64, fs::File),
    Measured(u64, fs::File, Journal, State),
    Holding(Lease, u64, State),
    Gone,
}

fn holder() -> Holder {
    Holder {
        host: "h".to_owned(),
        boot: "b".to_owned(),
        pid: 1,
        started: 0,
    }
}

fn measured(dir: &RunDir, graph: &Graph, term: u64, file: fs::File) -> Process {
    let newest = Checkpoint::newest(dir, graph).expect("read");
    let checkpoint = newest.map(|(checkpoint, _)| checkpoint);
    let since = checkpoint.as_ref().map_or(0, Checkpoint::term);
    let journal = measure(&dir.inside("journal"), term, since).expect("measured");
    let state = State::after(checkpoint, graph, &journal);
    Process::Measured(term, file, journal, state)
}

fn begun(dir: &RunDir, process: Process) -> Process {
    let Process::Measured(term, file, journal, state) = process else {
        return process;
    };
    let inside = dir.inside("journal");
    let lease = begin(&inside, term, file, &Clock::system(), holder(), &journal).expect("begun");
    Process::Holding(lease, journal.since, state)
}

fn created(dir: &RunDir, term: u64) -> fs::File {
    let file = create(&dir.inside("journal"), term).expect("created");
    file.expect("the next term")
}

fn full(dir: &RunDir, graph: &Graph) -> State {
    let journal = read_journal(&dir.inside("journal")).expect("read");
    State::fold(graph, &journal.entries)
}

fn carry_out(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let keep = tempfile::tempdir().expect("a directory");
    let dir = empty_run(&keep.path().join("run"));
    let graph = graph();
    let mut processes: Vec<Process> = Vec::new();
    let mut terms = 0;
    for step in steps {
        let count = processes.len().max(1);
        let chosen = match &step {
            Step::Create | Step::Take => {
                processes.push(Process::Gone);
                processes.len() - 1
            }
            Step::Measure(which) | Step::Begin(which) | Step::Keep(which) => which % count,
            // Mostly the newest: what others write does not count.
            Step::Append(which, _) => (count - 1).saturating_sub(which % 3),
        };
        let Some(process) = processes.get_mut(chosen) else {
            continue;
        };
        *process = match (step, std::mem::replace(process, Process::Gone)) {
            (Step::Create, _) => {
                terms += 1;
                Process::Created(terms, created(&dir, terms))
            }
            (Step::Take, _) => {
                terms += 1;
                let process = measured(&dir, &graph, terms, created(&dir, terms));
                begun(&dir, process)
            }
            (Step::Measure(_), Process::Created(term, file)) => measured(&dir, &graph, term, file),
            (Step::Begin(_), process) => begun(&dir, process),
            (Step::Keep(_), Process::Holding(lease, since, state)) => {
                write(&dir, lease.term(), since, &state);
                Process::Holding(lease, since, state)
            }
            (Step::Append(_, record), Process::Holding(mut lease, since, state)) => {
                lease.append(*record).expect("appended");
                Process::Holding(lease, since, state)
            }
            (_, other) => other,
        };
        let short = State::read(&dir, &graph).expect("read");
        prop_assert_eq!(short, full(&dir, &graph));
    }
    Ok(())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Create),
        2 => any::<usize>().prop_map(Step::Measure),
        2 => any::<usize>().prop_map(Step::Begin),
        2 => Just(Step::Take),
        3 => any::<usize>().prop_map(Step::Keep),
        12 => (any::<usize>(), record())
            .prop_map(|(which, record)| Step::Append(which, Box::new(record))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_checkpoint_and_the_rest_give_what_the_whole_journal_gives(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        carry_out(steps)?;
    }
}

/// A run with one term of records, and the holder of the next, which keeps a checkpoint.
struct Rig {
    _keep: tempfile::TempDir,
    dir: RunDir,
    graph: Graph,
}

fn expanded(width: u32) -> Record {
    Record::Expanded {
        task: TaskIndex(1),
        width,
    }
}

fn holding(dir: &RunDir, graph: &Graph, term: u64) -> (Lease, u64, State) {
    let file = created(dir, term);
    match begun(dir, measured(dir, graph, term, file)) {
        Process::Holding(lease, since, state) => (lease, since, state),
        _ => unreachable!("it began"),
    }
}

impl Rig {
    fn new() -> Self {
        let keep = tempfile::tempdir().expect("a directory");
        let dir = empty_run(&keep.path().join("run"));
        let graph = graph();
        let (mut first, ..) = holding(&dir, &graph, 1);
        first.append(expanded(1_000_000)).expect("appended");
        let (mut second, since, state) = holding(&dir, &graph, 2);
        write(&dir, 2, since, &state);
        second.append(Record::CancelRequested).expect("appended");
        Self {
            _keep: keep,
            dir,
            graph,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.inside("checkpoint").join("2")
    }

    fn newest(&self) -> Option<u64> {
        let newest = Checkpoint::newest(&self.dir, &self.graph).expect("read");
        newest.map(|(checkpoint, _)| checkpoint.term())
    }
}

#[test]
fn a_million_elements_in_one_state_take_bytes() {
    let rig = Rig::new();
    assert_eq!(rig.newest(), Some(2));
    assert!(fs::metadata(rig.path()).expect("there").len() < 1000);
    let state = State::read(&rig.dir, &rig.graph).expect("read");
    assert_eq!(state, full(&rig.dir, &rig.graph));
    assert!(state.is_cancelled);
}

#[test]
fn a_checkpoint_that_cannot_be_used_is_passed_over() {
    let rig = Rig::new();
    let good = fs::read(rig.path()).expect("there");
    let text = String::from_utf8_lossy(&good[8..]).into_owned();
    let framed = |text: &str| {
        let mut bytes = Vec::new();
        crate::segment::append_frame(&mut bytes, text.as_bytes());
        bytes
    };
    let mut flipped = good.clone();
    flipped[20] ^= 1;
    let bad = [
        ("empty", Vec::new()),
        ("cut", good[..good.len() - 1].to_vec()),
        ("flipped", flipped),
        ("foreign", framed(&text.replace("abcdef", "abcdee"))),
        (
            "later",
            framed(&text.replace("\"schema\":2", "\"schema\":3")),
        ),
        (
            "other term",
            framed(&text.replace("\"term\":2", "\"term\":1")),
        ),
        ("too few", framed(&text.replace("[1000000,", "[999999,"))),
        (
            "nowhere",
            framed(&text.replace("[1000000,0,0,", "[1000000,9,1,")),
        ),
    ];
    for (name, bytes) in bad {
        assert_ne!(bytes, good, "{name}");
        fs::write(rig.path(), bytes).expect("written");
        assert_eq!(rig.newest(), None, "{name}");
        let state = State::read(&rig.dir, &rig.graph).expect("read");
        assert_eq!(state, full(&rig.dir, &rig.graph), "{name}");
    }
    fs::write(rig.path(), good).expect("written");
    assert_eq!(rig.newest(), Some(2));
}

#[test]
fn the_checkpoint_of_a_holder_that_was_replaced_before_it_began_is_not_used() {
    let rig = Rig::new();
    let late = measured(&rig.dir, &rig.graph, 3, created(&rig.dir, 3));
    // Term 4 finds term 3 empty, and term 2 goes on until term 4 begins.
    let (mut fourth, ..) = holding(&rig.dir, &rig.graph, 4);
    fourth.append(expanded(5)).expect("appended");
    let Process::Holding(third, since, state) = begun(&rig.dir, late) else {
        unreachable!("it began")
    };
    write(&rig.dir, third.term(), since, &state);
    assert!(rig.dir.inside("checkpoint").join("3").exists());
    assert_eq!(rig.newest(), Some(2));
    let read = State::read(&rig.dir, &rig.graph).expect("read");
    assert_eq!(read, full(&rig.dir, &rig.graph));
    assert_eq!(read.task(TaskIndex(1)).elements.len(), 5);
}

#[test]
fn only_the_newest_checkpoint_and_the_one_before_are_kept() {
    let rig = Rig::new();
    for term in 3..6 {
        let (_, since, state) = holding(&rig.dir, &rig.graph, term);
        assert_eq!(since, term - 1);
        write(&rig.dir, term, since, &state);
    }
    let kept = crate::journal::terms(&rig.dir.inside("checkpoint")).expect("read");
    assert_eq!(kept, [4, 5]);
}
