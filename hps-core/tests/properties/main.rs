//! What must hold for any row: kernels against definitions, limits, refusals, names, draws.

mod draws;
mod generator;
mod kernels;
mod limits;
mod names;
mod refusals;
mod tolerance;
