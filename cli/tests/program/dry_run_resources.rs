//! `submit --dry-run` of a workflow that asks for everything, on every batch system.

use std::collections::BTreeSet;
use std::fmt::Write;

use insta::assert_snapshot;

use crate::dry_run::{dry_run, filtered};
use crate::support::{Sandbox, System};

/// Every resource, as it is written in `reflow.toml`.
const FIELDS: [(&str, &str); 16] = [
    ("cpus", "4"),
    ("mem", "'1500M'"),
    ("time", "'01:30:30'"),
    ("gpus", "2"),
    ("gpus of a type", "'a100:2'"),
    ("nodes", "2"),
    ("tasks", "8"),
    ("partition", "'gpu'"),
    ("account", "'lab'"),
    ("qos", "'high'"),
    ("constraint", "'bigmem'"),
    ("reservation", "'course'"),
    ("exclusive", "'node'"),
    ("exclusive of a user", "'user'"),
    ("signal", "{ name = 'USR1', before = '00:05:00' }"),
    ("mail", "{ to = 'ada@example.org', on = ['begin', 'fail'] }"),
];

/// What each batch system does not have: OpenPBS by its user's guide (a reservation is a queue, there is no
/// quality of service), the others by their own.
fn refused(system: System) -> &'static [&'static str] {
    match system {
        System::Slurm => &[],
        System::OpenPbs => &["gpus of a type", "qos", "exclusive of a user", "signal"],
        System::Torque => &["gpus of a type", "signal"],
        System::Lsf => &["exclusive of a user"],
        System::OpenLava => &[
            "gpus",
            "gpus of a type",
            "qos",
            "reservation",
            "exclusive of a user",
            "signal",
            "mail",
        ],
    }
}

/// Returns a workflow of which one task asks for `fields`, and another comes after it.
fn workflow(fields: &[(&str, &str)]) -> String {
    let mut text = "[workflow]\nname = \"all\"\n[tasks.all]\nshell = \"true\"\n".to_owned();
    for (name, value) in fields {
        let key = key(name);
        let _ = writeln!(text, "{key} = {value}");
    }
    text.push_str("[tasks.next]\nshell = \"true\"\nafter = [\"all\"]\n");
    text
}

fn key(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}

fn sandbox(system: System) -> Sandbox {
    let sandbox = Sandbox::new().with_programs(system);
    let backend = system.backend();
    sandbox.configure(
        backend,
        &format!("extra = ['-a-flag-of-the-site']\n[backend.{backend}.partitions]\ngpu = 'a100'\n[backend.{backend}.dispatch]\nqueue = 'short'"),
    );
    sandbox
}

#[test]
fn what_a_batch_system_does_not_have_is_refused_by_name_with_what_to_do() {
    for system in System::ALL {
        let sandbox = sandbox(system);
        let mut found = BTreeSet::new();
        for field in FIELDS {
            sandbox.write("wordcount/reflow.toml", &workflow(&[field]));
            let outcome = sandbox.outcome(&mut dry_run(&sandbox, system.backend(), &[]));
            if outcome.code == Some(0) {
                continue;
            }
            found.insert(field.0);
            let shown = outcome.shown();
            assert_eq!(outcome.code, Some(2), "{system:?}: {shown}");
            for part in [
                format!("the backend `{}` does not take", system.backend()),
                "task `all`".to_owned(),
                key(field.0).to_owned(),
            ] {
                assert!(
                    shown.contains(&part),
                    "{system:?} does not say {part}: {shown}"
                );
            }
            let advises = ["leave ", "use `", "ask for", "choose ", "set `"];
            assert!(
                advises.iter().any(|words| shown.contains(words)),
                "{system:?} does not say what to do: {shown}"
            );
        }
        let expected: BTreeSet<&str> = refused(system).iter().copied().collect();
        assert_eq!(found, expected, "{system:?}");
    }
}

/// Shows what is sent of a workflow that asks for all that the batch system has, and checks that nothing is.
fn shown(system: System, leave_out: &[&str]) -> String {
    let sandbox = sandbox(system);
    let fields: Vec<(&str, &str)> = FIELDS
        .into_iter()
        .filter(|(name, _)| !refused(system).contains(name) && !leave_out.contains(name))
        .collect();
    sandbox.write("wordcount/reflow.toml", &workflow(&fields));
    let outcome = sandbox.outcome(&mut dry_run(&sandbox, system.backend(), &[]));
    let asked = fs_err::read_to_string(sandbox.path().join("asked")).expect("the stand-ins ran");
    for line in asked.lines() {
        assert!(system.is_question(line), "sent: {line}");
    }
    outcome.shown()
}

/// GPUs are asked for with their type, and nodes are not shared, where that can be said.
const SIMPLER: [&str; 2] = ["gpus", "exclusive of a user"];

#[test]
fn everything_on_slurm() {
    let shown = shown(System::Slurm, &SIMPLER);
    filtered(|| assert_snapshot!(shown, @""));
}

#[test]
fn everything_on_open_pbs() {
    // A reservation is a queue of its own: it and a partition are not asked for together.
    let shown = shown(System::OpenPbs, &["reservation"]);
    filtered(|| assert_snapshot!(shown, @""));
}

#[test]
fn everything_on_torque() {
    let shown = shown(System::Torque, &["exclusive of a user"]);
    filtered(|| assert_snapshot!(shown, @""));
}

#[test]
fn everything_on_lsf() {
    let shown = shown(System::Lsf, &["gpus"]);
    filtered(|| assert_snapshot!(shown, @""));
}

#[test]
fn everything_on_openlava() {
    let shown = shown(System::OpenLava, &[]);
    filtered(|| assert_snapshot!(shown, @""));
}
