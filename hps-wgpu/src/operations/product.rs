//! Matrix products: `x Wᵀ`, `dy W` and `dyᵀ x`, cut into dispatches that a device can see and finish in time.

use crate::device::Device;
use crate::device::array::{self, Array, Format, Held, Weight};
use crate::device::coded::Coded;
use crate::device::kernel::{Kernel, Variant};
use crate::device::launch::{ROW_STEP, grid};
use crate::device::pace::{DEPTH, Pace};
use crate::error::{Error, ErrorKind, Result, agree};
use std::ops::Range;

const PRODUCT: Kernel = Kernel::new(include_str!("product.wgsl"), "product");

/// Columns that a window starts at multiples of.
const COLUMN_STEP: usize = 64;

/// How the numbers of the second factor lie in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stored {
    Singles = 0,
    Halves = 1,
    /// Halves of which each row starts with a whole word.
    Words = 2,
}

/// What the kernel is specialised by.
fn constants(tile: usize, a_transposed: bool, b_transposed: bool, stored: Stored) -> [(&'static str, u32); 4] {
    [
        ("TILE", tile as u32),
        ("A_TRANSPOSED", u32::from(a_transposed)),
        ("B_TRANSPOSED", u32::from(b_transposed)),
        ("STORED", stored as u32),
    ]
}

/// All kernels that devices may be asked for.
pub(crate) fn variants() -> Vec<Variant> {
    let mut variants = Vec::new();
    for tile in [32, 64] {
        for (a, b) in [(false, false), (false, true), (true, false), (true, true)] {
            for stored in [Stored::Singles, Stored::Halves, Stored::Words] {
                variants.push((PRODUCT, constants(tile, a, b, stored).to_vec()));
            }
        }
    }
    variants
}

/// A factor: rows in memory, seen as they are or transposed.
#[derive(Clone)]
pub(crate) struct Factor<'a> {
    numbers: Numbers<'a>,
    /// Those of its rows in memory that it has.
    rows: Range<usize>,
    transposed: bool,
}

