//! Tokens drawn from the head's distribution.

use crate::device::Device;
use crate::device::array::{Array, Indices, Weight};
use crate::device::kernel::Kernel;
use crate::device::launch::grid;
use crate::error::{Error, ErrorKind, Result, agree};

pub(crate) const DRAW: Kernel =
    Kernel::new(concat!(include_str!("workgroup.wgsl"), include_str!("sampling.wgsl")), "draw");

/// Which tokens of a distribution may be drawn.
///
/// Tokens are ordered by logit, the highest first, equals by id. Of them the first `top_k` are kept; of these, with
/// probabilities `softmax(logit / temperature)` over them alone, the shortest beginning whose sum is `top_p` at least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truncation {
    /// Divides the logits; 0 takes the first token of the order.
    pub temperature: f32,
    /// Tokens kept at most; 0 keeps all.
    pub top_k: u32,
    /// Probability kept at least, in `(0, 1]`; 1 keeps all.
    pub top_p: f32,
}

/// Drawn tokens.
#[derive(Debug)]
pub struct Drawn {
    /// A token a row.
    pub tokens: Indices,
    /// `log softmax(h Wᵀ)` of it, nats, at temperature 1 and nothing left out: `[rows, 1]`.
    pub log_probs: Array,
}

impl Device {
    /// A token a row from what [`Truncation`] keeps of `softmax(h Wᵀ / temperature)`: the first, by id, whose cumulative
    /// probability exceeds the row's uniform number. NaN logits are an error. Waits for the device.
    ///
    /// * `hidden`: `[rows, features]`; `head`: `[vocabulary, features]`; `uniforms`: `[rows, 1]`, in `[0, 1)`.
    pub fn sample(&self, hidden: &Array, head: &Weight, truncation: Truncation, uniforms: &Array) -> Result<Drawn> {
        agree("sample", "the number of uniforms", hidden.rows(), uniforms.len())?;
        agree("sample", "the number of columns", head.columns(), hidden.columns())?;
        let (rows, words) = (hidden.rows(), head.rows());
        // Passes over a thread's words: 66 to find the cut, five to draw.
        self.expect_iterations("sample", 72 * (words.div_ceil(256) + 9) as u64 + 4 * 256)?;
        let tokens = self.undefined(rows, 1)?;
        let log_probs = self.undefined(rows, 1)?;
        let top_k = if truncation.top_k == 0 { words as u32 } else { truncation.top_k.min(words as u32) };
        // Passes over all words of a row, each word for four multiplications.
        let passes = 8 + if top_k < words as u32 { 32 } else { 0 } + if truncation.top_p < 1.0 { 32 } else { 0 };
        let of_row = (4 * passes * words as u64).max(1);
        let at_once = (self.work_limit() / of_row).max(1) as usize;
        for tile in self.tiles(rows, words)? {
            let logits = self.logits(hidden, head, &tile)?;
            let bindings = [logits.binding(), uniforms.numbers(&tile), tokens.numbers(&tile), log_probs.numbers(&tile)];
            for first in (0..tile.len()).step_by(at_once) {
                let rows = tile.len().min(first + at_once);
                let [temperature, top_p] = [truncation.temperature, truncation.top_p].map(f32::to_bits);
                let parameters = [rows as u32, words as u32, temperature, top_k, top_p, first as u32];
                let work = (rows - first) as u64 * of_row;
                self.run(&DRAW, &[], &parameters, &bindings, grid(rows - first), work)?;
            }
        }
        let drawn: Vec<u32> = bytemuck::pod_collect_to_vec(&self.downloaded(tokens.storage(), tokens.bytes())?);
        if let Some(row) = drawn.iter().position(|token| *token == u32::MAX) {
            let message = format!("the logits of sequence {row} of the batch are NaN");
            return Err(Error::new(ErrorKind::NonFinite, message));
        }
        Ok(Drawn { tokens: Indices::new(tokens.into_storage(), drawn), log_probs })
    }
}
