//! `cp.async`: what is copied arrives when it is waited for, not before, and for the lane alone that waits; for others
//! behind a barrier.

use crate::memory::{SHARED_WINDOW, WINDOW};
use crate::program::{Instr, Space, flag};
use crate::run::block::Block;
use crate::run::fault::{Fault, Result};
use crate::run::lanes::lanes;
use crate::run::warp::{Flight, Warp};
use crate::status;

pub fn copy_async(warp: &mut Warp, block: &mut Block<'_>, i: &Instr, m: u32, size: u8) -> Result<()> {
    let source = block.program.lists[i.list as usize];
    let nothing = warp.file.predicate(i.c);
    let (mut from, mut to) = ([0; 32], [0; 32]);
    let mut reading = 0;
    for lane in lanes(m) {
        from[lane] = warp.file.get_bits(source.row, source.bits, lane).wrapping_add(i.e as i32 as i64 as u64);
        to[lane] = if i.flags & flag::NARROW_ADDRESS != 0 {
            u64::from(warp.file.get::<u32>(i.d, lane).wrapping_add(i.offset as u32))
        } else {
            warp.file.get::<u64>(i.d, lane).wrapping_add(i.offset as u64)
        };
        if to[lane].wrapping_sub(SHARED_WINDOW) < WINDOW {
            to[lane] -= SHARED_WINDOW;
        }
        if nothing >> lane & 1 == 0 && warp.file.get::<u32>(i.b, lane) > 0 {
            reading |= 1 << lane;
        }
    }
    warp.count(block, Space::Global, &from, reading, u32::from(size));
    warp.count(block, Space::Shared, &to, m, u32::from(size));
    for lane in lanes(m) {
        let count = if reading >> lane & 1 != 0 { warp.file.get::<u32>(i.b, lane) } else { 0 };
        if count > u32::from(size) {
            let message = format!("cp.async of {count} bytes to {size}");
            return Err(Fault::of_lane(status::LAUNCH_FAILED, lane, message));
        }
        let mut data = [0; 16];
        if count > 0 {
            if from[lane] % u64::from(size) != 0 {
                let message = format!("address {:#x} is no multiple of {size}", from[lane]);
                return Err(Fault::of_lane(status::MISALIGNED, lane, message));
            }
            // Byte by byte where it is not the full size: only what is copied need be there.
            let step = if count == u32::from(size) { count } else { 1 };
            for at in (0..count).step_by(step as usize) {
                let pointer = warp.readable(block, Space::Global, from[lane] + u64::from(at), step, lane)?;
                // SAFETY: `readable` found so many bytes to be inside.
                let bytes = unsafe { std::slice::from_raw_parts(pointer, step as usize) };
                data[at as usize..(at + step) as usize].copy_from_slice(bytes);
            }
        }
        block.shared.expect(to[lane], u32::from(size), warp.index, lane)?;
        let group = warp.committed[lane];
        warp.flights.push(Flight { lane: lane as u8, size, group, to: to[lane] as u32, data });
    }
    Ok(())
}

/// A barrier of these lanes: what has arrived for each is there for all.
pub fn share_copies(warp: &mut Warp, block: &mut Block<'_>, m: u32) {
    let index = warp.index;
    warp.landed.retain(|(lane, size, to)| {
        let shared = m >> lane & 1 != 0;
        if shared {
            block.shared.share(u64::from(*to), u32::from(*size), index);
        }
        !shared
    });
}

/// Waits until at most so many of each lane's committed groups are on their way; -1: for all copies.
pub fn wait_copies(warp: &mut Warp, block: &mut Block<'_>, i: &Instr, m: u32) -> Result<()> {
    let (committed, index) = (warp.committed, warp.index);
    let landed = &mut warp.landed;
    warp.flights.retain(|flight| {
        let lane = flight.lane as usize;
        let behind = i64::from(committed[lane]) - i64::from(flight.group);
        let stays = m >> lane & 1 == 0 || if i.offset < 0 { false } else { behind <= i.offset };
        if !stays {
            let data = &flight.data[..flight.size as usize];
            block.shared.arrive(u64::from(flight.to), data, index, flight.lane);
            landed.push((flight.lane, flight.size, flight.to));
        }
        stays
    });
    Ok(())
}
