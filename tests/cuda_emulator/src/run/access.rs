//! Loads and stores, each checked.

use super::block::Block;
use super::fault::{Fault, Result};
use super::file::lanes;
use super::warp::Warp;
use crate::memory::{Allocation, LOCAL_WINDOW, SHARED_WINDOW, WINDOW, describe, find_in};
use crate::program::{Code, Instr, Slot, Space, Ty, flag};
use crate::status;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

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
    ($warp:ident.$lanes:ident($access:expr), $space:expr, $bytes:expr) => {
        match ($space, $bytes) {
            (Space::Shared, 2) => $warp.$lanes::<SHARED, 2>($access),
            (Space::Shared, 4) => $warp.$lanes::<SHARED, 4>($access),
            (Space::Shared, 8) => $warp.$lanes::<SHARED, 8>($access),
            (Space::Shared, _) => $warp.$lanes::<SHARED, 1>($access),
            (Space::Local, 4) => $warp.$lanes::<LOCAL, 4>($access),
            (Space::Local, 8) => $warp.$lanes::<LOCAL, 8>($access),
            (Space::Local, 2) => $warp.$lanes::<LOCAL, 2>($access),
            (Space::Local, _) => $warp.$lanes::<LOCAL, 1>($access),
            (_, 2) => $warp.$lanes::<GLOBAL, 2>($access),
            (_, 4) => $warp.$lanes::<GLOBAL, 4>($access),
            (_, 8) => $warp.$lanes::<GLOBAL, 8>($access),
            _ => $warp.$lanes::<GLOBAL, 1>($access),
        }
    };
}

impl Warp {
    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
    pub fn memory(&mut self, block: &mut Block<'_>, i: &Instr, m: u32) -> Result<()> {
        match i.code {
            Code::Load { space: Space::Param, ty, count, .. } => self.load_param(block, i, m, ty, count),
            Code::Load { space, ty, count, .. } => {
                let addresses = self.addresses(i);
                self.by_space(space, &addresses, m, |warp, space, addresses, m| {
                    warp.load(block, i, m, space, addresses, ty, count)
                })
            }
            Code::Store { space, ty, count } => {
                let addresses = self.addresses(i);
                self.by_space(space, &addresses, m, |warp, space, addresses, m| {
                    warp.store(block, i, m, space, addresses, ty, count)
                })
            }
            Code::CopyParam => {
                let bytes = i.b as usize;
                for lane in lanes(m) {
                    let frame = lane * block.program.local as usize;
                    let from = frame + i.a as usize;
                    self.local.copy_within(from..from + bytes, frame + i.d as usize);
                }
                Ok(())
            }
            Code::Atomic { space, ty, op } => {
                let addresses = self.addresses(i);
                self.by_space(space, &addresses, m, |warp, space, addresses, m| {
                    warp.atomic(block, i, m, space, addresses, ty, op)
                })
            }
            Code::CopyAsync { size } => self.copy_async(block, i, m, size),
            Code::CommitCopies => {
                for lane in lanes(m) {
                    self.committed[lane] += 1;
                }
                Ok(())
            }
            _ => self.wait_copies(block, i, m),
        }
    }

    #[inline(always)]
    pub fn addresses(&self, i: &Instr) -> [u64; 32] {
        let mut addresses = [0; 32];
        if i.flags & flag::NARROW_ADDRESS != 0 {
            for (lane, address) in addresses.iter_mut().enumerate() {
                *address = u64::from(self.file.get::<u32>(i.a, lane).wrapping_add(i.offset as u32));
            }
        } else {
            for (lane, address) in addresses.iter_mut().enumerate() {
                *address = self.file.get::<u64>(i.a, lane).wrapping_add(i.offset as u64);
            }
        }
        addresses
    }

    /// Does an access for the lanes of each space that a generic address may be of.
    #[inline(always)]
    pub fn by_space(
        &mut self,
        space: Space,
        addresses: &[u64; 32],
        m: u32,
        mut access: impl FnMut(&mut Warp, Space, &[u64; 32], u32) -> Result<()>,
    ) -> Result<()> {
        if space != Space::Generic {
            return access(self, space, addresses, m);
        }
        let inside = |window: u64| {
            lanes(m).fold(0u32, |mask, lane| mask | u32::from(addresses[lane].wrapping_sub(window) < WINDOW) << lane)
        };
        let (shared, local) = (inside(SHARED_WINDOW), inside(LOCAL_WINDOW));
        for (space, mask, window) in [
            (Space::Shared, shared, SHARED_WINDOW),
            (Space::Local, local, LOCAL_WINDOW),
            (Space::Global, m & !shared & !local, 0),
        ] {
            if mask != 0 {
                let addresses = addresses.map(|address| address.wrapping_sub(window));
                access(self, space, &addresses, mask)?;
            }
        }
        Ok(())
    }

