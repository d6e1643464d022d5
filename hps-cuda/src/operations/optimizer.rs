//! The gradient's norm and AdamW: `w ← w (1 − lr λ) − lr m̂ / (sqrt(v̂) + ε)` with `m̂ = m / (1 − β₁ᵗ)` and
//! `v̂ = v / (1 − β₂ᵗ)`.
//!
//! The order of operations is PyTorch's `torch.optim.AdamW`, in f32, so that runs agree to rounding. A LoRA has
//! hundreds of small arrays: one launch goes over all of them, by a table of where they lie.

use crate::device::Device;
use crate::device::array::{Array, Format, Weight, same_shape};
use crate::device::kernel::Source;
use crate::device::launch::{Argument, Grid};
use crate::device::memory::Storage;
use crate::error::{Error, ErrorKind, Result, agree};

pub(crate) static SOURCE: Source =
    Source { name: "optimizer.cu", text: include_str!("../../kernels/optimizer.cu"), variants: &[&[]] };

/// Threads of a block, and numbers of one array that it computes, as the kernels have it.
const THREADS: u32 = 256;
const CHUNK: usize = 8192;

/// Threads of the block that adds up the blocks' sums.
const LAST: u32 = 1024;

/// One AdamW update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWUpdate {
    /// Learning rate at this step.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay: the weight shrinks by `learning_rate · weight_decay` of itself.
    pub weight_decay: f64,
    /// 1-based number of this update.
    pub step: u64,
    /// Gradients are scaled by `min(1, max_norm / (norm + 1e-6))`; infinite for no clipping.
    pub max_norm: f64,
}

/// A weight in training, all in f32 and of one shape.
#[derive(Debug)]
pub struct Trained<'a> {
    /// What is updated.
    pub weight: &'a mut Weight,
    /// The loss's gradient with respect to it.
    pub gradient: &'a Array,
    /// The gradient's moments, the first and the second.
    pub moments: &'a mut [Array; 2],
}

/// A table of arrays on the device, and the blocks that go over it.
struct Table {
    lines: Storage,
    count: usize,
    blocks: usize,
}

fn single(operation: &str, what: &str, format: Format) -> Result<()> {
    match format {
        Format::F32 => Ok(()),
        Format::BF16 => Err(Error::new(ErrorKind::Shape, format!("{operation}: {what} is not in f32"))),
    }
}

impl Device {
    /// `sqrt(Σ g²)` over all arrays: `[1, 1]`, in f32. Sums are in f64, so squares neither overflow nor vanish.
    ///
    /// # Errors
    /// An array is not in f32, or the device has no memory left or failed.
    pub fn global_norm(&self, arrays: &[&Array]) -> Result<Array> {
        for array in arrays {
            single("global_norm", "an array", array.format())?;
        }
        let table = self.table(arrays.iter().map(|array| (array.len(), [array.address()])))?;
        let parts = self.storage(size_of::<f64>() * table.blocks)?;
        let grid = Grid::blocks(table.blocks, THREADS);
        let arguments = [(&table.lines).into(), table.count.into(), (&parts).into()];
        self.launch(SOURCE.kernel("squares"), &[], grid, &arguments)?;
        let norm = self.undefined(1, 1, Format::F32)?;
        let arguments = [(&parts).into(), table.blocks.into(), (&norm).into()];
        self.launch(SOURCE.kernel("root"), &[], Grid::blocks(1, LAST), &arguments)?;
        Ok(norm)
    }

    /// [`Device::global_norm`] of weights in training.
    ///
    /// # Errors
    /// As there.
    pub fn norm_of_weights(&self, weights: &[&Weight]) -> Result<Array> {
        let arrays = weights.iter().map(|weight| weight.numbers("norm_of_weights")).collect::<Result<Vec<&Array>>>()?;
        self.global_norm(&arrays)
    }

    /// One AdamW update in place; `norm` is [`Device::global_norm`] of all gradients, read on the device. Where it is
    /// not finite nothing changes.
    ///
    /// # Errors
    /// As [`Device::adamw_all`].
    pub fn adamw(
        &self,
        weight: &mut Weight,
        gradient: &Array,
        moments: &mut [Array; 2],
        norm: &Array,
        update: &AdamWUpdate,
    ) -> Result<()> {
        self.adamw_all(&mut [Trained { weight, gradient, moments }], norm, update)
    }

    /// [`Device::adamw`] of all weights, in one launch.
    ///
    /// # Errors
    /// Shapes differ within a weight, something is not in f32, or the device has no memory left or failed. Then no
    /// weight has changed, unless the device failed.
    pub fn adamw_all(&self, trained: &mut [Trained<'_>], norm: &Array, update: &AdamWUpdate) -> Result<()> {
        agree("adamw", "the number of norms", 1, norm.len())?;
        single("adamw", "the norm", norm.format())?;
        for Trained { weight, gradient, moments } in trained.iter() {
            agree("adamw", "the number of rows", weight.rows(), gradient.rows())?;
            agree("adamw", "the number of columns", weight.columns(), gradient.columns())?;
            single("adamw", "the weight", weight.numbers("adamw")?.format())?;
            single("adamw", "the gradient", gradient.format())?;
            for moment in moments.iter() {
                same_shape("adamw", gradient, moment)?;
                single("adamw", "a moment", moment.format())?;
            }
        }
        let table = self.table(trained.iter().map(|Trained { weight, gradient, moments: [first, second] }| {
            (gradient.len(), [weight.address(), gradient.address(), first.address(), second.address()])
        }))?;
        let step = update.step as f64;
        let numbers = [
            update.learning_rate / (1.0 - update.beta1.powf(step)),
            1.0 - update.learning_rate * update.weight_decay,
            1.0 - update.beta1,
            update.beta2,
            1.0 - update.beta2,
            (1.0 - update.beta2.powf(step)).sqrt(),
            update.epsilon,
        ];
        let mut arguments =
            vec![(&table.lines).into(), table.count.into(), norm.into(), update.max_norm.to_bits().into()];
        arguments.extend(numbers.map(|number| Argument::from(number as f32)));
        self.launch(SOURCE.kernel("adamw"), &[], Grid::blocks(table.blocks, THREADS), &arguments)
    }

    /// A line an array that has numbers: its first block, how many numbers, its addresses.
    fn table<const ADDRESSES: usize>(&self, arrays: impl Iterator<Item = (usize, [u64; ADDRESSES])>) -> Result<Table> {
        let (mut lines, mut count, mut blocks) = (Vec::new(), 0, 0);
        for (length, addresses) in arrays.filter(|(length, _)| *length > 0) {
            lines.extend([blocks as u64, length as u64]);
            lines.extend(addresses);
            count += 1;
            blocks += length.div_ceil(CHUNK);
        }
        Ok(Table { lines: self.uploaded(bytemuck::cast_slice(&lines))?, count, blocks })
    }
}
