//! What instructions do, a file for every sort.

mod access;
mod atomic;
pub mod choose;
pub mod collective;
pub mod convert;
pub mod copies;
pub mod float;
pub mod integer;
pub mod matrix;
pub mod memory;
