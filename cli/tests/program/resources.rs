//! `docs/resources.md`: what each resource becomes in each batch system, made by really rendering it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    ArrayRequest, Command, ConnectOptions, Dependency, DependencyKind, JobRequest, OutputPaths,
    RESOURCE_KEYS, Rendered, Resources, Scheduler, SchedulerError,
};
use serde_json::{Value, json};

use crate::support::{Sandbox, System};

/// One column: its heading, its scheduler, and an id of a job and of an array in its form.
struct Column {
    title: &'static str,
    scheduler: Arc<dyn Scheduler>,
    job: &'static str,
    array: &'static str,
}

fn options(sandbox: &Sandbox) -> ConnectOptions {
    ConnectOptions {
        partitions: [("gpu".to_owned(), "a100".to_owned())].into(),
        environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        bin_dir: Some(sandbox.path().join("bin")),
        runtime_dir: sandbox.path().join("runtime"),
        launcher: vec!["reflow".to_owned()],
        ..ConnectOptions::default()
    }
}

/// Returns the columns. The sandboxes hold the programs of their batch systems.
async fn columns(sandboxes: &[(System, Sandbox)]) -> Vec<Column> {
    let nothing = Sandbox::new();
    let local = ConnectOptions {
        bin_dir: None,
        partitions: BTreeMap::new(),
        ..options(&nothing)
    };
    let mut columns = vec![Column {
        title: "local",
        scheduler: reflow_backend_local::connect(local)
            .await
            .expect("this machine is there"),
        job: "7",
        array: "7",
    }];
    for (system, sandbox) in sandboxes {
        let options = options(sandbox);
        let connected = match system.backend() {
            "slurm" => reflow_backend_slurm::connect(options).await,
            "pbs" => reflow_backend_pbs::connect(options).await,
            _ => reflow_backend_lsf::connect(options).await,
        };
        let (title, job, array) = match system {
            System::Slurm => ("Slurm", "7", "7"),
            System::OpenPbs => ("OpenPBS, PBS Pro", "7.server", "7[].server"),
            System::Torque => ("Torque", "7.server", "7[].server"),
            System::Lsf => ("IBM LSF 10.1", "7", "7"),
            System::OpenLava => ("openlava", "7", "7"),
        };
        columns.push(Column {
            title,
            scheduler: connected.expect("the stand-ins answer"),
            job,
            array,
        });
    }
    columns
}

fn plain() -> JobRequest {
    JobRequest {
        tag: Tag::new("taaaaaaaaaaaaaa").expect("a tag"),
        comment: None,
        command: Command {
            argv: vec!["reflow".to_owned()],
            directory: PathBuf::from("/data"),
            environment: BTreeMap::new(),
            setup: Vec::new(),
            serves_indices: false,
        },
        array: None,
        dependencies: Vec::new(),
        resources: Resources::default(),
        not_before: None,
        output: OutputPaths {
            stdout: PathBuf::from("/data/job"),
            stderr: PathBuf::from("/data/job"),
        },
        requeue: false,
        extra: Vec::new(),
    }
}

/// What is asked for in the rows, as it is written in `reflow.toml`: each field alone, then some together.
const ROWS: [&str; 22] = [
    r#"{"cpus": 4}"#,
    r#"{"mem": "1500M"}"#,
    r#"{"time": "01:30:30"}"#,
    r#"{"gpus": "2"}"#,
    r#"{"gpus": "a100:2"}"#,
    r#"{"nodes": 2}"#,
    r#"{"tasks": 8}"#,
    r#"{"partition": "short"}"#,
    r#"{"partition": "gpu"}"#,
    r#"{"queue": "short"}"#,
    r#"{"account": "lab"}"#,
    r#"{"qos": "high"}"#,
    r#"{"constraint": "bigmem"}"#,
    r#"{"reservation": "course"}"#,
    r#"{"exclusive": "node"}"#,
    r#"{"exclusive": "user"}"#,
    r#"{"signal": {"name": "USR1", "before": "00:05:00"}}"#,
    r#"{"mail": {"on": ["begin", "end"]}}"#,
    r#"{"mail": {"to": "ada@example.org", "on": ["fail"]}}"#,
    r#"{"cpus": 4, "mem": "8G"}"#,
    r#"{"nodes": 2, "tasks": 8, "cpus": 4, "mem": "8G"}"#,
    r#"{"nodes": 2, "exclusive": "node"}"#,
];

/// Returns fields as they are written in `reflow.toml`.
fn toml(fields: &str) -> String {
    fn written(value: &Value) -> String {
        match value {
            Value::Object(table) => {
                let entries: Vec<String> = table
                    .iter()
                    .map(|(key, entry)| format!("{key} = {}", written(entry)))
                    .collect();
                format!("{{ {} }}", entries.join(", "))
            }
            Value::Array(list) => {
                let entries: Vec<String> = list.iter().map(written).collect();
                format!("[{}]", entries.join(", "))
            }
            other => other.to_string(),
        }
    }
    let fields: Value = serde_json::from_str(fields).expect("the rows are JSON");
    let table = fields.as_object().expect("a table");
    let lines: Vec<String> = table
        .iter()
        .map(|(key, entry)| format!("`{key} = {}`", written(entry)))
        .collect();
    lines.join("<br>")
}

