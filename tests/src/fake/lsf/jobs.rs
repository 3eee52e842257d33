//! `bjobs`.

use super::custom::{self, Format};
use super::select::{Named, Row, fetch, pending_reason, read_ids, rows};
use super::text::{add, cut_end, cut_front, short_time};
use super::{FAILED, cluster, kept, long, more, name_of};
use crate::fake::client::Client;
use crate::fake::{Dialect, Job};

const USAGE: &str = "Usage: bjobs [-h] [-V] [-w |-l] [-a] [-d] [-p] [-s] [-r] [-A]\n\
    \x20            [-m host_name] [-q queue_name] [-u user_name | -u all]\n\
    \x20            [-P project_name] [-N host_spec]\n\
    \x20            [-J name_spec] [jobId | \"jobId[idxList]\" ...]";

/// Options of `bjobs` that take a value, on both dialects.
const VALUES: &str = "JquNmPS";
/// Options that stand alone.
const FLAGS: &str = "VladpsrwWgRAh";
/// Options of IBM LSF that are words, and whether they take a value.
const IBM: &[(&str, bool)] = &[
    ("noheader", false),
    ("json", false),
    ("UF", false),
    ("X", false),
    ("hms", false),
    ("o", true),
    ("app", true),
    ("g", true),
    ("G", true),
    ("Jd", true),
    ("p0", false),
    ("p1", false),
    ("p2", false),
    ("p3", false),
];

/// What `bjobs` was asked.
#[derive(Debug, Default)]
struct Asked {
    /// Letters and words of the options that stand alone.
    flags: Vec<String>,
    values: Vec<(String, String)>,
    ids: Vec<String>,
}

impl Asked {
    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    fn get(&self, name: &str) -> Option<&str> {
        let given = self.values.iter().rev();
        let mut given = given.filter(|(given, _)| given == name);
        given.next().map(|(_, value)| value.as_str())
    }

    /// Reads the arguments. The error is the letter that is not known: "openlava: `-o`, `-json`,
    /// `-noheader`, `-UF` = `bjobs: invalid option -- 'o'` + usage [255]".
    fn read(dialect: Dialect, words: &[String]) -> Result<Self, char> {
        let mut asked = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(option) = word.strip_prefix('-').filter(|option| !option.is_empty()) else {
                asked.ids.push(word.clone());
                continue;
            };
            let long = IBM.iter().find(|(name, _)| *name == option);
            if let Some((name, takes)) = long.filter(|_| dialect == Dialect::Lsf) {
                if *takes {
                    let value = words.next().ok_or('o')?;
                    asked.values.push(((*name).to_owned(), value.clone()));
                } else {
                    asked.flags.push((*name).to_owned());
                }
                continue;
            }
            for (place, letter) in option.char_indices() {
                if FLAGS.contains(letter) {
                    asked.flags.push(letter.to_string());
                } else if VALUES.contains(letter) {
                    let attached = &option[place + letter.len_utf8()..];
                    let value = if attached.is_empty() {
                        words.next().ok_or(letter)?.clone()
                    } else {
                        attached.to_owned()
                    };
                    asked.values.push((letter.to_string(), value));
                    break;
                } else {
                    return Err(letter);
                }
            }
        }
        Ok(asked)
    }
}

/// Runs `bjobs` and returns its exit code.
pub(super) fn bjobs(client: &Client) -> u8 {
    let asked = match Asked::read(client.dialect, &client.words()) {
        Ok(asked) => asked,
        Err(letter) => {
            client.complain(&format!("bjobs: invalid option -- '{letter}'\n{USAGE}"));
            return FAILED;
        }
    };
    if asked.has("V") {
        client.complain(cluster::version(client.dialect));
        return 0;
    }
    if asked.has("h") || asked.has("l") && asked.has("w") {
        client.complain(USAGE);
        return FAILED;
    }
    show(client, &asked).unwrap_or_else(|code| code)
}

