//! `bjobs -o` and `-json` of IBM LSF, by IBM's pages of `bjobs -o`, `-noheader` and `-json`.

use serde_json::{Map, Value, json};

use super::ends::{Ending, reason};
use super::select::{Named, Row, pending_reason};
use super::text::{cut_end, cut_front, seconds, short_time};
use super::{FAILED, kept, more, name_of};
use crate::fake::client::Client;
use crate::fake::{ElementState, now};

/// What `-o` was given.
#[derive(Debug)]
pub(super) struct Format {
    fields: Vec<Field>,
    delimiter: String,
    has_header: bool,
    pub(super) is_json: bool,
}

#[derive(Debug)]
struct Field {
    name: String,
    width: Option<usize>,
    is_right: bool,
}

/// The fields of IBM's page that the fake has, each with its alias.
const FIELDS: &[(&str, &str)] = &[
    ("jobid", "id"),
    ("jobindex", "index"),
    ("stat", "stat"),
    ("user", "user"),
    ("queue", "queue"),
    ("job_name", "name"),
    ("proj_name", "proj"),
    ("submit_time", "submit_time"),
    ("start_time", "start_time"),
    ("finish_time", "finish_time"),
    ("run_time", "run_time"),
    ("exit_code", "exit_code"),
    ("exit_reason", "exit_reason"),
    ("pend_reason", "pend_reason"),
    ("exec_host", "eh"),
    ("first_host", "fh"),
    ("from_host", "fh"),
    ("nexec_host", "nexec_host"),
    ("slots", "slots"),
    ("nreq_slot", "nreq_slot"),
    ("command", "cmd"),
    ("dependency", "dependency"),
    ("sub_cwd", "sub_cwd"),
    ("exec_cwd", "exec_cwd"),
    ("output_file", "output_file"),
    ("error_file", "error_file"),
    ("max_mem", "max_mem"),
    ("mem", "mem"),
    ("memlimit", "memlimit"),
    ("cpu_used", "cpu_used"),
    ("combined_resreq", "combined_resreq"),
];

impl Format {
    /// Reads the options; none where `-o` was not given. The error is the exit code.
    pub(super) fn read(
        client: &Client,
        text: Option<&str>,
        is_json: bool,
        no_header: bool,
    ) -> Result<Option<Self>, u8> {
        let refuse = |text: &str| {
            client.complain(text);
            Err(FAILED)
        };
        let Some(text) = text else {
            // "`-json` since 10.1.0.2 and only with -o, not with -noheader".
            return if is_json {
                refuse("The -json option is only supported with the -o option.")
            } else {
                Ok(None)
            };
        };
        if is_json && no_header {
            return refuse("The -json and -noheader options cannot be used together.");
        }
        let (text, delimiter) = match text.split_once("delimiter=") {
            Some((fields, delimiter)) => {
                let quotes: &[char] = &['\'', '"'];
                (fields, delimiter.trim().trim_matches(quotes).to_owned())
            }
            None => (text, " ".to_owned()),
        };
        let mut fields = Vec::new();
        for word in text.split_whitespace() {
            let (name, width) = match word.split_once(':') {
                Some((name, width)) => (name, width.trim_end_matches(':')),
                None => (word, ""),
            };
            let known = FIELDS.iter().find(|(long, alias)| {
                name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(alias)
            });
            let Some((name, _)) = known else {
                return refuse(&format!("Field name is invalid: {name}."));
            };
            fields.push(Field {
                name: (*name).to_owned(),
                width: width.trim_start_matches('-').parse().ok(),
                is_right: width.starts_with('-'),
            });
        }
        if fields.is_empty() {
            return refuse("The -o option needs at least one field name.");
        }
        Ok(Some(Self {
            fields,
            delimiter,
            has_header: !no_header,
            is_json,
        }))
    }
}

/// Returns the listing.
pub(super) fn table(client: &Client, format: &Format, rows: &[Row], missing: &[&Named]) -> String {
    if format.is_json {
        return records(client, format, rows, missing);
    }
    if rows.is_empty() {
        return String::new();
    }
    let line = |values: Vec<String>| {
        let cells: Vec<String> = format
            .fields
            .iter()
            .zip(values)
            .map(|(field, value)| field.fit(&value))
            .collect();
        let mut line = cells.join(&format.delimiter);
        line.push('\n');
        line
    };
    let mut text = String::new();
    if format.has_header {
        let names = format.fields.iter();
        text += &line(names.map(|field| field.name.to_uppercase()).collect());
    }
    for row in rows {
        let values = format.fields.iter().map(|field| {
            let value = value(client, &field.name, *row);
            if value.is_empty() {
                "-".to_owned()
            } else {
                value
            }
        });
        text += &line(values.collect());
    }
    text
}

