//! Running kernels.

mod address;
mod block;
mod counters;
mod fault;
mod file;
mod flow;
pub mod grid;
mod lanes;
pub mod launch;
mod runner;
mod shared;
mod turn;
mod unit;
mod warp;
