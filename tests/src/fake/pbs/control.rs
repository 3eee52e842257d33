//! `qdel`, `qsig`, `qhold` and `qrls`.

use std::time::Duration;

use crate::fake::client::Client;
use crate::fake::{Action, Answer, Failure, Request, signal_number};

use super::directives::{Line, read};
use super::id::Id;
use super::{ask, id, list, low_byte, torque};

/// Runs `qdel`.
pub(super) fn qdel(client: &Client) -> u8 {
    let torque = torque::is(client.dialect);
    let known = if torque { "m:pW:t:" } else { "xW:" };
    let Some(line) = line(
        client,
        known,
        "qdel [-W force|suppress_email=X] [-x] job_identifier...",
    ) else {
        return 2;
    };
    let is_array = |text: &String| text.contains("[]");
    if !torque && line.operands.len() > 1 && is_array(&line.operands[0]) {
        // "`qdel 26[] 12` (array FIRST, then others): client CRASHES: `double free or corruption
        // (fasttop)`, nothing deleted", exit 134.
        client.complain("double free or corruption (fasttop)");
        std::process::abort();
    }
    let has = |wanted: char| line.options.iter().any(|(letter, _)| *letter == wanted);
    let forced = line
        .options
        .iter()
        .any(|(letter, value)| *letter == 'W' && value.as_deref() == Some("force"));
    let action = if has('x') {
        Action::Forget
    } else if forced || has('p') {
        Action::KillAtOnce
    } else {
        Action::Kill
    };
    act(client, &torque::elements(&line), &action)
}

/// Runs `qsig`.
pub(super) fn qsig(client: &Client) -> u8 {
    let Some(line) = line(client, "s:", "qsig [-s signal] job_identifier...") else {
        return 2;
    };
    let signal = line
        .options
        .iter()
        .find(|(letter, _)| *letter == 's')
        .and_then(|(_, value)| value.as_deref())
        .unwrap_or("SIGTERM");
    let action = match signal {
        "suspend" | "admin-suspend" => Action::Suspend,
        "resume" | "admin-resume" => Action::Resume,
        name => {
            let Some(number) = signal_number(name) else {
                client.complain(&format!("qsig: Unknown or illegal signal name {name}"));
                return 1;
            };
            Action::Signal(number)
        }
    };
    act(client, &line.operands, &action)
}

/// Runs `qhold`.
pub(super) fn qhold(client: &Client) -> u8 {
    match line(client, "h:", "qhold [-h hold_list] job_identifier...") {
        Some(line) => act(client, &line.operands, &Action::Hold),
        None => 2,
    }
}

/// Runs `qrls`.
pub(super) fn qrls(client: &Client) -> u8 {
    match line(client, "h:", "qrls [-h hold_list] job_identifier...") {
        Some(line) => act(client, &line.operands, &Action::Release),
        None => 2,
    }
}

fn line(client: &Client, known: &str, usage: &str) -> Option<Line> {
    match read(&client.words(), known) {
        Ok(line) if !line.operands.is_empty() => Some(line),
        _ => {
            client.complain(&format!("usage:\n\t{usage}\n\t{} --version", client.name));
            None
        }
    }
}

/// Does something to the jobs that `ids` name. Silent where it can be done.
fn act(client: &Client, ids: &[String], action: &Action) -> u8 {
    let mut code = 0;
    for text in ids {
        match on_one(client, text, action) {
            Ok(None) => {}
            Ok(Some(failure)) => code = complain(client, text, failure),
            Err(error) => return error,
        }
    }
    code
}

fn on_one(client: &Client, text: &str, action: &Action) -> Result<Option<Failure>, u8> {
    let Some(id) = Id::parse(text) else {
        client.complain(&format!(
            "{}: illegally formed job identifier: {text}",
            client.name
        ));
        return Err(1);
    };
    let known = list::jobs(client, Some(vec![id.number]))?;
    if !known.first().is_some_and(|job| id.names(job)) {
        return Ok(Some(Failure::Unknown));
    }
    let request = Request::Act {
        targets: vec![id.target()],
        by: client.user.clone(),
        action: action.clone(),
        after: Duration::ZERO,
    };
    Ok(match ask(client, &request)? {
        Answer::Acted(results) => results.first().copied().and_then(Result::err),
        _ => None,
    })
}

fn complain(client: &Client, text: &str, failure: Failure) -> u8 {
    let id = id::full(text, &client.options.server);
    let name = &client.name;
    let (said, code) = match failure {
        // "`qdel: Unknown Job Id 99999.localhost`", exit 153.
        Failure::Unknown => (torque::unknown(client, name, &id), 153),
        // "`qdel: Job has finished 0.localhost`", exit 35.
        Failure::Ended if torque::is(client.dialect) => {
            return torque::complain_ended(client, &id);
        }
        Failure::Ended => (format!("{name}: Job has finished {id}"), 35),
        // "`qdel: Unauthorized Request  134.localhost`", exit 159.
        Failure::NotOwner => (format!("{name}: Unauthorized Request  {id}"), 159),
        // PBSE_BADSTATE, 15016, by the header pbs_error.h.
        Failure::NotRunning => (
            format!("{name}: Request invalid for state of job {id}"),
            low_byte(15016),
        ),
    };
    client.complain(&said);
    code
}
