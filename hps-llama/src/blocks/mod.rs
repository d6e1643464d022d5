//! Matrices stored as blocks of a few bits a number: decoded, a range at a time, to f32; and made.
//!
//! A block is a run of numbers that share their scales. Its codes `q` are small whole numbers, and a number is
//!
//! | type | numbers | bytes | number |
//! |---|---|---|---|
//! | `q4_0`, `q5_0`, `q8_0` | 32 | 18, 22, 34 | `d · q` |
//! | `q4_1`, `q5_1` | 32 | 20, 24 | `d · q + m` |
//! | `q2_k`, `q4_k`, `q5_k` | 256 | 84, 144, 176 | `(d · s_j) · q − (e · t_j)`, with whole `s_j`, `t_j` for 16 or 32 numbers |
//! | `q3_k`, `q6_k` | 256 | 110, 210 | `(d · s_j) · q` |
//! | `nf4`, `fp4` | any | half a byte a number | `c_q · a`: `c` the [code book](FourBitType::code_book), `a` the block's `absmax` |
//!
//! `d`, `m`, `e` are f16, and every product and sum is rounded to f32 as it stands, so numbers equal to the bit those of the
//! programs that define the types: ggml (gguf-py's `dequantize`) for the first, bitsandbytes (its CPU build, float32) for
//! `nf4` and `fp4`. A block's layout stands with its family: [`BlockType`] for ggml's, [`FourBit`] for bitsandbytes'.
//!
//! Everything here is a function of bytes: nothing is known of files, models or devices.

mod four_bit;
mod half_float;
mod k_quants;
mod legacy;
mod panel;

pub use four_bit::{
    DoubleQuantisation, FourBit, FourBitType, NestedParts, QuantisedFourBit, QuantisedScales, dynamic_map,
};
pub use legacy::quantise_q8_0;

use panel::decode_blocks;
use std::fmt;

/// A type of ggml's blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockType {
    /// 32 numbers of 4 bits, one scale.
    Q4_0,
    /// 32 numbers of 4 bits, scale and minimum.
    Q4_1,
    /// 32 numbers of 5 bits, one scale.
    Q5_0,
    /// 32 numbers of 5 bits, scale and minimum.
    Q5_1,
    /// 32 numbers of 8 bits, one scale.
    Q8_0,
    /// 256 numbers of 2 bits; scales and minima of 4 bits for 16 each.
    Q2K,
    /// 256 numbers of 3 bits; scales of 6 bits for 16 each.
    Q3K,
    /// 256 numbers of 4 bits; scales and minima of 6 bits for 32 each.
    Q4K,
    /// 256 numbers of 5 bits; scales and minima of 6 bits for 32 each.
    Q5K,
    /// 256 numbers of 6 bits; scales of 8 bits for 16 each.
    Q6K,
}

impl BlockType {
    /// All there are.
    pub const ALL: [BlockType; 10] = [
        BlockType::Q4_0,
        BlockType::Q4_1,
        BlockType::Q5_0,
        BlockType::Q5_1,
        BlockType::Q8_0,
        BlockType::Q2K,
        BlockType::Q3K,
        BlockType::Q4K,
        BlockType::Q5K,
        BlockType::Q6K,
    ];

