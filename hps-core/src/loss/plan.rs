//! What follows from the parts of a loss, found once.

use crate::loss::likelihood::Terms;
use crate::preference::Preference;
use crate::responses::Reward;
use crate::responses::inputs::Inputs;

/// What every call asks of a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) reads: Inputs,
    /// Of a loss that is a preference alone, over scores that are this times the log-probability or the log ratio.
    pub(super) slope: Option<f64>,
}

impl Plan {
    pub(super) fn of(reward: &Reward, preference: &Preference, terms: &Terms) -> Plan {
        let reads = read(reward, preference, terms);
        Plan { reads, slope: reward.common_slope().filter(|_| !reward.reads_lengths() && terms.are_bare()) }
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