fn show(client: &Client, asked: &Asked) -> Result<u8, u8> {
    let format = Format::read(
        client,
        asked.get("o"),
        asked.has("json"),
        asked.has("noheader"),
    )?;
    let ids = read_ids(client, &asked.ids)?;
    let jobs = fetch(client, (!ids.is_empty()).then_some(&ids), false)?;
    let all = rows(&jobs);
    let chosen: Vec<Row> = all
        .into_iter()
        .filter(|row| is_chosen(client, asked, &ids, *row))
        .collect();
    let missing: Vec<&Named> = ids
        .iter()
        .filter(|id| !chosen.iter().any(|row| id.has(*row)))
        .collect();
    if let Some(format) = &format {
        client.print(&custom::table(client, format, &chosen, &missing));
    } else if asked.has("A") {
        client.print(&arrays(&jobs, asked.has("w")));
    } else if asked.has("l") || asked.has("UF") {
        client.print(&long::jobs(client, &chosen, !asked.has("UF")));
    } else if !chosen.is_empty() {
        client.print(&table(client, asked, &chosen));
    }
    if format.as_ref().is_none_or(|format| !format.is_json) {
        for id in &missing {
            // "unknown id `Job <99999> is not found` [255], known ids in the same call are still printed."
            client.complain(&format!("Job <{}> is not found", id.written));
        }
    }
    let none = ids.is_empty() && chosen.is_empty();
    if none {
        client.complain(&match asked.get("J") {
            Some(name) => format!("Job <{name}> is not found"),
            None if asked.has("a") => "No job found".to_owned(),
            None if asked.has("p") => "No pending job found".to_owned(),
            None if asked.has("r") => "No running job found".to_owned(),
            // "None: `No unfinished job found` on stderr [254 here]".
            None => "No unfinished job found".to_owned(),
        });
    }
    // "IBM: default exit 0 for "none found" and for ids partly unknown;
    // LSB_BJOBS_CONSISTENT_EXIT_CODE=Y gives 255".
    Ok(match client.dialect {
        Dialect::Lsf if !none && (missing.is_empty() || !chosen.is_empty()) => {
            if client.options.lsf.consistent_exit_code && !missing.is_empty() {
                FAILED
            } else {
                0
            }
        }
        Dialect::Lsf if client.options.lsf.consistent_exit_code || !none => FAILED,
        Dialect::Lsf => 0,
        _ if none => 254,
        _ if missing.is_empty() => 0,
        _ => FAILED,
    })
}

/// "An array id lists every element; `'43[2]'` one. `bjobs` with no id shows only unfinished ones; `-a`
/// adds finished ones; a given id is shown even when finished."
fn is_chosen(client: &Client, asked: &Asked, ids: &[Named], row: Row) -> bool {
    if !ids.is_empty() {
        return ids.iter().any(|id| id.has(row));
    }
    let submission = &row.job.submission;
    let user = asked.get("u").unwrap_or(&client.user);
    let is_named = asked.get("J").is_none_or(|name| {
        let (wanted, _) = name.split_once('[').unwrap_or((name, ""));
        match wanted.strip_suffix('*') {
            Some(start) => submission.name.starts_with(start),
            None => submission.name == wanted,
        }
    });
    let state = row.state(client);
    let is_state = match () {
        () if asked.has("a") => true,
        () if asked.has("d") => matches!(state, "DONE" | "EXIT"),
        () if asked.has("p") => matches!(state, "PEND" | "PSUSP"),
        () if asked.has("r") => state == "RUN",
        () if asked.has("s") => matches!(state, "PSUSP" | "USUSP" | "SSUSP"),
        () => !matches!(state, "DONE" | "EXIT"),
    };
    (user == "all" || submission.user == user)
        && asked.get("q").is_none_or(|queue| submission.queue == queue)
        && is_named
        && is_state
}

