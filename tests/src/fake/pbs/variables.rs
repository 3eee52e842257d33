//! The environment of jobs.

use std::os::unix::ffi::OsStringExt;

use serde_json::{Map, Value};

use crate::fake::client::Client;
use crate::fake::{Cluster, Job, Text};

use super::id;

/// A name and its value.
pub(super) type Variable = (Text, Text);

/// Reads the value of `-v`: "`-v NAME` (from env) or `-v NAME=value`; comma in a value: `-v 'A=x\,y'` or `-v
/// 'A="x,y"'` both gave `A=x,y`". Nothing is "`qsub: cannot send environment with the job`": "passing by
/// name a variable whose value holds a lone quote failed".
pub(super) fn listed(text: &str, of: impl Fn(&str) -> Option<Text>) -> Option<Vec<Variable>> {
    split(text)?
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| {
            if let Some((name, value)) = part.split_once('=') {
                return Some((name.into(), value.into()));
            }
            let value = of(&part)?;
            let text = value.lossy();
            let lone = |quote: char| text.matches(quote).count() % 2 == 1;
            (!lone('"') && !lone('\'')).then(|| (part.as_str().into(), value))
        })
        .collect()
}

fn split(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let last = parts.len() - 1;
        match (quote, letter) {
            (_, '\\') => parts[last].extend(letters.next()),
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, ',') => parts.push(String::new()),
            (_, letter) => parts[last].push(letter),
        }
    }
    quote.is_none().then_some(parts)
}

/// Returns a variable of the client's own environment.
#[expect(clippy::disallowed_methods, reason = "qsub passes its environment on")]
pub(super) fn own(name: &str) -> Option<Text> {
    std::env::var_os(name).map(Text::from)
}

/// Returns all variables of the client's own environment.
#[expect(
    clippy::disallowed_methods,
    reason = "qsub -V passes its environment on"
)]
pub(super) fn all() -> Vec<Variable> {
    std::env::vars_os()
        .map(|(name, value)| (Text(name.into_vec()), Text(value.into_vec())))
        .collect()
}

/// Returns the variables that `qsub` adds: "PBS_O_{HOME,HOST,LOGNAME,MAIL,PATH,QUEUE,SHELL,SYSTEM,WORKDIR}".
/// `PBS_O_QUEUE` is added by the server.
pub(super) fn origin(client: &Client, directory: &Text) -> Vec<Variable> {
    let mut origin: Vec<Variable> = Vec::new();
    for name in ["HOME", "LANG", "LOGNAME", "PATH", "MAIL", "SHELL"] {
        let value = match own(name) {
            None if name == "LOGNAME" => Some(client.user.clone().into()),
            value => value,
        };
        origin.extend(value.map(|value| (format!("PBS_O_{name}").into(), value)));
    }
    origin.push(("PBS_O_WORKDIR".into(), directory.clone()));
    origin.push(("PBS_O_SYSTEM".into(), "Linux".into()));
    origin.push(("PBS_O_HOST".into(), client.options.server.clone().into()));
    origin
}

/// Returns the attribute `Variable_List`: "an object and numeric-looking values become numbers (`"B": 1`)".
pub(super) fn attribute(variables: &[Variable]) -> Value {
    let mut list = Map::new();
    for (name, value) in variables {
        list.insert(name.lossy(), typed(&value.lossy()));
    }
    Value::Object(list)
}

/// Returns a text as a number where it looks like one.
pub(super) fn typed(text: &str) -> Value {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'.');
    match serde_json::from_str::<Value>(text) {
        Ok(number @ Value::Number(_)) if plain => number,
        // "Quotes in Variable_List are backslash-doubled but valid JSON."
        _ => text.replace('"', "\\\"").into(),
    }
}

/// Returns the whole environment of an element: "a login-shell environment + PBS_* + PBS_O_*,
/// `PBS_ENVIRONMENT=PBS_BATCH`, `ENVIRONMENT=BATCH`, `TMPDIR=/var/tmp/pbs.<id>`, `PBS_NODEFILE`, `NCPUS`,
/// `PBS_JOBNAME`, `PBS_QUEUE`", and for an array "`PBS_JOBID=20[2].localhost`, `PBS_ARRAY_INDEX=2`,
/// `PBS_ARRAY_ID=20[].localhost`. Non-array jobs have neither PBS_ARRAY_INDEX nor PBS_ARRAY_ID (unset, not
/// 0)."
pub(super) fn of_job(
    cluster: &Cluster,
    job: &Job,
    position: usize,
    home: &str,
    torque: bool,
) -> Vec<Variable> {
    let server = &cluster.options.server;
    let id = id::of_element(job, position, server);
    let number = |name: &str| {
        job.submission
            .more
            .get(name)
            .map_or_else(|| "1".to_owned(), ToString::to_string)
    };
    let mut all: Vec<Variable> = vec![
        ("HOME".into(), home.into()),
        ("LOGNAME".into(), job.submission.user.clone().into()),
        ("USER".into(), job.submission.user.clone().into()),
        ("SHELL".into(), "/bin/bash".into()),
        ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
        ("LANG".into(), "C.UTF-8".into()),
    ];
    let mut set = |name: &str, value: Text| {
        all.retain(|(known, _)| known.0 != name.as_bytes());
        all.push((name.into(), value));
    };
    for (name, value) in &job.submission.environment {
        set(&name.lossy(), value.clone());
    }
    // What the submitter was, a job of this cluster say, is not the job's own.
    set("ENVIRONMENT", "BATCH".into());
    set("PBS_ENVIRONMENT", "PBS_BATCH".into());
    set("PBS_JOBID", id.clone().into());
    set("PBS_JOBNAME", job.submission.name.clone().into());
    set("PBS_QUEUE", job.submission.queue.clone().into());
    set("PBS_O_QUEUE", job.submission.queue.clone().into());
    let tmp = cluster.directory().join("tmp").join(format!("pbs.{id}"));
    set("TMPDIR", tmp.into_os_string().into());
    let nodes = cluster.spool(job, position, "nodes");
    set("PBS_NODEFILE", nodes.into_os_string().into());
    set("NCPUS", number("threads").into());
    set("OMP_NUM_THREADS", number("threads").into());
    if let Some(index) = job.elements[position].index {
        if torque {
            set("PBS_ARRAYID", index.to_string().into());
        } else {
            set("PBS_ARRAY_INDEX", index.to_string().into());
            set("PBS_ARRAY_ID", id::of_job(job, server).into());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Vec<(String, String)>> {
        let known = |name: &str| match name {
            "HOME" => Some("/h".into()),
            "ODD" => Some("it's".into()),
            _ => None,
        };
        Some(
            listed(text, known)?
                .into_iter()
                .map(|(name, value)| (name.lossy(), value.lossy()))
                .collect(),
        )
    }

    #[test]
    fn lists_as_observed() {
        let one = Some(vec![("A".to_owned(), "x,y".to_owned())]);
        assert_eq!(of(r"A=x\,y"), one);
        assert_eq!(of("A=\"x,y\""), one);
        assert_eq!(of("HOME,B=1").unwrap().len(), 2);
        assert_eq!(of("ODD"), None);
    }
}
