//! The memory budget of a run: what is given, what its checkpoint keeps, or most of what is free when it begins.
//!
//! How lists go through the model, and so the last bits of a run, depend on it: it is read once and recorded.

use crate::output::Output;
use hps_llama::backend::FreeMemory;
use hps_llama::train::options::{Resume, TrainOptions};
use hps_llama::train::{Bytes, Checkpoint, Plan as MemoryPlan};
use hps_llama::{Error, ErrorKind, Result};

/// Where a run's budget comes from.
#[derive(Debug)]
pub enum Budget {
    /// `memory_budget` is given, or the run that is gone on with had none.
    Given,
    /// Of the run that is gone on with.
    Kept,
    /// Nine tenths of what is free.
    Free(FreeMemory),
    /// There is none, and why.
    Unknown(String),
}

/// A whole number of these, so that a budget is read and written without loss.
const STEP: u64 = 1 << 20;

impl Budget {
    /// Sets `memory_budget` where it is not given.
    ///
    /// * planned: whether nothing is trained, so that the device may be elsewhere.
    pub fn resolve(
        options: &mut TrainOptions,
        output: &Output,
        checkpoint: Option<&Checkpoint>,
        planned: bool,
    ) -> Result<Budget> {
        if options.memory_budget.is_some() {
            return Ok(Budget::Given);
        }
        let newest = options.resume_from_checkpoint == Resume::Newest && !options.overwrite_output_dir;
        options.memory_budget = match checkpoint {
            Some(checkpoint) => checkpoint.memory_budget().map(Bytes),
            None if newest => output.memory_budget(),
            None => None,
        };
        if options.memory_budget.is_some() {
            return Ok(Budget::Kept);
        }
        if checkpoint.is_some() {
            return Ok(Budget::Given);
        }
        match options.choice().free_memory() {
            Ok(Some(free)) => {
                options.memory_budget = Some(Bytes(of_free(free.bytes)));
                Ok(Budget::Free(free))
            }
            Ok(None) => Ok(Budget::Unknown("the device does not say what is free".into())),
            Err(error) if planned => Ok(Budget::Unknown(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// What the plan says of it.
    pub fn line(&self, options: &TrainOptions) -> Option<String> {
        let budget = options.memory_budget.map(|budget| budget.to_string()).unwrap_or_default();
        match self {
            Budget::Given => None,
            Budget::Kept => Some(format!("{budget}, as when the run began")),
            Budget::Free(free) => {
                Some(format!("{budget}: nine tenths of what is {}; `memory_budget` sets another", free.of))
            }
            Budget::Unknown(why) => Some(format!("none: {why}; `memory_budget` sets one")),
        }
    }

    /// Says where the budget comes from that a row does not fit.
    pub fn blame(&self, error: Error) -> Error {
        match self {
            Budget::Free(free) if error.to_string().contains("`memory_budget` is ") => error.because(format!(
                "it is nine tenths of what is {}; rows that need less (`max_length`, `truncation_mode`), a loss that reads \
                 two responses of each list (`dpo-hps`), or an adapter on fewer projections may fit",
                free.of
            )),
            _ => error,
        }
    }

    /// Refuses to go on with a run that no longer fits.
    pub fn expect_room(&self, options: &TrainOptions, memory: &MemoryPlan) -> Result<()> {
        let (Budget::Kept, Ok(Some(free))) = (self, options.choice().free_memory()) else { return Ok(()) };
        if memory.bytes <= free.bytes {
            return Ok(());
        }
        let message = format!(
            "the run goes on as it was planned, which takes about {}, and {} are {}; free as much, or begin another run \
             with a `memory_budget`",
            Bytes(memory.bytes),
            Bytes(free.bytes),
            free.of
        );
        Err(Error::new(ErrorKind::Option, message))
    }
}

/// What a run takes of what is free: its estimate leaves out small arrays, and others want some too.
fn of_free(bytes: u64) -> u64 {
    (bytes / 10 * 9 / STEP * STEP).max(STEP)
}

#[cfg(test)]
mod tests {
    use super::of_free;

    #[test]
    fn a_budget_is_nine_tenths_in_whole_mebibytes() {
        assert_eq!([of_free(10 << 30), of_free(1), of_free(11 << 20)], [9 << 30, 1 << 20, 9 << 20]);
    }
}
