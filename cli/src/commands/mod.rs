//! One file for each command: what it takes, and what it does with it.

pub(crate) mod backend;
pub(crate) mod cache;
pub(crate) mod cancel;
pub(crate) mod config;
pub(crate) mod dag;
pub(crate) mod describe;
pub(crate) mod doctor;
pub(crate) mod drive;
pub(crate) mod explain;
pub(crate) mod hidden;
pub(crate) mod logs;
pub(crate) mod result;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod wait;
