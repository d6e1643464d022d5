//! Running kernels. The lowest first: what a launch, its blocks and their warps are; which bytes a warp reaches; what
//! instructions do (`unit`); a warp's turn, a block's warps, a grid's blocks.

mod address;
mod block;
pub mod counters;
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
pub mod watch;
