//! Arithmetic of floats. Approximations of the hardware are computed exactly and rounded once.

use crate::half::{from_bf16, from_f16, to_bf16_rounded, to_f16};
use crate::program::{Code, Instr, Rounding, Ty, flag};
use crate::run::file::File;
use crate::run::lanes::{each, one, three, two};

/// As the instruction's modifiers treat subnormal numbers, and results out of 0..1.
macro_rules! float_loop {
    ($file:ident, $i:ident, $m:ident, ($($x:ident = $row:ident),+), $e:expr) => {{
        if $i.flags & (flag::FLUSH | flag::SATURATE) == 0 {
            each!($file, $i, $m, f32, |lane| {
                $(let $x = $file.get::<f32>($i.$row, lane);)+
                $e
            })
        } else {
            let (flush, saturate) = ($i.flags & flag::FLUSH != 0, $i.flags & flag::SATURATE != 0);
            each!($file, $i, $m, f32, |lane| {
                $(let $x = flushed($file.get::<f32>($i.$row, lane), flush);)+
                let value = flushed($e, flush);
                // NaN becomes zero.
                if saturate { if value > 0.0 { value.min(1.0) } else { 0.0 } } else { value }
            })
        }
    }};
}

macro_rules! halves {
    ($file:ident, $i:ident, $m:ident, $ty:expr, ($($x:ident = $row:ident),+), $e:expr) => {{
        let (brain, pair) = (matches!($ty, Ty::Bf16 | Ty::Bf16x2), matches!($ty, Ty::F16x2 | Ty::Bf16x2));
        let flags = $i.flags;
        each!($file, $i, $m, u32, |lane| {
            let mut out = 0u32;
            for part in 0..if pair { 2 } else { 1 } {
                $(let $x = widen(($file.get::<u32>($i.$row, lane) >> (16 * part)) as u16, brain);)+
                out |= u32::from(narrow($e, brain, flags)) << (16 * part);
            }
            out
        })
    }};
}

#[inline(always)]
fn flushed(x: f32, flush: bool) -> f32 {
    if flush && x.abs() < f32::MIN_POSITIVE { 0f32.copysign(x) } else { x }
}

fn widen(bits: u16, brain: bool) -> f64 {
    f64::from(if brain { from_bf16(bits) } else { from_f16(bits) })
}

fn narrow(x: f64, brain: bool, flags: u32) -> u16 {
    let x = if flags & flag::SATURATE != 0 { if x > 0.0 { x.min(1.0) } else { 0.0 } } else { x };
    let x = if flags & flag::RELU != 0 && x < 0.0 { 0.0 } else { x };
    if brain { to_bf16_rounded(x, Rounding::Nearest) } else { to_f16(x, Rounding::Nearest) }
}

#[inline(always)]
fn min32(a: f32, b: f32, nan: bool) -> f32 {
    if nan && (a.is_nan() || b.is_nan()) {
        return f32::NAN;
    }
    let least = if a < b || b.is_nan() { a } else { b };
    // The zeros are in order.
    if a == b { f32::from_bits(a.to_bits() | b.to_bits()) } else { least }
}

#[inline(always)]
fn max32(a: f32, b: f32, nan: bool) -> f32 {
    if nan && (a.is_nan() || b.is_nan()) {
        return f32::NAN;
    }
    let most = if a > b || b.is_nan() { a } else { b };
    if a == b { f32::from_bits(a.to_bits() & b.to_bits()) } else { most }
}

fn min64(a: f64, b: f64) -> f64 {
    if a == b {
        f64::from_bits(a.to_bits() | b.to_bits())
    } else if a < b || b.is_nan() {
        a
    } else {
        b
    }
}

fn max64(a: f64, b: f64) -> f64 {
    if a == b {
        f64::from_bits(a.to_bits() & b.to_bits())
    } else if a > b || b.is_nan() {
        a
    } else {
        b
    }
}