/// Returns words with each flag of one dash joined to the value that follows it.
fn units(words: &[String]) -> Vec<Vec<String>> {
    let mut units: Vec<Vec<String>> = Vec::new();
    for word in words {
        match units.last_mut() {
            Some(unit)
                if unit.len() == 1
                    && unit[0].starts_with('-')
                    && !unit[0].starts_with("--")
                    && !word.starts_with('-') =>
            {
                unit.push(word.clone());
            }
            _ => units.push(vec![word.clone()]),
        }
    }
    units
}

/// Returns what `with` has that `without` has not, in order.
fn added<T: PartialEq + Clone>(without: &[T], with: &[T]) -> Vec<T> {
    // The length of the longest common part, from each place to the end.
    let mut longest = vec![vec![0; with.len() + 1]; without.len() + 1];
    for (a, one) in without.iter().enumerate().rev() {
        for (b, other) in with.iter().enumerate().rev() {
            longest[a][b] = if one == other {
                longest[a + 1][b + 1] + 1
            } else {
                longest[a + 1][b].max(longest[a][b + 1])
            };
        }
    }
    let (mut a, mut new) = (0, Vec::new());
    for (b, one) in with.iter().enumerate() {
        while a < without.len() && without[a] != *one && longest[a + 1][b] == longest[a][b] {
            a += 1;
        }
        if a < without.len() && without[a] == *one {
            a += 1;
        } else {
            new.push(one.clone());
        }
    }
    new
}

/// Returns a word as it can be typed.
fn typed(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_@%+=:,./^".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The reasons for which something is refused, in the order of their first mention.
#[derive(Default)]
struct Refusals(Vec<String>);

impl Refusals {
    fn number(&mut self, reason: String) -> usize {
        if let Some(place) = self.0.iter().position(|known| *known == reason) {
            return place + 1;
        }
        self.0.push(reason);
        self.0.len()
    }
}

/// Returns text as it stands in a cell of a table.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// Returns what a request becomes beyond the plain one.
fn cell(
    plain: &Rendered,
    rendered: Result<Rendered, SchedulerError>,
    refusals: &mut Refusals,
) -> String {
    let rendered = match rendered {
        Ok(rendered) => rendered,
        Err(error) => return format!("refused ({})", refusals.number(error.to_string())),
    };
    let words = added(&units(&plain.argv), &units(&rendered.argv)).concat();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let script = added(&lines(&plain.stdin), &lines(&rendered.stdin));
    let mut parts = Vec::new();
    for (name, value) in &rendered.environment {
        if plain.environment.get(name) != Some(value) {
            parts.push(code(&format!("{name}={value}")));
        }
    }
    if !words.is_empty() {
        let words: Vec<String> = words.iter().map(|word| typed(word)).collect();
        parts.push(code(&words.join(" ")));
    }
    match &script[..] {
        [] => {}
        [line] => parts.push(format!("in the script: {}", code(line))),
        lines => parts.push(format!("{} lines in the script", lines.len())),
    }
    if parts.is_empty() {
        "as without it".to_owned()
    } else {
        parts.join("<br>")
    }
}

/// A row: what is asked for in words, and what is rendered without it and with it.
struct Row {
    asked: String,
    without: JobRequest,
    with: Box<dyn Fn(&Column) -> JobRequest>,
}

fn row(asked: &str, with: impl Fn(&Column) -> JobRequest + 'static) -> Row {
    Row {
        asked: asked.to_owned(),
        without: plain(),
        with: Box::new(with),
    }
}

fn table(text: &mut String, columns: &[Column], rows: &[Row], refusals: &mut Refusals) {
    let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
    let _ = writeln!(text, "| asked for | {} |", titles.join(" | "));
    let _ = writeln!(text, "|---{}|", "|---".repeat(columns.len()));
    for row in rows {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| {
                let without = column.scheduler.render(&row.without);
                let without = without.expect("every batch system has it");
                cell(
                    &without,
                    column.scheduler.render(&(row.with)(column)),
                    refusals,
                )
            })
            .collect();
        let _ = writeln!(text, "| {} | {} |", row.asked, cells.join(" | "));
    }
}

fn after(job: &'static str, kind: DependencyKind) -> JobRequest {
    JobRequest {
        dependencies: vec![Dependency {
            job: JobId::new(job).expect("an id"),
            kind,
        }],
        ..plain()
    }
}

fn array(count: u32, at_most: Option<u32>) -> JobRequest {
    JobRequest {
        array: Some(ArrayRequest { count, at_most }),
        ..plain()
    }
}

