//! The dialects of PBS: OpenPBS 23.06.06 as observed, and Torque by its documentation.
//!
//! Each module quotes what was observed where it does the same. What is not known of the real thing is
//! left plain. Torque was not run; what it does otherwise is in [`torque`], from
//! docs.adaptivecomputing.com (4-1-3 "Job arrays") and its README.array_changes.

mod array;
mod attributes;
mod control;
mod depend;
mod directives;
mod id;
mod list;
mod output;
mod print;
mod qstat;
mod qsub;
mod resources;
mod rules;
mod select;
mod server_status;
mod size;
mod torque;
mod variables;

use super::client::Client;
use super::wire::{Answer, Request};

pub(super) use rules::PbsRules;

/// The version that `qstat --version` says.
const VERSION: &str = "23.06.06";

/// Runs a client and returns its exit code.
pub(super) fn run(client: &Client) -> u8 {
    if client
        .arguments
        .iter()
        .any(|argument| argument == "--version")
    {
        client.print(&torque::version(client));
        return 0;
    }
    match client.name.as_str() {
        "qsub" => qsub::run(client),
        "qstat" => qstat::run(client),
        "qdel" => control::qdel(client),
        "qsig" => control::qsig(client),
        "qhold" => control::qhold(client),
        "qrls" => control::qrls(client),
        "qselect" => list::qselect(client),
        "qmgr" => server_status::qmgr(client),
        "pbsnodes" => server_status::pbsnodes(client),
        name => {
            client.complain(&format!("{name}: not part of the fake"));
            127
        }
    }
}

/// Asks the server, or says what the clients say when there is none.
///
/// PBS's documents: error 15010 is "no server to connect to".
fn ask(client: &Client, request: &Request) -> Result<Answer, u8> {
    client.ask(request).map_err(|_| {
        let server = &client.options.server;
        client.complain(&format!(
            "Connection refused\n{}: cannot connect to server {server} (errno=15010)",
            client.name
        ));
        low_byte(15010)
    })
}

/// Returns the exit code of an error: "Exit codes above 127 are (PBS error - 15000 style) low bytes".
fn low_byte(error: u32) -> u8 {
    error.to_le_bytes()[0]
}