/// Runs an operation of floats.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
pub fn float(file: &mut File, i: &Instr, m: u32) {
    let nan = i.flags & flag::NAN != 0;
    match i.code {
        Code::Add(Ty::F32) => float_loop!(file, i, m, (a = a, b = b), a + b),
        Code::Sub(Ty::F32) => float_loop!(file, i, m, (a = a, b = b), a - b),
        Code::MulLo(Ty::F32) => float_loop!(file, i, m, (a = a, b = b), a * b),
        Code::Fma(Ty::F32) => float_loop!(file, i, m, (a = a, b = b, c = c), a.mul_add(b, c)),
        Code::Div(Ty::F32) => float_loop!(file, i, m, (a = a, b = b), a / b),
        Code::Min(Ty::F32) => float_loop!(file, i, m, (a = a, b = b), min32(a, b, nan)),
        Code::Max(Ty::F32) => float_loop!(file, i, m, (a = a, b = b), max32(a, b, nan)),
        Code::Abs(Ty::F32) => float_loop!(file, i, m, (a = a), a.abs()),
        Code::Neg(Ty::F32) => float_loop!(file, i, m, (a = a), -a),
        Code::CopySign(Ty::F32) => float_loop!(file, i, m, (a = a, b = b), b.copysign(a)),
        Code::Rcp(Ty::F32) => float_loop!(file, i, m, (a = a), 1.0 / a),
        Code::Sqrt(Ty::F32) => float_loop!(file, i, m, (a = a), a.sqrt()),
        Code::Rsqrt(Ty::F32) => float_loop!(file, i, m, (a = a), (1.0 / f64::from(a).sqrt()) as f32),
        Code::Exp2(Ty::F32) => float_loop!(file, i, m, (a = a), f64::from(a).exp2() as f32),
        Code::Log2 => float_loop!(file, i, m, (a = a), f64::from(a).log2() as f32),
        Code::Sin => float_loop!(file, i, m, (a = a), f64::from(a).sin() as f32),
        Code::Cos => float_loop!(file, i, m, (a = a), f64::from(a).cos() as f32),
        Code::Tanh(Ty::F32) => float_loop!(file, i, m, (a = a), f64::from(a).tanh() as f32),
        Code::AddRounded(Ty::F32, rounding) => {
            float_loop!(file, i, m, (a = a, b = b), sum_rounded(f64::from(a), f64::from(b), rounding))
        }
        Code::MulRounded(Ty::F32, rounding) => {
            float_loop!(file, i, m, (a = a, b = b), to_f32(f64::from(a) * f64::from(b), 0.0, rounding))
        }
        Code::FmaRounded(Ty::F32, rounding) => {
            float_loop!(
                file,
                i,
                m,
                (a = a, b = b, c = c),
                sum_rounded(f64::from(a) * f64::from(b), f64::from(c), rounding)
            );
        }
        Code::DivRounded(Ty::F32, rounding) => float_loop!(file, i, m, (a = a, b = b), {
            let (a, b) = (f64::from(a), f64::from(b));
            let quotient = a / b;
            // The sign of what is left tells on which side the quotient is.
            to_f32(quotient, (-quotient).mul_add(b, a) * b.signum(), rounding)
        }),
        Code::SqrtRounded(Ty::F32, rounding) => float_loop!(file, i, m, (a = a), {
            let root = f64::from(a).sqrt();
            to_f32(root, (-root).mul_add(root, f64::from(a)), rounding)
        }),
        Code::Add(Ty::F64) => two!(file, i, m, f64, f64 => f64, |a, b| a + b),
        Code::Sub(Ty::F64) => two!(file, i, m, f64, f64 => f64, |a, b| a - b),
        Code::MulLo(Ty::F64) => two!(file, i, m, f64, f64 => f64, |a, b| a * b),
        Code::Fma(Ty::F64) => three!(file, i, m, f64, f64, f64 => f64, |a, b, c| a.mul_add(b, c)),
        Code::Div(Ty::F64) => two!(file, i, m, f64, f64 => f64, |a, b| a / b),
        Code::Min(Ty::F64) => two!(file, i, m, f64, f64 => f64, |a, b| min64(a, b)),
        Code::Max(Ty::F64) => two!(file, i, m, f64, f64 => f64, |a, b| max64(a, b)),
        Code::Abs(Ty::F64) => one!(file, i, m, f64 => f64, |a| a.abs()),
        Code::Neg(Ty::F64) => one!(file, i, m, f64 => f64, |a| -a),
        Code::CopySign(Ty::F64) => two!(file, i, m, f64, f64 => f64, |a, b| b.copysign(a)),
        Code::Rcp(Ty::F64) => one!(file, i, m, f64 => f64, |a| 1.0 / a),
        Code::Sqrt(Ty::F64) => one!(file, i, m, f64 => f64, |a| a.sqrt()),
        Code::Rsqrt(Ty::F64) => one!(file, i, m, f64 => f64, |a| 1.0 / a.sqrt()),
        Code::AddRounded(Ty::F64, rounding) => two!(file, i, m, f64, f64 => f64, |a, b| {
            let (sum, rest) = two_sum(a, b);
            directed(sum, rest, rounding)
        }),
        Code::MulRounded(Ty::F64, rounding) => two!(file, i, m, f64, f64 => f64, |a, b| {
            let product = a * b;
            directed(product, a.mul_add(b, -product), rounding)
        }),
        Code::DivRounded(Ty::F64, rounding) => two!(file, i, m, f64, f64 => f64, |a, b| {
            let quotient = a / b;
            directed(quotient, (-quotient).mul_add(b, a) * b.signum(), rounding)
        }),
        Code::SqrtRounded(Ty::F64, rounding) => one!(file, i, m, f64 => f64, |a| {
            let root = a.sqrt();
            directed(root, (-root).mul_add(root, a), rounding)
        }),
        Code::Add(ty) => halves!(file, i, m, ty, (a = a, b = b), a + b),
        Code::Sub(ty) => halves!(file, i, m, ty, (a = a, b = b), a - b),
        Code::MulLo(ty) => halves!(file, i, m, ty, (a = a, b = b), a * b),
        Code::Fma(ty) => halves!(file, i, m, ty, (a = a, b = b, c = c), a.mul_add(b, c)),
        Code::Min(ty) => halves!(file, i, m, ty, (a = a, b = b), f64::from(min32(a as f32, b as f32, nan))),
        Code::Max(ty) => halves!(file, i, m, ty, (a = a, b = b), f64::from(max32(a as f32, b as f32, nan))),
        Code::Exp2(ty) => halves!(file, i, m, ty, (a = a), a.exp2()),
        Code::Tanh(ty) => halves!(file, i, m, ty, (a = a), a.tanh()),
        // Signs only, whatever the number.
        Code::Abs(ty) => {
            let mask = if ty.bits() == 32 { 0x7fff_7fff } else { 0x7fff };
            one!(file, i, m, u32 => u32, |a| a & mask);
        }
        Code::Neg(ty) => {
            let mask = if ty.bits() == 32 { 0x8000_8000 } else { 0x8000 };
            one!(file, i, m, u32 => u32, |a| a ^ mask);
        }
        _ => unreachable!("{:?} is no operation of floats", i.code),
    }
}

