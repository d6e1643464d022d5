//! Philox4x32-10, a counter-based generator: `block = f(counter, key)`, four words from six, no state.
//!
//! Ten rounds of: multiply counter words 0 and 2 by two constants, exchange the halves of the products, mix in the
//! other two words and the key; the key grows by two constants between rounds (Salmon et al., "Parallel random numbers:
//! as easy as 1, 2, 3", 2011). What a counter yields does not depend on what was asked before, so a run that is
//! stopped and resumed, or spread over devices, sees the same numbers.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Philox4x32-10 under one key.
///
/// ```
/// use hps_core::Philox;
///
/// let block = Philox::from_key([0, 0]).block([0, 0, 0, 0]);
/// assert_eq!(block, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Philox {
    key: [u32; 2],
}

impl Philox {
    /// The generator of a seed; its low word is the key's first.
    ///
    /// ```
    /// use hps_core::Philox;
    ///
    /// assert_eq!(Philox::new(0x299f_31d0_a409_3822), Philox::from_key([0xa409_3822, 0x299f_31d0]));
    /// ```
    pub fn new(seed: u64) -> Philox {
        Philox { key: [seed as u32, (seed >> 32) as u32] }
    }

    /// The generator of a key.
    ///
    /// ```
    /// use hps_core::Philox;
    ///
    /// // A test vector of the generator's authors.
    /// let block = Philox::from_key([u32::MAX; 2]).block([u32::MAX; 4]);
    /// assert_eq!(block, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    /// ```
    pub fn from_key(key: [u32; 2]) -> Philox {
        Philox { key }
    }

    /// The four words of a counter. Part of the public promise: they never change.
    ///
    /// ```
    /// use hps_core::Philox;
    ///
    /// // A test vector of the generator's authors: counter and key are digits of π.
    /// let philox = Philox::from_key([0xa409_3822, 0x299f_31d0]);
    /// let block = philox.block([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]);
    /// assert_eq!(block, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    /// ```
    pub fn block(&self, counter: [u32; 4]) -> [u32; 4] {
        let mut words = counter;
        let mut key = self.key;
        for _ in 0..ROUNDS {
            let (high_0, low_0) = wide_product(MULTIPLIERS[0], words[0]);
            let (high_2, low_2) = wide_product(MULTIPLIERS[1], words[2]);
            words = [high_2 ^ words[1] ^ key[0], low_2, high_0 ^ words[3] ^ key[1], low_0];
            key = [key[0].wrapping_add(KEY_STEPS[0]), key[1].wrapping_add(KEY_STEPS[1])];
        }
        words
    }
}

fn wide_product(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}
