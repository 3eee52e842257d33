//! The fake of LSF says what LSF says: each row of what was observed on openlava 2.2, in both dialects
//! where IBM LSF is the same, and what IBM documents beyond it.

mod arrays;
mod depend;
mod ends;
mod outputs;
mod refusals;
mod rig;
mod status;
