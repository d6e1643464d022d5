//! Atomic operations, which hold across blocks.

use crate::half::{from_bf16, from_f16, to_bf16, to_f16};
use crate::program::{Atomic, Instr, Rounding, Space, Ty};
use crate::run::block::Block;
use crate::run::fault::Result;
use crate::run::lanes::lanes;
use crate::run::warp::Warp;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

#[allow(clippy::too_many_arguments)]
pub fn atomic(
    warp: &mut Warp,
    block: &mut Block<'_>,
    i: &Instr,
    m: u32,
    space: Space,
    addresses: &[u64; 32],
    ty: Ty,
    op: Atomic,
) -> Result<()> {
    let bytes = ty.bytes();
    warp.count(block, space, addresses, m, bytes);
    for lane in lanes(m) {
        let (b, c) = (warp.file.get_bits(i.b, ty.bits(), lane), warp.file.get_bits(i.c, ty.bits(), lane));
        let at = match space {
            Space::Shared => {
                let at = block.shared.pointer(addresses[lane], bytes, lane)?;
                block.shared.touch(addresses[lane], bytes, lane)?;
                at
            }
            // A value that is put there need not have one before.
            _ if op == Atomic::Exchange => {
                warp.writable(block, space, addresses[lane], &b.to_le_bytes()[..bytes as usize], lane)?
            }
            _ if space == Space::Global => warp.exchangeable(block, addresses[lane], bytes, lane)?,
            _ => warp.readable(block, space, addresses[lane], bytes, lane)?,
        };
        let next = |old: u64| combine(op, ty, old, [b, c], space == Space::Global);
        // SAFETY: the address was found to be inside and aligned.
        let old = unsafe {
            match bytes {
                4 => {
                    let cell = AtomicU32::from_ptr(at.cast());
                    let step = |old: u32| Some(next(u64::from(old)) as u32);
                    u64::from(cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, step).unwrap_or_else(|old| old))
                }
                8 => {
                    let cell = AtomicU64::from_ptr(at.cast());
                    cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| Some(next(old)))
                        .unwrap_or_else(|old| old)
                }
                // Halves: the word around them is exchanged.
                _ => {
                    let high = at as usize & 2 != 0;
                    let cell = AtomicU32::from_ptr(at.sub(usize::from(high) * 2).cast());
                    let shift = u32::from(high) * 16;
                    let step = |word: u32| {
                        let half = next(u64::from(word >> shift & 0xffff)) as u32 & 0xffff;
                        Some(word & !(0xffff << shift) | half << shift)
                    };
                    let word = cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, step).unwrap_or_else(|old| old);
                    u64::from(word >> shift & 0xffff)
                }
            }
        };
        warp.file.set_bits(i.d, ty.bits(), lane, old);
    }
    Ok(())
}

/// What an operation leaves, as bits. `flush`: sums in f32 take subnormal numbers for zero and leave none, as those in
/// global memory do, and those in shared memory do not (PTX ISA, `atom` and `red`).
pub fn combine(op: Atomic, ty: Ty, old: u64, [b, c]: [u64; 2], flush: bool) -> u64 {
    let single = |bits: u64| {
        let x = f32::from_bits(bits as u32);
        if flush && x.is_subnormal() { 0f32.copysign(x) } else { x }
    };
    let signed = |x: u64| (x << (64 - ty.bits())) as i64 >> (64 - ty.bits());
    match (op, ty) {
        (Atomic::Add, Ty::F32) => single((single(old) + single(b)).to_bits().into()).to_bits().into(),
        (Atomic::Add, Ty::F64) => (f64::from_bits(old) + f64::from_bits(b)).to_bits(),
        (Atomic::Add, Ty::Bf16 | Ty::Bf16x2 | Ty::F16 | Ty::F16x2) => {
            let part = |shift: u32| {
                let (x, y) = ((old >> shift) as u16, (b >> shift) as u16);
                let sum = match ty {
                    Ty::Bf16 | Ty::Bf16x2 => to_bf16(from_bf16(x) + from_bf16(y)),
                    _ => to_f16(f64::from(from_f16(x)) + f64::from(from_f16(y)), Rounding::Nearest),
                };
                u64::from(sum) << shift
            };
            part(0) | if ty.bits() == 32 { part(16) } else { 0 }
        }
        (Atomic::Add, _) => old.wrapping_add(b),
        (Atomic::Min, ty) if ty.signed() => signed(old).min(signed(b)) as u64,
        (Atomic::Max, ty) if ty.signed() => signed(old).max(signed(b)) as u64,
        (Atomic::Min, _) => old.min(b),
        (Atomic::Max, _) => old.max(b),
        (Atomic::And, _) => old & b,
        (Atomic::Or, _) => old | b,
        (Atomic::Xor, _) => old ^ b,
        (Atomic::Exchange, _) => b,
        (Atomic::Swap, _) => {
            if old == b {
                c
            } else {
                old
            }
        }
        (Atomic::Increment, _) => {
            if old >= b {
                0
            } else {
                old + 1
            }
        }
        (Atomic::Decrement, _) => {
            if old == 0 || old > b {
                b
            } else {
                old - 1
            }
        }
    }
}
