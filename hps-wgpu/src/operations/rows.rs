//! Rows taken, put, summed and scaled by their numbers.

use crate::device::Device;
use crate::device::array::{Array, Format, Held, Indices, Weight};
use crate::device::kernel::{Kernel, Variant};
use crate::device::launch::{grid, windows};
use crate::error::{Error, ErrorKind, Result, agree};
use std::ops::Range;

const SOURCE: &str = include_str!("rows.wgsl");
const GATHER: Kernel = Kernel::new(SOURCE, "gather");
const GATHER_BACKWARD: Kernel = Kernel::new(SOURCE, "gather_backward");
const SCALE: Kernel = Kernel::new(SOURCE, "scale");
const WRITE: Kernel = Kernel::new(SOURCE, "write");
const CLEAR: Kernel = Kernel::new(SOURCE, "clear");

/// Threads of a workgroup.
const THREADS: usize = 256;

/// All kernels that devices may be asked for.
pub(crate) fn variants() -> Vec<Variant> {
    let of = |kernel, bf16| (kernel, vec![("BF16", bf16)]);
    let plain = [GATHER, GATHER_BACKWARD, SCALE, WRITE, CLEAR].map(|kernel| of(kernel, 0));
    plain.into_iter().chain([of(GATHER, 1)]).collect()
}

/// Refuses a row that `total` rows do not have.
fn check(rows: &Indices, total: usize) -> Result<()> {
    match rows.host().iter().find(|&&row| row as usize >= total) {
        Some(row) => Err(Error::new(ErrorKind::Shape, format!("row {row} of an array of {total} rows"))),
        None => Ok(()),
    }
}

/// Rows of which `gather` takes some.
struct Table<'a> {
    rows: usize,
    columns: usize,
    format: Format,
    window: &'a dyn Fn(&Range<usize>) -> wgpu::BufferBinding<'a>,
}

impl Device {
    /// An array of zeros.
    pub fn zeros(&self, rows: usize, columns: usize) -> Result<Array> {
        let array = self.undefined(rows, columns)?;
        for range in windows(self, array.len(), 4, 4)? {
            let parameters = [range.len() as u32, 1, 0, 0];
            let groups = grid(range.len().div_ceil(THREADS));
            self.run(&CLEAR, &[("BF16", 0)], &parameters, &[array.numbers(&range)], groups, 4 * range.len() as u64)?;
        }
        Ok(array)
    }

    /// `y_t = table[token_t]`: `[tokens, features]`.
    pub fn embed(&self, table: &Weight, tokens: &Indices) -> Result<Array> {
        let numbers = match table.held() {
            Held::Numbers(numbers) => numbers,
            Held::Codes(coded) => {
                check(tokens, coded.rows)?;
                return self.decoded_of_list(coded, tokens);
            }
        };
        let window = |rows: &Range<usize>| numbers.window(rows);
        let (rows, columns, format) = (numbers.rows(), numbers.columns(), numbers.format());
        self.take(&Table { rows, columns, format, window: &window }, tokens)
    }

    /// `y_i = x[rows_i]`.
    pub fn gather(&self, x: &Array, rows: &Indices) -> Result<Array> {
        let window = |rows: &Range<usize>| x.window(rows);
        self.take(&Table { rows: x.rows(), columns: x.columns(), format: Format::F32, window: &window }, rows)
    }

    fn take(&self, table: &Table<'_>, rows: &Indices) -> Result<Array> {
        check(rows, table.rows)?;
        let taken = self.undefined(rows.host().len(), table.columns)?;
        let row = 4 * table.columns as u64;
        let constants = [("BF16", u32::from(table.format == Format::BF16))];
        for out in windows(self, taken.rows(), row, 8 * table.columns as u64)? {
            for held in windows(self, table.rows, row, 1)? {
                let parameters = [out.len(), table.columns, held.start, held.end].map(|number| number as u32);
                let bindings = [(table.window)(&held), rows.numbers(&out), taken.window(&out)];
                let groups = grid((out.len() * table.columns).div_ceil(THREADS));
                let work = 8 * (out.len() * table.columns) as u64;
                self.run(&GATHER, &constants, &parameters, &bindings, groups, work)?;
            }
        }
        Ok(taken)
    }