/// What reflow itself asks for.
fn own_rows() -> Vec<Row> {
    use DependencyKind::{Any, ElementWise, ElementWiseAny, NotOk, Ok};
    let element_wise = |column: &Column, kind| JobRequest {
        array: array(10, None).array,
        ..after(column.array, kind)
    };
    vec![
        row("an array of 10 elements", |_| array(10, None)),
        Row {
            without: array(10, None),
            ..row("of which 2 run at the same time", |_| array(10, Some(2)))
        },
        row("an array of 1 element", |_| array(1, None)),
        row("after the success of job 7", |column| after(column.job, Ok)),
        row("after the end of job 7", |column| after(column.job, Any)),
        row("after the failure of job 7", |column| {
            after(column.job, NotOk)
        }),
        row("after the end of array 7", |column| {
            after(column.array, Any)
        }),
        Row {
            without: array(10, None),
            ..row("each element after the success of its own", move |column| {
                element_wise(column, ElementWise)
            })
        },
        Row {
            without: array(10, None),
            ..row("each element after the end of its own", move |column| {
                element_wise(column, ElementWiseAny)
            })
        },
        row("not before 2026-12-24 18:00 UTC", |_| JobRequest {
            not_before: Some(SystemTime::UNIX_EPOCH + Duration::from_hours(499_482)),
            ..plain()
        }),
        row("may be started again by the batch system", |_| JobRequest {
            requeue: true,
            ..plain()
        }),
        row("`extra = [\"--flag\"]`", |_| JobRequest {
            extra: vec!["--flag".to_owned()],
            ..plain()
        }),
    ]
}

fn resource_rows() -> Vec<Row> {
    ROWS.iter()
        .map(|fields| {
            let resources: Resources =
                serde_json::from_str(fields).expect("the rows are resources");
            let request = move |_: &Column| JobRequest {
                resources: resources.clone(),
                ..plain()
            };
            row(&toml(fields), request)
        })
        .collect()
}

/// Returns the page, and the sandboxes that must live as long as it is made.
fn generated() -> String {
    let sandboxes: Vec<(System, Sandbox)> = System::ALL
        .map(|system| (system, Sandbox::new().with_programs(system)))
        .into();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be started");
    let columns = runtime.block_on(columns(&sandboxes));
    let mut refusals = Refusals::default();
    let mut text = "# Resources in the words of each batch system\n\n\
        A task asks for resources in the same words everywhere. This page shows what they become: it is \
        made by rendering a request for each row, and a test keeps it up to date. `reflow submit --dry-run` \
        shows the same for your own workflow.\n\n\
        What a batch system does not have is refused before anything is sent, never left out. The numbers \
        lead to the reasons below the tables.\n\n\
        ## Resources\n\n\
        Each row but the last three asks for one thing alone. On this page the site maps the partition `gpu` \
        to `a100` (`[backend.NAME.partitions]`); a name that is not mapped is handed on as it is. `queue` is \
        another word for `partition`.\n\n"
        .to_owned();
    table(&mut text, &columns, &resource_rows(), &mut refusals);
    text.push_str(
        "\n## Arrays, dependencies and the rest\n\n\
        reflow asks for these itself. Where a batch system does not have one of them, the planner does \
        without.\n\n",
    );
    table(&mut text, &columns, &own_rows(), &mut refusals);
    text.push_str("\n## What is refused, and why\n\n");
    for (number, reason) in (1..).zip(&refusals.0) {
        let _ = writeln!(text, "{number}. {reason}");
    }
    text
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/resources.md")
}

#[test]
fn every_field_has_a_row() {
    let rows: Vec<Value> = ROWS
        .iter()
        .map(|row| serde_json::from_str(row).expect("the rows are JSON"))
        .collect();
    for key in RESOURCE_KEYS {
        let alone = rows.iter().any(|row| {
            let fields = row.as_object().expect("a table");
            fields.len() == 1 && fields.contains_key(key)
        });
        assert!(alone, "no row asks for `{key}` alone");
    }
}

#[test]
fn the_flag_of_a_value_is_shown_with_it() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let new = |without: &str, with: &str| {
        added(&units(&words(without)), &units(&words(with)))
            .concat()
            .join(" ")
    };
    assert_eq!(new("a -m n -x", "a -m be -x"), "-m be");
    assert_eq!(new("a -m n", "a -q x -m n"), "-q x");
    assert_eq!(new("a -l a -m n", "a -l b -l a -m n"), "-l b");
    assert_eq!(new("a --b", "a --b"), "");
    assert_eq!(
        toml(&json!({"mail": {"on": ["end"]}}).to_string()),
        "`mail = { on = [\"end\"] }`"
    );
}

#[test]
fn the_page_of_resources_is_up_to_date() {
    let written = fs_err::read_to_string(page()).unwrap_or_default();
    assert!(
        written == generated(),
        "docs/resources.md is out of date: write it again with \
         `cargo test -p reflow --test program resources -- --ignored`"
    );
}

#[test]
#[ignore = "writes docs/resources.md: run it after a change of what a backend renders"]
fn write_the_page_of_resources() {
    fs_err::write(page(), generated()).expect("the page can be written");
}
