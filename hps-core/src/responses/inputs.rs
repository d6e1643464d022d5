//! A set of lists beside the policy's log-probabilities: those that a row has, or that a loss reads.

use crate::error::{Cause, Error};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inputs(u8);

/// In the order in which a missing one is named.
const NAMES: [&str; 5] = ["reference", "lengths", "scales", "rewards", "supervised"];

impl Inputs {
    pub(crate) const NONE: Inputs = Inputs(0);
    pub(crate) const REFERENCE: Inputs = Inputs(1);
    pub(crate) const LENGTHS: Inputs = Inputs(2);
    pub(crate) const SCALES: Inputs = Inputs(4);
    /// Or negatives that were drawn elsewhere.
    pub(crate) const REWARDS: Inputs = Inputs(8);
    pub(crate) const SUPERVISED: Inputs = Inputs(16);
    pub(crate) const ALL: Inputs = Inputs(31);
    /// Sampled negatives, one or several.
    pub(crate) const SAMPLES: Inputs = Inputs(32);
    /// A row of more responses than a short one has, or of numbers so large that what is formed of them may overflow.
    pub(crate) const LARGE: Inputs = Inputs(64);
    /// What scores are made of.
    pub(crate) const OF_SCORES: Inputs = Inputs(7);

    #[inline(always)]
    pub(crate) const fn with(self, other: Inputs) -> Inputs {
        Inputs(self.0 | other.0)
    }

    #[inline(always)]
    pub(crate) const fn with_if(self, condition: bool, other: Inputs) -> Inputs {
        if condition { self.with(other) } else { self }
    }

    #[inline(always)]
    pub(crate) const fn among(self, others: Inputs) -> Inputs {
        Inputs(self.0 & others.0)
    }

    #[inline(always)]
    pub(crate) const fn without(self, others: Inputs) -> Inputs {
        Inputs(self.0 & !others.0)
    }

    #[inline(always)]
    pub(crate) const fn has(self, other: Inputs) -> bool {
        self.0 & other.0 == other.0
    }

    /// Refuses `given` where it lacks one of these.
    #[inline(always)]
    pub(crate) fn expect(self, given: Inputs) -> Result<(), Error> {
        if given.has(self) { Ok(()) } else { Err(missing(self.0 & !given.0)) }
    }
}

#[cold]
#[inline(never)]
fn missing(inputs: u8) -> Error {
    Cause::InputMissing { list: NAMES[inputs.trailing_zeros() as usize] }.into()
}
