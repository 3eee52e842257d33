//! The fake of PBS says what the real one was observed to say (OpenPBS 23.06.06), row for row.

mod arrays;
mod cancel;
mod depend;
mod jobs;
mod output;
mod rig;
mod status;
mod submit;
mod torque;
