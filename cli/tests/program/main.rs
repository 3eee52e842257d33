//! The program as a user starts it, with a home and a directory of its own for each test.

mod configuration;
mod dry_run;
mod dry_run_resources;
mod readme;
mod reference;
mod resources;
mod run_local;
mod support;
mod unreachable;
mod usage;
