//! Products on the host's cores.

use super::handle::{Description, shape};
use super::matrix::Matrix;
use crate::half::{from_bf16, to_bf16};
use crate::options::options;
use crate::run::counters::note_other;
use crate::status::Status;

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

/// Columns `first` on of `out += a b`; `a` by columns, `b` by columns.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma"))]
fn multiply(a: &[f32], b: &[f32], out: &mut [f32], rows: usize, depth: usize, first: usize) {
    // A part of the depth and of the rows stays in the cache while columns go by, four at a time.
    const DEPTH: usize = 128;
    const ROWS: usize = 512;
    for k in (0..depth).step_by(DEPTH) {
        let depth_end = (k + DEPTH).min(depth);
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

/// Columns of `left right` in several threads.
fn whole(left: &[f32], right: &[f32], out: &mut [f32], [rows, columns, depth]: [usize; 3]) {
    let large = rows * columns * depth > 1 << 18;
    let threads = if large { options().threads.min(columns) } else { 1 };
    let each = columns.div_ceil(threads).next_multiple_of(4);
    std::thread::scope(|scope| {
        for (part, out) in out.chunks_mut(each * rows).enumerate() {
            // SAFETY: products are refused where the processor lacks these instructions.
            let mut work = move || unsafe { multiply(left, right, out, rows, depth, part * each) };
            if threads == 1 {
                work();
            } else {
                scope.spawn(work);
            }
        }
    });
}

/// Two sums over half the depth each, rounded to bf16 before they are added up.
fn in_halves(left: &[f32], right: &[f32], out: &mut [f32], shape: [usize; 3]) {
    let middle = shape[2] / 2 * shape[0];
    for part in [0..middle, middle..left.len()] {
        let mut masked = vec![0.0; left.len()];
        masked[part.clone()].copy_from_slice(&left[part]);
        let mut sum = vec![0.0; out.len()];
        whole(&masked, right, &mut sum, shape);
        out.iter_mut().zip(sum).for_each(|(out, sum)| *out += from_bf16(to_bf16(sum)));
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
        let sum = if halved { in_halves } else { whole };
        sum(&left, &right, &mut out, [rows, columns, depth]);
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
