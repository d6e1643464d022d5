//! What must hold for any row: kernels against definitions, limits, refusals, names, draws.

mod batch;
mod definition;
#[cfg(feature = "bytemuck")]
mod descriptor;
mod draws;
mod fillers;
mod generator;
mod golden;
mod inputs;
#[cfg(feature = "bytemuck")]
mod kernel_rows;
mod kernels;
mod limits;
mod losses;
mod models;
mod names;
mod operations;
mod refusals;
mod refused_parts;
mod rewards;
mod tolerance;
