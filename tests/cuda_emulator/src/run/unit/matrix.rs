//! Tensor cores: `mma`, `ldmatrix` and `stmatrix`.
//!
//! Of a fragment, lane `l` holds elements of row `g = l / 4` (and `g + 8`), and `t = l % 4` tells which of a row.

use crate::half::{from_bf16, from_f16, to_f16};
use crate::memory::{SHARED_WINDOW, WINDOW};
use crate::program::{Code, Factors, Instr, Rounding, Slot, Space};
use crate::run::block::Block;
use crate::run::fault::Result;
use crate::run::file::File;
use crate::run::warp::Warp;

/// Runs an instruction for which all lanes are there.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
pub fn matrix(warp: &mut Warp, block: &mut Block<'_>, i: &Instr) -> Result<()> {
    let program = block.program;
    match i.code {
        Code::Product { factors, depth, half_sums } => {
            let slots = &program.lists[i.list as usize..];
            block.counters.multiplications += 16 * 8 * u64::from(depth);
            product(&mut warp.file, slots, factors, depth as usize, half_sums);
            Ok(())
        }
        Code::LoadMatrix { count, transposed } => {
            let slots = &program.lists[i.list as usize..(i.list as usize + count as usize)];
            load_matrix(warp, block, i, slots, transposed)
        }
        Code::StoreMatrix { count, transposed } => {
            let slots = &program.lists[i.list as usize..(i.list as usize + count as usize)];
            store_matrix(warp, block, i, slots, transposed)
        }
        _ => unreachable!("{:?} is of no matrices", i.code),
    }
}

/// `d = a b + c`, 16 × 8, summed in f32 in the order of the depth.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt"))]
fn product(file: &mut File, slots: &[Slot], factors: Factors, depth: usize, half_sums: bool) {
    let sums = if half_sums { 2 } else { 4 };
    let per_word = if factors == Factors::Tf32 { 1 } else { 2 };
    let (of_a, of_b) = (16 * depth / 32 / per_word, 8 * depth / 32 / per_word);
    let (d, rest) = slots.split_at(sums);
    let (a, rest) = rest.split_at(of_a);
    let (b, rest) = rest.split_at(of_b);
    let widen = |bits: u32| match factors {
        Factors::Bf16 => from_bf16(bits as u16),
        Factors::F16 => from_f16(bits as u16),
        Factors::Tf32 => f32::from_bits(bits & 0xffff_e000),
    };
    let (mut left, mut right) = ([[0f32; 16]; 16], [[0f32; 8]; 16]);
    // Register `r` of `a` is of row `g + 8 (r % 2)`, its numbers of `columns (r / 2)` on; of `b` of rows alike.
    let columns = 4 * per_word;
    for (register, slot) in a.iter().enumerate() {
        for lane in 0..32 {
            let word = file.get::<u32>(slot.row, lane);
            let row = lane / 4 + 8 * (register % 2);
            let column = columns * (register / 2) + lane % 4 * per_word;
            left[row][column] = widen(word);
            if per_word == 2 {
                left[row][column + 1] = widen(word >> 16);
            }
        }
    }
    for (register, slot) in b.iter().enumerate() {
        for lane in 0..32 {
            let word = file.get::<u32>(slot.row, lane);
            let row = columns * register + lane % 4 * per_word;
            right[row][lane / 4] = widen(word);
            if per_word == 2 {
                right[row + 1][lane / 4] = widen(word >> 16);
            }
        }
    }
    let mut out = [[0f32; 8]; 16];
    for lane in 0..32 {
        let (row, column) = (lane / 4, lane % 4 * 2);
        for half in 0..2 {
            let pair = if half_sums {
                let word = file.get::<u32>(rest[half].row, lane);
                [from_f16(word as u16), from_f16((word >> 16) as u16)]
            } else {
                [file.get::<f32>(rest[2 * half].row, lane), file.get::<f32>(rest[2 * half + 1].row, lane)]
            };
            out[row + 8 * half][column..column + 2].copy_from_slice(&pair);
        }
    }
    for (sums, left) in out.iter_mut().zip(&left) {
        for (x, right) in left[..depth].iter().zip(&right) {
            for (sum, y) in sums.iter_mut().zip(right) {
                *sum = x.mul_add(*y, *sum);
            }
        }
    }
    for lane in 0..32 {
        let (row, column) = (lane / 4, lane % 4 * 2);
        for half in 0..2 {
            let [low, high] = [out[row + 8 * half][column], out[row + 8 * half][column + 1]];
            if half_sums {
                let narrow = |x: f32| u32::from(to_f16(f64::from(x), Rounding::Nearest));
                file.set(d[half].row, lane, narrow(low) | narrow(high) << 16);
            } else {
                file.set(d[2 * half].row, lane, low);
                file.set(d[2 * half + 1].row, lane, high);
            }
        }
    }
}

