//! The dialects of PBS: OpenPBS 23.06.06 as observed, and Torque by its documentation.

mod rules;

use super::client::Client;

pub(super) use rules::PbsRules;

/// Runs a client and returns its exit code.
pub(super) fn run(client: &Client) -> u8 {
    client.complain(&format!("{}: not part of the fake", client.name));
    127
}
