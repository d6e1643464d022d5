//! The two exact routes from a list to its gradient, and whether activations are kept, as options name them.

use crate::model::Activations;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

/// `route`: how the coefficients, known only after all of a list's log-probs, reach its backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Route {
    /// One pass where the memory budget allows it, else chunks.
    #[default]
    Auto,
    /// One pass: all responses forward, what their backward needs is kept.
    Keep,
    /// Two passes over chunks of responses: score without keeping, then forward and backward; memory constant in `n`.
    Chunks,
}

/// `activations`: what a pass keeps of its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ActivationPolicy {
    /// All where the memory budget allows it.
    #[default]
    Auto,
    /// All.
    Keep,
    /// The blocks' inputs; the rest is computed again.
    Recompute,
}

impl Route {
    const NAMES: [(&'static str, Route); 3] = [("auto", Route::Auto), ("keep", Route::Keep), ("chunks", Route::Chunks)];
}

impl ActivationPolicy {
    const NAMES: [(&'static str, ActivationPolicy); 3] = [
        ("auto", ActivationPolicy::Auto),
        ("keep", ActivationPolicy::Keep),
        ("recompute", ActivationPolicy::Recompute),
    ];

    /// Whether it leaves room for this.
    pub(super) fn allows(self, activations: Activations) -> bool {
        match self {
            ActivationPolicy::Auto => true,
            ActivationPolicy::Keep => activations == Activations::Keep,
            ActivationPolicy::Recompute => activations == Activations::Recompute,
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(name(*self, &Self::NAMES))
    }
}

impl fmt::Display for ActivationPolicy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(name(*self, &Self::NAMES))
    }
}

impl FromStr for Route {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named("route", text, &Self::NAMES)
    }
}

impl FromStr for ActivationPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named("activations", text, &Self::NAMES)
    }
}

fn name<T: PartialEq>(value: T, names: &[(&'static str, T)]) -> &'static str {
    names.iter().find(|(_, other)| *other == value).map_or("", |(name, _)| name)
}

fn named<T: Copy>(option: &str, text: &str, names: &[(&'static str, T); 3]) -> Result<T> {
    let known = names.iter().find(|(name, _)| *name == text);
    known.map(|(_, value)| *value).ok_or_else(|| {
        let [one, other, last] = names.each_ref().map(|(name, _)| *name);
        Error::new(ErrorKind::Option, format!("`{option}` is `{text}`; {one}, {other} and {last} are known"))
    })
}
