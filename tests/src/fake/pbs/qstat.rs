//! `qstat`.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::fake::client::Client;
use crate::fake::{FakeOptions, Job, now};

use super::directives::{Line, Wrong, read};
use super::id::{Id, Part};
use super::list::{HEADING, jobs, row};
use super::{attributes, id, print, server_status, torque};

/// Its options.
const OPTIONS: &str = "aBD:EfF:GHiJMnpqQrsStTu:wx1";

/// Its usage text.
const USAGE: &str = "\
usage:
qstat [-f] [-J] [-p] [-t] [-x] [-E] [-F format] [-D delim] [ job_identifier... | destination... ]
qstat [-a|-i|-r|-H|-T] [-J] [-t] [-u user] [-n] [-s] [-G|-M] [-1] [-w]
\t[ job_identifier... | destination... ]
qstat -Q [-f] [-F format] [-D delim] [ destination... ]
qstat -q [-G|-M] [ destination... ]
qstat -B [-f] [-F format] [-D delim] [ server_name... ]
qstat --version";

/// What is shown: a job, or one of its elements.
pub(super) type Row<'a> = (&'a Job, Option<usize>);

/// Runs it.
pub(super) fn run(client: &Client) -> u8 {
    let known = if torque::is(client.dialect) {
        torque::QSTAT_OPTIONS
    } else {
        OPTIONS
    };
    let line = match read(&client.words(), known) {
        Ok(line) => line,
        Err(wrong) => {
            client.complain(&match wrong {
                Wrong::Unknown(letter) => format!("qstat: invalid option -- '{letter}'"),
                Wrong::NoValue(letter) => {
                    format!("qstat: option requires an argument -- '{letter}'")
                }
            });
            client.complain(USAGE);
            return 2;
        }
    };
    let has = |letter: char| line.options.iter().any(|(known, _)| *known == letter);
    if has('B') {
        return server_status::server(client, &line);
    }
    if has('Q') || has('q') {
        return server_status::queues(client, &line);
    }
    status(client, &line)
}

/// Returns the format that `-F` asks for.
pub(super) fn is_json(line: &Line) -> bool {
    line.options
        .iter()
        .any(|(letter, value)| *letter == 'F' && value.as_deref() == Some("json"))
}

fn status(client: &Client, line: &Line) -> u8 {
    let has = |letter: char| line.options.iter().any(|(known, _)| *known == letter);
    let torque = torque::is(client.dialect);
    // Torque has no history: it shows what it knows. There `-x` asks for XML.
    let history = torque || has('x') || has('H');
    let ids: Vec<(String, Option<Id>)> = line
        .operands
        .iter()
        .map(|text| (text.clone(), Id::parse(text)))
        .collect();
    let numbers: BTreeSet<u64> = ids
        .iter()
        .filter_map(|(_, id)| Some(id.as_ref()?.number))
        .collect();
    let asked = (!ids.is_empty()).then(|| numbers.into_iter().collect());
    let all = match jobs(client, asked) {
        Ok(all) => all,
        Err(code) => return code,
    };
    let by_number: HashMap<u64, &Job> = all.iter().map(|job| (job.number, job)).collect();
    let mut rows: Vec<Row> = Vec::new();
    let mut code = 0;
    if ids.is_empty() {
        let user = line.options.iter().find(|(letter, _)| *letter == 'u');
        let of_user = |job: &&Job| {
            user.and_then(|(_, value)| value.as_deref())
                .is_none_or(|users| users.split(',').any(|user| user == job.submission.user))
        };
        for job in all.iter().filter(of_user) {
            if (!job.is_ended() || history) && (!has('H') || job.is_ended()) {
                expand(&mut rows, job, has('t'), torque);
            }
        }
    }
    for (text, id) in &ids {
        let Some(id) = id else {
            // Also the name of a queue, which this fake does not select by.
            client.complain(&format!("qstat: Unknown queue destination {text}"));
            code = 170;
            continue;
        };
        let full = id::full(text, &client.options.server);
        let Some(job) = by_number
            .get(&id.number)
            .copied()
            .filter(|job| id.names(job))
        else {
            // "Unknown: `qstat: Unknown Job Id 99999.localhost`", exit 153.
            client.complain(&torque::unknown(client, "qstat", &full));
            code = 153;
            continue;
        };
        if job.is_ended() && !history {
            // "`qstat ID` of a finished job", exit 35.
            client.complain(&format!(
                "qstat: {full} Job has finished, use -x or -H to obtain historical job information"
            ));
            code = 35;
            continue;
        }
        match &id.part {
            Some(Part::Indices(indices)) => {
                let positions: Vec<usize> = indices
                    .iter()
                    .filter_map(|&index| job.position(index))
                    .collect();
                if positions.is_empty() {
                    client.complain(&torque::unknown(client, "qstat", &full));
                    code = 153;
                }
                rows.extend(positions.into_iter().map(|position| (job, Some(position))));
            }
            _ => expand(&mut rows, job, has('t'), torque),
        }
    }
    client.print(&written(client, line, &rows));
    code
}

