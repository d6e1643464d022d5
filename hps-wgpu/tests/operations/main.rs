//! The operations: cut into parts as whole, refused where they cannot be, within constant memory.

mod attention;
mod codes;
mod cuts;
mod elementwise;
mod head;
mod heads;
mod lost;
mod memory;
mod norm;
mod nothing;
mod numbers;
mod optimizer;
mod products;
mod refusals;
mod rotary;
mod rows;
#[path = "../support/mod.rs"]
mod support;
mod tolerance;
