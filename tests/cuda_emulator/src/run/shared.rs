//! A block's shared memory, and who touched it since the last barrier.
//!
//! Every two bytes have a tag: who wrote them last and who read them last, each a warp and the number of barriers that
//! the block had passed. Warps meet only at barriers, so two of them that touch the same bytes between two barriers, one
//! of them writing, race; in which order they ran here does not matter.

use super::fault::{Fault, Result};
use crate::status;

/// Several warps; a copy on its way; accesses that are not followed; a copy that only its own lane has waited for.
const MANY: u32 = 63;
const ON_ITS_WAY: u32 = 62;
const UNFOLLOWED: u32 = 61;
const LANDED: u32 = 60;
/// For whoever reads on behalf of all lanes.
pub const EVERY_LANE: usize = 32;
const LAST_EPOCH: u32 = 1023;

#[derive(Debug)]
pub struct Shared {
    bytes: Vec<u64>,
    tags: Vec<u32>,
    size: u32,
    epoch: u32,
    races: bool,
    unset: bool,
    /// Of what has landed, whose copy it was: a warp and a lane. As long as the tags from the first copy on.
    landed: Vec<u16>,
    /// A tag that a warp was let read, as which warp and epoch, and what it became: its neighbours are mostly alike.
    seen: (u32, u32, u32),
}

impl Shared {
    pub fn new(size: u32, races: bool, unset: bool) -> Shared {
        Shared {
            bytes: vec![0; size.div_ceil(8) as usize + 2],
            tags: vec![0; size.div_ceil(2) as usize + 8],
            size,
            epoch: 1,
            races,
            unset,
            landed: Vec::new(),
            seen: (0, 0, 0),
        }
    }

    /// For the next block.
    pub fn reset(&mut self) {
        self.bytes.fill(u64::MAX);
        self.tags.fill(0);
        self.epoch = 1;
        self.seen = (0, 0, 0);
    }

    pub fn barrier(&mut self) {
        self.epoch += 1;
        if self.epoch > LAST_EPOCH {
            // Only whether something was written matters by now.
            for tag in &mut self.tags {
                *tag = if *tag & 0xffff != 0 { *tag & 63 | 1 << 6 } else { 0 };
            }
            self.epoch = 2;
            self.seen = (0, 0, 0);
        }
    }

    #[inline(always)]
    pub fn pointer(&mut self, address: u64, bytes: u32, lane: usize) -> Result<*mut u8> {
        if address + u64::from(bytes) > u64::from(self.size) {
            return Err(Fault::of_lane(
                status::ILLEGAL_ADDRESS,
                lane,
                format!("shared address {address:#x} ({bytes} bytes) is outside the block's {} bytes", self.size),
            ));
        }
        if address & u64::from(bytes - 1) != 0 {
            return Err(Fault::of_lane(
                status::MISALIGNED,
                lane,
                format!("shared address {address:#x} is no multiple of {bytes}"),
            ));
        }
        // SAFETY: the range was just found to be inside.
        Ok(unsafe { self.bytes.as_mut_ptr().cast::<u8>().add(address as usize) })
    }

    /// A read of bytes that [`Shared::pointer`] let through.
    #[inline(always)]
    pub fn read(&mut self, address: u64, bytes: u32, warp: u32, lane: usize) -> Result<()> {
        let mine = self.epoch << 6 | warp;
        let first = address as usize / 2;
        for at in first..first + bytes.div_ceil(2) as usize {
            // SAFETY: there is a tag for every two bytes, and the range is inside.
            let place = unsafe { self.tags.get_unchecked_mut(at) };
            let tag = *place;
            if self.seen.0 == tag && self.seen.1 == mine {
                *place = self.seen.2;
                continue;
            }
            let (writer, reader) = (tag & 0xffff, tag >> 16);
            let reader = match reader {
                reader if reader == mine => mine,
                reader if reader >> 6 == self.epoch => self.epoch << 6 | MANY,
                _ => mine,
            };
            *place = writer | reader << 16;
            if (writer != mine && (writer >> 6 == self.epoch || writer & 63 == ON_ITS_WAY)) || writer == 0 {
                self.bad_read(writer, at, address, bytes, [mine & 63, lane as u32])?;
            } else {
                self.seen = (tag, mine, writer | reader << 16);
            }
        }
        Ok(())
    }

    #[cold]
    fn bad_read(&self, writer: u32, at: usize, address: u64, bytes: u32, [warp, lane]: [u32; 2]) -> Result<()> {
        let fault = |status, what: String| {
            Err(Fault::of_lane(
                status,
                lane as usize % 32,
                format!("read of shared address {address:#x} ({bytes} bytes): {what}"),
            ))
        };
        match writer & 63 {
            ON_ITS_WAY => fault(status::LAUNCH_FAILED, "a cp.async to it was not waited for".to_owned()),
            LANDED if self.is_owner(at, warp, lane) || !self.races => Ok(()),
            LANDED => fault(status::LAUNCH_FAILED, self.landing(at)),
            _ if writer == 0 && !self.unset => Ok(()),
            _ if writer == 0 => fault(status::LAUNCH_FAILED, "nothing was written there (uninitialised)".to_owned()),
            _ if !self.races || bytes == 1 || writer & 63 == UNFOLLOWED => Ok(()),
            other => fault(status::LAUNCH_FAILED, format!("race: warp {other} wrote it since the last barrier")),
        }
    }

