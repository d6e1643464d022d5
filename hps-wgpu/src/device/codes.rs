//! Codes that stand for the numbers of a frozen matrix, as their bytes lie in a file.
//!
//! hps-llama's `blocks` says how each type's numbers are made of its codes, and decodes them on the CPU: to the bit the
//! numbers that a device makes.

use crate::error::{Error, ErrorKind, Result};

/// A type of ggml's blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockType {
    /// 32 numbers of 4 bits, one scale: 18 bytes.
    Q4_0,
    /// 32 numbers of 4 bits, scale and minimum: 20 bytes.
    Q4_1,
    /// 32 numbers of 5 bits, one scale: 22 bytes.
    Q5_0,
    /// 32 numbers of 5 bits, scale and minimum: 24 bytes.
    Q5_1,
    /// 32 numbers of 8 bits, one scale: 34 bytes.
    Q8_0,
    /// 256 numbers of 2 bits; scales and minima of 4 bits for 16 each: 84 bytes.
    Q2K,
    /// 256 numbers of 3 bits; scales of 6 bits for 16 each: 110 bytes.
    Q3K,
    /// 256 numbers of 4 bits; scales and minima of 6 bits for 32 each: 144 bytes.
    Q4K,
    /// 256 numbers of 5 bits; scales and minima of 6 bits for 32 each: 176 bytes.
    Q5K,
    /// 256 numbers of 6 bits; scales of 8 bits for 16 each: 210 bytes.
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

    /// Numbers in a block. A row of a matrix is whole blocks.
    pub const fn numbers(self) -> usize {
        match self {
            BlockType::Q4_0 | BlockType::Q4_1 | BlockType::Q5_0 | BlockType::Q5_1 | BlockType::Q8_0 => 32,
            BlockType::Q2K | BlockType::Q3K | BlockType::Q4K | BlockType::Q5K | BlockType::Q6K => 256,
        }
    }

    /// Bytes of a block in a file.
    pub const fn bytes(self) -> usize {
        match self {
            BlockType::Q4_0 => 18,
            BlockType::Q4_1 => 20,
            BlockType::Q5_0 => 22,
            BlockType::Q5_1 => 24,
            BlockType::Q8_0 => 34,
            BlockType::Q2K => 84,
            BlockType::Q3K => 110,
            BlockType::Q4K => 144,
            BlockType::Q5K => 176,
            BlockType::Q6K => 210,
        }
    }

    /// Where in a block that is no whole words its f16 scale stands, which leaves whole words.
    pub(crate) const fn lone_scale(self) -> Option<usize> {
        match self {
            BlockType::Q4_0 | BlockType::Q5_0 | BlockType::Q8_0 => Some(0),
            BlockType::Q3K | BlockType::Q6K => Some(self.bytes() - 2),
            BlockType::Q4_1 | BlockType::Q5_1 | BlockType::Q2K | BlockType::Q4K | BlockType::Q5K => None,
        }
    }
}

/// A matrix's codes, row by row.
#[derive(Debug, Clone, Copy)]
pub enum Codes<'a> {
    /// IEEE 754 halves, little-endian.
    Halves(&'a [u8]),
    /// ggml's blocks.
    Blocks(BlockType, &'a [u8]),
    /// Places in a code book of sixteen numbers.
    FourBit(FourBit<'a>),
}

/// Codes of four bits, as bitsandbytes has them: a number is `c_q · a`, the code book's number times its block's scale.
///
/// Blocks run over the matrix's numbers row by row, and cross rows where a row is no multiple of them.
#[derive(Debug, Clone, Copy)]
pub struct FourBit<'a> {
    /// What the sixteen codes stand for where the scale is 1.
    pub code_book: &'a [f32; 16],
    /// Numbers that share a scale: a power of two.
    pub block_size: usize,
    /// Two codes a byte, the first in its high nibble.
    pub codes: &'a [u8],
    /// A little-endian f32 for each block; with `nested`, a byte for each.
    pub absmax: &'a [u8],
    /// What decodes the scales, where they are codes themselves.
    pub nested: Option<Nested<'a>>,
}

/// Scales of scales: `a = map_s · b + offset`, the product rounded first.
#[derive(Debug, Clone, Copy)]
pub struct Nested<'a> {
    /// `b`, a little-endian f32 for each `block_size` scales.
    pub absmax: &'a [u8],
    /// 256 little-endian f32.
    pub quant_map: &'a [u8],
    /// Scales that share a `b`: a power of two.
    pub block_size: usize,
    /// Added to every scale.
    pub offset: f32,
}

impl Codes<'_> {
    /// Refuses parts that are not as long as the numbers of a matrix `[rows, columns]` need.
    pub(crate) fn check(&self, rows: usize, columns: usize) -> Result<()> {
        // What kernels count numbers with.
        let numbers = rows.checked_mul(columns).filter(|numbers| u32::try_from(*numbers).is_ok());
        let Some(numbers) = numbers else {
            return refuse(format!("[{rows}, {columns}] are more than 2^32 numbers"));
        };
        match self {
            Codes::Halves(bytes) => expect("the number of bytes", bytes, 2 * numbers),
            Codes::Blocks(kind, bytes) => {
                if !columns.is_multiple_of(kind.numbers()) {
                    return refuse(format!("rows of {columns} numbers are no whole blocks of {}", kind.numbers()));
                }
                expect("the number of bytes", bytes, numbers / kind.numbers() * kind.bytes())
            }
            Codes::FourBit(four_bit) => four_bit.check(numbers),
        }
    }
}

impl FourBit<'_> {
    fn check(&self, numbers: usize) -> Result<()> {
        let of_two = |size: usize| match size.is_power_of_two() && (32..=4096).contains(&size) {
            true => Ok(()),
            false => refuse(format!("a block of {size}, and powers of two from 32 to 4096 are known")),
        };
        of_two(self.block_size)?;
        expect("the number of bytes of the codes", self.codes, numbers.div_ceil(2))?;
        let blocks = numbers.div_ceil(self.block_size);
        let Some(nested) = &self.nested else {
            return expect("the number of bytes of `absmax`", self.absmax, 4 * blocks);
        };
        of_two(nested.block_size)?;
        expect("the number of bytes of `absmax`", self.absmax, blocks)?;
        expect("the number of bytes of the nested `absmax`", nested.absmax, 4 * blocks.div_ceil(nested.block_size))?;
        expect("the number of bytes of the nested `quant_map`", nested.quant_map, 4 * 256)
    }
}

fn expect(what: &str, bytes: &[u8], needed: usize) -> Result<()> {
    if bytes.len() == needed {
        return Ok(());
    }
    refuse(format!("{what} is {} where {needed} is needed", bytes.len()))
}

fn refuse(message: String) -> Result<()> {
    Err(Error::new(ErrorKind::Shape, format!("upload_codes: {message}")))
}
