//! The dialects of LSF: openlava 2.2 as observed, and IBM Spectrum LSF 10.1 by its documentation.

use super::client::Client;
use super::options::Dialect;
use super::rules::Rules;

/// Returns the rules of the dialect.
pub(super) fn rules(dialect: Dialect) -> Box<dyn Rules> {
    Box::new(super::pbs::PbsRules::new(dialect))
}

/// Runs a client and returns its exit code.
pub(super) fn run(client: &Client) -> u8 {
    client.complain(&format!("{}: not part of the fake", client.name));
    255
}
