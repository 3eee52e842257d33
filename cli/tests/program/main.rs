//! The program as a user starts it, with a home and a directory of its own for each test.

mod backend_check;
mod configuration;
mod doctor;
mod dry_run;
mod dry_run_resources;
mod hopeless;
mod readme;
mod reference;
mod resources;
mod run_local;
mod support;
mod unreachable;
mod usage;
