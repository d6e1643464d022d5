//! Numbers of 16 bits: f16 and bf16.

use crate::program::Rounding;

#[inline(always)]
pub fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

pub fn from_f16(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(bits >> 10 & 31), u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => (fraction as f32 * 2f32.powi(-24)).to_bits(),
        31 => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// To the nearest bf16, ties to even; NaN becomes the one NaN that the hardware writes.
#[inline(always)]
pub fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
    if x.is_nan() { 0x7fff } else { rounded }
}

/// To a format of 16 bits with so many bits of fraction, from as much as an f64 knows.
fn narrow(x: f64, fraction: i32, exponents: i32, rounding: Rounding) -> u16 {
    let bias = (1 << (exponents - 1)) - 1;
    let sign = u16::from(x.is_sign_negative()) << 15;
    let infinite = ((1u16 << exponents) - 1) << fraction;
    if x.is_nan() {
        return 0x7fff;
    }
    let size = x.abs();
    if size.is_infinite() {
        return sign | infinite;
    }
    if size == 0.0 {
        return sign;
    }
    let exponent = ((size.to_bits() >> 52) as i32 - 1023).max(1 - bias);
    // The unit of the last place; dividing by it is exact.
    let scaled = size * 2f64.powi(fraction - exponent);
    let whole = match rounding {
        Rounding::Nearest => scaled.round_ties_even(),
        Rounding::Away => scaled.round(),
        Rounding::Zero => scaled.floor(),
        Rounding::Down => {
            if sign != 0 {
                scaled.ceil()
            } else {
                scaled.floor()
            }
        }
        Rounding::Up => {
            if sign != 0 {
                scaled.floor()
            } else {
                scaled.ceil()
            }
        }
    };
    // A carry out of the fraction goes where it belongs, into the exponent.
    let bits = i64::from(exponent + bias - 1) * (1 << fraction) + whole as i64;
    if bits >= i64::from(infinite) {
        let toward_zero = match rounding {
            Rounding::Zero => true,
            Rounding::Down => sign == 0,
            Rounding::Up => sign != 0,
            _ => false,
        };
        return sign | if toward_zero { infinite - 1 } else { infinite };
    }
    sign | bits as u16
}

pub fn to_f16(x: f64, rounding: Rounding) -> u16 {
    narrow(x, 10, 5, rounding)
}

pub fn to_bf16_rounded(x: f64, rounding: Rounding) -> u16 {
    narrow(x, 7, 8, rounding)
}

/// To 10 bits of fraction, as tensor cores read tf32: to the nearest, ties away from zero.
#[inline(always)]
pub fn to_tf32(x: f32) -> u32 {
    if x.is_finite() { x.to_bits().wrapping_add(0x1000) & 0xffff_e000 } else { x.to_bits() }
}
