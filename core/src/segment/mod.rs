//! The two file formats of a run directory: frames that are appended, and immutable packs.

mod frame;
mod pack;

pub use frame::{FrameReader, append_frame, read_frames};
pub use pack::{Pack, write_pack};
