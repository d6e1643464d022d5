//! Which sixteen numbers four bits stand for.

use crate::{Error, ErrorKind, Result};
use std::fmt;

/// A code book of bitsandbytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FourBitType {
    /// Quantiles of the normal distribution, scaled to [−1, 1], with 0 among them.
    Nf4,
    /// Sign, two bits of exponent, one of fraction.
    Fp4,
}

/// Two codes of a byte at once: the high nibble's number, then the low one's.
pub(super) type Pairs = [[f32; 2]; 256];

/// As bitsandbytes writes them, and each is the nearest f32.
const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Twelfths of 0, 1/16, 8, 12, 4, 6, 2, 3, and their negatives; the zero of the negatives is +0.
const FP4: [f32; 16] = {
    const SIZES: [f32; 8] = [0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0];
    let mut book = [0.0; 16];
    let mut code = 0;
    while code < 8 {
        book[code] = SIZES[code] / 12.0;
        book[code + 8] = if code == 0 { 0.0 } else { -SIZES[code] / 12.0 };
        code += 1;
    }
    book
};

static NF4_PAIRS: Pairs = pairs(&NF4);
static FP4_PAIRS: Pairs = pairs(&FP4);

const fn pairs(book: &[f32; 16]) -> Pairs {
    let mut pairs = [[0.0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [book[byte >> 4], book[byte & 15]];
        byte += 1;
    }
    pairs
}

impl FourBitType {
    /// The name as bitsandbytes and transformers' `bnb_4bit_quant_type` have it.
    pub const fn name(self) -> &'static str {
        match self {
            FourBitType::Nf4 => "nf4",
            FourBitType::Fp4 => "fp4",
        }
    }

    /// The type of that [name](Self::name).
    pub fn named(name: &str) -> Option<FourBitType> {
        [FourBitType::Nf4, FourBitType::Fp4].into_iter().find(|kind| kind.name() == name)
    }

    /// What the sixteen codes stand for, where `absmax` is 1; bitsandbytes' `quant_map`.
    ///
    /// ```
    /// use hps_llama::blocks::FourBitType;
    ///
    /// assert_eq!(FourBitType::Nf4.code_book()[7], 0.0);
    /// assert_eq!(FourBitType::Fp4.code_book()[3], 1.0);
    /// ```
    pub const fn code_book(self) -> &'static [f32; 16] {
        match self {
            FourBitType::Nf4 => &NF4,
            FourBitType::Fp4 => &FP4,
        }
    }

    pub(super) fn pairs(self) -> &'static Pairs {
        match self {
            FourBitType::Nf4 => &NF4_PAIRS,
            FourBitType::Fp4 => &FP4_PAIRS,
        }
    }

    /// Codes by the size of their numbers, as a stable sort leaves them.
    pub(super) const fn ascending(self) -> [u8; 16] {
        match self {
            FourBitType::Nf4 => [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
            FourBitType::Fp4 => [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3],
        }
    }
}

impl std::str::FromStr for FourBitType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = [FourBitType::Nf4, FourBitType::Fp4].into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| Error::new(ErrorKind::Option, format!("`{name}` is neither nf4 nor fp4")))
    }
}

impl fmt::Display for FourBitType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
