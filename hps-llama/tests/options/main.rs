//! Options of a run: every one has an effect or is refused, by file as by flag.

mod each;
mod given;
mod guide;
mod precedence;
mod presets;
mod refusals;
mod truncation;
mod written;