/// "`-t` expands arrays into elements (parent key `20[].localhost` plus `20[0].localhost`, ...). Without
/// `-t` only the parent comes." With Torque's "qstat -t" only the elements come, by its manual.
fn expand<'a>(rows: &mut Vec<Row<'a>>, job: &'a Job, elements: bool, torque: bool) {
    if !(elements && torque && job.is_array()) {
        rows.push((job, None));
    }
    if elements && job.is_array() {
        rows.extend((0..job.elements.len()).map(|position| (job, Some(position))));
    }
}

fn written(client: &Client, line: &Line, rows: &[Row]) -> String {
    let has = |letter: char| line.options.iter().any(|(known, _)| *known == letter);
    let options = &client.options;
    if torque::is(client.dialect) {
        if has('x') {
            return torque::xml(options, rows);
        }
        if has('f') {
            return full(rows, options, |row| torque::attributes(options, row));
        }
    } else if is_json(line) {
        return json(options, rows);
    } else if has('f') {
        return full(rows, options, |row| of_row(options, row));
    }
    if rows.is_empty() {
        return String::new();
    }
    let table = rows.iter().map(|(job, element)| row(client, job, *element));
    HEADING.to_owned() + &table.collect::<String>()
}

/// Returns the id of what a row shows.
pub(super) fn row_id((job, element): &Row, server: &str) -> String {
    match element {
        Some(position) => id::of_element(job, *position, server),
        None => id::of_job(job, server),
    }
}

fn of_row(options: &FakeOptions, (job, element): &Row) -> Map<String, Value> {
    match element {
        Some(position) => attributes::element(options, job, *position),
        None => attributes::job(options, job),
    }
}

/// "`{"timestamp":N,"pbs_version":"23.06.06","pbs_server":"localhost","Jobs":{"1.localhost":{...}}}` [...]
/// When nothing matches the JSON has NO "Jobs" key."
fn json(options: &FakeOptions, rows: &[Row]) -> String {
    let mut document = heading(options);
    if !rows.is_empty() {
        let jobs: Map<String, Value> = rows
            .iter()
            .map(|row| {
                let attributes = Value::Object(of_row(options, row));
                (row_id(row, &options.server), attributes)
            })
            .collect();
        document.insert("Jobs".to_owned(), Value::Object(jobs));
    }
    print::json(&document)
}

/// Returns the beginning of a document.
pub(super) fn heading(options: &FakeOptions) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("timestamp".to_owned(), (now() / 1000).into());
    document.insert("pbs_version".to_owned(), super::VERSION.into());
    document.insert("pbs_server".to_owned(), options.server.clone().into());
    document
}

fn full(
    rows: &[Row],
    options: &FakeOptions,
    attributes: impl Fn(&Row) -> Map<String, Value>,
) -> String {
    let mut text = String::new();
    for row in rows {
        text.push_str("Job Id: ");
        text.push_str(&row_id(row, &options.server));
        text.push('\n');
        text.push_str(&print::lines(&attributes(row)));
        text.push('\n');
    }
    text
}
