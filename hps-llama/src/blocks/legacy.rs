//! ggml's blocks of 32 numbers: `d · q`, and `d · q + m`.
//!
//! | type | bytes | codes |
//! |---|---|---|
//! | `q4_0` | `d`:2, 16 | `q_i` = low nibble of byte `i`, `q_{i+16}` = its high nibble; minus 8 |
//! | `q4_1` | `d`:2, `m`:2, 16 | the same, without the 8 |
//! | `q5_0` | `d`:2, `h`:4, 16 | as `q4_0`, and bit `i` of `h` is the fifth of `q_i`; minus 16 |
//! | `q5_1` | `d`:2, `m`:2, `h`:4, 16 | the same, without the 16 |
//! | `q8_0` | `d`:2, 32 | a signed byte |
//!
//! `d` and `m` are f16. Source: ggml's `ggml-common.h` and `ggml-quants.c`; gguf-py's `quants.py`.

use super::half_float::single;
use super::panel::part;
use crate::{Error, ErrorKind, Result};
use half::f16;
use rayon::prelude::*;

/// Numbers of a block.
pub(super) const NUMBERS: usize = 32;
const HALF: usize = NUMBERS / 2;

pub(super) const Q4_0: usize = 2 + HALF;
pub(super) const Q4_1: usize = 4 + HALF;
pub(super) const Q5_0: usize = 6 + HALF;
pub(super) const Q5_1: usize = 8 + HALF;
pub(super) const Q8_0: usize = 2 + NUMBERS;

type Numbers = [f32; NUMBERS];

#[inline(always)]
pub(super) fn q4_0(block: &[u8; Q4_0], out: &mut Numbers) {
    let d = single(*part(block, 0));
    nibbles(part(block, 2), out, |q| d * (f32::from(q) - 8.0));
}

#[inline(always)]
pub(super) fn q4_1(block: &[u8; Q4_1], out: &mut Numbers) {
    let (d, m) = (single(*part(block, 0)), single(*part(block, 2)));
    nibbles(part(block, 4), out, |q| d * f32::from(q) + m);
}

#[inline(always)]
pub(super) fn q5_0(block: &[u8; Q5_0], out: &mut Numbers) {
    let d = single(*part(block, 0));
    five_bits(part(block, 2), part(block, 6), out, |q| d * (f32::from(q) - 16.0));
}

#[inline(always)]
pub(super) fn q5_1(block: &[u8; Q5_1], out: &mut Numbers) {
    let (d, m) = (single(*part(block, 0)), single(*part(block, 2)));
    five_bits(part(block, 4), part(block, 8), out, |q| d * f32::from(q) + m);
}

#[inline(always)]
pub(super) fn q8_0(block: &[u8; Q8_0], out: &mut Numbers) {
    let d = single(*part(block, 0));
    let codes: &[u8; NUMBERS] = part(block, 2);
    for (number, q) in out.iter_mut().zip(codes) {
        *number = f32::from(*q as i8) * d;
    }
}

/// Numbers of codes of four bits: the low nibbles of 16 bytes, then the high ones.
#[inline(always)]
fn nibbles(bytes: &[u8; HALF], out: &mut Numbers, number: impl Fn(u8) -> f32) {
    let codes: [u8; NUMBERS] = std::array::from_fn(|i| if i < HALF { bytes[i] & 15 } else { bytes[i - HALF] >> 4 });
    for (out, code) in out.iter_mut().zip(codes) {
        *out = number(code);
    }
}

/// Numbers of codes of five bits: nibbles, and the fifth bits in one word.
#[inline(always)]
fn five_bits(fifths: &[u8; 4], bytes: &[u8; HALF], out: &mut Numbers, number: impl Fn(u8) -> f32) {
    let fifths = fifths.map(spread);
    let fifths = fifths.as_flattened();
    let nibble = |i: usize| if i < HALF { bytes[i] & 15 } else { bytes[i - HALF] >> 4 };
    let codes: [u8; NUMBERS] = std::array::from_fn(|i| nibble(i) | fifths[i]);
    for (out, code) in out.iter_mut().zip(codes) {
        *out = number(code);
    }
}

