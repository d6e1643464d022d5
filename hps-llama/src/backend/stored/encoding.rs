//! How a tensor's numbers lie in its bytes.

use crate::backend::StoredSize;
use crate::blocks::{BlockType, FourBit, FourBitType, NestedParts};
use crate::files::SharedBytes;
use crate::{Error, ErrorKind, Result};

/// Number type of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// IEEE 754 single.
    F32,
    /// IEEE 754 half.
    F16,
    /// bfloat16: the upper half of an f32.
    BF16,
}

impl Precision {
    /// Its name, as `dtype` has it.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "float32",
            Precision::F16 => "float16",
            Precision::BF16 => "bfloat16",
        }
    }

    /// What a matrix of so many rows and columns takes.
    pub fn size_of(self, (rows, columns): (usize, usize)) -> StoredSize {
        let numbers = rows as u64 * columns as u64;
        StoredSize { numbers, bytes: self.bytes() as u64 * numbers }
    }

    /// Bytes of a number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Precision::F32 => 4,
            Precision::F16 | Precision::BF16 => 2,
        }
    }
}

/// How the numbers of a tensor lie in its bytes, row by row.
#[derive(Debug, Clone)]
pub enum Encoding {
    /// Little-endian, one after the other.
    Numbers(Precision),
    /// ggml's blocks; a row is whole blocks.
    Blocks(BlockType),
    /// bitsandbytes' codes, two a byte, in blocks that may cross rows.
    FourBit(FourBitScales),
}

impl Encoding {
    /// The name of the type: `bfloat16`, `q4_k`, `nf4`.
    pub fn name(&self) -> &'static str {
        match self {
            Encoding::Numbers(precision) => precision.name(),
            Encoding::Blocks(block) => block.name(),
            Encoding::FourBit(scales) => scales.kind.name(),
        }
    }

    /// Bytes of a tensor's numbers besides its scales; `None` where rows are no whole blocks, or there are too many.
    pub(crate) fn bytes_of(&self, rows: usize, columns: usize) -> Option<usize> {
        match self {
            Encoding::Numbers(precision) => rows.checked_mul(columns)?.checked_mul(precision.bytes()),
            Encoding::Blocks(block) => block.bytes_of(columns)?.checked_mul(rows),
            Encoding::FourBit(_) => Some(rows.checked_mul(columns)?.div_ceil(2)),
        }
    }
}

/// The scales of a matrix of 4-bit codes.
#[derive(Debug, Clone)]
pub struct FourBitScales {
    /// The code book.
    pub kind: FourBitType,
    /// Numbers that share a scale.
    pub block_size: usize,
    /// An f32 for each block; with `nested`, a code for each.
    pub absmax: SharedBytes,
    /// What decodes them, where they are quantised themselves.
    pub nested: Option<NestedScales>,
}

/// Scales of scales.
#[derive(Debug, Clone)]
pub struct NestedScales {
    /// An f32 for each `block_size` codes.
    pub absmax: SharedBytes,
    /// 256 f32.
    pub quant_map: SharedBytes,
    /// Codes that share a scale.
    pub block_size: usize,
    /// Added to every scale.
    pub offset: f32,
}

impl FourBitScales {
    /// The matrix of these scales and `packed` codes.
    ///
    /// # Errors
    /// A part's length is not what `numbers` need.
    pub(crate) fn of<'a>(&'a self, numbers: usize, packed: &'a [u8]) -> Result<FourBit<'a>> {
        let nested = self.nested.as_ref().map(|nested| NestedParts {
            absmax: &nested.absmax,
            quant_map: &nested.quant_map,
            block_size: nested.block_size,
            offset: nested.offset,
        });
        FourBit::new(self.kind, self.block_size, numbers, packed, &self.absmax, nested)
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        let nested = self.nested.as_ref().map_or(0, |nested| nested.absmax.len() + nested.quant_map.len());
        self.absmax.len() + nested
    }
}

/// Refuses a tensor whose bytes are not as many as its numbers take.
pub(super) fn expect_whole(encoding: &Encoding, [rows, columns]: [usize; 2], bytes: &[u8]) -> Result<()> {
    let name = encoding.name();
    let Some(needed) = encoding.bytes_of(rows, columns) else {
        let message = format!("rows of {columns} numbers are no whole blocks of {name}");
        return Err(Error::new(ErrorKind::Weights, message));
    };
    if needed != bytes.len() {
        let message = format!("[{rows}, {columns}] in {name} takes {needed} bytes, and there are {}", bytes.len());
        return Err(Error::new(ErrorKind::Weights, message));
    }
    match encoding {
        Encoding::FourBit(scales) => scales.of(rows * columns, bytes).map(drop),
        _ => Ok(()),
    }
}
