//! Arithmetic of integers and bits.

use crate::program::{Code, Instr, Ty, flag};
use crate::run::file::File;
use crate::run::lanes::{each, lanes, one, three, two};

/// The same for the types of integers that an operation knows.
macro_rules! ints {
    ($ty:expr, $T:ident, $body:expr; $($name:ident = $real:ty),+) => {
        match $ty {
            $(Ty::$name => { type $T = $real; $body })+
            _ => unreachable!("the decoder gives integers here"),
        }
    };
}

macro_rules! all_ints {
    ($ty:expr, $T:ident, $body:expr) => {
        ints!($ty, $T, $body; U8 = u8, S8 = i8, U16 = u16, S16 = i16, U32 = u32, S32 = i32, U64 = u64, S64 = i64)
    };
}

macro_rules! plain_ints {
    ($ty:expr, $T:ident, $body:expr) => {
        ints!($ty, $T, $body; U16 = u16, U32 = u32, U64 = u64)
    };
}

/// Runs an operation of integers.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
pub fn integer(file: &mut File, i: &Instr, m: u32) {
    match i.code {
        Code::Mov(Ty::U64) => one!(file, i, m, u64 => u64, |a| a),
        Code::Mov(_) => one!(file, i, m, u32 => u32, |a| a),
        Code::Add(ty) if i.flags & flag::SATURATE != 0 => {
            debug_assert!(ty == Ty::S32);
            two!(file, i, m, i32, i32 => i32, |a, b| a.saturating_add(b));
        }
        Code::Sub(ty) if i.flags & flag::SATURATE != 0 => {
            debug_assert!(ty == Ty::S32);
            two!(file, i, m, i32, i32 => i32, |a, b| a.saturating_sub(b));
        }
        Code::Add(ty) => plain_ints!(ty, T, two!(file, i, m, T, T => T, |a, b| a.wrapping_add(b))),
        Code::Sub(ty) => plain_ints!(ty, T, two!(file, i, m, T, T => T, |a, b| a.wrapping_sub(b))),
        Code::MulLo(ty) => plain_ints!(ty, T, two!(file, i, m, T, T => T, |a, b| a.wrapping_mul(b))),
        Code::MulHi(ty) => match ty {
            Ty::U16 => two!(file, i, m, u16, u16 => u16, |a, b| ((u32::from(a) * u32::from(b)) >> 16) as u16),
            Ty::S16 => two!(file, i, m, i16, i16 => i16, |a, b| ((i32::from(a) * i32::from(b)) >> 16) as i16),
            Ty::U32 => two!(file, i, m, u32, u32 => u32, |a, b| high_u32(a, b)),
            Ty::S32 => two!(file, i, m, i32, i32 => i32, |a, b| high_i32(a, b)),
            Ty::U64 => two!(file, i, m, u64, u64 => u64, |a, b| high_u64(a, b)),
            _ => two!(file, i, m, i64, i64 => i64, |a, b| high_i64(a, b)),
        },
        Code::MulWide(ty) => match ty {
            Ty::U16 => two!(file, i, m, u16, u16 => u32, |a, b| u32::from(a) * u32::from(b)),
            Ty::S16 => two!(file, i, m, i16, i16 => i32, |a, b| i32::from(a) * i32::from(b)),
            Ty::U32 => two!(file, i, m, u32, u32 => u64, |a, b| u64::from(a) * u64::from(b)),
            _ => two!(file, i, m, i32, i32 => i64, |a, b| i64::from(a) * i64::from(b)),
        },
        Code::MadLo(ty) => {
            plain_ints!(ty, T, three!(file, i, m, T, T, T => T, |a, b, c| a.wrapping_mul(b).wrapping_add(c)));
        }
        Code::MadHi(ty) => match ty {
            Ty::U32 => three!(file, i, m, u32, u32, u32 => u32, |a, b, c| high_u32(a, b).wrapping_add(c)),
            Ty::S32 => three!(file, i, m, i32, i32, i32 => i32, |a, b, c| high_i32(a, b).wrapping_add(c)),
            Ty::U64 => three!(file, i, m, u64, u64, u64 => u64, |a, b, c| high_u64(a, b).wrapping_add(c)),
            _ => three!(file, i, m, i64, i64, i64 => i64, |a, b, c| high_i64(a, b).wrapping_add(c)),
        },
        Code::MadWide(ty) => match ty {
            Ty::U16 => {
                three!(file, i, m, u16, u16, u32 => u32, |a, b, c| (u32::from(a) * u32::from(b)).wrapping_add(c))
            }
            Ty::S16 => {
                three!(file, i, m, i16, i16, i32 => i32, |a, b, c| (i32::from(a) * i32::from(b)).wrapping_add(c))
            }
            Ty::U32 => {
                three!(file, i, m, u32, u32, u64 => u64, |a, b, c| (u64::from(a) * u64::from(b)).wrapping_add(c))
            }
            _ => three!(file, i, m, i32, i32, i64 => i64, |a, b, c| (i64::from(a) * i64::from(b)).wrapping_add(c)),
        },
        Code::Mul24(ty) if ty.signed() => {
            two!(file, i, m, i32, i32 => i32, |a, b| (a << 8 >> 8).wrapping_mul(b << 8 >> 8));
        }
        Code::Mul24(_) => two!(file, i, m, u32, u32 => u32, |a, b| (a & 0xff_ffff).wrapping_mul(b & 0xff_ffff)),
        Code::Sad(ty) => {
            all_ints!(
                ty,
                T,
                three!(file, i, m, T, T, T => T, |a, b, c| c.wrapping_add(if a > b { a.wrapping_sub(b) } else { b.wrapping_sub(a) }))
            );
        }
        Code::AddCarry(_) | Code::SubCarry(_) | Code::MadCarry { .. } => carries(file, i, m),
        Code::Div(ty) => {
            all_ints!(ty, T, two!(file, i, m, T, T => T, |a, b| if b == 0 { !0 } else { a.wrapping_div(b) }));
        }
        Code::Rem(ty) => {
            all_ints!(ty, T, two!(file, i, m, T, T => T, |a, b| if b == 0 { a } else { a.wrapping_rem(b) }));
        }
        Code::Abs(ty) => {
            ints!(ty, T, one!(file, i, m, T => T, |a| a.wrapping_abs()); S16 = i16, S32 = i32, S64 = i64);
        }
        Code::Neg(ty) => {
            ints!(ty, T, one!(file, i, m, T => T, |a| a.wrapping_neg()); S16 = i16, S32 = i32, S64 = i64, U16 = u16, U32 = u32, U64 = u64);
        }
        Code::Min(ty) => all_ints!(ty, T, two!(file, i, m, T, T => T, |a, b| a.min(b))),
        Code::Max(ty) => all_ints!(ty, T, two!(file, i, m, T, T => T, |a, b| a.max(b))),
        Code::And(ty) => plain_ints!(ty, T, two!(file, i, m, T, T => T, |a, b| a & b)),
        Code::Or(ty) => plain_ints!(ty, T, two!(file, i, m, T, T => T, |a, b| a | b)),
        Code::Xor(ty) => plain_ints!(ty, T, two!(file, i, m, T, T => T, |a, b| a ^ b)),
        Code::Not(ty) => plain_ints!(ty, T, one!(file, i, m, T => T, |a| !a)),
        Code::LogicalNot(ty) => plain_ints!(ty, T, one!(file, i, m, T => T, |a| T::from(a == 0))),
        // A shift by all bits or more leaves none, or the sign.
        Code::Shl(ty) => {
            plain_ints!(
                ty,
                T,
                two!(file, i, m, T, u32 => T, |a, b| if b < T::BITS { a << (b & (T::BITS - 1)) } else { 0 })
            );
        }
        Code::Shr(ty) if ty.signed() => {
            ints!(ty, T, two!(file, i, m, T, u32 => T, |a, b| a >> b.min(T::BITS - 1)); S16 = i16, S32 = i32, S64 = i64);
        }
        Code::Shr(ty) => {
            plain_ints!(
                ty,
                T,
                two!(file, i, m, T, u32 => T, |a, b| if b < T::BITS { a >> (b & (T::BITS - 1)) } else { 0 })
            );
        }
        _ => bits(file, i, m),
    }
}

