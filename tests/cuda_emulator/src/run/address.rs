//! Addresses of a warp: which bytes its lanes reach, each checked and noted.

use super::block::Block;
use super::fault::{Fault, Result};
use super::lanes::lanes;
use super::shared::EVERY_LANE;
use super::warp::Warp;
use super::watch::Watch;
use crate::memory::{Allocation, LOCAL_WINDOW, SHARED_WINDOW, WINDOW, describe, find_in};
use crate::program::{Instr, Space, flag};
use crate::status;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

impl Warp {
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
                self.note_write(block, allocation, address, bytes, lane)?;
                if !allocation.is_whole() {
                    allocation.touch();
                    // SAFETY: the range is inside and aligned, and so are its flags.
                    unsafe { note_written(allocation.written_at(address), bytes) };
                }
                Ok(allocation.at(address))
            }
        }
    }

    /// Where bytes of shared memory lie that several lanes read as one.
    #[inline(always)]
    pub fn readable_by_all(&self, block: &mut Block<'_>, address: u64, bytes: u32, lane: usize) -> Result<*mut u8> {
        let pointer = block.shared.pointer(address, bytes, lane)?;
        block.shared.read(address, bytes, self.index, EVERY_LANE + lane)?;
        Ok(pointer)
    }

    /// Where bytes of global memory lie that an atomic operation reads and writes.
    pub fn exchangeable(&mut self, block: &mut Block<'_>, address: u64, bytes: u32, lane: usize) -> Result<*mut u8> {
        let pointer = self.readable(block, Space::Global, address, bytes, lane)?;
        let allocation = self.allocation(block, address, bytes, lane)?;
        self.note_write(block, allocation, address, bytes, lane)?;
        Ok(pointer)
    }

    /// Notes a write, of an allocation that was found last.
    #[inline(always)]
    fn note_write(
        &self,
        block: &Block<'_>,
        allocation: &Allocation,
        address: u64,
        bytes: u32,
        lane: usize,
    ) -> Result<()> {
        let what = "write of global memory that this launch reads by ld.global.nc, as if it did not change";
        self.note(block, address, lane, what, |watch| watch.write(allocation.bytes, address - allocation.start, bytes))
    }

    /// Notes a read by `ld.global.nc`.
    pub fn note_invariant(&self, block: &mut Block<'_>, address: u64, bytes: u32, lane: usize) -> Result<()> {
        let allocation = self.allocation(block, address, bytes, lane)?;
        let what = "ld.global.nc, which is for what does not change, of global memory that this launch writes";
        self.note(block, address, lane, what, |watch| watch.read(allocation.bytes, address - allocation.start, bytes))
    }

    /// Notes an access in what is watched of an allocation that was found last; `noted` says whether it is one of `what`.
    #[inline(always)]
    fn note(
        &self,
        block: &Block<'_>,
        address: u64,
        lane: usize,
        what: &str,
        noted: impl FnOnce(&Watch) -> bool,
    ) -> Result<()> {
        let index = block.hints[self.flow.pc as usize] as usize;
        if block.launch.watches.get(index).is_some_and(noted) {
            let place = describe(&block.launch.live, address);
            return Err(Fault::of_lane(status::LAUNCH_FAILED, lane, format!("{what}: {place}")));
        }
        Ok(())
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
        let hint = &mut block.hints[self.flow.pc as usize];
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
