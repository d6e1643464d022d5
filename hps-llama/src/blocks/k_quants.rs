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

/// Numbers whose codes lie side by side.
const PLANE: usize = 32;

#[inline(always)]
pub(super) fn q2_k(block: &[u8; Q2_K], out: &mut Numbers) {
    let (d, e) = (single(*part(block, 80)), single(*part(block, 82)));
    let scales = part::<16>(block, 0).map(|scale| d * f32::from(scale & 15));
    let minima = part::<16>(block, 0).map(|scale| e * f32::from(scale >> 4));
    for (plane, out) in planes(out) {
        let (scales, minima) = (of_each(&scales, plane), of_each(&minima, plane));
        let codes: &[u8; PLANE] = part(block, 16 + PLANE * (plane / 4));
        let shift = 2 * (plane % 4);
        for i in 0..PLANE {
            out[i] = scales[i] * f32::from(codes[i] >> shift & 3) - minima[i];
        }
    }
}

#[inline(always)]
pub(super) fn q3_k(block: &[u8; Q3_K], out: &mut Numbers) {
    let d = single(*part(block, 108));
    let scales = six_bit_scales(part(block, 96)).map(|scale| d * f32::from(scale as i8 - 32));
    let thirds: &[u8; PLANE] = part(block, 0);
    for (plane, out) in planes(out) {
        let scales = of_each(&scales, plane);
        let codes: &[u8; PLANE] = part(block, 32 + PLANE * (plane / 4));
        let shift = 2 * (plane % 4);
        for i in 0..PLANE {
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
    for (plane, out) in planes(out) {
        let (scale, minimum) = (d * f32::from(scales[plane]), e * f32::from(minima[plane]));
        let codes: &[u8; PLANE] = part(block, 16 + PLANE * (plane / 2));
        let shift = 4 * (plane % 2);
        for (number, code) in out.iter_mut().zip(codes) {
            *number = scale * f32::from(code >> shift & 15) - minimum;
        }
    }
}

#[inline(always)]
pub(super) fn q5_k(block: &[u8; Q5_K], out: &mut Numbers) {
    let (d, e) = (single(*part(block, 0)), single(*part(block, 2)));
    let (scales, minima) = scales_and_minima(part(block, 4));
    let fifths: &[u8; PLANE] = part(block, 16);
    for (plane, out) in planes(out) {
        let (scale, minimum) = (d * f32::from(scales[plane]), e * f32::from(minima[plane]));
        let codes: &[u8; PLANE] = part(block, 48 + PLANE * (plane / 2));
        let shift = 4 * (plane % 2);
        for ((number, code), bits) in out.iter_mut().zip(codes).zip(fifths) {
            let code = (code >> shift & 15) | (bits >> plane & 1) << 4;
            *number = scale * f32::from(code) - minimum;
        }
    }
}

#[inline(always)]
pub(super) fn q6_k(block: &[u8; Q6_K], out: &mut Numbers) {
    let d = single(*part(block, 208));
    let scales = part::<16>(block, 192).map(|scale| d * f32::from(scale as i8));
    for (plane, out) in planes(out) {
        let scales = of_each(&scales, plane);
        // Halves of 128 numbers; the low nibbles of two planes lie side by side, those of the other two above them.
        let (half, plane) = (plane / 4, plane % 4);
        let lower: &[u8; PLANE] = part(block, 64 * half + PLANE * (plane % 2));
        let upper: &[u8; PLANE] = part(block, 128 + PLANE * half);
        let (nibble, pair) = (4 * (plane / 2), 2 * plane);
        for i in 0..PLANE {
            let code = (lower[i] >> nibble & 15) | (upper[i] >> pair & 3) << 4;
            out[i] = scales[i] * (f32::from(code) - 32.0);
        }
    }
}

/// Runs of 32 numbers, by their place. Loops of 32 are what is vectorised, shorter ones hardly.
#[inline(always)]
fn planes(out: &mut Numbers) -> impl Iterator<Item = (usize, &mut [f32; PLANE])> {
    out.as_chunks_mut().0.iter_mut().enumerate()
}

/// The scale of each number of a plane, where there is one for 16.
#[inline(always)]
fn of_each(scales: &[f32; 16], plane: usize) -> [f32; PLANE] {
    std::array::from_fn(|i| scales[2 * plane + i / 16])
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
