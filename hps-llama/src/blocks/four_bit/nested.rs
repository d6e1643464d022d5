//! Scales that are quantised themselves: `a = map_s · b + offset`.

use super::{NestedParts, check_block_size, expect_bytes};
use crate::Result;

/// Doubly quantised scales: a code `s` for each, in blocks that share `b`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nested<'a> {
    codes: &'a [u8],
    absmax: &'a [[u8; 4]],
    quant_map: &'a [[u8; 4]],
    block_size: usize,
    offset: f32,
}

impl<'a> Nested<'a> {
    pub(super) fn new(codes: &'a [u8], parts: NestedParts<'a>) -> Result<Self> {
        let NestedParts { absmax, quant_map, block_size, offset } = parts;
        check_block_size(block_size)?;
        expect_bytes("`nested_absmax`", absmax.len(), codes.len().div_ceil(block_size) * 4)?;
        expect_bytes("`nested_quant_map`", quant_map.len(), 256 * 4)?;
        Ok(Nested { codes, absmax: absmax.as_chunks().0, quant_map: quant_map.as_chunks().0, block_size, offset })
    }

    /// The product is rounded before the offset is added.
    #[inline]
    pub(super) fn scale(&self, block: usize) -> f32 {
        let number = f32::from_le_bytes(self.quant_map[usize::from(self.codes[block])]);
        number * f32::from_le_bytes(self.absmax[block / self.block_size]) + self.offset
    }
}

/// bitsandbytes' signed dynamic map, which its double quantisation uses: 256 numbers in [−1, 1], ascending.
///
/// Seven decades from 10⁻⁶ to 1; the one that ends at 10^(i − 6) holds the 2^i middles between neighbours of 2^i + 1 evenly
/// spaced numbers from 0.1 to 1, scaled; their negatives; 0 and 1. Source: Dettmers et al., arXiv:2110.02861, and
/// `create_dynamic_map` of bitsandbytes.
///
/// ```
/// let map = hps_llama::blocks::dynamic_map();
/// assert_eq!((map[0], map[127], map[255]), (-0.99296874, 0.0, 1.0));
/// ```
pub fn dynamic_map() -> &'static [f32; 256] {
    static MAP: [f32; 256] = made();
    &MAP
}

const fn made() -> [f32; 256] {
    const DECADES: [f32; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
    let mut map = [0.0; 256];
    let (mut decade, mut place) = (0, 128);
    while decade < DECADES.len() {
        let mut k = 0;
        while k < 1 << decade {
            let middle = (evenly(k, 1 << decade) + evenly(k + 1, 1 << decade)) / 2.0;
            map[place] = DECADES[decade] * middle;
            map[254 - place] = -map[place];
            (k, place) = (k + 1, place + 1);
        }
        decade += 1;
    }
    map[255] = 1.0;
    map
}

/// The `k`-th of `steps + 1` numbers from 0.1 to 1, as `torch.linspace` has it: from the nearer end, rounded once.
const fn evenly(k: usize, steps: usize) -> f32 {
    let step = ((1.0f32 - 0.1f32) / steps as f32) as f64;
    if k < steps.div_ceil(2) {
        // Exact in f64.
        (0.1f32 as f64 + step * k as f64) as f32
    } else {
        (1.0 - step * (steps - k) as f64) as f32
    }
}
