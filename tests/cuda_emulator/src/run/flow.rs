//! The flow of a warp: each of its 32 lanes has its own place in the program.
//!
//! Lanes at one place form a group and run together. Of several groups the one that is deepest in calls runs, and of
//! those the one whose place comes first: compilers lay out code so that whoever is behind catches up. When a group
//! comes to where another is, they are one again. `*.sync` instructions hold a group until the lanes that they name are
//! there.

use super::fault::{Fault, Result};
use super::file::File;
use super::lanes::lanes;
use crate::program::{Code, Instr, Program};
use crate::status;

/// Instructions that a group may run on its own when it would else wait for one that spins.
const HELD: u64 = 512;
/// Changes of the group after which one that is ahead gets a turn.
const PATIENCE: u32 = 4096;

/// What a group waits for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wait {
    Nothing,
    /// For lanes to come to this very instruction.
    Lanes,
    /// For these lanes to come to any barrier of the warp.
    WarpBarrier(u32),
    /// For the rest of the warp, to go to the block's barrier with it.
    Barrier,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    pc: u32,
    depth: u32,
    mask: u32,
    wait: Wait,
}

#[derive(Debug)]
pub struct Flow {
    /// The lanes that the block gives the warp, and those of them that have not ended.
    pub exists: u32,
    pub live: u32,
    /// Of the group that runs.
    pub pc: u32,
    pub mask: u32,
    depth: u32,
    /// The others.
    groups: Vec<Group>,
    /// Where the next group waits to be joined.
    stop: u32,
    /// Where each lane returns to, by depth.
    returns: Vec<[u32; 32]>,
    /// Instructions that were run.
    pub executed: u64,
    changes: u32,
    held_until: u64,
}

impl Flow {
    pub fn new() -> Flow {
        Flow {
            exists: 0,
            live: 0,
            pc: 0,
            mask: 0,
            depth: 0,
            groups: Vec::new(),
            stop: u32::MAX,
            returns: Vec::new(),
            executed: 0,
            changes: 0,
            held_until: 0,
        }
    }

    /// For the next block.
    pub fn reset(&mut self, exists: u32) {
        (self.exists, self.live, self.mask) = (exists, exists, exists);
        (self.pc, self.depth, self.stop, self.executed, self.changes, self.held_until) = (0, 0, u32::MAX, 0, 0, 0);
        self.groups.clear();
    }

    /// Whether the group that runs has come to where another waits.
    #[inline(always)]
    pub fn meets(&self) -> bool {
        self.pc >= self.stop
    }

