//! All kernels there are.

use crate::device::kernel::Source;

/// Every source, to be compiled ahead of use: to check them where there is no GPU, or to fill the cache.
pub static SOURCES: &[&Source] = &[
    &crate::operations::attention::BACKWARD,
    &crate::operations::attention::FORWARD,
    &crate::operations::attention::SINGLE,
    &crate::operations::attention::SUMS,
    &crate::operations::codes::SOURCE,
    &crate::operations::decode::DECODE,
    &crate::operations::decode::JOIN,
    &crate::operations::decode::SINGLE,
    &crate::operations::dropout::SOURCE,
    &crate::operations::elementwise::SOURCE,
    &crate::operations::head::SOURCE,
    &crate::operations::lora::SOURCE,
    &crate::operations::norm::SOURCE,
    &crate::operations::optimizer::SOURCE,
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
    &crate::operations::rotary::SOURCE,
    &crate::operations::rows::SOURCE,
    &crate::operations::sampling::SOURCE,
];
