//! Tensors of a file: type, dimensions, and where the bytes lie.

use crate::blocks::BlockType;
use std::fmt;
use std::ops::Range;

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorType {
    /// IEEE 754 single.
    F32,
    /// IEEE 754 half.
    F16,
    /// bfloat16: the upper half of an f32.
    BF16,
    /// Blocks of a few bits a number.
    Blocks(BlockType),
}

/// All that are read.
const READ: [TensorType; 13] = [
    TensorType::F32,
    TensorType::F16,
    TensorType::BF16,
    TensorType::Blocks(BlockType::Q4_0),
    TensorType::Blocks(BlockType::Q4_1),
    TensorType::Blocks(BlockType::Q5_0),
    TensorType::Blocks(BlockType::Q5_1),
    TensorType::Blocks(BlockType::Q8_0),
    TensorType::Blocks(BlockType::Q2K),
    TensorType::Blocks(BlockType::Q3K),
    TensorType::Blocks(BlockType::Q4K),
    TensorType::Blocks(BlockType::Q5K),
    TensorType::Blocks(BlockType::Q6K),
];

/// Types that have a name and are not read.
const NOT_READ: [(u32, &str); 29] = [
    (4, "q4_2"),
    (5, "q4_3"),
    (9, "q8_1"),
    (15, "q8_k"),
    (16, "iq2_xxs"),
    (17, "iq2_xs"),
    (18, "iq3_xxs"),
    (19, "iq1_s"),
    (20, "iq4_nl"),
    (21, "iq3_s"),
    (22, "iq2_s"),
    (23, "iq4_xs"),
    (24, "i8"),
    (25, "i16"),
    (26, "i32"),
    (27, "i64"),
    (28, "f64"),
    (29, "iq1_m"),
    (31, "q4_0_4_4"),
    (32, "q4_0_4_8"),
    (33, "q4_0_8_8"),
    (34, "tq1_0"),
    (35, "tq2_0"),
    (36, "iq4_nl_4_4"),
    (37, "iq4_nl_4_8"),
    (38, "iq4_nl_8_8"),
    (39, "mxfp4"),
    (40, "nvfp4"),
    (41, "q1_0"),
];

impl TensorType {
    /// ggml's number of the type.
    pub const fn number(self) -> u32 {
        match self {
            TensorType::F32 => 0,
            TensorType::F16 => 1,
            TensorType::BF16 => 30,
            TensorType::Blocks(BlockType::Q4_0) => 2,
            TensorType::Blocks(BlockType::Q4_1) => 3,
            TensorType::Blocks(BlockType::Q5_0) => 6,
            TensorType::Blocks(BlockType::Q5_1) => 7,
            TensorType::Blocks(BlockType::Q8_0) => 8,
            TensorType::Blocks(BlockType::Q2K) => 10,
            TensorType::Blocks(BlockType::Q3K) => 11,
            TensorType::Blocks(BlockType::Q4K) => 12,
            TensorType::Blocks(BlockType::Q5K) => 13,
            TensorType::Blocks(BlockType::Q6K) => 14,
        }
    }

    /// The type of a number, or what else the number stands for.
    pub(super) fn numbered(number: u32) -> Result<TensorType, String> {
        if let Some(kind) = READ.into_iter().find(|kind| kind.number() == number) {
            return Ok(kind);
        }
        let name =
            NOT_READ.iter().find(|(other, _)| *other == number).map_or("a type that is not known", |(_, name)| name);
        let read: Vec<&str> = READ.iter().map(|kind| kind.name()).collect();
        Err(format!("{name} (ggml's type {number}), which is not read; {} are", read.join(", ")))
    }

    /// The name as llama.cpp spells it, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            TensorType::F32 => "f32",
            TensorType::F16 => "f16",
            TensorType::BF16 => "bf16",
            TensorType::Blocks(block) => block.name(),
        }
    }

    /// Numbers that are stored together: a row is a multiple of it.
    pub const fn numbers(self) -> usize {
        match self {
            TensorType::Blocks(block) => block.numbers(),
            _ => 1,
        }
    }

    /// Bytes of `numbers` numbers; `None` where they are not whole blocks, or too many to count.
    pub const fn bytes_of(self, numbers: usize) -> Option<usize> {
        match self {
            TensorType::F32 => numbers.checked_mul(4),
            TensorType::F16 | TensorType::BF16 => numbers.checked_mul(2),
            TensorType::Blocks(block) => block.bytes_of(numbers),
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A tensor of an open file.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// How its numbers are stored.
    pub kind: TensorType,
    /// As in the file, the innermost first: a matrix `[rows, columns]` has `[columns, rows]`.
    pub dimensions: &'a [usize],
    /// The numbers, as stored.
    pub bytes: &'a [u8],
}

impl Tensor<'_> {
    /// The innermost dimension: numbers that lie side by side.
    pub fn columns(&self) -> usize {
        self.dimensions[0]
    }

    /// The product of all other dimensions; 1 of a vector.
    pub fn rows(&self) -> usize {
        self.dimensions[1..].iter().product()
    }
}

/// What a header says of a tensor.
#[derive(Debug)]
pub(super) struct TensorEntry {
    pub(super) name: String,
    kind: TensorType,
    dimensions: Vec<usize>,
    /// Counted from the first tensor's place, until that is known; then from the file's first byte.
    pub(super) begin: usize,
    pub(super) length: usize,
}

impl TensorEntry {
    /// The error tells what is wrong with the tensor.
    pub(super) fn new(name: &str, kind: TensorType, dimensions: &[u64], offset: u64) -> Result<TensorEntry, String> {
        let large = || format!("of {dimensions:?} numbers at offset {offset} is larger than any file");
        if dimensions.contains(&0) {
            return Err(format!("has no numbers: its dimensions are {dimensions:?}"));
        }
        let size = |number: &u64| usize::try_from(*number).map_err(|_| large());
        let begin = size(&offset)?;
        let sizes = dimensions.iter().map(size).collect::<Result<Vec<usize>, String>>()?;
        let columns = sizes.first().copied().unwrap_or(1);
        if !columns.is_multiple_of(kind.numbers()) {
            let message = format!("has rows of {columns} numbers; {kind} needs multiples of {}", kind.numbers());
            return Err(message);
        }
        let numbers = sizes.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
        let length = numbers.and_then(|numbers| kind.bytes_of(numbers)).ok_or_else(large)?;
        Ok(TensorEntry { name: name.to_string(), kind, dimensions: sizes, begin, length })
    }

    /// Where its bytes lie in the file.
    pub(super) fn range(&self) -> Range<usize> {
        self.begin..self.begin + self.length
    }

    pub(super) fn tensor<'a>(&'a self, file: &'a [u8]) -> Tensor<'a> {
        let bytes = &file[self.range()];
        Tensor { name: &self.name, kind: self.kind, dimensions: &self.dimensions, bytes }
    }
}