/// The eight bits of a byte, each as 16 in a byte of its own: all at once in a word.
#[inline(always)]
fn spread(bits: u8) -> [u8; 8] {
    let own = (u64::from(bits) * 0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
    // What is not 0 carries into its byte's highest bit.
    ((own + 0x7f7f_7f7f_7f7f_7f7f) >> 3 & 0x1010_1010_1010_1010).to_le_bytes()
}

/// Blocks that a thread quantises at a time.
const CHUNK: usize = 256;

/// Quantises `numbers` numbers to `q8_0`, in parallel.
///
/// `d = max |x| / 127` and `q = round(x · (1 / d))`, halves away from zero, with the f32 `d`; what is kept of it is the
/// nearest f16. These are ggml's `quantize_row_q8_0_ref` and gguf-py's `quantize`, to the bit. Where `1 / d` is no finite f32
/// every `q` is 0: the f16 `d` is 0 there, too.
///
/// * `read`: gives the numbers from an index on, as [`BlockType::decode`](super::BlockType::decode) does.
///
/// ```
/// use hps_llama::blocks::{BlockType, quantise_q8_0};
///
/// let numbers: Vec<f32> = (0..32).map(|i| (i as f32 - 15.5) / 15.5).collect();
/// let bytes = quantise_q8_0(32, |first, out| out.copy_from_slice(&numbers[first..first + out.len()]))?;
/// let mut decoded = [0.0; 32];
/// BlockType::Q8_0.decode(&bytes, 0, &mut decoded);
/// // Half a step of 1 / 127, and the rounding of the scale to f16.
/// assert!(numbers.iter().zip(decoded).all(|(number, decoded)| (number - decoded).abs() < 0.5 / 127.0 + 5e-4));
/// # Ok::<(), hps_llama::Error>(())
/// ```
///
/// # Errors
/// The numbers are no whole blocks, one is not finite, or one is so large that `d` is no finite f16 (127 · 65,520).
pub fn quantise_q8_0(numbers: usize, read: impl Fn(usize, &mut [f32]) + Sync) -> Result<Vec<u8>> {
    if !numbers.is_multiple_of(NUMBERS) {
        let message = format!("{numbers} numbers are no whole blocks of {NUMBERS}, which q8_0 needs");
        return Err(Error::new(ErrorKind::Weights, message));
    }
    let mut bytes = vec![0; numbers / NUMBERS * Q8_0];
    let chunk = |scratch: &mut Vec<f32>, (index, out): (usize, &mut [u8])| {
        let (out, _) = out.as_chunks_mut::<Q8_0>();
        scratch.resize(out.len() * NUMBERS, 0.0);
        read(index * CHUNK * NUMBERS, scratch);
        let blocks = scratch.as_chunks::<NUMBERS>().0;
        let wrong = out.iter_mut().zip(blocks).position(|(out, block)| !encode_q8_0(block, out))?;
        let inside = blocks[wrong].iter().position(|number| !scale_of(number.abs()).is_finite())?;
        Some(((index * CHUNK + wrong) * NUMBERS + inside, blocks[wrong][inside]))
    };
    let chunks = bytes.par_chunks_mut(CHUNK * Q8_0).enumerate();
    let wrong = chunks.map_init(Vec::new, chunk).flatten().min_by_key(|(index, _)| *index);
    let Some((index, number)) = wrong else { return Ok(bytes) };
    let message = format!("number {index} is {number}; q8_0 holds up to 127 · 65504");
    Err(Error::new(ErrorKind::NonFinite, message))
}

/// The scale that is kept for a greatest number.
fn scale_of(greatest: f32) -> f16 {
    f16::from_f32(greatest / 127.0)
}

/// Whether all numbers could be kept.
fn encode_q8_0(block: &Numbers, out: &mut [u8; Q8_0]) -> bool {
    // As whole numbers, so that a NaN is the greatest.
    let greatest = block.iter().fold(0u32, |greatest, number| greatest.max(number.to_bits() & 0x7fff_ffff));
    let greatest = f32::from_bits(greatest);
    let scale = scale_of(greatest);
    if !scale.is_finite() {
        return false;
    }
    let inverse = 1.0 / (greatest / 127.0);
    let (head, codes) = out.split_at_mut(2);
    head.copy_from_slice(&scale.to_le_bytes());
    for (code, number) in codes.iter_mut().zip(block) {
        let number = if inverse.is_finite() { number * inverse } else { 0.0 };
        // Halves away from zero; `f32::round` is a call for each number.
        let whole = number as i32;
        let rest = number - whole as f32;
        *code = (whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)) as u8;
    }
    true
}
