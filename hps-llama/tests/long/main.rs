//! What is too long for CI: commands killed at random moments, and processes that race for one output.
//!
//! Its short form runs with all other tests; `tests/long.sh` runs the long one and keeps a record of it. The environment
//! says how long it is, and repeats what went wrong:
//!
//! * `HPS_KILLS` — kills in all, shared by six commands; 18 if it is not set.
//! * `HPS_RACES` — races for each kind of output; 3.
//! * `HPS_LONG_SEED` — keys all options and moments; 0.
//! * `HPS_LONG_CASE` — the only case of each test that is run.
//!
//! Moments are counted in shares of what a call takes on the machine, so a case that is repeated has the same options
//! and the same kinds of moments, but not the same instants.
#![cfg(unix)]

mod call;
mod draw;
mod inputs;
mod kills;
mod mischief;
mod moment;
mod process;
mod races;
mod reference;
mod tree;
mod violations;

/// A number of the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("`{name}` is {text}, not a number")))
}
