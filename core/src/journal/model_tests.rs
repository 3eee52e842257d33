//! The journal against a model: takes step by step, appends, kills, and frozen holders that wake up.

use fs_err as fs;
use proptest::prelude::*;

use super::lease::{begin, create, measure};
use super::{Holder, Journal, Lease, Liveness, Record, Taken, read_journal, take};
use crate::engine::Clock;
use crate::segment::append_frame;
use crate::workflow::TaskIndex;

/// What happens next. A number picks one of the processes there are.
#[derive(Debug, Clone)]
enum Step {
    /// A process creates the file of the next term, and freezes.
    Create,
    /// A process that created one measures what was there before, and freezes.
    Measure(usize),
    /// A process that measured writes the first record of its term, and freezes.
    Begin(usize),
    /// A process takes the lease without a pause.
    Take,
    /// A holder wakes up and appends, whatever has become of its lease.
    Append(usize),
    /// A process is killed in the middle of writing its next record.
    Tear(usize, usize),
}

#[derive(Debug)]
enum Process {
    Created(u64, fs::File),
    Measured(u64, fs::File, Journal, Vec<u32>),
    Holding(Lease),
    Dead,
}

/// Reading gives what the newest term that began had measured, and then what its holder appended.
#[derive(Debug, Default)]
struct Model {
    /// The newest term that began.
    newest: u64,
    reading: Vec<u32>,
    /// What a holder wrote before it saw that nobody had taken over: what it then sends to the batch
    /// system must be known to everybody after it.
    promised: Vec<u32>,
}

#[derive(Debug)]
struct Forced;

fn holder() -> Holder {
    Holder {
        host: "h".to_owned(),
        boot: "b".to_owned(),
        pid: 1,
        started: 0,
    }
}

impl Liveness for Forced {
    fn own(&self) -> Holder {
        holder()
    }
    fn is_gone(&self, _holder: &Holder) -> bool {
        false
    }
}

fn numbered(width: u32) -> Record {
    Record::Expanded {
        task: TaskIndex(0),
        width,
    }
}

fn numbers(journal: &Journal) -> Vec<u32> {
    let records = journal.entries.iter().map(|entry| &entry.record);
    records
        .filter_map(|record| match record {
            Record::Expanded { width, .. } => Some(*width),
            _ => None,
        })
        .collect()
}

/// Appends the beginning of a record to the file of a term.
fn tear(dir: &std::path::Path, term: u64, length: usize) {
    use std::io::Write;
    let mut frame = Vec::new();
    append_frame(&mut frame, &[b'x'; 60]);
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(dir.join(term.to_string()))
        .expect("there");
    file.write_all(&frame[..length.min(frame.len() - 1)])
        .expect("written");
}

fn carry_out(steps: &[Step]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let keep = tempfile::tempdir().expect("a directory");
    let dir = keep.path();
    let clock = Clock::system();
    let mut processes: Vec<Process> = Vec::new();
    let mut model = Model::default();
    let mut terms = 0;
    for (number, step) in (1u32..).zip(steps) {
        let count = processes.len().max(1);
        let chosen = match step {
            Step::Measure(which)
            | Step::Begin(which)
            | Step::Append(which)
            | Step::Tear(which, _) => which % count,
            Step::Create | Step::Take => {
                processes.push(Process::Dead);
                processes.len() - 1
            }
        };
        let Some(process) = processes.get_mut(chosen) else {
            continue;
        };
        *process = match (step, std::mem::replace(process, Process::Dead)) {
            (Step::Create, _) => {
                terms += 1;
                let file = create(dir, terms).expect("created").expect("the next term");
                Process::Created(terms, file)
            }
            (Step::Measure(_), Process::Created(term, file)) => {
                let before = measure(dir, term, 0).expect("measured");
                Process::Measured(term, file, before, model.reading.clone())
            }
            (Step::Begin(_), Process::Measured(term, file, before, reading)) => {
                let lease = begin(dir, term, file, &clock, holder(), &before).expect("begun");
                if term > model.newest {
                    model.newest = term;
                    model.reading = reading;
                }
                Process::Holding(lease)
            }
            (Step::Take, _) => {
                let taken = runtime.block_on(take(dir, &Forced, &clock, true, 0));
                let Taken::Mine(lease, journal) = taken.expect("taken") else {
                    unreachable!("it was forced")
                };
                terms += 1;
                prop_assert_eq!(lease.term(), terms);
                prop_assert_eq!(numbers(&journal), model.reading.clone());
                model.newest = terms;
                Process::Holding(lease)
            }
            (Step::Append(_), Process::Holding(mut lease)) => {
                lease.append(numbered(number)).expect("appended");
                if lease.term() == model.newest {
                    model.reading.push(number);
                }
                if lease.check().is_ok() {
                    model.promised.push(number);
                }
                Process::Holding(lease)
            }
            (Step::Tear(_, length), Process::Created(term, _) | Process::Measured(term, ..)) => {
                tear(dir, term, *length);
                Process::Dead
            }
            (Step::Tear(_, length), Process::Holding(lease)) => {
                tear(dir, lease.term(), *length);
                Process::Dead
            }
            (_, other) => other,
        };
        let journal = read_journal(dir).expect("read");
        prop_assert_eq!(numbers(&journal), model.reading.clone());
        prop_assert_eq!(journal.term, terms);
        for process in &processes {
            if let Process::Holding(lease) = process {
                prop_assert_eq!(lease.check().is_ok(), lease.term() == terms);
            }
        }
        let is_kept = |number: &u32| model.reading.contains(number);
        prop_assert!(
            model.promised.iter().all(is_kept),
            "a promised record is gone"
        );
    }
    Ok(())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Create),
        3 => any::<usize>().prop_map(Step::Measure),
        3 => any::<usize>().prop_map(Step::Begin),
        1 => Just(Step::Take),
        6 => any::<usize>().prop_map(Step::Append),
        1 => (any::<usize>(), 0usize..80).prop_map(|(which, length)| Step::Tear(which, length)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn reading_is_what_the_newest_term_measured_and_its_holder_wrote(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        carry_out(&steps)?;
    }
}

#[test]
fn a_term_that_measures_late_does_not_cut_the_one_behind_it() {
    // Two files exist before the first of them begins; what the second writes must still count.
    let steps = [
        Step::Create,
        Step::Create,
        Step::Measure(0),
        Step::Begin(0),
        Step::Measure(1),
        Step::Begin(1),
        Step::Append(1),
    ];
    carry_out(&steps).expect("as the model says");
}
