//! What lanes tell each other, and special registers.

use super::atomic::combine;
use crate::program::{Code, Compare, Instr, Shuffle, Special, Ty, Vote};
use crate::run::block::Block;
use crate::run::fault::{Fault, Result};
use crate::run::file::File;
use crate::run::lanes::lanes;
use crate::run::warp::Warp;
use crate::status;
use std::time::{SystemTime, UNIX_EPOCH};

/// Runs an instruction in which the lanes of `m` take part; each is in a set of lanes that are all there.
pub fn collect(file: &mut File, i: &Instr, m: u32) -> Result<()> {
    match i.code {
        Code::Shuffle(mode) => {
            let (mut out, mut inside) = ([0u32; 32], 0);
            for lane in lanes(m) {
                let (by, clamp) = (file.get::<u32>(i.c, lane), file.get::<u32>(i.list, lane));
                let (limit, segment) = (clamp & 31, clamp >> 8 & 31);
                let lane_bits = lane as u32;
                let most = (lane_bits & segment) | (limit & !segment);
                let by = by & 31;
                let (from, fits) = match mode {
                    Shuffle::Up => {
                        let from = lane_bits as i32 - by as i32;
                        (from, from >= most as i32)
                    }
                    Shuffle::Down => {
                        let from = (lane_bits + by) as i32;
                        (from, from <= most as i32)
                    }
                    Shuffle::Butterfly => {
                        let from = (lane_bits ^ by) as i32;
                        (from, from <= most as i32)
                    }
                    Shuffle::Index => {
                        let from = ((lane_bits & segment) | (by & !segment)) as i32;
                        (from, from <= most as i32)
                    }
                };
                let from = if fits { from as usize & 31 } else { lane };
                // What such a lane has is undefined, though mostly it is what one thinks.
                let there = file.get::<u32>(i.b, lane) & m;
                if there >> from & 1 == 0 {
                    let message = format!("shuffle from lane {from}, which is not among the lanes {there:#010x}");
                    return Err(Fault::of_lane(status::LAUNCH_FAILED, lane, message));
                }
                inside |= u32::from(fits) << lane;
                out[lane] = file.get::<u32>(i.a, from);
            }
            file.put(i.d, m, &out);
            if i.e != 0 {
                file.put_predicate(i.e, m, inside);
            }
        }
        Code::Vote(kind) => {
            let bits = file.predicate(i.a);
            for lane in lanes(m) {
                let members = file.get::<u32>(i.b, lane) & m;
                let yes = bits & members;
                let holds = match kind {
                    Vote::All => yes == members,
                    Vote::Any => yes != 0,
                    Vote::Uniform => yes == 0 || yes == members,
                    Vote::Ballot => {
                        file.set(i.d, lane, yes);
                        continue;
                    }
                };
                file.put_predicate(i.d, 1 << lane, if holds { u32::MAX } else { 0 });
            }
        }
        Code::Match { ty, all } => {
            let values: [u64; 32] = std::array::from_fn(|lane| file.get_bits(i.a, ty.bits(), lane));
            for lane in lanes(m) {
                let members = file.get::<u32>(i.b, lane) & m;
                let same = lanes(members)
                    .filter(|other| values[*other] == values[lane])
                    .fold(0u32, |mask, other| mask | 1 << other);
                let agree = same == members;
                file.set(i.d, lane, if all && !agree { 0 } else { same });
                if i.e != 0 {
                    file.put_predicate(i.e, 1 << lane, if agree { u32::MAX } else { 0 });
                }
            }
        }
        Code::Reduce { ty, op } => {
            let values: [u32; 32] = std::array::from_fn(|lane| file.get::<u32>(i.a, lane));
            for lane in lanes(m) {
                let members = file.get::<u32>(i.b, lane) & m;
                let of = |x: u32| if ty == Ty::S32 { x as i32 as i64 as u64 } else { u64::from(x) };
                let result = lanes(members)
                    .map(|other| of(values[other]))
                    .reduce(|old, next| combine(op, ty, old, [next, 0], false))
                    .unwrap_or(0);
                file.set(i.d, lane, result as u32);
            }
        }
        _ => {
            for lane in lanes(m) {
                let members = file.get::<u32>(i.b, lane) & m;
                let leader = members.trailing_zeros();
                file.set(i.d, lane, leader);
                file.put_predicate(i.e, 1 << lane, if leader as usize == lane { u32::MAX } else { 0 });
            }
        }
    }
    Ok(())
}