    fn load_param(&mut self, block: &Block<'_>, i: &Instr, m: u32, ty: Ty, count: u8) -> Result<()> {
        let bytes = ty.bytes() as usize;
        for lane in lanes(m) {
            let address = self.file.get_bits(i.a, if i.flags & flag::NARROW_ADDRESS != 0 { 32 } else { 64 }, lane);
            let address = (address as i64 + i.offset) as usize;
            for part in 0..count as usize {
                let Slot { row, bits } = block.program.lists[i.list as usize + part];
                let at = address + part * bytes;
                let Some(value) = block.launch.params.get(at..at + bytes) else {
                    return Err(Fault::of_lane(status::ILLEGAL_ADDRESS, lane, "a read beyond the parameters"));
                };
                let mut word = [0; 8];
                word[..bytes].copy_from_slice(value);
                self.file.set_bits(row, bits, lane, extended(u64::from_le_bytes(word), ty));
            }
        }
        Ok(())
    }

    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
    #[allow(clippy::too_many_arguments)]
    fn load(
        &mut self,
        block: &mut Block<'_>,
        i: &Instr,
        m: u32,
        space: Space,
        addresses: &[u64; 32],
        ty: Ty,
        count: u8,
    ) -> Result<()> {
        self.count(block, space, addresses, m, ty.bytes() * u32::from(count));
        let program = block.program;
        let slots = &program.lists[i.list as usize..i.list as usize + count as usize];
        let mut access = Access { block, m, addresses, slots, ty };
        by_size!(self.load_lanes(&mut access), space, ty.bytes())
    }

    #[inline(always)]
    fn load_lanes<const SPACE: u8, const BYTES: u32>(&mut self, access: &mut Access<'_, '_>) -> Result<()> {
        let Access { block, m, addresses, slots, ty } = access;
        let (m, space, all) = (*m, space_of(SPACE), BYTES * slots.len() as u32);
        let first = m.trailing_zeros() as usize;
        // What all lanes read is read once.
        if SPACE != LOCAL && lanes(m).all(|lane| addresses[lane] == addresses[first]) {
            let from = self.readable(block, space, addresses[first], all, first)?;
            for (part, slot) in slots.iter().enumerate() {
                // SAFETY: `readable` found all of it to be inside and aligned.
                let value = extended(unsafe { read(from.add(part * BYTES as usize), BYTES) }, *ty);
                match slot.bits {
                    64 => self.file.put(slot.row, m, &[value; 32]),
                    16 => self.file.put(slot.row, m, &[value as u16; 32]),
                    8 => self.file.put(slot.row, m, &[value as u8; 32]),
                    _ => self.file.put(slot.row, m, &[value as u32; 32]),
                }
            }
            return Ok(());
        }
        for lane in lanes(m) {
            let from = self.readable(block, space, addresses[lane], all, lane)?;
            for (part, slot) in slots.iter().enumerate() {
                // SAFETY: as above.
                let value = unsafe { read(from.add(part * BYTES as usize), BYTES) };
                if BYTES == 4 && slot.bits == 32 {
                    self.file.set(slot.row, lane, value as u32);
                } else {
                    self.file.set_bits(slot.row, slot.bits, lane, extended(value, *ty));
                }
            }
        }
        Ok(())
    }

    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
    #[allow(clippy::too_many_arguments)]
    fn store(
        &mut self,
        block: &mut Block<'_>,
        i: &Instr,
        m: u32,
        space: Space,
        addresses: &[u64; 32],
        ty: Ty,
        count: u8,
    ) -> Result<()> {
        self.count(block, space, addresses, m, ty.bytes() * u32::from(count));
        let program = block.program;
        let slots = &program.lists[i.list as usize..i.list as usize + count as usize];
        let mut access = Access { block, m, addresses, slots, ty };
        by_size!(self.store_lanes(&mut access), space, ty.bytes())
    }