/// A sum and what it lacks.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// A number that was rounded to the nearest, and the sign of the rest: to the side that is asked for.
fn directed(x: f64, rest: f64, rounding: Rounding) -> f64 {
    if !x.is_finite() || rest == 0.0 || rest.is_nan() {
        return x;
    }
    let down = match rounding {
        Rounding::Down => true,
        Rounding::Up => false,
        Rounding::Zero => x > 0.0,
        _ => return x,
    };
    match (down, rest < 0.0) {
        (true, true) => x.next_down(),
        (false, false) => x.next_up(),
        _ => x,
    }
}

fn sum_rounded(a: f64, b: f64, rounding: Rounding) -> f32 {
    let (sum, rest) = two_sum(a, b);
    if sum == 0.0 && rounding == Rounding::Down && a.is_sign_negative() != b.is_sign_negative() {
        return -0.0;
    }
    to_f32(sum, rest, rounding)
}

/// `x` and a rest far below it to an f32.
pub fn to_f32(x: f64, rest: f64, rounding: Rounding) -> f32 {
    let near = x as f32;
    if !x.is_finite() || x.is_nan() {
        return near;
    }
    let over = f64::from(near) - x;
    // Whether `near` lies above or below the exact number.
    let (above, below) = (over > 0.0 || over == 0.0 && rest < 0.0, over < 0.0 || over == 0.0 && rest > 0.0);
    match rounding {
        Rounding::Down if above => near.next_down(),
        Rounding::Up if below => near.next_up(),
        Rounding::Zero if x > 0.0 && above => near.next_down(),
        Rounding::Zero if x < 0.0 && below => near.next_up(),
        _ => near,
    }
}
