//! Matrices in codes: what they are made of, and where their parts lie on the device.
//!
//! | encoding | numbers of a block | bytes | number |
//! |---|---|---|---|
//! | `F16`, `BF16` | 1 | 2 | itself |
//! | `Q4_0`, `Q5_0`, `Q8_0` | 32 | 18, 22, 34 | `d · q` |
//! | `Q4_1`, `Q5_1` | 32 | 20, 24 | `d · q + m` |
//! | `Q2K`, `Q4K`, `Q5K` | 256 | 84, 144, 176 | `(d · s_j) · q − (e · t_j)`, with whole `s_j`, `t_j` for 16 or 32 numbers |
//! | `Q3K`, `Q6K` | 256 | 110, 210 | `(d · s_j) · q` |
//! | `Nf4`, `Fp4` | 32 to 4,096 | half a byte a number | `c_q · a`: `c` a book of sixteen, `a` the block's `absmax` |
//!
//! `d`, `m`, `e` are f16, and every product and sum is rounded to f32 as it stands: numbers are to the bit those of ggml and
//! of bitsandbytes, whose formats these are (`ggml-common.h` and `ggml-quants.c`; Dettmers et al., QLoRA, arXiv:2305.14314).

use crate::device::memory::Storage;
use crate::error::{Error, ErrorKind, Result, agree};

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

/// A code book of bitsandbytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FourBitType {
    /// Quantiles of the normal distribution, scaled to [−1, 1], with 0 among them.
    Nf4,
    /// Sign, two bits of exponent, one of fraction.
    Fp4,
}

/// The scales of a matrix of 4-bit codes, as a file has them.
#[derive(Debug, Clone, Copy)]
pub struct FourBitScales<'a> {
    /// The code book.
    pub kind: FourBitType,
    /// Numbers that share a scale: a power of two, 32 to 4,096. Blocks run over the matrix row by row, and may cross rows.
    pub block_size: usize,
    /// A little-endian f32 for each block; with `nested`, a byte for each.
    pub absmax: &'a [u8],
    /// What decodes them, where they are quantised themselves.
    pub nested: Option<NestedScales<'a>>,
}

/// Scales of scales: `a = map_s · b + offset` of a code `s`.
#[derive(Debug, Clone, Copy)]
pub struct NestedScales<'a> {
    /// `b`, a little-endian f32 for each `block_size` codes.
    pub absmax: &'a [u8],
    /// 256 little-endian f32.
    pub quant_map: &'a [u8],
    /// Codes that share a scale: a power of two, 32 to 4,096.
    pub block_size: usize,
    /// Added to every scale.
    pub offset: f32,
}

/// How the numbers of a matrix lie in its bytes, row by row.
#[derive(Debug, Clone, Copy)]
pub enum Encoding<'a> {
    /// IEEE 754 halves, little-endian.
    F16,
    /// bfloat16, little-endian.
    BF16,
    /// ggml's blocks; a row is whole blocks.
    Blocks(BlockType),
    /// bitsandbytes' codes, two a byte, the first in the high nibble.
    FourBit(FourBitScales<'a>),
}

/// A matrix in codes, as a file has it.
#[derive(Debug, Clone, Copy)]
pub struct Codes<'a> {
    /// How its numbers lie in its bytes.
    pub encoding: Encoding<'a>,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// All but the scales of 4-bit codes.
    pub bytes: &'a [u8],
    /// Rows of a head, of which rows are stored in the order `0, d/2, 1, d/2 + 1, …` of `d`, as GGUF has those of queries and
    /// keys.
    pub interleaved: Option<usize>,
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

    /// Numbers in a block.
    pub const fn numbers(self) -> usize {
        match self {
            BlockType::Q4_0 | BlockType::Q4_1 | BlockType::Q5_0 | BlockType::Q5_1 | BlockType::Q8_0 => 32,
            BlockType::Q2K | BlockType::Q3K | BlockType::Q4K | BlockType::Q5K | BlockType::Q6K => 256,
        }
    }

    /// Bytes of a block.
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
}

impl Encoding<'_> {
    /// The macro of the kernels for it.
    fn kernel(&self) -> u32 {
        match self {
            Encoding::F16 => 0,
            Encoding::BF16 => 1,
            Encoding::Blocks(block) => 2 + *block as u32,
            Encoding::FourBit(FourBitScales { kind: FourBitType::Nf4, .. }) => 12,
            Encoding::FourBit(FourBitScales { kind: FourBitType::Fp4, .. }) => 13,
        }
    }

    fn name(&self) -> &'static str {
        const NAMES: [&str; Coded::KERNELS] = [
            "float16", "bfloat16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k",
            "nf4", "fp4",
        ];
        NAMES[self.kernel() as usize]
    }
}

/// A matrix in codes on the device.
#[derive(Debug)]
pub(crate) struct Coded {
    rows: usize,
    columns: usize,
    interleaved: usize,
    kernel: u32,
    name: &'static str,
    codes: Storage,
    scales: Option<Scales>,
}

/// The scales of 4-bit codes there.
#[derive(Debug)]
struct Scales {
    absmax: Storage,
    /// Numbers of a block, as a power of two.
    block: u32,
    nested: Option<Nested>,
}

