//! The side that asks.

mod ask;
mod scheduler;
mod start;
mod view;

pub use scheduler::{LocalScheduler, Stopped, connect, stop};
