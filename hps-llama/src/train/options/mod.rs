//! Options of a run, as people give them: a TOML file, and flags of the same names.
//!
//! Names are transformers', TRL's and PEFT's where they have one. Each option is defined once, in a table that makes the
//! struct, the flags of `hps train` and the table of the guide.

mod choice;
mod convert;
mod limit;
mod names;
mod nearest;
mod preset;
mod read;
mod table;
mod value;
mod write;

pub use choice::{Estimator, Preset, ReportTo, Resume, TargetModules, Task, TruncationMode};
pub use names::{aliases, nearest_option, trl_name, why_refused};
pub use table::{OptionInfo, TrainOptions};