    /// `dx_r = Σ_{i: rows_i = r} dy_i`: `[total, columns]`. The terms of a row are added in the order of `rows`.
    pub fn gather_backward(&self, dy: &Array, rows: &Indices, total: usize) -> Result<Array> {
        agree("gather_backward", "the number of rows", dy.rows(), rows.host().len())?;
        check(rows, total)?;
        let columns = dy.columns();
        let dx = self.zeros(total, columns)?;
        for given in windows(self, dy.rows(), 4 * columns as u64, columns as u64)? {
            let (starts, items) = members(&rows.host()[given.clone()], total);
            let most = starts.array_windows().map(|[start, end]| end - start).max().unwrap_or(0);
            self.expect_iterations("gather_backward", u64::from(most))?;
            let [starts, items] = [self.upload_indices(&starts)?, self.upload_indices(&items)?];
            // A window has one more start than rows.
            for out in windows(self, total, 4 * columns.max(2) as u64, 12 * columns as u64)? {
                let parameters = [out.len(), columns, 0, 0].map(|number| number as u32);
                let starts = starts.numbers(&(out.start..out.end + 1));
                let bindings = [dy.window(&given), starts, items.binding(), dx.window(&out)];
                let groups = grid((out.len() * columns).div_ceil(THREADS));
                let work = 12 * ((out.len() + given.len()) * columns) as u64;
                self.run(&GATHER_BACKWARD, &[("BF16", 0)], &parameters, &bindings, groups, work)?;
            }
        }
        Ok(dx)
    }

    /// `x_t · c_t`: each row by its own number; `c` is `[rows, 1]`.
    pub fn scale_rows(&self, x: Array, c: &Array) -> Result<Array> {
        agree("scale_rows", "the number of factors", x.rows(), c.len())?;
        for rows in windows(self, x.rows(), 4 * x.columns() as u64, 8 * x.columns() as u64)? {
            let parameters = [rows.len() as u32, x.columns() as u32, 0, 0];
            let bindings = [c.numbers(&rows), x.window(&rows)];
            let groups = grid((rows.len() * x.columns()).div_ceil(THREADS));
            let work = 8 * (rows.len() * x.columns()) as u64;
            self.run(&SCALE, &[("BF16", 0)], &parameters, &bindings, groups, work)?;
        }
        Ok(x)
    }

    /// `cache[rows_i] = x_i`; no row twice.
    pub fn write_rows(&self, cache: &mut Array, rows: &Indices, x: &Array) -> Result<()> {
        agree("write_rows", "the number of rows", x.rows(), rows.host().len())?;
        agree("write_rows", "the number of columns", cache.columns(), x.columns())?;
        check(rows, cache.rows())?;
        let (columns, row) = (x.columns(), 4 * x.columns() as u64);
        for put in windows(self, x.rows(), row, 8 * columns as u64)? {
            for held in windows(self, cache.rows(), row, 1)? {
                let parameters = [put.len(), columns, held.start, held.end].map(|number| number as u32);
                let bindings = [x.window(&put), rows.numbers(&put), cache.window(&held)];
                let groups = grid((put.len() * columns).div_ceil(THREADS));
                let work = 8 * (put.len() * columns) as u64;
                self.run(&WRITE, &[("BF16", 0)], &parameters, &bindings, groups, work)?;
            }
        }
        Ok(())
    }
}

/// For each of `total` rows the places in `rows` that name it: where they start in the second list, and that list.
fn members(rows: &[u32], total: usize) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; total + 1];
    for row in rows {
        starts[*row as usize + 1] += 1;
    }
    for row in 0..total {
        starts[row + 1] += starts[row];
    }
    let mut next = starts.clone();
    let mut items = vec![0u32; rows.len()];
    for (place, row) in (0..).zip(rows) {
        items[next[*row as usize] as usize] = place;
        next[*row as usize] += 1;
    }
    (starts, items)
}
