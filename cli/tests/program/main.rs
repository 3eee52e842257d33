//! The program as a user starts it, with a home and a directory of its own for each test.

mod configuration;
mod dry_run;
mod readme;
mod reference;
mod run_local;
mod support;
mod unreachable;
mod usage;