/// What rearranges bits.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
fn bits(file: &mut File, i: &Instr, m: u32) {
    match i.code {
        Code::FunnelLeft { clamp } => three!(file, i, m, u32, u32, u32 => u32, |low, high, by| {
            let by = if clamp { by.min(32) } else { by & 31 };
            ((u64::from(high) << 32 | u64::from(low)) << by >> 32) as u32
        }),
        Code::FunnelRight { clamp } => three!(file, i, m, u32, u32, u32 => u32, |low, high, by| {
            let by = if clamp { by.min(32) } else { by & 31 };
            ((u64::from(high) << 32 | u64::from(low)) >> by) as u32
        }),
        Code::Lop3 => {
            let table = i.offset as u32;
            three!(file, i, m, u32, u32, u32 => u32, |a, b, c| {
                let mut out = 0;
                for entry in 0..8u32 {
                    let chosen = if table >> entry & 1 != 0 { u32::MAX } else { 0 };
                    let of = |bit: u32, x: u32| if entry >> bit & 1 != 0 { x } else { !x };
                    out |= chosen & of(2, a) & of(1, b) & of(0, c);
                }
                out
            });
        }
        Code::Permute(mode) => three!(file, i, m, u32, u32, u32 => u32, |a, b, c| permute(mode, a, b, c)),
        Code::Extract(ty) => {
            ints!(ty, T, three!(file, i, m, T, u32, u32 => T, |a, at, count| extract(a as i128, T::BITS, ty.signed(), at & 255, count & 255) as T);
                U32 = u32, S32 = i32, U64 = u64, S64 = i64);
        }
        Code::Insert(ty) => plain_ints!(
            ty,
            T,
            each!(file, i, m, T, |lane| {
                let (a, b) = (file.get::<T>(i.a, lane) as u128, file.get::<T>(i.b, lane) as u128);
                let (at, count) = (file.get::<u32>(i.c, lane) & 255, file.get::<u32>(i.e, lane) & 255);
                let field = if at >= T::BITS { 0 } else { ((1u128 << count.min(64)) - 1) << at };
                (b & !field | (if at >= T::BITS { 0 } else { a << at }) & field) as T
            })
        ),
        Code::FindBit { ty, shift } => all_ints!(
            ty,
            T,
            one!(file, i, m, T => u32, |a| {
                // Of a negative number the highest zero is looked for.
                let value = if ty.signed() && (a as i64) < 0 { !(a as i64) as u64 } else { a as u64 };
                let found = if value == 0 { u32::MAX } else { 63 - value.leading_zeros() };
                if shift && found != u32::MAX { T::BITS - 1 - found } else { found }
            })
        ),
        Code::ReverseBits(ty) => plain_ints!(ty, T, one!(file, i, m, T => T, |a| a.reverse_bits())),
        Code::CountOnes(ty) => plain_ints!(ty, T, one!(file, i, m, T => u32, |a| a.count_ones())),
        Code::LeadingZeros(ty) => plain_ints!(ty, T, one!(file, i, m, T => u32, |a| a.leading_zeros())),
        Code::SignZeroExtend { signed, clamp } => two!(file, i, m, u32, u32 => u32, |a, count| {
            let count = if clamp { count.min(32) } else { count & 31 };
            extract(i128::from(a), 32, signed, 0, count) as u32
        }),
        Code::Mask { clamp } => two!(file, i, m, u32, u32 => u32, |at, count| {
            let (at, count) = if clamp { (at.min(32), count.min(32)) } else { (at & 31, count & 31) };
            (((1u64 << count) - 1) << at) as u32
        }),
        Code::Dot4 { a_signed, b_signed } => three!(file, i, m, u32, u32, u32 => u32, |a, b, c| {
            let mut sum = c;
            for byte in 0..4 {
                let of = |x: u32, signed: bool| {
                    let part = (x >> (8 * byte)) as u8;
                    if signed { i32::from(part as i8) } else { i32::from(part) }
                };
                sum = sum.wrapping_add((of(a, a_signed) * of(b, b_signed)) as u32);
            }
            sum
        }),
        Code::Dot2 { a_signed, b_signed, high } => three!(file, i, m, u32, u32, u32 => u32, |a, b, c| {
            let mut sum = c;
            for part in 0..2 {
                let half = (a >> (16 * part)) as u16;
                let byte = (b >> (8 * (part + 2 * u32::from(high)))) as u8;
                let half = if a_signed { i32::from(half as i16) } else { i32::from(half) };
                let byte = if b_signed { i32::from(byte as i8) } else { i32::from(byte) };
                sum = sum.wrapping_add(half.wrapping_mul(byte) as u32);
            }
            sum
        }),
        _ => unreachable!("{:?} is no operation of integers", i.code),
    }
}