/// The default and the wide listing.
///
/// "Without `-w` names are cut at the FRONT (`*ith space`) and multi-slot jobs put further hosts on
/// continuation lines. EXEC_HOST is blank or `-` while pending".
fn table(client: &Client, asked: &Asked, rows: &[Row]) -> String {
    let is_wide = asked.has("w");
    let is_pending = asked.has("p");
    let mut text = String::from(if is_pending && !is_wide {
        "JOBID   USER    STAT  QUEUE       FROM_HOST      JOB_NAME           SUBMIT_TIME\n"
    } else {
        "JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME\n"
    });
    let host = client.options.server.as_str();
    for row in rows {
        let submission = &row.job.submission;
        let number = row.job.number;
        let user = &submission.user;
        let state = row.state(client);
        let queue = &submission.queue;
        let name = name_of(row.job, row.position);
        let time = short_time(row.job.submitted);
        let has_started = row.element().started.is_some();
        let slots = submission.cpus.max(1) as usize;
        let from = cut_end(host, 11);
        if is_wide {
            let hosts = match (has_started, state) {
                (true, _) => vec![host; slots].join(":"),
                (false, "EXIT") => "   -   ".to_owned(),
                (false, _) => "   -    ".to_owned(),
            };
            add(
                &mut text,
                format_args!(
                    "{number:<7} {user:<7} {state:<5} {queue:<10} {host:<11} {hosts:<11} {name:<10} {time}\n"
                ),
            );
        } else if is_pending {
            add(
                &mut text,
                format_args!(
                    "{number:<7} {:<7} {state:<5} {:<11} {:<14} {:<18} {time}\n",
                    cut_end(user, 7),
                    cut_end(queue, 11),
                    cut_end(host, 14),
                    cut_end(&cut_front(&name, 20), 18)
                ),
            );
        } else {
            let first = match (has_started, state) {
                (true, _) => from.clone(),
                (false, "EXIT") => "   -   ".to_owned(),
                (false, _) => String::new(),
            };
            add(
                &mut text,
                format_args!(
                    "{number:<7} {:<7} {state:<5} {:<10} {from:<11} {first:<11} {:<10} {time}\n",
                    cut_end(user, 7),
                    cut_end(queue, 10),
                    cut_front(&name, 10)
                ),
            );
            if has_started {
                for _ in 1..slots {
                    add(&mut text, format_args!("{:45}{host}\n", ""));
                }
            }
        }
        if is_pending && matches!(state, "PEND" | "PSUSP") {
            add(
                &mut text,
                format_args!(" {}\n", pending_reason(client, *row)),
            );
        }
    }
    text
}

/// "`bjobs -A 43`: `JOBID ARRAY_SPEC OWNER NJOBS PEND DONE RUN EXIT SSUSP USUSP PSUSP` / `43 pa[1-3]
/// reflowt 3 0 2 0 1 0 0 0` (ARRAY_SPEC cut to 9 chars)."
fn arrays(jobs: &[Job], is_wide: bool) -> String {
    let mut text =
        String::from("JOBID    ARRAY_SPEC  OWNER   NJOBS PEND DONE  RUN EXIT SSUSP USUSP PSUSP\n");
    for job in jobs.iter().filter(|job| job.is_array()) {
        let named = kept(job, more::NAMED).unwrap_or_default();
        let spec = named.split('%').next().unwrap_or_default();
        let counts = &job.counts;
        let held = job
            .elements
            .iter()
            .filter(|element| element.held && element.state == crate::fake::ElementState::Pending);
        let held = held.count();
        let suspended = job
            .elements
            .iter()
            .filter(|element| element.suspended)
            .count();
        let (spec, owner) = if is_wide {
            (spec.to_owned(), job.submission.user.clone())
        } else {
            (cut_end(spec, 9), cut_end(&job.submission.user, 8))
        };
        add(
            &mut text,
            format_args!(
                "{:<7}  {spec:<9} {owner:>8}   {:>5} {:>4} {:>4} {:>4} {:>4} {:>5} {:>5} {:>5}\n",
                job.number,
                job.elements.len(),
                counts.pending - held,
                counts.succeeded,
                counts.running + counts.exiting - suspended,
                counts.failed,
                0,
                suspended,
                held,
            ),
        );
    }
    text
}
