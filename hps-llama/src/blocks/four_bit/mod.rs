//! bitsandbytes' 4-bit types, `nf4` and `fp4`: a number is `c_q · a`, a code book's number times the largest of its block.
//!
//! Blocks of `block_size` numbers run over the matrix's numbers row by row, and cross rows where a row is no multiple of it;
//! the last may be short. A byte holds two codes, the first in its high nibble. `a` (`absmax`) is an f32 for each block, or,
//! doubly quantised, `a = map_s · b + offset`: a code `s` of eight bits for each block and an f32 `b` for each 256 of them
//! ([`NestedParts`]).
//!
//! Source: Dettmers et al., QLoRA (arXiv:2305.14314); bitsandbytes 0.50.2, whose CPU build in float32 is what decoding equals
//! to the bit. (Its AVX-512 kernel takes the scale of another block where a row is no multiple of `block_size`; meant are
//! its other kernels.)

mod code_book;
mod nested;
mod quantised;

pub use code_book::FourBitType;
pub use nested::dynamic_map;
pub use quantised::{DoubleQuantisation, QuantisedFourBit, QuantisedScales};

use crate::{Error, ErrorKind, Result};
use code_book::Pairs;
use nested::Nested;

/// A matrix of 4-bit codes, as its parts lie in a file.
#[derive(Debug, Clone, Copy)]
pub struct FourBit<'a> {
    kind: FourBitType,
    block_size: usize,
    numbers: usize,
    packed: &'a [u8],
    scales: Scales<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Scales<'a> {
    Plain(&'a [[u8; 4]]),
    Nested(Nested<'a>),
}

impl<'a> FourBit<'a> {
    /// Puts the parts of a matrix together.
    ///
    /// * `block_size`: numbers that share a scale: a power of two, 32 to 4,096.
    /// * `numbers`: rows times columns.
    /// * `packed`: two codes a byte; an odd number leaves the last low nibble unread.
    /// * `absmax`: a little-endian f32 for each block; with `nested`, a byte for each.
    ///
    /// # Errors
    /// A part's length is not what the numbers need.
    pub fn new(
        kind: FourBitType,
        block_size: usize,
        numbers: usize,
        packed: &'a [u8],
        absmax: &'a [u8],
        nested: Option<NestedParts<'a>>,
    ) -> Result<Self> {
        check_block_size(block_size)?;
        expect_bytes("the packed matrix", packed.len(), numbers.div_ceil(2))?;
        let blocks = numbers.div_ceil(block_size);
        let scales = match nested {
            None => {
                expect_bytes("`absmax`", absmax.len(), blocks.saturating_mul(4))?;
                Scales::Plain(absmax.as_chunks().0)
            }
            Some(parts) => {
                expect_bytes("`absmax`, which is quantised,", absmax.len(), blocks)?;
                Scales::Nested(Nested::new(absmax, parts)?)
            }
        };
        Ok(FourBit { kind, block_size, numbers, packed, scales })
    }

    /// How many numbers there are.
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// The code book.
    pub fn kind(&self) -> FourBitType {
        self.kind
    }

    /// Numbers that share a scale.
    pub fn block_size(&self) -> usize {
        self.block_size
    }

    /// The scale `a` of a block.
    ///
    /// # Panics
    /// There is no such block.
    #[inline]
    pub fn scale(&self, block: usize) -> f32 {
        match &self.scales {
            Scales::Plain(singles) => f32::from_le_bytes(singles[block]),
            Scales::Nested(nested) => nested.scale(block),
        }
    }

    /// Decodes the numbers `first .. first + out.len()`, which may begin and end inside a block and inside a byte.
    ///
    /// ```
    /// use hps_llama::blocks::{FourBit, FourBitType};
    ///
    /// // 32 numbers; the first two codes are 15 and 0, which stand for 1 and −1, and the others 7, which stands for 0.
    /// let mut packed = [0x77; 16];
    /// packed[0] = 0xf0;
    /// let absmax = 2.5f32.to_le_bytes();
    /// let matrix = FourBit::new(FourBitType::Nf4, 32, 32, &packed, &absmax, None)?;
    /// let mut out = [0.0; 3];
    /// matrix.decode(0, &mut out);
    /// assert_eq!(out, [2.5, -2.5, 0.0]);
    /// # Ok::<(), hps_llama::Error>(())
    /// ```
    ///
    /// # Panics
    /// There are not so many numbers.
    pub fn decode(&self, first: usize, out: &mut [f32]) {
        let end = first.checked_add(out.len()).filter(|end| *end <= self.numbers);
        assert!(end.is_some(), "numbers {first} and {} more of {}", out.len(), self.numbers);
        let pairs = self.kind.pairs();
        let (mut first, mut out) = (first, out);
        while !out.is_empty() {
            let block = first / self.block_size;
            let run = (self.block_size - first % self.block_size).min(out.len());
            let (now, rest) = out.split_at_mut(run);
            decode_run(pairs, self.packed, first, self.scale(block), now);
            (first, out) = (first + run, rest);
        }
    }
}

/// The parts of doubly quantised scales, as a file has them.
#[derive(Debug, Clone, Copy)]
pub struct NestedParts<'a> {
    /// `nested_absmax`: a little-endian f32 for each `block_size` codes of `absmax`.
    pub absmax: &'a [u8],
    /// `nested_quant_map`: 256 little-endian f32.
    pub quant_map: &'a [u8],
    /// `nested_blocksize`.
    pub block_size: usize,
    /// `nested_offset`.
    pub offset: f32,
}

/// Numbers of one block.
#[inline(always)]
fn decode_run(pairs: &Pairs, packed: &[u8], first: usize, scale: f32, out: &mut [f32]) {
    let (head, out) = out.split_at_mut((first % 2).min(out.len()));
    if let [number] = head {
        *number = pairs[usize::from(packed[first / 2])][1] * scale;
    }
    let at = first.div_ceil(2);
    let (twos, last) = out.as_chunks_mut::<2>();
    let bytes = &packed[at..at + twos.len()];
    for (two, byte) in twos.iter_mut().zip(bytes) {
        let [high, low] = pairs[usize::from(*byte)];
        *two = [high * scale, low * scale];
    }
    if let [number] = last {
        *number = pairs[usize::from(packed[at + bytes.len()])][0] * scale;
    }
}

fn check_block_size(block_size: usize) -> Result<()> {
    if block_size.is_power_of_two() && (32..=4096).contains(&block_size) {
        return Ok(());
    }
    let message = format!("a block of {block_size} numbers is not known; powers of two from 32 to 4096 are");
    Err(Error::new(ErrorKind::Weights, message))
}

fn expect_bytes(part: &str, is: usize, needed: usize) -> Result<()> {
    if is == needed {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Weights, format!("{part} has {is} bytes but needs {needed}")))
}
