//! `bsub`.

use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use serde_json::Value;

use super::ends::Ending;
use super::environment::chosen;
use super::limits::{read_begin, read_memory_limit, read_run_limit, read_slots};
use super::name::read_name;
use super::requirement::Requirement;
use super::words::{Words, directives, joined};
use super::{FAILED, cluster, more};
use crate::fake::client::Client;
use crate::fake::{Answer, Body, Dialect, Request, Submission, Text};

/// What `bsub -h` of openlava says; it comes for an unknown option as well.
const USAGE: &str = "Usage:  bsub [-h] [-V] [-H] [-x] [-r] [-N] [-B] [-I | -K | -Ip | -Is ]\n\
    \x20       [-q queue_name ...] [-m host_name[+[pref_level]] ...]\n\
    \x20       [-n min_processors[,max_processors]] [-J job_name] [-b begin_time] [-t term_time]\n\
    \x20       [-i in_file] [-o out_file] [-e err_file] [-M mem_limit] [-W run_limit[/host_spec]]\n\
    \x20       [-R res_req] [-w depend_cond] [-P project_name] command [argument ...]";

/// Runs `bsub` and returns its exit code.
pub(super) fn bsub(client: &Client) -> u8 {
    let mut words = match Words::read(client.dialect, &client.words()) {
        Ok(words) => words,
        Err(unknown) => {
            client.complain(&format!("bsub: invalid option {}\n{USAGE}", unknown.0));
            return FAILED;
        }
    };
    if words.has("V") {
        client.complain(cluster::version(client.dialect));
        return 0;
    }
    if words.has("h") {
        client.complain(USAGE);
        return 0;
    }
    let script = if words.command.is_empty() {
        let mut script = Vec::new();
        // What cannot be read is no script.
        let _ = std::io::stdin().read_to_end(&mut script);
        // "`bsub < script` | [...] `#BSUB` lines read (stdin form ONLY)".
        let text = String::from_utf8_lossy(&script).into_owned();
        match Words::read(client.dialect, &directives(&text)) {
            Ok(found) => words.complete(found),
            Err(unknown) => {
                client.complain(&format!("bsub: invalid option {}\n{USAGE}", unknown.0));
                return FAILED;
            }
        }
        Some(script)
    } else {
        None
    };
    let mut submission = Submission {
        user: client.user.clone(),
        ..Submission::default()
    };
    if let Err(text) = fill(client, &words, script, &mut submission) {
        // The server is told all the same: "All refusals: message on STDERR, exit 255, and a job number
        // is used up".
        submission
            .more
            .insert(more::REFUSED.to_owned(), text.into());
    }
    let queue = words.get("q").map(str::to_owned);
    match client.ask(&Request::Submit(Box::new(submission))) {
        Ok(Answer::Taken(number)) => {
            if let Some(banner) = &client.options.lsf.banner {
                client.print(&format!("{banner}\n"));
            }
            let to = match queue {
                Some(queue) => format!("queue <{queue}>"),
                None => format!("default queue <{}>", client.options.queues[0].name),
            };
            client.print(&format!("Job <{number}> is submitted to {to}.\n"));
            if words.has("K") {
                return wait(client, number);
            }
            0
        }
        Ok(Answer::Refused(refusal)) => {
            client.complain(&refusal.text);
            refusal.code
        }
        other => super::no_answer(client, &other),
    }
}

