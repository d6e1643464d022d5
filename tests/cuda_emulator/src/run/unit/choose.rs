//! Comparisons, selections and what is done with predicates.

use crate::half::{from_bf16, from_f16};
use crate::memory::{LOCAL_WINDOW, SHARED_WINDOW, WINDOW};
use crate::program::{Code, Compare, Instr, NEGATED, Space, Ty, flag};
use crate::run::file::File;
use crate::run::lanes::{each, lanes, one, test, three};

macro_rules! compare_as {
    ($file:ident, $i:ident, $compare:expr, $T:ty, |$x:ident| $widen:expr) => {
        match $compare {
            Compare::Eq => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                a == b
            }),
            Compare::Ne => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                (a < b) | (a > b)
            }),
            Compare::Lt => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                a < b
            }),
            Compare::Le => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                a <= b
            }),
            Compare::Gt => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                a > b
            }),
            Compare::Ge => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                a >= b
            }),
            Compare::Equ => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                !((a < b) | (a > b))
            }),
            Compare::Neu => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                a != b
            }),
            Compare::Ltu => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                !(a >= b)
            }),
            Compare::Leu => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                !(a > b)
            }),
            Compare::Gtu => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                !(a <= b)
            }),
            Compare::Geu => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                !(a < b)
            }),
            #[allow(clippy::eq_op)]
            Compare::Num => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                (a == a) & (b == b)
            }),
            #[allow(clippy::eq_op)]
            Compare::Nan => test!($file, $i, $T, |a, b| {
                let (a, b) = (wide!(a, $x, $widen), wide!(b, $x, $widen));
                (a != a) | (b != b)
            }),
        }
    };
}

macro_rules! wide {
    ($a:ident, $x:ident, $widen:expr) => {{
        let $x = $a;
        $widen
    }};
}

#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
#[allow(clippy::neg_cmp_op_on_partial_ord)]
fn compared(file: &File, i: &Instr, compare: Compare, ty: Ty) -> u32 {
    match ty {
        Ty::F32 if i.flags & flag::FLUSH != 0 => {
            compare_as!(file, i, compare, f32, |x| if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x })
        }
        Ty::F32 => compare_as!(file, i, compare, f32, |x| x),
        Ty::S32 => compare_as!(file, i, compare, i32, |x| x),
        Ty::U32 => compare_as!(file, i, compare, u32, |x| x),
        Ty::S64 => compare_as!(file, i, compare, i64, |x| x),
        Ty::U64 => compare_as!(file, i, compare, u64, |x| x),
        Ty::F64 => compare_as!(file, i, compare, f64, |x| x),
        Ty::S16 => compare_as!(file, i, compare, i16, |x| x),
        Ty::U16 => compare_as!(file, i, compare, u16, |x| x),
        Ty::F16 => compare_as!(file, i, compare, u16, |x| from_f16(x)),
        Ty::Bf16 => compare_as!(file, i, compare, u16, |x| from_bf16(x)),
        Ty::S8 => compare_as!(file, i, compare, i8, |x| x),
        _ => compare_as!(file, i, compare, u8, |x| x),
    }
}

/// Pairs of halves: a bit for every half.
fn compared_pairs(file: &File, i: &Instr, compare: Compare, ty: Ty, part: u32) -> u32 {
    let widen = |bits: u32| {
        let bits = (bits >> (16 * part)) as u16;
        if ty == Ty::Bf16x2 { from_bf16(bits) } else { from_f16(bits) }
    };
    lanes(u32::MAX).fold(0, |bits, lane| {
        let (a, b) = (widen(file.get::<u32>(i.a, lane)), widen(file.get::<u32>(i.b, lane)));
        let order = a.partial_cmp(&b);
        use std::cmp::Ordering::{Equal, Greater, Less};
        let holds = match compare {
            Compare::Eq => order == Some(Equal),
            Compare::Ne => matches!(order, Some(Less | Greater)),
            Compare::Lt => order == Some(Less),
            Compare::Le => matches!(order, Some(Less | Equal)),
            Compare::Gt => order == Some(Greater),
            Compare::Ge => matches!(order, Some(Greater | Equal)),
            Compare::Equ => matches!(order, None | Some(Equal)),
            Compare::Neu => order != Some(Equal),
            Compare::Ltu => matches!(order, None | Some(Less)),
            Compare::Leu => order != Some(Greater),
            Compare::Gtu => matches!(order, None | Some(Greater)),
            Compare::Geu => order != Some(Less),
            Compare::Num => order.is_some(),
            Compare::Nan => order.is_none(),
        };
        bits | u32::from(holds) << lane
    })
}

fn combined(file: &File, i: &Instr, bits: u32) -> u32 {
    match (i.flags & flag::COMBINE) >> flag::COMBINE_SHIFT {
        0 => bits,
        1 => bits & file.predicate(i.c),
        2 => bits | file.predicate(i.c),
        _ => bits ^ file.predicate(i.c),
    }
}