    #[inline(always)]
    fn store_lanes<const SPACE: u8, const BYTES: u32>(&mut self, access: &mut Access<'_, '_>) -> Result<()> {
        let Access { block, m, addresses, slots, .. } = access;
        let (space, all) = (space_of(SPACE), BYTES as usize * slots.len());
        for lane in lanes(*m) {
            let mut value = [0u8; 32];
            for (part, slot) in slots.iter().enumerate() {
                let word = self.file.get_bits(slot.row, slot.bits, lane).to_le_bytes();
                let at = part * BYTES as usize;
                value[at..at + BYTES as usize].copy_from_slice(&word[..BYTES as usize]);
            }
            let to = self.writable(block, space, addresses[lane], &value[..all], lane)?;
            for (part, slot) in slots.iter().enumerate() {
                let word = self.file.get_bits(slot.row, slot.bits, lane);
                // SAFETY: `writable` found all of it to be inside and aligned.
                unsafe { write(to.add(part * BYTES as usize), BYTES, word) };
            }
        }
        Ok(())
    }

    #[inline(always)]
    pub fn count(&self, block: &mut Block<'_>, space: Space, addresses: &[u64; 32], m: u32, bytes: u32) {
        if block.counters.on {
            match space {
                Space::Global => block.counters.global_access(addresses, m, bytes),
                Space::Shared => block.counters.shared_access(addresses, m, bytes),
                _ => {}
            }
        }
    }

    /// Where bytes lie that may be read.
    #[inline(always)]
    pub fn readable(
        &mut self,
        block: &mut Block<'_>,
        space: Space,
        address: u64,
        bytes: u32,
        lane: usize,
    ) -> Result<*mut u8> {
        match space {
            Space::Shared => {
                let pointer = block.shared.pointer(address, bytes, lane)?;
                block.shared.read(address, bytes, self.index, lane)?;
                Ok(pointer)
            }
            Space::Local => self.local_at(block, address, bytes, lane),
            _ => {
                let allocation = self.allocation(block, address, bytes, lane)?;
                if block.launch.options.unset && !allocation.is_whole() {
                    check_written(allocation, address, bytes, lane, block)?;
                }
                Ok(allocation.at(address))
            }
        }
    }

    /// Where bytes lie that may be written, with a note that they were.
    #[inline(always)]
    pub fn writable(
        &mut self,
        block: &mut Block<'_>,
        space: Space,
        address: u64,
        value: &[u8],
        lane: usize,
    ) -> Result<*mut u8> {
        let bytes = value.len() as u32;
        match space {
            Space::Shared => {
                let pointer = block.shared.pointer(address, bytes, lane)?;
                block.shared.write(address, value, self.index, lane)?;
                Ok(pointer)
            }
            Space::Local => self.local_at(block, address, bytes, lane),
            _ => {
                let allocation = self.allocation(block, address, bytes, lane)?;
                if !allocation.is_whole() {
                    // SAFETY: the range is inside and aligned, and so are its flags.
                    unsafe { note_written(allocation.written_at(address), bytes) };
                }
                Ok(allocation.at(address))
            }
        }
    }

    /// The allocation of an access that is inside one and aligned.
    #[inline(always)]
    pub fn allocation<'a>(
        &self,
        block: &mut Block<'a>,
        address: u64,
        bytes: u32,
        lane: usize,
    ) -> Result<&'a Allocation> {
        let live = &block.launch.live;
        let hint = &mut block.hints[self.pc as usize];
        let mut found = live.get(*hint as usize).map(|allocation| &**allocation);
        if !found.is_some_and(|allocation| allocation.contains(address, u64::from(bytes))) {
            found = find_in(live, address).map(|at| {
                *hint = at as u32;
                &*live[at]
            });
        }
        match found {
            Some(allocation) if allocation.contains(address, u64::from(bytes)) => {
                if address & u64::from(bytes - 1) != 0 {
                    return Err(Fault::of_lane(
                        status::MISALIGNED,
                        lane,
                        format!("address {address:#x} is no multiple of {bytes}: {}", describe(live, address)),
                    ));
                }
                Ok(allocation)
            }
            _ => Err(Fault::of_lane(
                status::ILLEGAL_ADDRESS,
                lane,
                format!("address {address:#x} ({bytes} bytes) is outside: {}", describe(live, address)),
            )),
        }
    }

    fn local_at(&mut self, block: &Block<'_>, address: u64, bytes: u32, lane: usize) -> Result<*mut u8> {
        let frame = u64::from(block.program.local);
        if address + u64::from(bytes) > frame {
            let message = format!("local address {address:#x} ({bytes} bytes) is outside the thread's {frame} bytes");
            return Err(Fault::of_lane(status::ILLEGAL_ADDRESS, lane, message));
        }
        if address & u64::from(bytes - 1) != 0 {
            let message = format!("local address {address:#x} is no multiple of {bytes}");
            return Err(Fault::of_lane(status::MISALIGNED, lane, message));
        }
        let at = lane * frame as usize + address as usize;
        // SAFETY: every lane has a frame, and the range is inside it.
        Ok(unsafe { self.local.as_mut_ptr().add(at) })
    }
}