/// Where the rows of the matrices are: lanes `8 k` to `8 k + 7` give those of matrix `k`.
fn rows(warp: &mut Warp, block: &mut Block<'_>, i: &Instr, count: usize) -> [u64; 32] {
    let addresses = warp
        .addresses(i)
        .map(|address| if address.wrapping_sub(SHARED_WINDOW) < WINDOW { address - SHARED_WINDOW } else { address });
    for matrix in 0..count {
        // Each matrix is read on its own.
        warp.count(block, Space::Shared, &addresses, 0xff << (8 * matrix), 16);
    }
    addresses
}

fn load_matrix(warp: &mut Warp, block: &mut Block<'_>, i: &Instr, slots: &[Slot], transposed: bool) -> Result<()> {
    let addresses = rows(warp, block, i, slots.len());
    for (matrix, slot) in slots.iter().enumerate() {
        let mut elements = [[0u16; 8]; 8];
        for (row, elements) in elements.iter_mut().enumerate() {
            let lane = matrix * 8 + row;
            let from = warp.readable_by_all(block, addresses[lane], 16, lane)?;
            // SAFETY: `readable_by_all` found 16 bytes to be inside and aligned.
            *elements = unsafe { from.cast::<[u16; 8]>().read() };
        }
        for lane in 0..32 {
            let (row, column) = (lane / 4, lane % 4 * 2);
            let [low, high] = if transposed {
                [elements[column][row], elements[column + 1][row]]
            } else {
                [elements[row][column], elements[row][column + 1]]
            };
            warp.file.set(slot.row, lane, u32::from(low) | u32::from(high) << 16);
        }
    }
    Ok(())
}

fn store_matrix(warp: &mut Warp, block: &mut Block<'_>, i: &Instr, slots: &[Slot], transposed: bool) -> Result<()> {
    let addresses = rows(warp, block, i, slots.len());
    for (matrix, slot) in slots.iter().enumerate() {
        let mut elements = [[0u16; 8]; 8];
        for lane in 0..32 {
            let (row, column) = (lane / 4, lane % 4 * 2);
            let word = warp.file.get::<u32>(slot.row, lane);
            for (part, value) in [word as u16, (word >> 16) as u16].into_iter().enumerate() {
                if transposed {
                    elements[column + part][row] = value;
                } else {
                    elements[row][column + part] = value;
                }
            }
        }
        for (row, elements) in elements.iter().enumerate() {
            let lane = matrix * 8 + row;
            let mut bytes = [0; 16];
            for (pair, element) in bytes.chunks_exact_mut(2).zip(elements) {
                pair.copy_from_slice(&element.to_le_bytes());
            }
            let to = warp.writable(block, Space::Shared, addresses[lane], &bytes, lane)?;
            // SAFETY: `writable` found 16 bytes to be inside and aligned.
            unsafe { to.cast::<[u8; 16]>().write(bytes) };
        }
    }
    Ok(())
}