#[derive(Debug)]
struct Nested {
    absmax: Storage,
    quant_map: Storage,
    /// Scales of a block, as a power of two.
    block: u32,
    offset: f32,
}

impl Coded {
    /// Encodings, each of which has kernels of its own.
    pub const KERNELS: usize = 14;

    /// Checks a matrix, then uploads its parts.
    pub fn new(codes: &Codes<'_>, upload: impl Fn(&[u8]) -> Result<Storage>) -> Result<Coded> {
        let name = codes.encoding.name();
        codes.check(name)?;
        let scales = match &codes.encoding {
            Encoding::FourBit(scales) => Some(Scales {
                absmax: upload(scales.absmax)?,
                block: scales.block_size.trailing_zeros(),
                nested: scales.nested.map(|nested| Nested::new(&nested, &upload)).transpose()?,
            }),
            _ => None,
        };
        let Codes { rows, columns, .. } = *codes;
        let (interleaved, kernel) = (codes.interleaved.unwrap_or(0), codes.encoding.kernel());
        Ok(Coded { rows, columns, interleaved, kernel, name, codes: upload(codes.bytes)?, scales })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn address(&self) -> u64 {
        self.codes.address()
    }

    /// Of its encoding.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The macro of its kernels.
    pub fn define(&self) -> (&'static str, u32) {
        ("CODES", self.kernel)
    }

    /// What kernels are told of it, as they declare it: words of 64 bits, the later ones of two numbers each.
    pub fn words(&self) -> [u64; 7] {
        let (scales, nested) = (self.scales.as_ref(), self.scales.as_ref().and_then(|scales| scales.nested.as_ref()));
        let two = |first: u32, second: u32| u64::from(first) | u64::from(second) << 32;
        [
            self.codes.address(),
            scales.map_or(0, |scales| scales.absmax.address()),
            nested.map_or(0, |nested| nested.absmax.address()),
            nested.map_or(0, |nested| nested.quant_map.address()),
            // Below 2³¹, as `Codes::check` found.
            two(self.columns as u32, self.interleaved as u32),
            two(scales.map_or(0, |scales| scales.block), nested.map_or(0, |nested| nested.block)),
            two(nested.map_or(0, |nested| nested.offset.to_bits()), 0),
        ]
    }
}

impl Nested {
    fn new(scales: &NestedScales<'_>, upload: impl Fn(&[u8]) -> Result<Storage>) -> Result<Nested> {
        let (absmax, quant_map) = (upload(scales.absmax)?, upload(scales.quant_map)?);
        Ok(Nested { absmax, quant_map, block: scales.block_size.trailing_zeros(), offset: scales.offset })
    }
}

impl Codes<'_> {
    /// Refuses what kernels would read out of bounds.
    fn check(&self, name: &str) -> Result<()> {
        const MOST: usize = 1 << 31;
        const OPERATION: &str = "upload_codes";
        let refused = |message: String| Err(Error::new(ErrorKind::Shape, format!("{OPERATION}: {message}")));
        let Codes { rows, columns, .. } = *self;
        if rows >= MOST || columns >= MOST {
            return refused(format!("a matrix of {rows} x {columns}, and kernels count to {MOST}"));
        }
        if let Some(dimension) = self.interleaved
            && (dimension == 0 || !dimension.is_multiple_of(2) || !rows.is_multiple_of(dimension))
        {
            return refused(format!("{rows} rows are no heads of {dimension}, an even number"));
        }
        let numbers = rows * columns;
        let bytes = match &self.encoding {
            Encoding::F16 | Encoding::BF16 => 2 * numbers,
            Encoding::Blocks(block) if columns.is_multiple_of(block.numbers()) => {
                numbers / block.numbers() * block.bytes()
            }
            Encoding::Blocks(block) => {
                let numbers = block.numbers();
                return refused(format!(
                    "rows of {columns} numbers are no whole blocks of {name}, which has {numbers}"
                ));
            }
            Encoding::FourBit(_) => numbers.div_ceil(2),
        };
        agree(OPERATION, &format!("the number of bytes in {name}"), bytes, self.bytes.len())?;
        let Encoding::FourBit(scales) = &self.encoding else { return Ok(()) };
        for size in [Some(scales.block_size), scales.nested.map(|nested| nested.block_size)].into_iter().flatten() {
            if !size.is_power_of_two() || !(32..=4096).contains(&size) {
                return refused(format!("a block of {size} numbers, and powers of two from 32 to 4096 are known"));
            }
        }
        let blocks = numbers.div_ceil(scales.block_size);
        match &scales.nested {
            None => agree(OPERATION, "the number of bytes of `absmax`", 4 * blocks, scales.absmax.len()),
            Some(nested) => {
                agree(OPERATION, "the number of bytes of `absmax`", blocks, scales.absmax.len())?;
                let of_nested = 4 * blocks.div_ceil(nested.block_size);
                agree(OPERATION, "the number of bytes of `nested_absmax`", of_nested, nested.absmax.len())?;
                agree(OPERATION, "the number of bytes of `nested_quant_map`", 4 * 256, nested.quant_map.len())
            }
        }
    }
}
