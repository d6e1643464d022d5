//! Every statement of `theory` against random rows, and what the paper states otherwise against counterexamples.

mod estimation;
mod hardest;
mod minimisers;
mod rows;
mod sampled;
