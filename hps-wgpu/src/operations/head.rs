//! The language-model head fused with log-probs: `log p(yᵢ) = hᵢ·W[yᵢ] − ln Σ_v exp(hᵢ·W_v)`.
//!
//! Logits exist a tile of rows at a time. The same sweep turns a tile into probabilities and multiplies them by `W`, which
//! gives the unit gradient `W[yᵢ] − Σ_v p_v W_v`; the loss enters later, as one factor a row.

use crate::device::Device;
use crate::device::array::{Array, Indices, Weight};
use crate::device::kernel::Kernel;
use crate::device::launch::{ROW_STEP, grid, parts};
use crate::error::{Error, ErrorKind, Result, agree};
use crate::operations::product::{Factor, Into, Second};
use std::ops::Range;

const SOURCE: &str = concat!(include_str!("workgroup.wgsl"), include_str!("head.wgsl"));
pub(crate) const SOFTEN: Kernel = Kernel::new(SOURCE, "soften");
pub(crate) const SLOPE: Kernel = Kernel::new(SOURCE, "slope");

/// Logits a tile holds at most (128 MiB), so that memory does not grow with tokens × vocabulary: of 128,256 words 256 rows, so
/// that their gradient has a thousand workgroups.
const TILE: usize = 1 << 25;

/// Multiplications that take as long as making a logit a probability.
const SOFTENING: u64 = 10;

/// Log-probs of chosen tokens, in nats, and what their backward needs.
#[derive(Debug)]
pub struct LogProbs {
    /// `[rows, 1]`, nats.
    pub values: Array,
    /// `∂ value / ∂ hidden`: `[rows, features]`; `None` unless asked for.
    pub unit_gradient: Option<Array>,
}

impl Device {
    /// `log p(target_i)`: `[rows, 1]`, and, if asked for, the unit gradient `∂ log p / ∂h_i`: `[rows, features]`.
    ///
    /// * `hidden`: `[rows, features]`; `head`: `[vocabulary, features]`; `targets`: a word a row.
    pub fn log_probs(&self, hidden: &Array, head: &Weight, targets: &Indices, unit_gradient: bool) -> Result<LogProbs> {
        check(hidden, head, targets)?;
        let values = self.undefined(hidden.rows(), 1)?;
        let unit_gradient = match unit_gradient {
            true => Some(self.embed(head, targets)?),
            false => None,
        };
        for rows in self.tiles(hidden.rows(), head.rows())? {
            let logits = self.probabilities(hidden, head, targets, &values, &rows)?;
            if let Some(unit) = &unit_gradient {
                self.multiply_into(Factor::array(&logits), Second::weight(head), unit, &rows, -1.0, Into::Add)?;
            }
        }
        Ok(LogProbs { values, unit_gradient })
    }

    /// `dW = Σ_i c_i (onehot(target_i) − p_i) h_iᵀ`, the trained head's own gradient; recomputes the logits.
    pub fn log_probs_weight_gradient(
        &self,
        hidden: &Array,
        head: &Weight,
        targets: &Indices,
        c: &Array,
    ) -> Result<Array> {
        check(hidden, head, targets)?;
        agree("log_probs_weight_gradient", "the number of coefficients", hidden.rows(), c.len())?;
        let total = self.zeros(head.rows(), head.columns())?;
        let values = self.undefined(hidden.rows(), 1)?;
        for rows in self.tiles(hidden.rows(), head.rows())? {
            let logits = self.probabilities(hidden, head, targets, &values, &rows)?;
            self.each_row(&SLOPE, targets, &logits, c, &rows)?;
            let seen = Factor::rows(hidden, rows.clone());
            self.multiply(Factor::array(&logits).transposed(), Second::Numbers(seen), &total, 1.0, Into::Add)?;
        }
        Ok(total)
    }

    /// The logits of some rows of `hidden`: `[rows, vocabulary]`.
    pub(crate) fn logits(&self, hidden: &Array, head: &Weight, rows: &Range<usize>) -> Result<Array> {
        let logits = self.undefined(rows.len(), head.rows())?;
        let seen = Factor::rows(hidden, rows.clone());
        self.multiply(seen, Second::transposed_weight(head), &logits, 1.0, Into::Replace)?;
        Ok(logits)
    }

    /// The probabilities of some rows, whose log-probs go to `values`.
    fn probabilities(
        &self,
        hidden: &Array,
        head: &Weight,
        targets: &Indices,
        values: &Array,
        rows: &Range<usize>,
    ) -> Result<Array> {
        let logits = self.logits(hidden, head, rows)?;
        self.each_row(&SOFTEN, targets, &logits, values, rows)?;
        Ok(logits)
    }

    /// Runs a kernel of which a workgroup computes a row over `logits`, those of `rows`.
    ///
    /// * `beside`: a number a row.
    fn each_row(
        &self,
        kernel: &Kernel,
        targets: &Indices,
        logits: &Array,
        beside: &Array,
        rows: &Range<usize>,
    ) -> Result<()> {
        let words = logits.columns();
        let of_row = (SOFTENING * words as u64).max(1);
        let at_once = (self.work_limit() / of_row).max(1) as usize;
        for first in (0..rows.len()).step_by(at_once) {
            let end = rows.len().min(first + at_once);
            let parameters = [end as u32, words as u32, first as u32];
            let bindings = [targets.numbers(rows), logits.binding(), beside.numbers(rows)];
            let groups = grid(end - first);
            self.run(kernel, &[], &parameters, &bindings, groups, (end - first) as u64 * of_row)?;
        }
        Ok(())
    }

    /// Rows whose logits are formed together; every part starts where a binding may. Not by the device's speed: the gradient
    /// of the head is summed tile by tile.
    pub(crate) fn tiles(&self, rows: usize, vocabulary: usize) -> Result<Vec<Range<usize>>> {
        let vocabulary = vocabulary.max(1);
        let seen = (self.binding_limit() / (4 * vocabulary as u64)) as usize;
        let most = (TILE / vocabulary).min(seen).min(1024) / ROW_STEP * ROW_STEP;
        let step = if most > 0 { most } else { ROW_STEP };
        if rows.min(step) > seen {
            let message = format!(
                "the logits of {} tokens over {vocabulary} words, and a kernel of this adapter sees {} bytes at once",
                rows.min(step),
                self.binding_limit()
            );
            return Err(Error::new(ErrorKind::OutOfMemory, message));
        }
        Ok(parts(0..rows, step).collect())
    }
}

fn check(hidden: &Array, head: &Weight, targets: &Indices) -> Result<()> {
    agree("log_probs", "the number of targets", hidden.rows(), targets.host().len())?;
    agree("log_probs", "the number of columns", head.columns(), hidden.columns())?;
    match targets.host().iter().find(|&&target| target as usize >= head.rows()) {
        Some(target) => {
            let message = format!("target {target} outside a vocabulary of {}", head.rows());
            Err(Error::new(ErrorKind::Shape, message))
        }
        None => Ok(()),
    }
}
