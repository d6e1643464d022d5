//! Runs that end before their time: whatever stops them, the rest is the run that nothing stopped, to the bit.

mod corruption;
mod disk;
mod exact;
mod interrupt;
mod kill;
#[allow(dead_code)] // The trainer's tests use the rest.
#[path = "../trainer/lists.rs"]
mod lists;
#[allow(dead_code)]
#[path = "../trainer/policy.rs"]
mod policy;
mod reference;
mod refusals;
mod run;
#[path = "../support/mod.rs"]
mod support;
