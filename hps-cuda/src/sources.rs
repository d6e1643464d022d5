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
    &crate::rotary::SOURCE,
    &crate::rows::SOURCE,
    &crate::sampling::SOURCE,
];
