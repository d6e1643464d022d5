//! Runs that end before their time: whatever stops them, the rest is the run that nothing stopped, to the bit.

mod corruption;
mod disk;
mod exact;
mod interrupt;
mod kill;
#[path = "../trainer/lists.rs"]
mod lists;
#[path = "../trainer/policy.rs"]
mod policy;
mod reference;
mod refusals;
mod run;
#[path = "../support/mod.rs"]
mod support;