/// Sums with a carry, which is a bit of every lane.
fn carries(file: &mut File, i: &Instr, m: u32) {
    for lane in lanes(m) {
        let carry = u128::from(file.carry >> lane & 1) * u128::from(i.flags & flag::CARRY_IN != 0);
        let (ty, subtract) = match i.code {
            Code::AddCarry(ty) | Code::MadCarry { ty, .. } => (ty, false),
            Code::SubCarry(ty) => (ty, true),
            _ => unreachable!("only sums carry"),
        };
        let width = ty.bits();
        let all = (1u128 << width) - 1;
        let get = |file: &File, row: u32| u128::from(file.get_bits(row, width, lane));
        let (mut a, mut b) = (get(file, i.a), get(file, i.b));
        if let Code::MadCarry { high, .. } = i.code {
            let product = if ty.signed() && high {
                let extend = |x: u128| (x << (128 - width)) as i128 >> (128 - width);
                (extend(a) * extend(b)) as u128
            } else {
                a * b
            };
            a = if high { product >> width & all } else { product & all };
            b = get(file, i.c);
        }
        let sum = if subtract { a.wrapping_sub(b).wrapping_sub(carry) } else { a + b + carry };
        file.set_bits(i.d, width, lane, sum as u64);
        if i.flags & flag::CARRY_OUT != 0 {
            file.carry = file.carry & !(1 << lane) | u32::from(sum >> width & 1 != 0) << lane;
        }
    }
}

