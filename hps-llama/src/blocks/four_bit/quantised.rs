//! Quantising to four bits, as bitsandbytes' CPU build does it, to the bit.

use super::nested::dynamic_map;
use super::{FourBit, FourBitType, NestedParts, check_block_size};
use crate::{Error, ErrorKind, Result};
use rayon::prelude::*;

/// Numbers that a thread quantises at a time; a multiple of every block size.
const CHUNK: usize = 1 << 14;

/// Numbers whose codes are looked for together; the smallest block.
const PIECE: usize = 32;

/// Scales that share a scale.
const NESTED_BLOCK: usize = 256;

/// Scales smaller than this are divided by it instead; bitsandbytes' constant.
const LEAST: f32 = 1e-38;

/// A matrix that was quantised: its parts as bitsandbytes' files hold them.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantisedFourBit {
    /// The code book.
    pub kind: FourBitType,
    /// Numbers that share a scale.
    pub block_size: usize,
    /// How many numbers there are.
    pub numbers: usize,
    /// Two codes a byte, the first in the high nibble.
    pub packed: Vec<u8>,
    /// Little-endian f32, or with `nested` a code of [`dynamic_map`], for each block.
    pub absmax: Vec<u8>,
    /// What the codes of `absmax` are scaled by.
    pub nested: Option<QuantisedScales>,
}

/// What doubly quantised scales are made of, beside their codes.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantisedScales {
    /// `nested_absmax`: a little-endian f32 for each 256 codes.
    pub absmax: Vec<u8>,
    /// `nested_quant_map`: [`dynamic_map`], little-endian.
    pub quant_map: Vec<u8>,
    /// `nested_blocksize`.
    pub block_size: usize,
    /// `nested_offset`.
    pub offset: f32,
}

/// Whether scales are quantised, too; `bnb_4bit_use_double_quant`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DoubleQuantisation {
    /// An f32 a block.
    Off,
    /// Eight bits a block, around the scales' mean, which is summed in f64 and rounded once. bitsandbytes sums in f32, in
    /// an order that depends on the machine.
    AroundMean,
    /// The same around an offset that is given.
    Around(f32),
}

impl QuantisedFourBit {
    /// What decodes it.
    ///
    /// # Errors
    /// A part was changed and has another length.
    pub fn view(&self) -> Result<FourBit<'_>> {
        let nested = self.nested.as_ref().map(|nested| NestedParts {
            absmax: &nested.absmax,
            quant_map: &nested.quant_map,
            block_size: nested.block_size,
            offset: nested.offset,
        });
        FourBit::new(self.kind, self.block_size, self.numbers, &self.packed, &self.absmax, nested)
    }
}