/// Runs a comparison or a selection.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
pub fn choose(file: &mut File, i: &Instr, m: u32) {
    match i.code {
        Code::Setp(compare, ty @ (Ty::F16x2 | Ty::Bf16x2)) => {
            let (low, high) = (compared_pairs(file, i, compare, ty, 0), compared_pairs(file, i, compare, ty, 1));
            let (low, high) = (combined(file, i, low), combined(file, i, high));
            file.put_predicate(i.d, m, low);
            if i.e != 0 {
                file.put_predicate(i.e, m, high);
            }
        }
        Code::Setp(compare, ty) => {
            let bits = compared(file, i, compare, ty);
            let chosen = combined(file, i, bits);
            if i.e != 0 {
                let opposite = combined(file, i, !bits);
                file.put_predicate(i.e, m, opposite);
            }
            file.put_predicate(i.d, m, chosen);
        }
        Code::Set { compare, to, from: ty @ (Ty::F16x2 | Ty::Bf16x2) } => {
            let parts = [compared_pairs(file, i, compare, ty, 0), compared_pairs(file, i, compare, ty, 1)];
            let one = match to {
                Ty::F16x2 => 0x3c00,
                Ty::Bf16x2 => 0x3f80,
                _ => 0xffff,
            };
            each!(file, i, m, u32, |lane| ((parts[0] >> lane & 1) * one) | (((parts[1] >> lane & 1) * one) << 16));
        }
        Code::Set { compare, to, from } => {
            let bits = compared(file, i, compare, from);
            let bits = combined(file, i, bits);
            let truth = match to {
                Ty::F32 => 0x3f80_0000,
                Ty::F16 => 0x3c00,
                Ty::Bf16 => 0x3f80,
                _ => u32::MAX,
            };
            each!(file, i, m, u32, |lane| if bits >> lane & 1 != 0 { truth } else { 0 });
        }
        Code::Select(ty) => {
            let bits = file.predicate(i.c);
            if ty == Ty::U64 {
                each!(file, i, m, u64, |lane| {
                    let (a, b) = (file.get::<u64>(i.a, lane), file.get::<u64>(i.b, lane));
                    if bits >> lane & 1 != 0 { a } else { b }
                });
            } else {
                each!(file, i, m, u32, |lane| {
                    let (a, b) = (file.get::<u32>(i.a, lane), file.get::<u32>(i.b, lane));
                    if bits >> lane & 1 != 0 { a } else { b }
                });
            }
        }
        Code::SelectSign(ty, of) => match (ty, of) {
            (Ty::U64, Ty::F32) => three!(file, i, m, u64, u64, f32 => u64, |a, b, c| if c >= 0.0 { a } else { b }),
            (Ty::U64, _) => three!(file, i, m, u64, u64, i32 => u64, |a, b, c| if c >= 0 { a } else { b }),
            (_, Ty::F32) => three!(file, i, m, u32, u32, f32 => u32, |a, b, c| if c >= 0.0 { a } else { b }),
            _ => three!(file, i, m, u32, u32, i32 => u32, |a, b, c| if c >= 0 { a } else { b }),
        },
        Code::TestNumber { ty, kind } => {
            let bits = lanes(u32::MAX).fold(0, |bits, lane| {
                let (x, least) = match ty {
                    Ty::F64 => (file.get::<f64>(i.a, lane), f64::MIN_POSITIVE),
                    _ => (f64::from(file.get::<f32>(i.a, lane)), f64::from(f32::MIN_POSITIVE)),
                };
                let holds = match kind {
                    0 => x.is_finite(),
                    1 => x.is_infinite(),
                    2 => !x.is_nan(),
                    3 => x.is_nan(),
                    4 => x.is_finite() && x.abs() >= least,
                    _ => x != 0.0 && x.abs() < least,
                };
                bits | u32::from(holds) << lane
            });
            file.put_predicate(i.d, m, bits);
        }
        Code::MovPred => file.put_predicate(i.d, m, file.predicate(i.a)),
        Code::NotPred => file.put_predicate(i.d, m, file.predicate(i.a ^ NEGATED)),
        Code::AndPred => file.put_predicate(i.d, m, file.predicate(i.a) & file.predicate(i.b)),
        Code::OrPred => file.put_predicate(i.d, m, file.predicate(i.a) | file.predicate(i.b)),
        Code::XorPred => file.put_predicate(i.d, m, file.predicate(i.a) ^ file.predicate(i.b)),
        // Global and constant addresses are generic ones already.
        Code::AddressTo { space, back } => {
            let window = match space {
                Space::Shared => SHARED_WINDOW,
                Space::Local => LOCAL_WINDOW,
                _ => 0,
            };
            let shift = if back { window.wrapping_neg() } else { window };
            one!(file, i, m, u64 => u64, |a| a.wrapping_add(shift));
        }
        Code::IsSpace(space) => {
            let bits = lanes(m).fold(0, |bits, lane| {
                let address = file.get::<u64>(i.a, lane);
                let inside = |window: u64| (window..window + WINDOW).contains(&address);
                let holds = match space {
                    Space::Shared => inside(SHARED_WINDOW),
                    Space::Local => inside(LOCAL_WINDOW),
                    _ => !inside(SHARED_WINDOW) && !inside(LOCAL_WINDOW),
                };
                bits | u32::from(holds) << lane
            });
            file.put_predicate(i.d, m, bits);
        }
        _ => unreachable!("{:?} chooses nothing", i.code),
    }
}
