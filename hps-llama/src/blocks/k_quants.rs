//! ggml's blocks of 256 numbers, which hold scales of scales.
//!
//! | type | bytes, in their order | number |
//! |---|---|---|
//! | `q2_k` | scales and minima:16 (nibbles), codes:64, `d`:2, `e`:2 | `(d · s) · q − (e · t)` |
//! | `q3_k` | third bits:32, codes:64, scales:12, `d`:2 | `(d · (s − 32)) · (q − 4 if its third bit is 0)` |
//! | `q4_k` | `d`:2, `e`:2, scales and minima:12, codes:128 | `(d · s) · q − (e · t)` |
//! | `q5_k` | `d`:2, `e`:2, scales and minima:12, fifth bits:32, codes:128 | the same |
//! | `q6_k` | low nibbles:128, upper bits:64, scales:16 (signed), `d`:2 | `(d · s) · (q − 32)` |
//!
//! Scales hold for 16 numbers in `q2_k`, `q3_k`, `q6_k`, for 32 in `q4_k`, `q5_k`. Codes lie in planes: 32 bytes hold the
//! lowest bits of 32 numbers in a row, the next bits are those of the next 32. `d` and `e` are f16. Source: ggml's
//! `ggml-common.h` and `ggml-quants.c`; gguf-py's `quants.py`.

use super::half_float::single;
use super::panel::part;

/// Numbers of a block.
pub(super) const NUMBERS: usize = 256;

pub(super) const Q2_K: usize = 16 + 64 + 4;
pub(super) const Q3_K: usize = 32 + 64 + 12 + 2;
pub(super) const Q4_K: usize = 4 + 12 + 128;
pub(super) const Q5_K: usize = 4 + 12 + 32 + 128;
pub(super) const Q6_K: usize = 128 + 64 + 16 + 2;

type Numbers = [f32; NUMBERS];

/// Runs of 16 and of 32 numbers that share a scale.
const SIXTEEN: usize = 16;
const THIRTY_TWO: usize = 32;

#[inline(always)]
pub(super) fn q2_k(block: &[u8; Q2_K], out: &mut Numbers) {
    let scales: &[u8; 16] = part(block, 0);
    let (d, e) = (single(*part(block, 80)), single(*part(block, 82)));
    let runs = out.as_chunks_mut::<SIXTEEN>().0;
    for (j, out) in runs.iter_mut().enumerate() {
        let (scale, minimum) = (d * f32::from(scales[j] & 15), e * f32::from(scales[j] >> 4));
        let codes: &[u8; SIXTEEN] = part(block, 16 + plane_of_two_bits(j));
        let shift = 2 * (j % 8 / 2);
        for (number, code) in out.iter_mut().zip(codes) {
            *number = scale * f32::from(code >> shift & 3) - minimum;
        }
    }
}

#[inline(always)]
pub(super) fn q3_k(block: &[u8; Q3_K], out: &mut Numbers) {
    let d = single(*part(block, 108));
    let scales = six_bit_scales(part(block, 96)).map(|scale| d * f32::from(scale as i8 - 32));
    let thirds: &[u8; THIRTY_TWO] = part(block, 0);
    for (plane, (out, scales)) in planes(out, &scales).enumerate() {
        let codes: &[u8; THIRTY_TWO] = part(block, 32 + THIRTY_TWO * (plane / 4));
        let shift = 2 * (plane % 4);
        for i in 0..THIRTY_TWO {
            // 0 to 3 with the third bit, −4 to −1 without.
            let code = (codes[i] >> shift & 3) | (thirds[i] >> plane & 1) << 2;
            out[i] = scales[i] * (f32::from(code) - 4.0);
        }
    }
}

#[inline(always)]
pub(super) fn q4_k(block: &[u8; Q4_K], out: &mut Numbers) {
    let (d, e) = (single(*part(block, 0)), single(*part(block, 2)));
    let (scales, minima) = scales_and_minima(part(block, 4));
    let runs = out.as_chunks_mut::<THIRTY_TWO>().0;
    for (j, out) in runs.iter_mut().enumerate() {
        let (scale, minimum) = (d * f32::from(scales[j]), e * f32::from(minima[j]));
        let codes: &[u8; THIRTY_TWO] = part(block, 16 + THIRTY_TWO * (j / 2));
        let shift = 4 * (j % 2);
        for (number, code) in out.iter_mut().zip(codes) {
            *number = scale * f32::from(code >> shift & 15) - minimum;
        }
    }
}

