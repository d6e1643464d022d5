//! Products on the host's cores.

use super::handle::{Description, shape};
use super::matrix::Matrix;
use crate::half::{from_bf16, to_bf16};
use crate::options::{mix, options};
use crate::run::counters::note_other;
use crate::status::Status;
use std::ops::Range;

/// Columns one after the other to rows one after the other.
fn turned(numbers: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; numbers.len()];
    for column in 0..columns {
        for row in 0..rows {
            out[row * columns + column] = numbers[column * rows + row];
        }
    }
    out
}

/// Columns `first` on of `out += a b` over a part of the depth; `a` by columns, `b` by columns.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma"))]
fn multiply(a: &[f32], b: &[f32], out: &mut [f32], [rows, depth]: [usize; 2], part: Range<usize>, first: usize) {
    // A part of the depth and of the rows stays in the cache while columns go by, four at a time.
    const DEPTH: usize = 128;
    const ROWS: usize = 512;
    for k in part.clone().step_by(DEPTH) {
        let depth_end = (k + DEPTH).min(part.end);
        for r in (0..rows).step_by(ROWS) {
            let rows_end = (r + ROWS).min(rows);
            for (pair, columns) in out.chunks_mut(rows * 4).enumerate() {
                let column = first + pair * 4;
                if columns.len() == rows * 4 {
                    let (c0, rest) = columns.split_at_mut(rows);
                    let (c1, rest) = rest.split_at_mut(rows);
                    let (c2, c3) = rest.split_at_mut(rows);
                    let [c0, c1, c2, c3] = [c0, c1, c2, c3].map(|column| &mut column[r..rows_end]);
                    for k in k..depth_end {
                        let a = &a[k * rows + r..k * rows + rows_end];
                        let factors = [0, 1, 2, 3].map(|at| b[(column + at) * depth + k]);
                        for ((((a, c0), c1), c2), c3) in
                            a.iter().zip(c0.iter_mut()).zip(c1.iter_mut()).zip(c2.iter_mut()).zip(c3.iter_mut())
                        {
                            *c0 = a.mul_add(factors[0], *c0);
                            *c1 = a.mul_add(factors[1], *c1);
                            *c2 = a.mul_add(factors[2], *c2);
                            *c3 = a.mul_add(factors[3], *c3);
                        }
                    }
                } else {
                    for (at, out) in columns.chunks_mut(rows).enumerate() {
                        for k in k..depth_end {
                            let factor = b[(column + at) * depth + k];
                            let a = &a[k * rows + r..k * rows + rows_end];
                            for (a, out) in a.iter().zip(&mut out[r..rows_end]) {
                                *out = a.mul_add(factor, *out);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Adds columns of `left right` over a part of the depth, in several threads.
fn add(left: &[f32], right: &[f32], out: &mut [f32], [rows, columns, depth]: [usize; 3], part: Range<usize>) {
    let large = rows * columns * part.len() > 1 << 18;
    let threads = if large { options().threads.min(columns) } else { 1 };
    let each = columns.div_ceil(threads).next_multiple_of(4);
    std::thread::scope(|scope| {
        for (at, out) in out.chunks_mut(each * rows).enumerate() {
            let part = part.clone();
            // SAFETY: products are refused where the processor lacks these instructions.
            let mut work = move || unsafe { multiply(left, right, out, [rows, depth], part.clone(), at * each) };
            if threads == 1 {
                work();
            } else {
                scope.spawn(work);
            }
        }
    });
}

/// The parts of the depth in the order in which they are summed, and whether each has a sum of its own.
///
/// A library has many kernels, and chooses one by the shape. So here does each shape start somewhere else, and some add
/// two sums up: numbers that are bit for bit the same in two shapes are so by chance.
fn order(shape: [usize; 3]) -> ([Range<usize>; 2], bool) {
    let depth = shape[2];
    let chosen = shape.into_iter().fold(0, |seed, count| mix(seed ^ count as u64));
    let start = (chosen >> 1) as usize % depth;
    ([start..depth, 0..start], chosen & 1 != 0)
}

/// A sum over the whole depth. `halved`: two over half the depth each, rounded to bf16 before they are added up.
fn sum(left: &[f32], right: &[f32], out: &mut [f32], shape: [usize; 3], halved: bool) {
    let (mut parts, mut apart) = order(shape);
    if halved {
        let middle = shape[2] / 2;
        (parts, apart) = ([0..middle, middle..shape[2]], true);
    }
    for part in parts {
        if apart {
            let mut sum = vec![0.0; out.len()];
            add(left, right, &mut sum, shape, part);
            let rounded = |sum: f32| if halved { from_bf16(to_bf16(sum)) } else { sum };
            out.iter_mut().zip(sum).for_each(|(out, sum)| *out += rounded(sum));
        } else {
            add(left, right, out, shape, part);
        }
    }
}

pub fn product(
    description: Description,
    factors: [f32; 2],
    matrices: &[Matrix; 4],
    halved: bool,
) -> Result<(), Status> {
    let [a, b, c, d] = matrices;
    let [alpha, beta] = factors;
    let [by_a, by_b] = description.transposed;
    let ((rows, depth), (_, columns)) = (shape(&a.layout, by_a), shape(&b.layout, by_b));
    note_other("cublasLtMatmul", (rows * columns * depth) as u64);
    let mut out = vec![0.0; rows * columns];
    if depth > 0 {
        let (in_a, in_b) = (a.inside("A", true)?, b.inside("B", true)?);
        let (mut left, mut right) = (a.read(&in_a), b.read(&in_b));
        if by_a {
            left = turned(&left, depth, rows);
        }
        if by_b {
            right = turned(&right, columns, depth);
        }
        sum(&left, &right, &mut out, [rows, columns, depth], halved);
    }
    // What is not asked for is not read, since it may be anything.
    let onto = if beta != 0.0 { Some(c.read(&*c.inside("C", true)?)) } else { None };
    for (at, out) in out.iter_mut().enumerate() {
        *out *= alpha;
        if let Some(onto) = &onto {
            *out = beta.mul_add(onto[at], *out);
        }
    }
    d.write(&*d.inside("D", false)?, &out);
    Ok(())
}