    /// The name as llama.cpp spells it in file names, in lower case.
    ///
    /// ```
    /// use hps_llama::blocks::BlockType;
    ///
    /// assert_eq!(BlockType::Q4K.name(), "q4_k");
    /// assert_eq!(BlockType::named("q4_k"), Some(BlockType::Q4K));
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            BlockType::Q4_0 => "q4_0",
            BlockType::Q4_1 => "q4_1",
            BlockType::Q5_0 => "q5_0",
            BlockType::Q5_1 => "q5_1",
            BlockType::Q8_0 => "q8_0",
            BlockType::Q2K => "q2_k",
            BlockType::Q3K => "q3_k",
            BlockType::Q4K => "q4_k",
            BlockType::Q5K => "q5_k",
            BlockType::Q6K => "q6_k",
        }
    }

    /// The type of that [name](Self::name), in lower or upper case.
    pub fn named(name: &str) -> Option<BlockType> {
        Self::ALL.into_iter().find(|block| block.name().eq_ignore_ascii_case(name))
    }

    /// Numbers in a block. A row of a matrix is whole blocks.
    pub const fn numbers(self) -> usize {
        match self {
            BlockType::Q4_0 | BlockType::Q4_1 | BlockType::Q5_0 | BlockType::Q5_1 | BlockType::Q8_0 => legacy::NUMBERS,
            _ => k_quants::NUMBERS,
        }
    }

    /// Bytes of a block.
    pub const fn bytes(self) -> usize {
        match self {
            BlockType::Q4_0 => legacy::Q4_0,
            BlockType::Q4_1 => legacy::Q4_1,
            BlockType::Q5_0 => legacy::Q5_0,
            BlockType::Q5_1 => legacy::Q5_1,
            BlockType::Q8_0 => legacy::Q8_0,
            BlockType::Q2K => k_quants::Q2_K,
            BlockType::Q3K => k_quants::Q3_K,
            BlockType::Q4K => k_quants::Q4_K,
            BlockType::Q5K => k_quants::Q5_K,
            BlockType::Q6K => k_quants::Q6_K,
        }
    }

    /// Bytes of `numbers` numbers; `None` where they are not whole blocks, or too many to count.
    ///
    /// ```
    /// use hps_llama::blocks::BlockType;
    ///
    /// assert_eq!(BlockType::Q4_0.bytes_of(4096), Some(2304));
    /// assert_eq!(BlockType::Q4K.bytes_of(576), None);
    /// ```
    pub const fn bytes_of(self, numbers: usize) -> Option<usize> {
        if !numbers.is_multiple_of(self.numbers()) {
            return None;
        }
        (numbers / self.numbers()).checked_mul(self.bytes())
    }

    /// Places in a block of the f16 that scale its numbers or are added to them. If all are finite, so are the block's numbers;
    /// if one is not, none of them is.
    pub const fn scale_places(self) -> &'static [usize] {
        match self {
            BlockType::Q4_0 | BlockType::Q5_0 | BlockType::Q8_0 => &[0],
            BlockType::Q4_1 | BlockType::Q5_1 | BlockType::Q4K | BlockType::Q5K => &[0, 2],
            BlockType::Q2K => &[80, 82],
            BlockType::Q3K => &[108],
            BlockType::Q6K => &[208],
        }
    }

    /// Decodes the numbers `first .. first + out.len()` of a run of blocks. They may begin and end inside a block; what lies
    /// in a block that is read in part is decoded and thrown away, so cuts at multiples of [`numbers`](Self::numbers) cost
    /// nothing.
    ///
    /// * `bytes`: whole blocks, as they lie in a file.
    /// * `first`: counted from the first of `bytes`.
    ///
    /// ```
    /// use hps_llama::blocks::BlockType;
    ///
    /// // A block of q8_0: d = 0.5 as f16, then 32 signed bytes.
    /// let mut bytes = vec![0x00, 0x38];
    /// bytes.extend((0..32).map(|number: i8| (number - 16) as u8));
    /// let mut out = [0.0; 3];
    /// BlockType::Q8_0.decode(&bytes, 14, &mut out);
    /// assert_eq!(out, [-1.0, -0.5, 0.0]);
    /// ```
    ///
    /// # Panics
    /// `bytes` is not whole blocks, or ends before the last number.
    pub fn decode(self, bytes: &[u8], first: usize, out: &mut [f32]) {
        match self {
            BlockType::Q4_0 => decode_blocks(bytes, first, out, legacy::q4_0),
            BlockType::Q4_1 => decode_blocks(bytes, first, out, legacy::q4_1),
            BlockType::Q5_0 => decode_blocks(bytes, first, out, legacy::q5_0),
            BlockType::Q5_1 => decode_blocks(bytes, first, out, legacy::q5_1),
            BlockType::Q8_0 => decode_blocks(bytes, first, out, legacy::q8_0),
            BlockType::Q2K => decode_blocks(bytes, first, out, k_quants::q2_k),
            BlockType::Q3K => decode_blocks(bytes, first, out, k_quants::q3_k),
            BlockType::Q4K => decode_blocks(bytes, first, out, k_quants::q4_k),
            BlockType::Q5K => decode_blocks(bytes, first, out, k_quants::q5_k),
            BlockType::Q6K => decode_blocks(bytes, first, out, k_quants::q6_k),
        }
    }
}

impl fmt::Display for BlockType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