impl FourBitType {
    /// Quantises `numbers` numbers, row by row, in parallel.
    ///
    /// With `a = max |x|` of a block, the code of `x` is that of the number of the code book nearest to `x · (1 / a)`; the
    /// lower one at a tie. What bitsandbytes does else: a short last block divides by `a`; no `a` below 10⁻³⁸ is divided by,
    /// and in the short block none is kept.
    ///
    /// * `read`: gives the numbers from an index on, as [`FourBit::decode`] does.
    ///
    /// ```
    /// use hps_llama::blocks::{DoubleQuantisation, FourBitType};
    ///
    /// let numbers: Vec<f32> = (0..64).map(|i| (i as f32).sin()).collect();
    /// let read = |first: usize, out: &mut [f32]| out.copy_from_slice(&numbers[first..first + out.len()]);
    /// let matrix = FourBitType::Nf4.quantise(64, 64, DoubleQuantisation::Off, read)?;
    /// let mut decoded = [0.0; 64];
    /// matrix.view()?.decode(0, &mut decoded);
    /// // Half of the widest gap between two neighbours of the code book.
    /// assert!(numbers.iter().zip(decoded).all(|(number, decoded)| (number - decoded).abs() < 0.153));
    /// # Ok::<(), hps_llama::Error>(())
    /// ```
    ///
    /// # Errors
    /// The block size is not known, or a number or the offset is not finite.
    pub fn quantise(
        self,
        numbers: usize,
        block_size: usize,
        double: DoubleQuantisation,
        read: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Result<QuantisedFourBit> {
        check_block_size(block_size)?;
        let mut packed = vec![0; numbers.div_ceil(2)];
        let mut scales = vec![0.0; numbers.div_ceil(block_size)];
        let bounds = self.bounds();
        let order = self.ascending();
        let chunk = |scratch: &mut Vec<f32>, (index, (packed, scales)): (usize, (&mut [u8], &mut [f32]))| {
            let first = index * CHUNK;
            scratch.resize(CHUNK.min(numbers - first), 0.0);
            read(first, scratch);
            let packed = packed.chunks_mut(block_size / 2);
            let mut finite = true;
            for ((block, packed), scale) in scratch.chunks(block_size).zip(packed).zip(scales) {
                *scale = greatest(block);
                finite &= scale.is_finite();
                encode(block, block_size, scale, &bounds, &order, packed);
            }
            if finite {
                return None;
            }
            let wrong = scratch.iter().position(|number| !number.is_finite())?;
            Some((first + wrong, scratch[wrong]))
        };
        let chunks = packed.par_chunks_mut(CHUNK / 2).zip(scales.par_chunks_mut(CHUNK / block_size)).enumerate();
        let wrong = chunks.map_init(Vec::new, chunk).flatten().min_by_key(|(index, _)| *index);
        if let Some((index, number)) = wrong {
            return Err(Error::new(ErrorKind::NonFinite, format!("number {index} is {number}, which has no code")));
        }
        let offset = match double {
            DoubleQuantisation::Off => None,
            DoubleQuantisation::Around(offset) => Some(offset),
            DoubleQuantisation::AroundMean => {
                let sum: f64 = scales.iter().map(|scale| f64::from(*scale)).sum();
                Some((sum / scales.len().max(1) as f64) as f32)
            }
        };
        let bytes = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
        let (absmax, nested) = match offset {
            None => (bytes(&scales), None),
            Some(offset) if !offset.is_finite() => {
                return Err(Error::new(ErrorKind::NonFinite, format!("the scales' offset is {offset}")));
            }
            Some(offset) => {
                let (codes, absmax) = eight_bits(&scales, offset);
                let (absmax, quant_map) = (bytes(&absmax), bytes(dynamic_map()));
                (codes, Some(QuantisedScales { absmax, quant_map, block_size: NESTED_BLOCK, offset }))
            }
        };
        Ok(QuantisedFourBit { kind: self, block_size, numbers, packed, absmax, nested })
    }

    /// The middles between neighbours of the code book. (`fp4` has 0 twice, and a bound at 0 between them.)
    fn bounds(self) -> [f32; 15] {
        let sorted = self.ascending().map(|code| self.code_book()[usize::from(code)]);
        std::array::from_fn(|i| (sorted[i] + sorted[i + 1]) / 2.0)
    }
}

fn greatest(block: &[f32]) -> f32 {
    // As whole numbers: a loop without branches.
    f32::from_bits(block.iter().fold(0, |greatest, number| greatest.max(number.to_bits() & 0x7fff_ffff)))
}

/// The codes of one block; `scale` becomes what is kept.
fn encode(block: &[f32], block_size: usize, scale: &mut f32, bounds: &[f32; 15], order: &[u8; 16], packed: &mut [u8]) {
    let divisor = scale.max(LEAST);
    let whole = block.len() == block_size;
    if !whole {
        *scale = divisor;
    }
    let inverse = 1.0 / divisor;
    // A piece at a time, and each bound for all of it: loops without branches.
    for (numbers, packed) in block.chunks(PIECE).zip(packed.chunks_mut(PIECE / 2)) {
        let mut scaled = [0.0; PIECE];
        for (scaled, number) in scaled.iter_mut().zip(numbers) {
            *scaled = if whole { number * inverse } else { number / divisor };
        }
        let mut places = [0u32; PIECE];
        for bound in bounds {
            for (place, scaled) in places.iter_mut().zip(scaled) {
                *place += u32::from(scaled > *bound);
            }
        }
        // Behind the last number are zeros, and zero's code is what bitsandbytes fills a byte with.
        for (byte, [high, low]) in packed.iter_mut().zip(places.as_chunks::<2>().0) {
            *byte = order[*high as usize & 15] << 4 | order[*low as usize & 15];
        }
    }
}

/// Scales less an offset as codes of [`dynamic_map`], and the f32 of each 256 that they are to be multiplied by.
///
/// `s` is looked for from `x / b` rounded to one of 65,536 even steps in [−1, 1]: what bitsandbytes' CPU build does.
fn eight_bits(scales: &[f32], offset: f32) -> (Vec<u8>, Vec<f32>) {
    const STEPS: f32 = 65_535.0;
    let map = dynamic_map();
    let middles: [f32; 255] = std::array::from_fn(|i| 0.5 * (map[i] + map[i + 1]));
    let code = |scaled: f32| {
        let half = (f64::from(scaled.clamp(-1.0, 1.0)) + 1.0) as f32 * 0.5;
        // A multiplication and an addition rounded once, exact in f64 before.
        let step = (f64::from(half) * f64::from(STEPS) + 0.5) as f32 as u16;
        let even = -1.0 + (2.0 * f32::from(step)) / STEPS;
        middles.partition_point(|middle| *middle < even) as u8
    };
    let mut codes = Vec::with_capacity(scales.len());
    let mut absmax = Vec::with_capacity(scales.len().div_ceil(NESTED_BLOCK));
    for block in scales.chunks(NESTED_BLOCK) {
        let block: Vec<f32> = block.iter().map(|scale| scale - offset).collect();
        let scale = greatest(&block);
        let inverse = 1.0 / scale;
        codes.extend(block.iter().map(|number| if scale == 0.0 { 0 } else { code(number * inverse) }));
        absmax.push(scale);
    }
    (codes, absmax)
}