#[inline(always)]
pub(super) fn q5_k(block: &[u8; Q5_K], out: &mut Numbers) {
    let (d, e) = (single(*part(block, 0)), single(*part(block, 2)));
    let (scales, minima) = scales_and_minima(part(block, 4));
    let fifths: &[u8; THIRTY_TWO] = part(block, 16);
    let runs = out.as_chunks_mut::<THIRTY_TWO>().0;
    for (j, out) in runs.iter_mut().enumerate() {
        let (scale, minimum) = (d * f32::from(scales[j]), e * f32::from(minima[j]));
        let codes: &[u8; THIRTY_TWO] = part(block, 48 + THIRTY_TWO * (j / 2));
        let shift = 4 * (j % 2);
        for ((number, code), bits) in out.iter_mut().zip(codes).zip(fifths) {
            let code = (code >> shift & 15) | (bits >> j & 1) << 4;
            *number = scale * f32::from(code) - minimum;
        }
    }
}

#[inline(always)]
pub(super) fn q6_k(block: &[u8; Q6_K], out: &mut Numbers) {
    let d = single(*part(block, 208));
    let scales = part::<16>(block, 192).map(|scale| d * f32::from(scale as i8));
    for (plane, (out, scales)) in planes(out, &scales).enumerate() {
        // Halves of 128 numbers; the low nibbles of two planes lie side by side, those of the other two above them.
        let (half, plane) = (plane / 4, plane % 4);
        let lower: &[u8; THIRTY_TWO] = part(block, 64 * half + THIRTY_TWO * (plane % 2));
        let upper: &[u8; THIRTY_TWO] = part(block, 128 + THIRTY_TWO * half);
        let (nibble, pair) = (4 * (plane / 2), 2 * plane);
        for i in 0..THIRTY_TWO {
            let code = (lower[i] >> nibble & 15) | (upper[i] >> pair & 3) << 4;
            out[i] = scales[i] * (f32::from(code) - 32.0);
        }
    }
}

/// Runs of 32 numbers, with the scale of each number: there is one for 16, but loops of 32 are what is vectorised.
#[inline(always)]
fn planes<'a>(
    out: &'a mut Numbers,
    scales: &'a [f32; 16],
) -> impl Iterator<Item = (&'a mut [f32; THIRTY_TWO], [f32; THIRTY_TWO])> {
    let scales = scales.as_chunks::<2>().0.iter();
    let spread = |[first, second]: &[f32; 2]| std::array::from_fn(|i| if i < 16 { *first } else { *second });
    out.as_chunks_mut().0.iter_mut().zip(scales.map(spread))
}

/// Where the two-bit codes of run `j` of 16 lie: halves of 128 numbers have 32 bytes, whose four planes are 32 numbers each.
#[inline(always)]
fn plane_of_two_bits(j: usize) -> usize {
    THIRTY_TWO * (j / 8) + SIXTEEN * (j % 2)
}

/// Eight scales and eight minima of six bits in twelve bytes: the first four of each lie whole, with the upper two bits of the
/// others above them; the lower four bits of those are nibbles.
#[inline(always)]
fn scales_and_minima(bytes: &[u8; 12]) -> ([u8; 8], [u8; 8]) {
    let (mut scales, mut minima) = ([0; 8], [0; 8]);
    for i in 0..4 {
        scales[i] = bytes[i] & 63;
        minima[i] = bytes[i + 4] & 63;
        scales[i + 4] = (bytes[i + 8] & 15) | (bytes[i] >> 6) << 4;
        minima[i + 4] = (bytes[i + 8] >> 4) | (bytes[i + 4] >> 6) << 4;
    }
    (scales, minima)
}

/// Sixteen scales of six bits in twelve bytes: nibbles in the first eight, the upper two bits in planes in the last four.
#[inline(always)]
fn six_bit_scales(bytes: &[u8; 12]) -> [u8; 16] {
    let mut scales = [0; 16];
    for (j, scale) in scales.iter_mut().enumerate() {
        let low = bytes[j % 8] >> (4 * (j / 8)) & 15;
        *scale = low | (bytes[8 + j % 4] >> (2 * (j / 4)) & 3) << 4;
    }
    scales
}
