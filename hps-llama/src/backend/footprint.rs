//! What numbers take on a device.

/// What a backend's numbers take, for estimates of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of a number of a frozen weight; `None` where it takes what it takes in its file.
    pub weight: Option<u64>,
    /// Bytes of a number of an activation.
    pub activation: u64,
    /// Bytes that the logits of a tile take at most.
    pub logits: u64,
}

impl Default for Footprint {
    /// That of the CPU: frozen weights as their file has them, the rest in f32, tiles of 2²⁴ logits.
    fn default() -> Self {
        Footprint { weight: None, activation: 4, logits: 4 << 24 }
    }
}