/// Fills in what was asked for. The error is the refusal as `bsub` says it.
fn fill(
    client: &Client,
    words: &Words,
    script: Option<Vec<u8>>,
    submission: &mut Submission,
) -> Result<(), String> {
    let dialect = client.dialect;
    let unit = client.options.lsf.unit_for_limits.as_deref();
    let refused = |text: String| format!("{text}. Job not submitted.");
    let mut keep = |name: &str, value: Value| {
        submission.more.insert(name.to_owned(), value);
    };
    let (shown, body) = match script {
        None => {
            let line = joined(&words.command);
            (line.clone(), Body::Command(vec![Text::from(line)]))
        }
        Some(script) if script.iter().all(u8::is_ascii_whitespace) => {
            return Err(refused("No command is specified".to_owned()));
        }
        Some(script) => {
            let text = String::from_utf8_lossy(&script);
            let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
            (lines.join(";"), Body::Script(Text(script)))
        }
    };
    keep(more::COMMAND, shown.clone().into());
    keep(more::PROJECT, words.get("P").unwrap_or("default").into());
    if dialect == Dialect::OpenLava && words.all("R").len() > 1 {
        // "two `-R` | `Invalid syntax; the -R option was used more than once.` (IBM LSF merges several
        // -R)"
        return Err("Invalid syntax; the -R option was used more than once.".to_owned());
    }
    for text in words.all("R") {
        let requirement = Requirement::read(text, dialect, unit)
            .map_err(|_| refused("Bad resource requirement syntax".to_owned()))?;
        submission.memory = requirement.memory.or(submission.memory);
        keep(more::REQUIREMENT, words.all("R").join(" ").into());
    }
    if let Some(text) = words.get("M") {
        let bytes = read_memory_limit(text, dialect, unit).map_err(refused)?;
        keep(more::MEMORY_LIMIT, bytes.into());
    }
    if let Some(text) = words.get("w") {
        keep(more::DEPENDENCY, text.into());
        keep(more::ORPHAN, words.has("ti").into());
    }
    if let Some(text) = words.get("J") {
        keep(more::NAMED, text.into());
    }
    let append = |long: &str, short: &str| words.get(long).or_else(|| words.get(short));
    keep(more::OVERWRITES, words.has("oo").into());
    keep(more::OVERWRITES_ERRORS, words.has("eo").into());
    if let Some(input) = words.get("i") {
        keep(more::INPUT, input.into());
    }
    submission.stdout = append("oo", "o").map(Text::from);
    submission.stderr = append("eo", "e").map(Text::from);
    submission.body = body;
    words
        .get("q")
        .unwrap_or_default()
        .clone_into(&mut submission.queue);
    submission.held = words.has("H");
    submission.cpus = match words.get("n") {
        Some(text) => read_slots(text).map_err(refused)?,
        None => 1,
    };
    if let Some(text) = words.get("W") {
        submission.limit = Some(read_run_limit(text).map_err(refused)?);
    }
    if let Some(text) = words.get("b") {
        let begin = read_begin(text, &jiff::Zoned::now()).map_err(refused)?;
        submission.not_before = Some(begin);
    }
    let (name, array) = match words.get("J") {
        Some(text) => read_name(text, client.options.array_limit)
            .map_err(|fault| refused(fault.text().to_owned()))?,
        // "`LSB_JOBNAME` ([...] the command text when -J is absent)".
        None => (shown, None),
    };
    submission.name = name;
    submission.array = array;
    let here = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let directory = words.get("cwd").map_or(here.clone(), |cwd| here.join(cwd));
    submission.directory = Text(directory.into_os_string().into_vec());
    let here = here.to_string_lossy().into_owned();
    submission
        .more
        .insert(more::SENT_FROM.to_owned(), here.into());
    submission.environment = chosen(words.get("env"));
    Ok(())
}

/// `bsub -K`: "waits; stderr `<<Waiting for dispatch ...>>` `<<Job is finished>>` | the job's exit code".
fn wait(client: &Client, number: u64) -> u8 {
    client.complain("<<Waiting for dispatch ...>>");
    loop {
        let answer = client.ask(&Request::History(Some(vec![number])));
        let Ok(Answer::Jobs(jobs)) = &answer else {
            return super::no_answer(client, &answer);
        };
        let elements = jobs.iter().flat_map(|job| &job.elements);
        let mut code = Some(0);
        for element in elements {
            code = match Ending::of(client.dialect, element) {
                Some(ending) => code.map(|code| ending.code().unwrap_or(255).max(code)),
                None => None,
            };
        }
        if let Some(code) = code {
            client.complain("<<Job is finished>>");
            return code as u8;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
