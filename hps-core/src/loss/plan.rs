//! What follows from the parts of a loss, found once.

use crate::loss::likelihood::Terms;
use crate::numbers::lanes::SMALL;
use crate::preference::{Pair, Preference};
use crate::responses::Reward;
use crate::responses::inputs::Inputs;

/// What every call asks of a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) reads: Inputs,
    /// Of a loss that is a preference alone, over scores that are this times the log-probability or the log ratio. Nothing,
    /// where this or the margin is so large that even small numbers may overflow.
    pub(super) slope: Option<f64>,
    /// [`Preference::paired`] of a loss with a slope.
    pub(super) paired: usize,
    pub(super) drawn: bool,
}

impl Plan {
    pub(super) fn of(reward: &Reward, pair: &Pair, preference: &Preference, terms: &Terms) -> Plan {
        let alone = terms.are_bare() && !reward.reads_lengths();
        let far = matches!(pair, Pair::Logistic { margin, .. } if margin.abs() >= SMALL);
        let slope = reward.common_slope().filter(|&slope: &f64| alone && !far && slope * slope < SMALL);
        let (paired, drawn) = if slope.is_some() { preference.paired() } else { (0, false) };
        Plan { reads: read(reward, preference, terms), slope, paired, drawn }
    }
}

fn read(reward: &Reward, preference: &Preference, terms: &Terms) -> Inputs {
    Inputs::NONE
        .with_if(reward.reads_reference(), Inputs::REFERENCE)
        .with_if(reward.reads_lengths() || terms.likelihood != 0.0, Inputs::LENGTHS)
        .with_if(reward.reads_scales(), Inputs::SCALES)
        .with_if(preference.reads_rewards(), Inputs::REWARDS)
        .with_if(preference.reads_supervised(), Inputs::SUPERVISED)
}
