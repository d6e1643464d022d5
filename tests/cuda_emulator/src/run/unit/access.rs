//! Loads and stores.

use crate::program::{Instr, Slot, Space, Ty, flag};
use crate::run::address::{read, write};
use crate::run::block::Block;
use crate::run::fault::{Fault, Result};
use crate::run::lanes::lanes;
use crate::run::warp::Warp;
use crate::status;

/// Spaces as a function is compiled for each.
const GLOBAL: u8 = 0;
const SHARED: u8 = 1;
const LOCAL: u8 = 2;

const fn space_of(space: u8) -> Space {
    match space {
        SHARED => Space::Shared,
        LOCAL => Space::Local,
        _ => Space::Global,
    }
}

/// What is accessed: by these lanes, at these addresses, from or to these registers.
struct Access<'a, 'b> {
    block: &'a mut Block<'b>,
    m: u32,
    addresses: &'a [u64; 32],
    slots: &'a [Slot],
    ty: Ty,
}

/// Calls what is compiled for a space and a size. Numbers of one byte are the rest.
macro_rules! by_size {
    ($lanes:ident($warp:expr, $access:expr), $space:expr, $bytes:expr) => {
        match ($space, $bytes) {
            (Space::Shared, 2) => $lanes::<SHARED, 2>($warp, $access),
            (Space::Shared, 4) => $lanes::<SHARED, 4>($warp, $access),
            (Space::Shared, 8) => $lanes::<SHARED, 8>($warp, $access),
            (Space::Shared, _) => $lanes::<SHARED, 1>($warp, $access),
            (Space::Local, 4) => $lanes::<LOCAL, 4>($warp, $access),
            (Space::Local, 8) => $lanes::<LOCAL, 8>($warp, $access),
            (Space::Local, 2) => $lanes::<LOCAL, 2>($warp, $access),
            (Space::Local, _) => $lanes::<LOCAL, 1>($warp, $access),
            (_, 2) => $lanes::<GLOBAL, 2>($warp, $access),
            (_, 4) => $lanes::<GLOBAL, 4>($warp, $access),
            (_, 8) => $lanes::<GLOBAL, 8>($warp, $access),
            _ => $lanes::<GLOBAL, 1>($warp, $access),
        }
    };
}

#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
#[allow(clippy::too_many_arguments)]
pub fn load(
    warp: &mut Warp,
    block: &mut Block<'_>,
    i: &Instr,
    m: u32,
    space: Space,
    addresses: &[u64; 32],
    ty: Ty,
    count: u8,
) -> Result<()> {
    warp.count(block, space, addresses, m, ty.bytes() * u32::from(count));
    let program = block.program;
    let slots = &program.lists[i.list as usize..i.list as usize + count as usize];
    let mut access = Access { block, m, addresses, slots, ty };
    by_size!(load_lanes(warp, &mut access), space, ty.bytes())
}

#[inline(always)]
fn load_lanes<const SPACE: u8, const BYTES: u32>(warp: &mut Warp, access: &mut Access<'_, '_>) -> Result<()> {
    let Access { block, m, addresses, slots, ty } = access;
    let (m, space, all) = (*m, space_of(SPACE), BYTES * slots.len() as u32);
    let first = m.trailing_zeros() as usize;
    // What all lanes read is read once.
    if SPACE != LOCAL && lanes(m).all(|lane| addresses[lane] == addresses[first]) {
        let from = if SPACE == SHARED && m & (m - 1) != 0 {
            warp.readable_by_all(block, addresses[first], all, first)?
        } else {
            warp.readable(block, space, addresses[first], all, first)?
        };
        for (part, slot) in slots.iter().enumerate() {
            // SAFETY: all of it was found to be inside and aligned.
            let value = extended(unsafe { read(from.add(part * BYTES as usize), BYTES) }, *ty);
            match slot.bits {
                64 => warp.file.put(slot.row, m, &[value; 32]),
                16 => warp.file.put(slot.row, m, &[value as u16; 32]),
                8 => warp.file.put(slot.row, m, &[value as u8; 32]),
                _ => warp.file.put(slot.row, m, &[value as u32; 32]),
            }
        }
        return Ok(());
    }
    for lane in lanes(m) {
        let from = warp.readable(block, space, addresses[lane], all, lane)?;
        for (part, slot) in slots.iter().enumerate() {
            // SAFETY: as above.
            let value = unsafe { read(from.add(part * BYTES as usize), BYTES) };
            if BYTES == 4 && slot.bits == 32 {
                warp.file.set(slot.row, lane, value as u32);
            } else {
                warp.file.set_bits(slot.row, slot.bits, lane, extended(value, *ty));
            }
        }
    }
    Ok(())
}

#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
#[allow(clippy::too_many_arguments)]
pub fn store(
    warp: &mut Warp,
    block: &mut Block<'_>,
    i: &Instr,
    m: u32,
    space: Space,
    addresses: &[u64; 32],
    ty: Ty,
    count: u8,
) -> Result<()> {
    warp.count(block, space, addresses, m, ty.bytes() * u32::from(count));
    let program = block.program;
    let slots = &program.lists[i.list as usize..i.list as usize + count as usize];
    let mut access = Access { block, m, addresses, slots, ty };
    by_size!(store_lanes(warp, &mut access), space, ty.bytes())
}

#[inline(always)]
fn store_lanes<const SPACE: u8, const BYTES: u32>(warp: &mut Warp, access: &mut Access<'_, '_>) -> Result<()> {
    let Access { block, m, addresses, slots, .. } = access;
    let (space, all) = (space_of(SPACE), BYTES as usize * slots.len());
    for lane in lanes(*m) {
        let mut value = [0u8; 32];
        for (part, slot) in slots.iter().enumerate() {
            let word = warp.file.get_bits(slot.row, slot.bits, lane).to_le_bytes();
            let at = part * BYTES as usize;
            value[at..at + BYTES as usize].copy_from_slice(&word[..BYTES as usize]);
        }
        let to = warp.writable(block, space, addresses[lane], &value[..all], lane)?;
        for (part, slot) in slots.iter().enumerate() {
            let word = warp.file.get_bits(slot.row, slot.bits, lane);
            // SAFETY: `writable` found all of it to be inside and aligned.
            unsafe { write(to.add(part * BYTES as usize), BYTES, word) };
        }
    }
    Ok(())
}

/// A load from the parameters, which are all there is to check.
pub fn load_param(warp: &mut Warp, block: &Block<'_>, i: &Instr, m: u32, ty: Ty, count: u8) -> Result<()> {
    let bytes = ty.bytes() as usize;
    for lane in lanes(m) {
        let address = warp.file.get_bits(i.a, if i.flags & flag::NARROW_ADDRESS != 0 { 32 } else { 64 }, lane);
        let address = (address as i64 + i.offset) as usize;
        for part in 0..count as usize {
            let Slot { row, bits } = block.program.lists[i.list as usize + part];
            let at = address + part * bytes;
            let Some(value) = block.launch.params.get(at..at + bytes) else {
                return Err(Fault::of_lane(status::ILLEGAL_ADDRESS, lane, "a read beyond the parameters"));
            };
            let mut word = [0; 8];
            word[..bytes].copy_from_slice(value);
            warp.file.set_bits(row, bits, lane, extended(u64::from_le_bytes(word), ty));
        }
    }
    Ok(())
}

#[inline(always)]
fn extended(value: u64, ty: Ty) -> u64 {
    if ty.signed() { ((value << (64 - ty.bits())) as i64 >> (64 - ty.bits())) as u64 } else { value }
}
