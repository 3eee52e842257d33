//! What is planned, in words: each plan is read as text, carried out on the state, and planned again,
//! which must give nothing.

mod again;
mod case;
mod cost;
mod ends;
mod remembered;
mod shape;
mod widths;