#[inline(always)]
fn check_written(allocation: &Allocation, address: u64, bytes: u32, lane: usize, block: &Block<'_>) -> Result<()> {
    let flags = allocation.written_at(address);
    // SAFETY: the range is inside and aligned, and so are its flags.
    let written = unsafe {
        match bytes {
            1 => AtomicU8::from_ptr(flags).load(Ordering::Relaxed) == 1,
            2 => AtomicU16::from_ptr(flags.cast()).load(Ordering::Relaxed) == 0x0101,
            4 => AtomicU32::from_ptr(flags.cast()).load(Ordering::Relaxed) == 0x0101_0101,
            _ => (0..bytes as usize / 8).all(|at| {
                AtomicU64::from_ptr(flags.cast::<u64>().add(at)).load(Ordering::Relaxed) == 0x0101_0101_0101_0101
            }),
        }
    };
    if written {
        return Ok(());
    }
    Err(Fault::of_lane(
        status::LAUNCH_FAILED,
        lane,
        format!(
            "read of address {address:#x} ({bytes} bytes), where nothing was written (uninitialised): {}",
            describe(&block.launch.live, address)
        ),
    ))
}

/// Sets the flags of bytes that are written.
///
/// # Safety
/// `flags` points to as many bytes, aligned.
#[inline(always)]
unsafe fn note_written(flags: *mut u8, bytes: u32) {
    const ALL: u64 = 0x0101_0101_0101_0101;
    // SAFETY: as the caller promises.
    unsafe {
        if bytes <= 8 {
            return write(flags, bytes, ALL);
        }
        for at in (0..bytes as usize).step_by(8) {
            write(flags.add(at), 8, ALL);
        }
    }
}

/// Reads a number; other blocks may write at the same time, so it is read as a whole.
///
/// # Safety
/// `from` points to as many bytes, aligned.
#[inline(always)]
pub unsafe fn read(from: *mut u8, bytes: u32) -> u64 {
    // SAFETY: as the caller promises.
    unsafe {
        match bytes {
            1 => u64::from(AtomicU8::from_ptr(from).load(Ordering::Relaxed)),
            2 => u64::from(AtomicU16::from_ptr(from.cast()).load(Ordering::Relaxed)),
            4 => u64::from(AtomicU32::from_ptr(from.cast()).load(Ordering::Relaxed)),
            _ => AtomicU64::from_ptr(from.cast()).load(Ordering::Relaxed),
        }
    }
}

/// Writes a number as [`read`] reads it.
///
/// # Safety
/// As [`read`].
#[inline(always)]
pub unsafe fn write(to: *mut u8, bytes: u32, value: u64) {
    // SAFETY: as the caller promises.
    unsafe {
        match bytes {
            1 => AtomicU8::from_ptr(to).store(value as u8, Ordering::Relaxed),
            2 => AtomicU16::from_ptr(to.cast()).store(value as u16, Ordering::Relaxed),
            4 => AtomicU32::from_ptr(to.cast()).store(value as u32, Ordering::Relaxed),
            _ => AtomicU64::from_ptr(to.cast()).store(value, Ordering::Relaxed),
        }
    }
}

#[inline(always)]
fn extended(value: u64, ty: Ty) -> u64 {
    if ty.signed() { ((value << (64 - ty.bits())) as i64 >> (64 - ty.bits())) as u64 } else { value }
}
