//! The gradient's norm and AdamW: `w ← w (1 − lr λ) − lr m̂ / (sqrt(v̂) + ε)`, `m̂ = m / (1 − β₁ᵗ)`, `v̂ = v / (1 − β₂ᵗ)`.
//!
//! The order of operations is PyTorch's `torch.optim.AdamW`, in f32, so that runs agree to rounding.

use crate::device::Device;
use crate::device::array::{self, Array, Weight, same_shape};
use crate::device::kernel::Kernel;
use crate::device::launch::{ROW_STEP, grid, windows};
use crate::error::{Result, agree};
use std::ops::Range;

/// What a norm is over.
#[derive(Clone, Copy)]
enum Numbers<'a> {
    Of(&'a Array),
    Trained(&'a array::Numbers),
}

impl Numbers<'_> {
    fn len(self) -> usize {
        match self {
            Numbers::Of(array) => array.len(),
            Numbers::Trained(weight) => weight.rows() * weight.columns(),
        }
    }

    fn numbers(&self, range: &Range<usize>) -> wgpu::BufferBinding<'_> {
        match self {
            Numbers::Of(array) => array.numbers(range),
            Numbers::Trained(weight) => weight.part(range),
        }
    }
}

const SOURCE: &str = concat!(include_str!("workgroup.wgsl"), include_str!("optimizer.wgsl"));
pub(crate) const MAGNITUDES: Kernel = Kernel::new(SOURCE, "magnitudes");
pub(crate) const LARGEST: Kernel = Kernel::new(SOURCE, "largest");
pub(crate) const SQUARES: Kernel = Kernel::new(SOURCE, "squares");
pub(crate) const ROOT: Kernel = Kernel::new(SOURCE, "root");
pub(crate) const ADAMW: Kernel = Kernel::new(SOURCE, "adamw");

/// Threads of a workgroup, and numbers of a partial result.
const LANES: usize = 256;
const PART: usize = 16 * LANES;

/// Numbers of which [`ROW_STEP`] rows are a partial result, so that windows start at one.
const ROW: usize = PART / ROW_STEP;

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

impl Device {
    /// `sqrt(Σ g²)` over all arrays: `[1, 1]`. In two sweeps, the first for the largest number: f32 has no room for the
    /// squares of very large or small ones.
    pub fn global_norm(&self, arrays: &[&Array]) -> Result<Array> {
        let arrays: Vec<Numbers<'_>> = arrays.iter().map(|array| Numbers::Of(array)).collect();
        self.norm(&arrays)
    }

    /// [`Device::global_norm`] of weights in training, which are in f32.
    pub fn norm_of_weights(&self, weights: &[&Weight]) -> Result<Array> {
        let singles = weights.iter().map(|weight| weight.singles("norm_of_weights", "a weight").map(Numbers::Trained));
        self.norm(&singles.collect::<Result<Vec<Numbers<'_>>>>()?)
    }

    fn norm(&self, arrays: &[Numbers<'_>]) -> Result<Array> {
        let count: usize = arrays.iter().map(|array| array.len().div_ceil(PART)).sum();
        let partials = self.undefined(count.max(1), 1)?;
        let norm = self.zeros(1, 1)?;
        // One workgroup, which is a small share of a device.
        let work = 256 * count as u64;
        self.parts(&MAGNITUDES, arrays, &partials, None)?;
        self.run(&LARGEST, &[], &parameters(count, 0), &[partials.binding(), norm.binding()], [1, 1, 1], work)?;
        self.parts(&SQUARES, arrays, &partials, Some(&norm))?;
        self.run(&ROOT, &[], &parameters(count, 0), &[partials.binding(), norm.binding()], [1, 1, 1], work)?;
        Ok(norm)
    }

    /// One AdamW update in place; `norm` is [`Device::global_norm`] of all gradients, read on the device. Where it is not
    /// finite nothing changes.
    pub fn adamw(
        &self,
        weight: &mut Weight,
        gradient: &Array,
        moments: &mut [Array; 2],
        norm: &Array,
        update: &AdamWUpdate,
    ) -> Result<()> {
        agree("adamw", "the number of rows", weight.rows(), gradient.rows())?;
        agree("adamw", "the number of columns", weight.columns(), gradient.columns())?;
        same_shape("adamw", gradient, &moments[0])?;
        same_shape("adamw", gradient, &moments[1])?;
        let weight = weight.singles("adamw", "the weight")?;
        let step = update.step as f64;
        let numbers = [
            update.learning_rate / (1.0 - update.beta1.powf(step)),
            1.0 - update.learning_rate * update.weight_decay,
            1.0 - update.beta1,
            update.beta2,
            1.0 - update.beta2,
            (1.0 - update.beta2.powf(step)).sqrt(),
            update.epsilon,
            update.max_norm.min(f64::from(f32::MAX)),
        ];
        for range in windows(self, gradient.len(), 4, 16)? {
            let mut parameters = parameters(range.len(), 0);
            parameters[2..].copy_from_slice(&numbers.map(|number| (number as f32).to_bits()));
            let bindings = [
                gradient.numbers(&range),
                norm.binding(),
                weight.part(&range),
                moments[0].numbers(&range),
                moments[1].numbers(&range),
            ];
            let (groups, work) = (grid(range.len().div_ceil(LANES)), 16 * range.len() as u64);
            self.run(&ADAMW, &[], &parameters, &bindings, groups, work)?;
        }
        Ok(())
    }

    /// A partial result of each [`PART`] numbers of each array.
    fn parts(&self, kernel: &Kernel, arrays: &[Numbers<'_>], partials: &Array, size: Option<&Array>) -> Result<()> {
        let mut start = 0;
        for array in arrays {
            // A window is cut into parts from its own start.
            for rows in windows(self, array.len().div_ceil(ROW), 4 * ROW as u64, 4 * ROW as u64)? {
                let numbers = rows.start * ROW..array.len().min(rows.end * ROW);
                let mut bindings = vec![array.numbers(&numbers), partials.binding()];
                bindings.extend(size.map(Array::binding));
                let parameters = parameters(numbers.len(), start + numbers.start / PART);
                let (groups, work) = (grid(numbers.len().div_ceil(PART)), 4 * numbers.len() as u64);
                self.run(kernel, &[], &parameters, &bindings, groups, work)?;
            }
            start += array.len().div_ceil(PART);
        }
        Ok(())
    }
}

fn parameters(count: usize, start: usize) -> [u32; 10] {
    [count as u32, start as u32, 0, 0, 0, 0, 0, 0, 0, 0]
}
