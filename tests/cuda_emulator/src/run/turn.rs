//! A turn of a warp: instruction after instruction, each by the unit that it is for.

use super::block::Block;
use super::fault::{Fault, Result};
use super::flow::Wait;
use super::unit::choose::choose;
use super::unit::collective::{collect, special};
use super::unit::convert::convert;
use super::unit::copies::share_copies;
use super::unit::float::float;
use super::unit::integer::integer;
use super::unit::matrix::matrix;
use super::unit::memory::memory;
use super::warp::Warp;
use crate::program::{BarrierKind, Code, Unit};
use crate::status;

/// Why a warp stops running.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    Finished,
    Turn,
    Barrier(Arrival),
}

/// A warp at a barrier of the block.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub kind: BarrierKind,
    pub barrier: u32,
    /// Threads that the barrier waits for; 0 for all.
    pub threads: u32,
    pub mask: u32,
    pub bits: u32,
    pub to: u32,
}

/// Runs until the warp has to wait for others, has ended, or has run `budget` instructions.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
pub fn turn(warp: &mut Warp, block: &mut Block<'_>, budget: u64) -> Result<Stop> {
    let program = block.program;
    let code = &program.code[..];
    let end = warp.flow.executed + budget;
    if warp.flow.mask == 0 && !warp.flow.choose_group(program)? {
        return Ok(Stop::Finished);
    }
    loop {
        if warp.flow.meets() && !warp.flow.choose_group(program)? {
            return Ok(Stop::Finished);
        }
        if warp.flow.executed >= end {
            return Ok(Stop::Turn);
        }
        let i = &code[warp.flow.pc as usize];
        let m = warp.flow.mask & warp.file.predicate(i.guard);
        warp.flow.executed += 1;
        if i.unit != Unit::Control {
            if m != 0 {
                if i.unit == Unit::Matrix && m != u32::MAX {
                    warp.flow.all_lanes(m)?;
                    warp.flow.choose_group(program)?;
                    continue;
                }
                match i.unit {
                    Unit::Integer => integer(&mut warp.file, i, m),
                    Unit::Float => float(&mut warp.file, i, m),
                    Unit::Convert => convert(&mut warp.file, i, m),
                    Unit::Choose => choose(&mut warp.file, i, m),
                    Unit::Memory => memory(warp, block, i, m)?,
                    _ => matrix(warp, block, i)?,
                }
            }
            warp.flow.pc += 1;
            continue;
        }
        match i.code {
            Code::Branch => {
                if m != 0 {
                    warp.flow.branch(code, i.offset as u32, m)?;
                    let others = warp.flow.is_split() && !warp.flow.is_held();
                    if (warp.flow.mask == 0 || others) && !warp.flow.choose_group(program)? {
                        return Ok(Stop::Finished);
                    }
                } else {
                    warp.flow.pc += 1;
                }
            }
            Code::BranchIndexed | Code::Call | Code::Return | Code::Exit => {
                warp.flow.leave(program, &warp.file, i, m)?;
                if !warp.flow.choose_group(program)? {
                    return Ok(Stop::Finished);
                }
            }
            Code::Barrier(kind) => {
                if m != 0 {
                    warp.flow.split_unguarded(m);
                    if m != warp.flow.live {
                        warp.flow.park(Wait::Barrier);
                        warp.flow.choose_group(program)?;
                        continue;
                    }
                    let (first, file) = (m.trailing_zeros() as usize, &warp.file);
                    let arrival = Arrival {
                        kind,
                        barrier: file.get(i.a, first),
                        threads: file.get(i.b, first),
                        mask: m,
                        bits: file.predicate(i.c),
                        to: i.d,
                    };
                    warp.flow.pc += 1;
                    return Ok(Stop::Barrier(arrival));
                }
                warp.flow.pc += 1;
            }
            Code::WarpBarrier => {
                if m != 0 && !warp.flow.warp_barrier(program, &warp.file, i, m)? {
                    continue;
                }
                if m != 0 && !warp.landed.is_empty() {
                    let members = warp.file.get::<u32>(i.b, m.trailing_zeros() as usize);
                    share_copies(warp, block, members);
                }
                warp.flow.pc += 1;
                if warp.flow.is_split() {
                    warp.flow.choose_group(program)?;
                }
            }
            Code::Shuffle(_) | Code::Vote(_) | Code::Match { .. } | Code::Reduce { .. } | Code::Elect => {
                if m != 0 {
                    if !warp.flow.together(&warp.file, i, m)? {
                        warp.flow.split_unguarded(m);
                        warp.flow.park(Wait::Lanes);
                        warp.flow.choose_group(program)?;
                        continue;
                    }
                    collect(&mut warp.file, i, m)?;
                }
                warp.flow.pc += 1;
            }
            Code::Trap => {
                if m != 0 {
                    let lane = m.trailing_zeros() as usize;
                    return Err(Fault::of_lane(status::ASSERT, lane, "the kernel traps (an assertion failed?)"));
                }
                warp.flow.pc += 1;
            }
            _ => {
                if m != 0 {
                    special(warp, block, i, m);
                }
                warp.flow.pc += 1;
            }
        }
    }
}
