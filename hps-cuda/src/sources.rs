//! All kernels there are.

use crate::source::Source;

/// Every source, to be compiled ahead of use: to check them where there is no GPU, or to fill the cache.
pub static SOURCES: &[&Source] = &[
    &crate::attention::BACKWARD,
    &crate::attention::FORWARD,
    &crate::attention::SINGLE,
    &crate::attention::SUMS,
    &crate::decode::DECODE,
    &crate::decode::JOIN,
    &crate::decode::SINGLE,
    &crate::dropout::SOURCE,
    &crate::elementwise::SOURCE,
    &crate::head::SOURCE,
    &crate::lora::SOURCE,
    &crate::norm::SOURCE,
    &crate::optimizer::SOURCE,
    &crate::preference::family::BRADLEY_TERRY,
    &crate::preference::family::CONTRAST,
    &crate::preference::family::EXO_RANKING,
    &crate::preference::family::HPS_DRAWN,
    &crate::preference::family::HPS_EXPECTED,
    &crate::preference::family::HPS_FULL,
    &crate::preference::family::HPS_WEIGHTED,
    &crate::preference::family::IPO_RANKING,
    &crate::preference::family::LIPO,
    &crate::preference::family::NCA_RANKING,
    &crate::preference::family::PLACKETT_LUCE,
    &crate::preference::family::REWARD_TARGETS,
    &crate::preference::family::SQUARES,
    &crate::preference::sampler::SOURCE,
    &crate::rotary::SOURCE,
    &crate::rows::SOURCE,
    &crate::sampling::SOURCE,
];
