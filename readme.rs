//! The README's programs, compiled as tests; a crate of its own, as the published ones cannot read what lies outside them.

#[cfg(doctest)]
#[doc = include_str!("README.md")]
struct Readme;