    /// A write, before it is done, with the bytes that are written.
    #[inline(always)]
    pub fn write(&mut self, address: u64, value: &[u8], warp: u32, lane: usize) -> Result<()> {
        let mine = self.epoch << 6 | warp;
        let first = address as usize / 2;
        if value.len() == 1 {
            // Neighbours may write the other byte.
            self.tags[first] = self.tags[first] & !0xffff | UNFOLLOWED;
            return Ok(());
        }
        for at in first..first + value.len() / 2 {
            let tag = self.tags[at];
            let (writer, reader) = (tag & 0xffff, tag >> 16);
            if writer != mine && (writer >> 6 == self.epoch || writer & 63 == ON_ITS_WAY)
                || reader != mine && reader >> 6 == self.epoch
            {
                self.bad_write(tag, address, value, warp, lane)?;
            }
            self.tags[at] = mine | reader << 16;
        }
        Ok(())
    }

    #[cold]
    fn bad_write(&self, tag: u32, address: u64, value: &[u8], warp: u32, lane: usize) -> Result<()> {
        let bytes = value.len();
        // SAFETY: the caller found the range to be inside.
        let old = unsafe { std::slice::from_raw_parts(self.bytes.as_ptr().cast::<u8>().add(address as usize), bytes) };
        let fault = |what: String| {
            Err(Fault::of_lane(
                status::LAUNCH_FAILED,
                lane,
                format!("write of shared address {address:#x} ({bytes} bytes): {what}"),
            ))
        };
        let (writer, reader) = (tag & 0xffff, tag >> 16);
        if writer & 63 == ON_ITS_WAY {
            return fault("a cp.async to it was not waited for".to_owned());
        }
        // Who writes what is there already does no harm.
        if !self.races || old == value {
            return Ok(());
        }
        let at = address as usize / 2;
        if writer >> 6 == self.epoch && writer & 63 == LANDED {
            let own = (at..at + bytes / 2).all(|at| self.is_owner(at, warp, lane as u32));
            return if own { Ok(()) } else { fault(self.landing(at)) };
        }
        if writer >> 6 == self.epoch && writer & 63 != warp && writer & 63 != UNFOLLOWED {
            return fault(format!("race: warp {} wrote it since the last barrier", writer & 63));
        }
        if reader >> 6 == self.epoch && reader & 63 != warp {
            let who = if reader & 63 == MANY { "other warps".to_owned() } else { format!("warp {}", reader & 63) };
            return fault(format!("race: {who} read it since the last barrier"));
        }
        Ok(())
    }

    /// A copy sets out for these bytes; until it is waited for, nobody may touch them.
    pub fn expect(&mut self, address: u64, bytes: u32, warp: u32, lane: usize) -> Result<()> {
        // What arrives is not known to be what is there.
        let different: Vec<u8> = {
            let pointer = self.pointer(address, bytes, lane)?;
            // SAFETY: the range is inside.
            unsafe { std::slice::from_raw_parts(pointer, bytes as usize) }.iter().map(|byte| !byte).collect()
        };
        self.write(address, &different, warp, lane)?;
        let first = address as usize / 2;
        for tag in &mut self.tags[first..first + bytes as usize / 2] {
            *tag = *tag & !0xffff | self.epoch << 6 | ON_ITS_WAY;
        }
        Ok(())
    }

    /// The copy arrives, for the lane that asked for it; others see it behind a barrier.
    pub fn arrive(&mut self, address: u64, value: &[u8], warp: u32, lane: u8) {
        let first = address as usize / 2;
        self.landed.resize(self.tags.len(), 0);
        for at in first..first + value.len() / 2 {
            self.tags[at] = self.tags[at] & !0xffff | self.epoch << 6 | LANDED;
            self.landed[at] = (warp << 5) as u16 | u16::from(lane);
        }
        // SAFETY: `expect` found the range to be inside.
        unsafe {
            let to = self.bytes.as_mut_ptr().cast::<u8>().add(address as usize);
            to.copy_from_nonoverlapping(value.as_ptr(), value.len());
        }
    }

    /// A barrier of a warp: what has landed of its lanes' copies there is the warp's.
    pub fn share(&mut self, address: u64, bytes: u32, warp: u32) {
        let first = address as usize / 2;
        for tag in &mut self.tags[first..first + bytes as usize / 2] {
            if *tag & 0xffff == self.epoch << 6 | LANDED {
                *tag = *tag & !0xffff | self.epoch << 6 | warp;
            }
        }
    }

    fn is_owner(&self, at: usize, warp: u32, lane: u32) -> bool {
        self.landed.get(at).is_some_and(|owner| u32::from(*owner) == warp << 5 | lane)
    }

    fn landing(&self, at: usize) -> String {
        let owner = self.landed.get(at).copied().unwrap_or_default();
        let (warp, lane) = (owner >> 5, owner & 31);
        format!("a cp.async of lane {lane} of warp {warp} arrived there, and there was no barrier since")
    }

    /// An atomic operation: it races with none of its sort, but reads.
    pub fn touch(&mut self, address: u64, bytes: u32, lane: usize) -> Result<()> {
        let writer = self.tags[address as usize / 2] & 0xffff;
        if writer == 0 { self.bad_read(0, 0, address, bytes, [0, lane as u32]) } else { Ok(()) }
    }
}