impl Field {
    /// "For the JOB_NAME field, bjobs removes the header characters and replaces them with an asterisk
    /// (*). For other fields, bjobs truncates the ending characters".
    fn fit(&self, value: &str) -> String {
        let Some(width) = self.width.filter(|width| *width > 0) else {
            return value.to_owned();
        };
        let cut = if self.name == "job_name" {
            cut_front(value, width)
        } else {
            cut_end(value, width)
        };
        if self.is_right {
            format!("{cut:>width$}")
        } else {
            format!("{cut:<width$}")
        }
    }
}

/// The document of `-json`: `COMMAND`, `JOBS` and `RECORDS`, every value a text.
fn records(client: &Client, format: &Format, rows: &[Row], missing: &[&Named]) -> String {
    let mut records: Vec<Value> = rows
        .iter()
        .map(|row| {
            let fields = format.fields.iter().map(|field| {
                let value = value(client, &field.name, *row);
                (field.name.to_uppercase(), Value::from(value))
            });
            Value::Object(fields.collect::<Map<_, _>>())
        })
        .collect();
    records.extend(missing.iter().map(|id| {
        json!({
            "JOBID": id.written,
            "ERROR": format!("Job <{}> is not found", id.written),
        })
    }));
    let document = json!({
        "COMMAND": "bjobs",
        "JOBS": records.len(),
        "RECORDS": records,
    });
    format!("{document:#}\n")
}

/// Returns the value of a field, empty where there is none.
fn value(client: &Client, field: &str, row: Row) -> String {
    let (job, element) = (row.job, row.element());
    let submission = &job.submission;
    let host = &client.options.server;
    let slots = submission.cpus.max(1);
    let ending = Ending::of(client.dialect, element);
    let started = element.started;
    let on_hosts = |text: String| {
        if started.is_some() {
            text
        } else {
            String::new()
        }
    };
    let time = |at: Option<i64>| at.map_or_else(String::new, short_time);
    match field {
        "jobid" => job.number.to_string(),
        "jobindex" => element.index.unwrap_or(0).to_string(),
        "stat" => row.state(client).to_owned(),
        "user" => submission.user.clone(),
        "queue" => submission.queue.clone(),
        "job_name" => name_of(job, row.position),
        "proj_name" => kept(job, more::PROJECT).unwrap_or("default").to_owned(),
        "submit_time" => short_time(job.submitted),
        "start_time" => time(started),
        "finish_time" => time(element.ended),
        "run_time" => {
            let until = element.ended.unwrap_or_else(now);
            let run = started.map_or(0, |from| seconds(from, until));
            format!("{run} second(s)")
        }
        "exit_code" => match ending {
            None | Some(Ending::Done) => String::new(),
            Some(ending) => ending
                .code()
                .map_or_else(String::new, |code| code.to_string()),
        },
        "exit_reason" => ending
            .and_then(|_| reason(client.dialect, element))
            .unwrap_or_default()
            .to_owned(),
        "pend_reason" if element.state == ElementState::Pending => pending_reason(client, row),
        "exec_host" if slots > 1 => on_hosts(format!("{slots}*{host}")),
        "exec_host" | "first_host" => on_hosts(host.clone()),
        "nexec_host" => on_hosts("1".to_owned()),
        "slots" | "nreq_slot" => slots.to_string(),
        "from_host" => host.clone(),
        "command" => kept(job, more::COMMAND).unwrap_or_default().to_owned(),
        "dependency" => kept(job, more::DEPENDENCY).unwrap_or_default().to_owned(),
        "sub_cwd" | "exec_cwd" => submission.directory.lossy(),
        "output_file" => submission
            .stdout
            .as_ref()
            .map_or_else(String::new, crate::fake::Text::lossy),
        "error_file" => submission
            .stderr
            .as_ref()
            .map_or_else(String::new, crate::fake::Text::lossy),
        "memlimit" => submission
            .more
            .get(more::MEMORY_LIMIT)
            .and_then(Value::as_u64)
            .map_or_else(String::new, |bytes| format!("{} Mbytes", bytes >> 20)),
        "mem" | "max_mem" => on_hosts("2 Mbytes".to_owned()),
        "cpu_used" => on_hosts("0.0 second(s)".to_owned()),
        "combined_resreq" => kept(job, more::REQUIREMENT).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}
