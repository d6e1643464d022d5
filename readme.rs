//! The programs of the README and of the guide, compiled as tests; a crate of its own, as the published ones cannot read what lies outside them.

#[cfg(doctest)]
#[doc = include_str!("README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("docs/guide/library.md")]
struct Library;