/// Special registers, and what moves bits between registers.
pub fn special(warp: &mut Warp, block: &Block<'_>, i: &Instr, m: u32) {
    match i.code {
        Code::Special(special) => {
            for lane in lanes(m) {
                let value = special_value(warp, block, special, lane);
                warp.file.set_bits(i.d, i.e, lane, value);
            }
        }
        Code::Pack => {
            let part_bits = i.c / i.b;
            let slots = &block.program.lists[i.list as usize..(i.list + i.b) as usize];
            for lane in lanes(m) {
                let value = slots.iter().enumerate().fold(0u64, |value, (part, slot)| {
                    let bits = warp.file.get_bits(slot.row, slot.bits, lane) << (64 - part_bits) >> (64 - part_bits);
                    value | bits << (part as u32 * part_bits)
                });
                warp.file.set_bits(i.d, i.c, lane, value);
            }
        }
        Code::Unpack => {
            let part_bits = i.c / i.b;
            let slots = &block.program.lists[i.list as usize..(i.list + i.b) as usize];
            for lane in lanes(m) {
                let value = warp.file.get_bits(i.a, i.c, lane);
                for (part, slot) in slots.iter().enumerate() {
                    let bits = value >> (part as u32 * part_bits) << (64 - part_bits) >> (64 - part_bits);
                    warp.file.set_bits(slot.row, slot.bits, lane, bits);
                }
            }
        }
        Code::ActiveMask => warp.file.put(i.d, m, &[m; 32]),
        Code::TransposeMatrix => {
            let rows: [u32; 32] = std::array::from_fn(|lane| warp.file.get::<u32>(i.a, lane));
            let element = |row: usize, column: usize| rows[row * 4 + column / 2] >> (16 * (column % 2)) & 0xffff;
            let out = std::array::from_fn(|lane| {
                let (row, column) = (lane / 4, lane % 4 * 2);
                element(column, row) | element(column + 1, row) << 16
            });
            warp.file.put(i.d, m, &out);
        }
        _ => {}
    }
}

fn special_value(warp: &Warp, block: &Block<'_>, special: Special, lane: usize) -> u64 {
    let launch = block.launch;
    let bit = 1u64 << lane;
    match special {
        Special::Tid(axis) => u64::from(launch.thread(warp.index * 32 + lane as u32)[axis as usize]),
        Special::Ntid(axis) => u64::from(launch.block[axis as usize]),
        Special::Ctaid(axis) => u64::from(block.place[axis as usize]),
        Special::Nctaid(axis) => u64::from(launch.grid[axis as usize]),
        Special::Lane => lane as u64,
        Special::Warp => u64::from(warp.index),
        Special::Warps => u64::from(launch.threads().div_ceil(32)),
        Special::Sm => u64::from(block.place[0] % launch.options.multiprocessors),
        Special::Sms => u64::from(launch.options.multiprocessors),
        Special::LaneMask(Compare::Eq) => bit,
        Special::LaneMask(Compare::Lt) => bit - 1,
        Special::LaneMask(Compare::Le) => bit * 2 - 1,
        Special::LaneMask(Compare::Gt) => 0xffff_ffff & !(bit * 2 - 1),
        Special::LaneMask(_) => 0xffff_ffff & !(bit - 1),
        Special::Clock | Special::Clock64 => warp.flow.executed,
        Special::Timer => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64),
        Special::DynamicShared => u64::from(launch.dynamic),
        Special::TotalShared => u64::from(launch.shared_bytes()),
        Special::Environment(half) => launch.workspace >> (32 * half) & 0xffff_ffff,
        Special::Zero => 0,
    }
}
