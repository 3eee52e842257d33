//! What people see: text from reports, without any decision of its own.

pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod dag;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod lanes;
pub(crate) mod preview;
pub(crate) mod reason;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod words;
