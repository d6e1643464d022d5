//! What numbers take on a device.

use super::Dtype;

/// `hps_wgpu::CODED_TILE`, which a build without it knows, too.
pub(super) const WGPU_TILE: u64 = 1 << 24;

/// What a backend's numbers take, for estimates of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of a number of a frozen weight at the most: what takes fewer in its file stays as it is there. `None` where all
    /// do.
    pub weight: Option<u64>,
    /// Numbers that are decoded at a time, of frozen weights that take fewer bytes.
    pub tile: u64,
    /// Bytes of a number of an activation.
    pub activation: u64,
    /// Bytes that the logits of a tile take at most.
    pub logits: u64,
}

/// What a weight takes in its file, or quantised as it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredSize {
    /// How many numbers it has.
    pub numbers: u64,
    /// Their bytes, scales included.
    pub bytes: u64,
}

impl Footprint {
    /// Bytes of frozen weights on the device, with the tile that those are decoded in that are not in numbers there.
    ///
    /// ```
    /// use hps_llama::backend::{Footprint, Precision};
    ///
    /// let gpu = Footprint { weight: Some(4), tile: 1 << 24, ..Footprint::default() };
    /// // A million numbers in float32, and as many in float16 that become float32 on their way into a product.
    /// let [singles, halves] = [Precision::F32, Precision::F16].map(|precision| precision.size_of((1000, 1000)));
    /// assert_eq!(gpu.of_frozen(&[singles]), 4_000_000);
    /// assert_eq!(gpu.of_frozen(&[singles, halves]), 4_000_000 + 2_000_000 + 4_000_000);
    /// // On the CPU they are not decoded but in small panels.
    /// assert_eq!(Footprint::default().of_frozen(&[singles, halves]), 6_000_000);
    /// ```
    pub fn of_frozen(&self, weights: &[StoredSize]) -> u64 {
        let Some(most) = self.weight else { return weights.iter().map(|weight| weight.bytes).sum() };
        let sizes = weights.iter().map(|weight| weight.bytes.min(most * weight.numbers));
        let decoded = weights.iter().filter(|weight| weight.bytes < most * weight.numbers);
        let tile = decoded.map(|weight| weight.numbers.min(self.tile)).max().unwrap_or(0);
        sizes.sum::<u64>() + self.activation * tile
    }

    /// That of a WGPU device, which computes in f32.
    pub(super) fn of_wgpu(dtype: Dtype) -> Footprint {
        let weight = if dtype == Dtype::BFloat16 { 2 } else { 4 };
        Footprint { weight: Some(weight), tile: WGPU_TILE, logits: 4 << 25, ..Footprint::default() }
    }
}

impl Default for Footprint {
    /// That of the CPU: frozen weights as their file has them, decoded in small panels, the rest in f32, tiles of 2²⁴ logits.
    fn default() -> Self {
        Footprint { weight: None, tile: 0, activation: 4, logits: 4 << 24 }
    }
}