    /// Whether there are other groups.
    #[inline(always)]
    pub fn is_split(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Whether the group that runs goes on though others are ready.
    #[inline(always)]
    pub fn is_held(&self) -> bool {
        self.executed < self.held_until
    }

    /// Lanes `m` of the group go to `target`.
    pub fn branch(&mut self, code: &[Instr], target: u32, m: u32) -> Result<()> {
        let at = &code[target as usize];
        // Who goes to the end is gone before others come to a barrier.
        if at.guard == 0 && (at.code == Code::Exit || at.code == Code::Return && self.depth == 0) {
            self.exit(m)?;
            self.pc += 1;
        } else if m == self.mask {
            self.pc = target;
        } else {
            self.mask &= !m;
            self.pc += 1;
            self.add(Group { pc: target, depth: self.depth, mask: m, wait: Wait::Nothing });
        }
        Ok(())
    }

    /// Branches by a table, calls and returns.
    pub fn leave(&mut self, program: &Program, file: &File, i: &Instr, m: u32) -> Result<()> {
        let next = Group { pc: self.pc + 1, depth: self.depth, mask: self.mask & !m, wait: Wait::Nothing };
        self.mask = 0;
        match i.code {
            Code::BranchIndexed => {
                for lane in lanes(m) {
                    let entry = file.get::<u32>(i.a, lane).min(i.e.saturating_sub(1));
                    let pc = program.tables[(i.list + entry) as usize];
                    self.add(Group { pc, depth: self.depth, mask: 1 << lane, wait: Wait::Nothing });
                }
            }
            Code::Call => {
                if self.returns.len() <= self.depth as usize {
                    self.returns.push([0; 32]);
                }
                for lane in lanes(m) {
                    self.returns[self.depth as usize][lane] = self.pc + 1;
                }
                self.add(Group { pc: i.offset as u32, depth: self.depth + 1, mask: m, wait: Wait::Nothing });
            }
            Code::Return if self.depth > 0 => {
                for lane in lanes(m) {
                    let pc = self.returns[self.depth as usize - 1][lane];
                    self.add(Group { pc, depth: self.depth - 1, mask: 1 << lane, wait: Wait::Nothing });
                }
            }
            _ => self.exit(m)?,
        }
        self.add(next);
        Ok(())
    }

    fn exit(&mut self, m: u32) -> Result<()> {
        self.live &= !m;
        self.mask &= !m;
        if m != 0 {
            for group in &mut self.groups {
                if group.wait == Wait::Barrier {
                    let message = format!(
                        "barrier in divergent code: lanes {m:#010x} end while lanes {:#010x} of their warp wait at a barrier",
                        group.mask
                    );
                    return Err(Fault::of_lane(status::LAUNCH_FAILED, m.trailing_zeros() as usize, message));
                }
                // They wait for lanes that will not come: let them find out.
                if group.wait != Wait::Nothing {
                    group.wait = Wait::Nothing;
                }
            }
        }
        Ok(())
    }

    /// Adds lanes to the group that is at the same place.
    fn add(&mut self, group: Group) {
        if group.mask == 0 {
            return;
        }
        match self.groups.iter_mut().find(|other| other.pc == group.pc && other.depth == group.depth) {
            Some(other) => {
                other.mask |= group.mask;
                // Whatever they waited for may have come.
                other.wait = Wait::Nothing;
            }
            None => self.groups.push(group),
        }
    }

    /// Lets the lanes that are not in `m` go on.
    pub fn split_unguarded(&mut self, m: u32) {
        let rest = Group { pc: self.pc + 1, depth: self.depth, mask: self.mask & !m, wait: Wait::Nothing };
        self.mask = m;
        self.add(rest);
    }

    /// Puts the running group aside.
    pub fn park(&mut self, wait: Wait) {
        let group = Group { pc: self.pc, depth: self.depth, mask: self.mask, wait };
        self.mask = 0;
        self.add(group);
    }

    /// Puts the running group aside and takes the one whose turn it is; false if the warp has ended.
    pub fn choose_group(&mut self, program: &Program) -> Result<bool> {
        if self.mask != 0 {
            self.park(Wait::Nothing);
        }
        if self.groups.is_empty() {
            self.stop = u32::MAX;
            return Ok(false);
        }
        self.changes += 1;
        let ready = || self.groups.iter().enumerate().filter(|(_, group)| group.wait == Wait::Nothing);
        let impatient = self.changes > PATIENCE;
        let chosen = if impatient {
            ready().max_by_key(|(_, group)| group.pc)
        } else {
            ready().min_by_key(|(_, group)| (u32::MAX - group.depth, group.pc))
        };
        let Some((at, _)) = chosen else { return Err(self.stuck(program)) };
        let group = self.groups.swap_remove(at);
        (self.pc, self.depth, self.mask) = (group.pc, group.depth, group.mask);
        if impatient {
            self.changes = 0;
            self.held_until = self.executed + HELD;
            self.stop = u32::MAX;
        } else {
            self.stop = (self.groups.iter())
                .filter(|other| other.depth == group.depth && other.pc > group.pc)
                .map(|other| other.pc)
                .min()
                .unwrap_or(u32::MAX);
        }
        Ok(true)
    }

    fn stuck(&mut self, program: &Program) -> Box<Fault> {
        let places: Vec<String> = self
            .groups
            .iter()
            .map(|group| format!("lanes {:#010x} at line {}", group.mask, program.code[group.pc as usize].line))
            .collect();
        self.pc = self.groups[0].pc;
        let barrier = self.groups.iter().any(|group| group.wait == Wait::Barrier);
        let what = if barrier { "barrier in divergent code" } else { "deadlock within a warp" };
        Fault::new(status::LAUNCH_FAILED, format!("{what}: {}", places.join(", ")))
    }

    /// Waits for the rest of the warp, which instructions of matrices need.
    pub fn all_lanes(&mut self, m: u32) -> Result<()> {
        if self.live != u32::MAX {
            let message =
                format!("an instruction of matrices needs all lanes of the warp, {:#010x} are there", self.live);
            return Err(Fault::new(status::LAUNCH_FAILED, message));
        }
        self.split_unguarded(m);
        self.park(Wait::Lanes);
        Ok(())
    }

    /// Whether all lanes that the lanes of `m` name are in `m`.
    pub fn together(&self, file: &File, i: &Instr, m: u32) -> Result<bool> {
        for lane in lanes(m) {
            let members = file.get::<u32>(i.b, lane);
            if members == m {
                continue;
            }
            if members >> lane & 1 == 0 {
                let message = format!("the lane is not in the mask {members:#010x} that it gives");
                return Err(Fault::of_lane(status::LAUNCH_FAILED, lane, message));
            }
            let gone = members & self.exists & !self.live;
            if gone != 0 {
                let message = format!("the mask {members:#010x} names lanes {gone:#010x}, which have ended");
                return Err(Fault::of_lane(status::LAUNCH_FAILED, lane, message));
            }
            if members & self.live & !m != 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the group may go on; lanes may come to different barriers of the warp.
    pub fn warp_barrier(&mut self, program: &Program, file: &File, i: &Instr, m: u32) -> Result<bool> {
        if self.together(file, i, m)? {
            return Ok(true);
        }
        let members = file.get::<u32>(i.b, m.trailing_zeros() as usize);
        let wait = Wait::WarpBarrier(members);
        let others = self.groups.iter().filter(|group| group.wait == wait).fold(0, |mask, group| mask | group.mask);
        if members & self.live & !(m | others) == 0 {
            let mut groups = std::mem::take(&mut self.groups);
            for group in groups.iter_mut().filter(|group| group.wait == wait) {
                group.pc += 1;
                group.wait = Wait::Nothing;
            }
            for group in groups {
                self.add(group);
            }
            return Ok(true);
        }
        self.split_unguarded(m);
        self.park(wait);
        self.choose_group(program)?;
        Ok(false)
    }
}
