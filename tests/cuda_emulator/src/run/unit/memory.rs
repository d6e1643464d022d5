//! All that reaches memory: loads, stores, atomic operations, copies.

use super::access::{load, load_param, store};
use super::atomic::atomic;
use super::copies::{copy_async, wait_copies};
use crate::program::{Code, Instr, Space};
use crate::run::block::Block;
use crate::run::fault::Result;
use crate::run::lanes::lanes;
use crate::run::warp::Warp;

#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
pub fn memory(warp: &mut Warp, block: &mut Block<'_>, i: &Instr, m: u32) -> Result<()> {
    match i.code {
        Code::Load { space: Space::Param, ty, count, .. } => load_param(warp, block, i, m, ty, count),
        Code::Load { space, ty, count, invariant } => {
            let addresses = warp.addresses(i);
            warp.by_space(space, &addresses, m, |warp, space, addresses, m| {
                if invariant && space == Space::Global {
                    for lane in lanes(m) {
                        warp.note_invariant(block, addresses[lane], ty.bytes() * u32::from(count), lane)?;
                    }
                }
                load(warp, block, i, m, space, addresses, ty, count)
            })
        }
        Code::Store { space, ty, count } => {
            let addresses = warp.addresses(i);
            warp.by_space(space, &addresses, m, |warp, space, addresses, m| {
                store(warp, block, i, m, space, addresses, ty, count)
            })
        }
        Code::CopyParam => {
            let bytes = i.b as usize;
            for lane in lanes(m) {
                let frame = lane * block.program.local as usize;
                let from = frame + i.a as usize;
                warp.local.copy_within(from..from + bytes, frame + i.d as usize);
            }
            Ok(())
        }
        Code::Atomic { space, ty, op } => {
            let addresses = warp.addresses(i);
            warp.by_space(space, &addresses, m, |warp, space, addresses, m| {
                atomic(warp, block, i, m, space, addresses, ty, op)
            })
        }
        Code::CopyAsync { size } => copy_async(warp, block, i, m, size),
        Code::CommitCopies => {
            for lane in lanes(m) {
                warp.committed[lane] += 1;
            }
            Ok(())
        }
        _ => wait_copies(warp, block, i, m),
    }
}