#[derive(Clone, Copy)]
enum Numbers<'a> {
    Array(&'a Array),
    Weight(&'a array::Numbers),
}

impl<'a> Factor<'a> {
    pub fn array(array: &'a Array) -> Factor<'a> {
        Factor::rows(array, 0..array.rows())
    }

    /// Some rows of an array; the first is where a binding may start.
    pub fn rows(array: &'a Array, rows: Range<usize>) -> Factor<'a> {
        Factor { numbers: Numbers::Array(array), rows, transposed: false }
    }

    fn weight(weight: &'a array::Numbers) -> Factor<'a> {
        Factor { numbers: Numbers::Weight(weight), rows: 0..weight.rows(), transposed: false }
    }

    pub fn transposed(self) -> Factor<'a> {
        Factor { transposed: !self.transposed, ..self }
    }

    /// Columns in memory.
    fn stride(&self) -> usize {
        match self.numbers {
            Numbers::Array(array) => array.columns(),
            Numbers::Weight(weight) => weight.columns(),
        }
    }

    /// Bytes of a row in memory.
    fn row_bytes(&self) -> u64 {
        match self.numbers {
            Numbers::Array(array) => 4 * array.columns() as u64,
            Numbers::Weight(weight) => weight.format().bytes(weight.columns()),
        }
    }

    fn stored(&self) -> Stored {
        match self.numbers {
            Numbers::Weight(weight) if weight.format() == Format::BF16 => {
                // Parts of rows start at even numbers.
                if weight.columns() % 2 == 0 { Stored::Words } else { Stored::Halves }
            }
            _ => Stored::Singles,
        }
    }

    /// The binding, and the place of the first number in it, of these rows and columns of the factor as it is seen.
    fn part(&self, rows: &Range<usize>, columns: &Range<usize>) -> (wgpu::BufferBinding<'a>, usize) {
        let (bound, skipped) = if self.transposed { (columns, rows.start) } else { (rows, columns.start) };
        let bound = self.rows.start + bound.start..self.rows.start + bound.end;
        let binding = match self.numbers {
            Numbers::Array(array) => array.window(&bound),
            Numbers::Weight(weight) => weight.window(&bound),
        };
        (binding, skipped)
    }
}

/// A second factor: numbers, or a matrix of codes, as it is or transposed.
pub(crate) enum Second<'a> {
    Numbers(Factor<'a>),
    Codes(&'a Coded),
    TransposedCodes(&'a Coded),
}

impl<'a> Second<'a> {
    pub fn weight(weight: &'a Weight) -> Second<'a> {
        match weight.held() {
            Held::Numbers(numbers) => Second::Numbers(Factor::weight(numbers)),
            Held::Codes(coded) => Second::Codes(coded),
        }
    }

    pub fn transposed_weight(weight: &'a Weight) -> Second<'a> {
        match weight.held() {
            Held::Numbers(numbers) => Second::Numbers(Factor::weight(numbers).transposed()),
            Held::Codes(coded) => Second::TransposedCodes(coded),
        }
    }
}

/// What a product does with what `out` holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Into {
    Replace,
    Add,
}

/// Where a part of a product goes, and what it sums over.
struct Part<'a> {
    out: &'a Array,
    rows: &'a Range<usize>,
    columns: Range<usize>,
    /// Columns of the first factor, or rows of its transpose.
    depth: Range<usize>,
}

impl Device {
    /// `y = x Wᵀ`: `[rows, in]` to `[rows, out]`.
    pub fn linear(&self, x: &Array, weight: &Weight) -> Result<Array> {
        agree("linear", "the number of columns of `x`", weight.columns(), x.columns())?;
        let out = self.undefined(x.rows(), weight.rows())?;
        self.multiply(Factor::array(x), Second::transposed_weight(weight), &out, 1.0, Into::Replace)?;
        Ok(out)
    }

    /// `dx = dy W`: `[rows, out]` to `[rows, in]`.
    pub fn linear_backward(&self, dy: &Array, weight: &Weight) -> Result<Array> {
        agree("linear_backward", "the number of columns of `dy`", weight.rows(), dy.columns())?;
        let out = self.undefined(dy.rows(), weight.columns())?;
        self.multiply(Factor::array(dy), Second::weight(weight), &out, 1.0, Into::Replace)?;
        Ok(out)
    }

    /// `dW = dyᵀ x`: `[out, in]`.
    pub fn weight_gradient(&self, dy: &Array, x: &Array) -> Result<Array> {
        agree("weight_gradient", "the number of rows of `dy`", x.rows(), dy.rows())?;
        let out = self.undefined(dy.columns(), x.columns())?;
        let x = Second::Numbers(Factor::array(x));
        self.multiply(Factor::array(dy).transposed(), x, &out, 1.0, Into::Replace)?;
        Ok(out)
    }

    /// `out = scale · a b`, or `out += scale · a b`.
    pub(crate) fn multiply(&self, a: Factor<'_>, b: Second<'_>, out: &Array, scale: f32, into: Into) -> Result<()> {
        self.multiply_into(a, b, out, &(0..out.rows()), scale, into)
    }

    /// The same for some rows of `out`; the first is where a binding may start.
    ///
    /// Codes are decoded a panel of rows at a time, which are columns of the result, or terms of its sums.
    pub(crate) fn multiply_into(
        &self,
        a: Factor<'_>,
        b: Second<'_>,
        out: &Array,
        rows: &Range<usize>,
        scale: f32,
        into: Into,
    ) -> Result<()> {
        let whole = |a, b: Factor<'_>, into| {
            let (columns, depth) = (0..out.columns(), 0..if b.transposed { b.stride() } else { b.rows.len() });
            self.multiply_part(a, b, &Part { out, rows, columns, depth }, scale, into)
        };
        match b {
            Second::Numbers(b) => whole(a, b, into),
            Second::TransposedCodes(coded) => {
                for columns in self.panels(coded) {
                    let tile = self.decoded(coded, &columns)?;
                    let part = Part { out, rows, columns, depth: 0..coded.columns() };
                    self.multiply_part(a.clone(), Factor::array(&tile).transposed(), &part, scale, into)?;
                }
                Ok(())
            }
            Second::Codes(coded) if coded.rows() == 0 => {
                let nothing = self.undefined(0, coded.columns())?;
                whole(a, Factor::array(&nothing), into)
            }
            Second::Codes(coded) => {
                for depth in self.panels(coded) {
                    let tile = self.decoded(coded, &depth)?;
                    let into = if depth.start == 0 { into } else { Into::Add };
                    let part = Part { out, rows, columns: 0..out.columns(), depth };
                    self.multiply_part(a.clone(), Factor::array(&tile), &part, scale, into)?;
                }
                Ok(())
            }
        }
    }

    /// Part of a product: `b` is what of the second factor belongs to it.
    fn multiply_part(&self, a: Factor<'_>, b: Factor<'_>, part: &Part<'_>, scale: f32, into: Into) -> Result<()> {
        let Part { out, rows, columns, depth } = part;
        let (width, terms) = (columns.len(), depth.len());
        if rows.is_empty() || width == 0 || (terms == 0 && into == Into::Add) {
            return Ok(());
        }
        let steps = self.steps(&a, &b, out.columns(), (rows.len(), width, terms))?;
        let tile = tile(steps[0], steps[1], self.pace());
        let constants = constants(tile, a.transposed, b.transposed, b.stored());
        for i in cut(rows.len(), steps[0]) {
            for j in cut(width, steps[1]) {
                for k in cut(terms, steps[2]) {
                    let (a_binding, a_start) = a.part(&i, &(depth.start + k.start..depth.start + k.end));
                    let (b_binding, b_start) = b.part(&k, &j);
                    let to = out.window(&(rows.start + i.start..rows.start + i.end));
                    let (c_start, c_stride) = (columns.start + j.start, out.columns());
                    let numbers =
                        [i.len(), j.len(), k.len(), a_start, a.stride(), b_start, b.stride(), c_start, c_stride];
                    let accumulate = into == Into::Add || k.start > 0;
                    let mut parameters = numbers.map(|number| number as u32).to_vec();
                    parameters.extend([scale.to_bits(), u32::from(accumulate)]);
                    let groups = grid(i.len().div_ceil(tile) * j.len().div_ceil(tile));
                    let work = (i.len() * j.len() * k.len()) as u64;
                    self.run(&PRODUCT, &constants, &parameters, &[a_binding, b_binding, to], groups, work)?;
                }
            }
        }
        Ok(())
    }

    /// Rows, columns and depth of a dispatch.
    ///
    /// * `stride`: columns of the array that the product is part of.
    fn steps(
        &self,
        a: &Factor<'_>,
        b: &Factor<'_>,
        stride: usize,
        (rows, columns, depth): (usize, usize, usize),
    ) -> Result<[usize; 3]> {
        let seen = |bytes: u64, wanted: usize| -> Result<usize> {
            let most = (self.binding_limit() / bytes.max(1)) as usize;
            if most < wanted.min(ROW_STEP) {
                let message = format!(
                    "a product of rows of {bytes} bytes, and a kernel of this adapter sees {} at once",
                    self.binding_limit()
                );
                return Err(Error::new(ErrorKind::OutOfMemory, message));
            }
            Ok(if most >= wanted { wanted } else { most / ROW_STEP * ROW_STEP })
        };
        let mut seen_at_once = [seen(4 * stride as u64, rows)?, columns, depth.min(DEPTH)];
        // What a factor's rows in memory are in the product.
        let a_rows = if a.transposed { 2 } else { 0 };
        seen_at_once[a_rows] = seen(a.row_bytes(), seen_at_once[a_rows])?;
        let b_rows = if b.transposed { 1 } else { 2 };
        seen_at_once[b_rows] = seen(b.row_bytes(), seen_at_once[b_rows])?;
        let least = [ROW_STEP, if b.transposed { ROW_STEP } else { COLUMN_STEP }];
        let limit = self.product_limit(seen_at_once.iter().map(|step| *step as u64).product())?;
        Ok(halved(seen_at_once, least, limit))
    }
}

/// Rows and columns halved, the more of both first, until the product of all three is within `limit` or they are `least`.
fn halved(mut steps: [usize; 3], least: [usize; 2], limit: u64) -> [usize; 3] {
    while steps.iter().map(|step| *step as u64).product::<u64>() > limit {
        let Some(longest) = (0..2).filter(|at| steps[*at] > least[*at]).max_by_key(|at| steps[*at]) else { break };
        steps[longest] = (steps[longest] / 2).next_multiple_of(least[longest]);
    }
    steps
}

/// Rows and columns of a workgroup's tile in a dispatch of so many: small ones where large ones would be mostly empty, or too
/// few to fill the device.
fn tile(rows: usize, columns: usize, pace: &Pace) -> usize {
    let filled = rows.div_ceil(64) * columns.div_ceil(64) >= pace.filled();
    if rows > 32 && columns > 32 && filled { 64 } else { 32 }
}

impl Device {
    /// Multiplications that a dispatch of a product may do.
    ///
    /// * `wanted`: what one would do uncut. How fast the device is is measured when a product first wants more than any device
    ///   is given.
    fn product_limit(&self, wanted: u64) -> Result<u64> {
        let pace = self.pace();
        if wanted <= pace.least() {
            return Ok(pace.least());
        }
        match pace.of_products() {
            Some(limit) => Ok(limit),
            None => {
                let (work, seconds) = self.time_a_product()?;
                Ok(pace.learn(work, seconds))
            }
        }
    }

    /// A product of about as much work as every device is given, and its seconds, the quickest of some.
    fn time_a_product(&self) -> Result<(u64, f64)> {
        let side = ((self.pace().least() / DEPTH as u64) as usize).isqrt().next_multiple_of(32);
        let zeros = vec![0.0; side * DEPTH];
        let (a, b) = (self.upload(&zeros, DEPTH)?, self.upload(&zeros, side)?);
        let out = self.undefined(side, side)?;
        let tile = tile(side, side, self.pace());
        let numbers = [side, side, DEPTH, 0, DEPTH, 0, side, 0, side].map(|number| number as u32);
        let parameters = [numbers.as_slice(), &[1.0f32.to_bits(), 0]].concat();
        let groups = grid(side.div_ceil(tile) * side.div_ceil(tile));
        let constants = constants(tile, false, false, Stored::Singles);
        let bindings = [a.binding(), b.binding(), out.binding()];
        let seconds = self.time(&PRODUCT, &constants, &parameters, &bindings, groups)?;
        Ok(((side * side * DEPTH) as u64, seconds))
    }
}

/// The parts of `0..end` of `step` each; an empty one of nothing, since a sum of no products is to be written too.
fn cut(end: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..end.max(1)).step_by(step.max(1)).map(move |start| start..end.min(start + step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::DeviceType::{Cpu, DiscreteGpu, IntegratedGpu};

    /// Products of a step of Llama-3-8B with 2,048 tokens and a LoRA of rank 8, and of its head: rows, columns, depth.
    const PRODUCTS: [(&str, [usize; 3]); 8] = [
        ("q, o: x W'", [2048, 4096, 4096]),
        ("k, v: x W'", [2048, 1024, 4096]),
        ("gate, up: x W'", [2048, 14_336, 4096]),
        ("down: x W'", [2048, 4096, 14_336]),
        ("LoRA: x A'", [2048, 8, 4096]),
        ("LoRA: dB = dy' h", [4096, 8, 2048]),
        ("head: logits of 256 rows", [256, 128_256, 4096]),
        ("head: unit gradient of 256 rows", [256, 4096, 128_256]),
    ];

    /// However slow a device is found to be, a dispatch has workgroups for all of its cores, if its product has as many.
    #[test]
    fn workgroups() {
        println!("workgroups × dispatches, of the slowest and the fastest: discrete, integrated, a processor");
        for (name, [rows, columns, depth]) in PRODUCTS {
            let mut line = format!("{name:<34}");
            for (kind, cores) in [(DiscreteGpu, 128), (IntegratedGpu, 32), (Cpu, 2)] {
                for seconds in [100.0, 1e-6] {
                    let pace = Pace::new(kind, None);
                    let limit = pace.learn(pace.least(), seconds);
                    let steps = halved([rows, columns, depth.min(DEPTH)], [ROW_STEP, ROW_STEP], limit);
                    let small = |rows: usize, columns: usize| rows.div_ceil(32) * columns.div_ceil(32);
                    let tile = tile(steps[0], steps[1], &pace);
                    let groups = steps[0].div_ceil(tile) * steps[1].div_ceil(tile);
                    let dispatches = rows.div_ceil(steps[0]) * columns.div_ceil(steps[1]) * depth.div_ceil(steps[2]);
                    let wanted = if kind == Cpu { 2 * cores } else { 8 * cores };
                    assert!(groups >= wanted.min(small(rows, columns)), "{name}, {kind:?}: {groups} of {tile}");
                    assert!(steps.iter().map(|step| *step as u64).product::<u64>() <= limit, "{name}, {kind:?}");
                    line += &format!(" {groups:>5} × {dispatches:<4}");
                }
            }
            println!("{line}");
        }
    }
}