#[inline(always)]
fn high_u32(a: u32, b: u32) -> u32 {
    ((u64::from(a) * u64::from(b)) >> 32) as u32
}

#[inline(always)]
fn high_i32(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b)) >> 32) as i32
}

#[inline(always)]
fn high_u64(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

#[inline(always)]
fn high_i64(a: i64, b: i64) -> i64 {
    ((i128::from(a) * i128::from(b)) >> 64) as i64
}

/// `count` bits from `at` on; beyond the number there is its sign if it has one.
#[inline(always)]
fn extract(a: i128, width: u32, signed: bool, at: u32, count: u32) -> u64 {
    if count == 0 {
        return 0;
    }
    let extended = if signed { a << (128 - width) >> (128 - width) } else { a & ((1i128 << width) - 1) };
    let shifted = extended >> at.min(127);
    let count = count.min(64);
    let field = shifted & ((1i128 << count) - 1);
    // The sign is the field's highest bit, at most that of the number.
    let top = (at + count - 1).min(width - 1);
    if signed && extended >> top & 1 != 0 {
        let kept = (top + 1).saturating_sub(at);
        (field | !((1i128 << kept) - 1)) as u64
    } else {
        field as u64
    }
}

#[inline(always)]
fn permute(mode: u8, a: u32, b: u32, c: u32) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    let byte = |at: u32| (bytes >> (8 * (at & 7))) as u8;
    let at = c & 3;
    let mut out = 0;
    for place in 0..4u32 {
        let value = match mode {
            0 => {
                let selector = c >> (4 * place) & 15;
                let value = byte(selector);
                if selector & 8 != 0 { if value & 0x80 != 0 { 0xff } else { 0 } } else { value }
            }
            1 => byte(at + place),
            2 => byte(at.wrapping_sub(place)),
            3 => byte(at),
            4 => byte(place.max(at)),
            5 => byte(place.min(at)),
            _ => byte((c & 1) * 2 + (place & 1)),
        };
        out |= u32::from(value) << (8 * place);
    }
    out
}
