//! Blocks from their start to their end: their warps take turns, and meet at barriers.

use super::block::Block;
use super::fault::{Fault, Result};
use super::launch::Launch;
use super::turn::{Arrival, Stop, turn};
use super::warp::Warp;
use crate::options::mix;
use crate::program::BarrierKind;
use crate::status;

/// Instructions of a warp before others get a turn, for those that wait for another by reading memory.
const TURN: u64 = 200_000;

/// Warps that have come to a barrier.
#[derive(Debug, Default)]
struct Meeting {
    threads: u32,
    wanted: u32,
    waiting: Vec<(usize, Arrival)>,
}

/// Runs blocks one after the other, with the same room.
#[derive(Debug)]
pub struct Runner<'a> {
    pub block: Block<'a>,
    warps: Vec<Warp>,
    order: Vec<usize>,
    meetings: Vec<Meeting>,
    done: Vec<bool>,
    waits: Vec<bool>,
}

/// Where a block went wrong.
#[derive(Debug)]
pub struct Place {
    pub block: [u32; 3],
    pub thread: Option<[u32; 3]>,
    pub warp: u32,
    pub line: u32,
}

impl<'a> Runner<'a> {
    pub fn new(launch: &'a Launch) -> Runner<'a> {
        let count = launch.threads().div_ceil(32);
        Runner {
            block: Block::new(launch),
            warps: (0..count).map(|index| Warp::new(&launch.program, index)).collect(),
            order: (0..count as usize).collect(),
            meetings: (0..16).map(|_| Meeting::default()).collect(),
            done: Vec::new(),
            waits: Vec::new(),
        }
    }

    /// Prepares the block at a place in the grid.
    pub fn start(&mut self, place: [u32; 3]) {
        let threads = self.block.launch.threads();
        self.block.place = place;
        self.block.shared.reset();
        for warp in &mut self.warps {
            let lanes = (threads - warp.index * 32).min(32);
            warp.reset(if lanes == 32 { u32::MAX } else { (1 << lanes) - 1 });
        }
        for meeting in &mut self.meetings {
            *meeting = Meeting::default();
        }
        self.done = vec![false; self.warps.len()];
        self.waits = vec![false; self.warps.len()];
        if self.block.launch.options.order != 0 {
            let seed = place.iter().fold(self.block.launch.options.order, |seed, x| mix(seed ^ u64::from(*x)));
            shuffle(&mut self.order, seed);
        }
    }

    /// Lets every warp run until it waits, ends or has had its turn; true once the block has ended.
    pub fn round(&mut self) -> std::result::Result<bool, (Box<Fault>, Place)> {
        let mut moved = false;
        for at in 0..self.order.len() {
            let index = self.order[at];
            if self.done[index] || self.waits[index] {
                continue;
            }
            moved = true;
            self.turn(index).map_err(|fault| {
                let place = self.place_of(index, &fault);
                (fault, place)
            })?;
        }
        if !moved {
            let all_done = self.done.iter().all(|done| *done);
            if all_done {
                return Ok(true);
            }
            let index = self.waits.iter().position(|waits| *waits).unwrap_or(0);
            let fault = Fault::new(
                status::LAUNCH_FAILED,
                "deadlock: every warp waits at a barrier that the others do not come to",
            );
            let place = self.place_of(index, &fault);
            return Err((fault, place));
        }
        Ok(false)
    }

    /// Instructions that were run, and those times the lanes of a warp.
    pub fn executed(&self) -> u64 {
        self.warps.iter().map(|warp| warp.flow.executed).sum()
    }

    fn turn(&mut self, index: usize) -> Result<()> {
        loop {
            let warp = &mut self.warps[index];
            // SAFETY: a launch is refused where the processor lacks these instructions.
            let stop = unsafe { turn(warp, &mut self.block, TURN)? };
            if warp.flow.executed > self.block.launch.options.budget {
                return Err(Fault::new(
                    status::LAUNCH_FAILED,
                    format!("no end after {} instructions of a warp", warp.flow.executed),
                ));
            }
            match stop {
                Stop::Turn => return Ok(()),
                Stop::Finished => {
                    self.done[index] = true;
                    return self.settle();
                }
                Stop::Barrier(arrival) => {
                    self.arrive(index, arrival)?;
                    if self.waits[index] {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn arrive(&mut self, index: usize, arrival: Arrival) -> Result<()> {
        let Some(meeting) = self.meetings.get_mut(arrival.barrier as usize) else {
            return Err(Fault::new(status::LAUNCH_FAILED, format!("there is no barrier {}", arrival.barrier)));
        };
        // A warp counts in full, as the hardware has it.
        meeting.threads += 32;
        meeting.wanted = arrival.threads;
        if arrival.kind != BarrierKind::Arrive {
            meeting.waiting.push((index, arrival));
            self.waits[index] = true;
        }
        self.settle()
    }

    /// Opens the barriers that all have come to.
    fn settle(&mut self) -> Result<()> {
        let live = 32 * self.done.iter().filter(|done| !**done).count() as u32;
        for meeting in &mut self.meetings {
            if meeting.threads == 0 {
                continue;
            }
            let wanted = if meeting.wanted == 0 { live } else { meeting.wanted.next_multiple_of(32) };
            if meeting.threads < wanted {
                continue;
            }
            let met = std::mem::take(meeting);
            let count = met.waiting.iter().map(|(_, arrival)| (arrival.bits & arrival.mask).count_ones()).sum::<u32>();
            let all = met.waiting.iter().all(|(_, arrival)| arrival.bits & arrival.mask == arrival.mask);
            for (index, arrival) in met.waiting {
                self.waits[index] = false;
                self.warps[index].landed.clear();
                let file = &mut self.warps[index].file;
                match arrival.kind {
                    BarrierKind::Count => file.put(arrival.to, arrival.mask, &[count; 32]),
                    BarrierKind::And => file.put_predicate(arrival.to, arrival.mask, if all { u32::MAX } else { 0 }),
                    BarrierKind::Or => {
                        file.put_predicate(arrival.to, arrival.mask, if count > 0 { u32::MAX } else { 0 })
                    }
                    _ => {}
                }
            }
            self.block.shared.barrier();
        }
        Ok(())
    }

    fn place_of(&self, index: usize, fault: &Fault) -> Place {
        let warp = &self.warps[index];
        let pc = (warp.flow.pc as usize).min(self.block.program.code.len() - 1);
        // A warp at a barrier is past it already.
        let pc = if self.waits[index] { pc.saturating_sub(1) } else { pc };
        Place {
            block: self.block.place,
            thread: fault.lane.map(|lane| self.block.launch.thread(warp.index * 32 + lane as u32)),
            warp: warp.index,
            line: self.block.program.code[pc].line,
        }
    }
}

fn shuffle(order: &mut [usize], mut seed: u64) {
    for at in (1..order.len()).rev() {
        seed = mix(seed);
        order.swap(at, (seed % (at as u64 + 1)) as usize);
    }
}
