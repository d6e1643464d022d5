//! Conversions between types.

use super::float::to_f32;
use crate::half::{from_bf16, from_f16, to_bf16, to_bf16_rounded, to_f16, to_tf32};
use crate::program::{Code, Instr, Rounding, Ty, flag};
use crate::run::file::File;
use crate::run::lanes::{each, lanes, one, two};

/// Runs a conversion.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
pub fn convert(file: &mut File, i: &Instr, m: u32) {
    let plain = i.flags & (flag::FLUSH | flag::RELU) == 0;
    // Registers of the types' own widths.
    let narrow = i.b <= 32 && i.e <= 32;
    match i.code {
        Code::ConvertPair(ty, rounding) => two!(file, i, m, f32, f32 => u32, |a, b| {
            let to = |x: f32| {
                let x = if i.flags & flag::RELU != 0 && x < 0.0 { 0.0 } else { x };
                match (ty, rounding) {
                    (Ty::Bf16x2, Rounding::Nearest) => to_bf16(x),
                    (Ty::Bf16x2, _) => to_bf16_rounded(f64::from(x), rounding),
                    _ => to_f16(f64::from(x), rounding),
                }
            };
            u32::from(to(a)) << 16 | u32::from(to(b))
        }),
        Code::ConvertTf32 => one!(file, i, m, f32 => u32, |a| to_tf32(a)),
        Code::Convert { to, from, rounding, integral, saturate } if plain && !saturate => match (to, from) {
            (Ty::F32, Ty::S32) if narrow && rounding == Rounding::Nearest => one!(file, i, m, i32 => f32, |a| a as f32),
            (Ty::F32, Ty::U32) if narrow && rounding == Rounding::Nearest => one!(file, i, m, u32 => f32, |a| a as f32),
            (Ty::S32, Ty::F32) if narrow && rounding == Rounding::Zero => one!(file, i, m, f32 => i32, |a| a as i32),
            (Ty::U32, Ty::F32) if narrow && rounding == Rounding::Zero => one!(file, i, m, f32 => u32, |a| a as u32),
            (Ty::F64, Ty::F32) => one!(file, i, m, f32 => f64, |a| f64::from(a)),
            (Ty::F32, Ty::F64) if rounding == Rounding::Nearest && !integral => {
                one!(file, i, m, f64 => f32, |a| a as f32)
            }
            (Ty::F32, Ty::Bf16) if narrow => one!(file, i, m, u16 => f32, |a| from_bf16(a)),
            (Ty::F32, Ty::F16) if narrow => one!(file, i, m, u16 => f32, |a| from_f16(a)),
            (Ty::Bf16, Ty::F32) if narrow && rounding == Rounding::Nearest => {
                one!(file, i, m, f32 => u16, |a| to_bf16(a))
            }
            (Ty::U64 | Ty::S64, Ty::U32) if i.b == 32 && i.e == 64 => one!(file, i, m, u32 => u64, |a| u64::from(a)),
            (Ty::U64 | Ty::S64, Ty::S32) if i.b == 32 && i.e == 64 => one!(file, i, m, i32 => i64, |a| i64::from(a)),
            (Ty::U32 | Ty::S32, Ty::U64 | Ty::S64) if i.b == 64 && i.e == 32 => {
                one!(file, i, m, u64 => u32, |a| a as u32)
            }
            (Ty::U32 | Ty::S32, Ty::U16) if narrow && i.e == 32 => one!(file, i, m, u16 => u32, |a| u32::from(a)),
            (Ty::U32 | Ty::S32, Ty::S16) if narrow && i.e == 32 => one!(file, i, m, i16 => i32, |a| i32::from(a)),
            (Ty::U16 | Ty::S16, Ty::U32 | Ty::S32) if narrow && i.e == 16 => one!(file, i, m, u32 => u16, |a| a as u16),
            _ => slowly(file, i, m),
        },
        _ => slowly(file, i, m),
    }
}

/// A number on its way from one type to another.
#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
}

fn slowly(file: &mut File, i: &Instr, m: u32) {
    let Code::Convert { to, from, rounding, integral, saturate } = i.code else {
        unreachable!("{:?} is no conversion", i.code)
    };
    for lane in lanes(m) {
        let bits = file.get_bits(i.a, i.b, lane);
        let value = convert_one(bits, to, from, rounding, integral, saturate, i.flags);
        // A number narrower than its register fills it, with its sign if it has one.
        let value = if to.signed() && to.bits() < 64 {
            ((value << (64 - to.bits())) as i64 >> (64 - to.bits())) as u64
        } else {
            value << (64 - to.bits()) >> (64 - to.bits())
        };
        file.set_bits(i.d, i.e, lane, value);
    }
}

fn convert_one(bits: u64, to: Ty, from: Ty, rounding: Rounding, integral: bool, saturate: bool, flags: u32) -> u64 {
    let flush = |x: f32| if flags & flag::FLUSH != 0 && x.abs() < f32::MIN_POSITIVE { 0f32.copysign(x) } else { x };
    let number = match from {
        Ty::F32 => Number::Float(f64::from(flush(f32::from_bits(bits as u32)))),
        Ty::F64 => Number::Float(f64::from_bits(bits)),
        Ty::F16 => Number::Float(f64::from(from_f16(bits as u16))),
        Ty::Bf16 => Number::Float(f64::from(from_bf16(bits as u16))),
        ty if ty.signed() => Number::Int(i128::from((bits << (64 - ty.bits())) as i64 >> (64 - ty.bits()))),
        ty => Number::Int(i128::from(bits << (64 - ty.bits()) >> (64 - ty.bits()))),
    };
    if !to.float() {
        let width = to.bits();
        let (least, most) =
            if to.signed() { (-(1i128 << (width - 1)), (1i128 << (width - 1)) - 1) } else { (0, (1i128 << width) - 1) };
        return match number {
            Number::Int(value) if saturate => value.clamp(least, most) as u64,
            Number::Int(value) => value as u64,
            // NaN becomes zero; what is out of the range becomes its end.
            Number::Float(value) => (round(value, rounding) as i128).clamp(least, most) as u64,
        };
    }
    let (value, rest) = match number {
        Number::Float(value) if integral => (round(value, rounding), 0.0),
        Number::Float(value) => (value, 0.0),
        Number::Int(value) => (value as f64, (value - (value as f64) as i128) as f64),
    };
    let clamp = |x: f64| if saturate { if x > 0.0 { x.min(1.0) } else { 0.0 } } else { x };
    let value = clamp(if flags & flag::RELU != 0 && value < 0.0 { 0.0 } else { value });
    match (to, number) {
        // An integer is rounded once, not by way of f64.
        (Ty::F32, Number::Int(whole)) if rounding == Rounding::Nearest => u64::from((whole as f32).to_bits()),
        (Ty::F32, _) => u64::from(flush(to_f32(value, rest, rounding)).to_bits()),
        (Ty::F64, _) => value.to_bits(),
        (Ty::F16, _) => u64::from(to_f16(value, rounding)),
        _ => u64::from(to_bf16_rounded(value, rounding)),
    }
}

fn round(x: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Nearest => x.round_ties_even(),
        Rounding::Zero => x.trunc(),
        Rounding::Down => x.floor(),
        Rounding::Up => x.ceil(),
        Rounding::Away => x.round(),
    }
}
