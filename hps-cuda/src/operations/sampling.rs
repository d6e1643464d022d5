//! Tokens drawn from the head's distribution.

use crate::device::Device;
use crate::device::array::{Array, Format, Indices, Weight};
use crate::device::kernel::Source;
use crate::device::launch::{Argument, Grid};
use crate::error::{Error, ErrorKind, Result, agree};
use crate::operations::head::{Factors, Tiles};

pub(crate) static SOURCE: Source = Source {
    name: "sampling.cu",
    text: concat!(include_str!("../../kernels/softmax.cuh"), include_str!("../../kernels/sampling.cu")),
    variants: &[&[]],
};

/// Threads of a block.
const THREADS: u32 = 1024;

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
    /// A token a row. [`Indices::host`] refuses them if a row's logits had no softmax.
    pub tokens: Indices,
    /// `log softmax(h Wᵀ)` of it, nats, at temperature 1 and nothing left out: `[rows, 1]`, in f32.
    pub log_probs: Array,
}

impl Device {
    /// A token a row from what [`Truncation`] keeps of `softmax(h Wᵀ / temperature)`: the first, by id, whose
    /// cumulative probability exceeds the row's uniform number. NaN logits are an error, and it is [`Indices::host`]
    /// that tells it: the device is not waited for.
    ///
    /// * `hidden`: `[rows, features]`; `head`: `[vocabulary, features]`; `uniforms`: `[rows, 1]`, in `[0, 1)`.
    ///
    /// # Errors
    /// Shapes do not fit, there is no word to draw, the device has no memory left, or it failed.
    pub fn sample(&self, hidden: &Array, head: &Weight, truncation: Truncation, uniforms: &Array) -> Result<Drawn> {
        agree("sample", "the number of uniforms", hidden.rows(), uniforms.len())?;
        agree("sample", "the number of columns", head.columns(), hidden.columns())?;
        let (rows, words) = (hidden.rows(), head.rows());
        if rows > 0 && words == 0 {
            return Err(Error::new(ErrorKind::Shape, format!("sample: {rows} tokens from a vocabulary of 0 words")));
        }
        let uniforms = self.as_format(uniforms, Format::F32)?;
        let tokens = self.storage(4 * rows)?;
        let log_probs = self.undefined(rows, 1, Format::F32)?;
        let factors = Factors::new(self, hidden, head)?;
        let tiles = Tiles::new(self, rows, words)?;
        let [inverse, top_k, top_p] = bounds(truncation, words);
        for rows in tiles.ranges() {
            factors.logits(self, &rows, &tiles.logits)?;
            let arguments = [
                (&tiles.logits).into(),
                Argument::Address(uniforms.row(rows.start)),
                Argument::Address(tokens.address() + 4 * rows.start as u64),
                Argument::Address(log_probs.row(rows.start)),
                words.into(),
                inverse,
                unit(words).into(),
                top_k,
                top_p,
            ];
            self.launch(SOURCE.kernel("draw"), &[], Grid::blocks(rows.len(), THREADS), &arguments)?;
        }
        Ok(Drawn { tokens: Indices::drawn(tokens, rows), log_probs })
    }
}

/// What divides a weight's fraction of the greatest into whole units: `words` weights add up to 2⁶² of them at most.
fn unit(words: usize) -> f32 {
    let bits = usize::BITS - words.saturating_sub(1).leading_zeros();
    f32::from_bits((127 + 62u32.saturating_sub(bits)) << 23)
}

/// `1 / temperature`, how many tokens are kept, from 1 to `words`, and how much of their probability, as the kernel has
/// them: a temperature of 0 keeps the first of the order.
fn bounds(truncation: Truncation, words: usize) -> [Argument; 3] {
    let Truncation { temperature, top_k, top_p } = truncation;
    if temperature > 0.0 {
        let top_k = if top_k == 0 { words } else { words.min(top_k as usize) };
        // Finite, as 0 times infinity is no weight.
        let inverse = (1.0 / temperature).clamp(f32::MIN_POSITIVE, f32::MAX);
        [inverse.into(), top_k.into(), top_p.into()]
    } else {
        [1.0f32.into(), 1u32.into(), 1.0f32.into()]
    }
}
