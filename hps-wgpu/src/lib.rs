#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod adapter;
mod array;
mod attention;
mod decode;
mod device;
mod elementwise;
mod error;
mod failure;
mod head;
mod kernel;
mod memory;
mod norm;
mod optimizer;
mod preference;
mod product;
mod recording;
mod rotary;
mod rows;
mod sampling;
mod spans;
mod timing;
mod weight;

pub use adapter::Adapter;
pub use array::{Array, Format, Indices, Weight};
pub use attention::{Attended, Heads};
pub use device::{Device, Limits};
pub use error::{Error, ErrorKind, Result};
pub use head::LogProbs;
pub use optimizer::AdamWUpdate;
pub use preference::{DrawnNegatives, NegativeDraws, PreferenceGradient, PreferenceLoss};
pub use sampling::{Drawn, Truncation};
pub use timing::DispatchTime;
