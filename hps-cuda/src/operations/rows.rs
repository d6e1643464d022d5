//! Rows taken, put, summed and scaled by their numbers: `y_i = x[r_i]`, `x[r_i] = y_i`, `dx_r = Σ_{i: r_i = r} dy_i`,
//! `x_t c_t`.

use crate::device::Device;
use crate::device::array::{Array, Format, Indices, Stored, Weight};
use crate::device::kernel::{BOTH, Source};
use crate::device::launch::{tiles, vectors};
use crate::error::{Error, ErrorKind, Result, agree};
use crate::operations::codes::Rows;

pub(crate) static SOURCE: Source =
    Source { name: "rows.cu", text: include_str!("../../kernels/rows.cu"), variants: BOTH };

/// Refuses a row that `total` rows do not have.
fn check(operation: &str, rows: &[u32], total: usize) -> Result<()> {
    match rows.iter().find(|&&row| row as usize >= total) {
        Some(row) => Err(Error::new(ErrorKind::Shape, format!("{operation}: row {row} of an array of {total} rows"))),
        None => Ok(()),
    }
}

impl Device {
    /// `y_t = table[token_t]`: `[tokens, features]`, in the type of the table; in f32 where it is in codes.
    ///
    /// # Errors
    /// A token is outside the table, or the device has no memory left or failed.
    pub fn embed(&self, table: &Weight, tokens: &Indices) -> Result<Array> {
        self.embed_as(table, tokens, table.format().unwrap_or(Format::F32))
    }

    /// [`Device::embed`] in a type of the caller's: bfloat16s are rounded to the nearest, once.
    ///
    /// # Errors
    /// As there.
    pub fn embed_as(&self, table: &Weight, tokens: &Indices, format: Format) -> Result<Array> {
        match table.stored() {
            Stored::Numbers(numbers) => {
                let rows = self.taken("embed", numbers, tokens)?;
                if rows.format() == format { Ok(rows) } else { self.convert(&rows, format) }
            }
            Stored::Codes(codes) => {
                check("embed", tokens.host()?, codes.rows())?;
                let rows = Rows::Listed { address: tokens.address(), count: tokens.len() };
                self.decoded(codes, rows, 0..codes.columns(), format)
            }
        }
    }

    /// `d table[v] = Σ_{t: token_t = v} dy_t`: `[vocabulary, features]`, in f32. The terms of a row are added in the
    /// order of `tokens`.
    ///
    /// # Errors
    /// As [`Device::gather_backward`].
    pub fn embed_gradient(&self, dy: &Array, tokens: &Indices, vocabulary: usize) -> Result<Array> {
        self.summed("embed_gradient", dy, tokens, vocabulary, Format::F32)
    }

    /// `y_i = x[rows_i]`.
    ///
    /// # Errors
    /// A row is outside the array, or the device has no memory left or failed.
    pub fn gather(&self, x: &Array, rows: &Indices) -> Result<Array> {
        self.taken("gather", x, rows)
    }

    /// `dx_r = Σ_{i: rows_i = r} dy_i`: `[total, columns]`. The terms of a row are added in the order of `rows`, in
    /// f32.
    ///
    /// # Errors
    /// `dy` has not a row for each of `rows`, one is `total` or more, or the device has no memory left or failed.
    pub fn gather_backward(&self, dy: &Array, rows: &Indices, total: usize) -> Result<Array> {
        self.summed("gather_backward", dy, rows, total, dy.format())
    }

    /// `x_t · c_t`, in the memory of `x`: each row by its own number.
    ///
    /// * `c`: `[rows, 1]`.
    ///
    /// # Errors
    /// There are not as many factors as rows, or the device failed.
    pub fn scale_rows(&self, x: Array, c: &Array) -> Result<Array> {
        agree("scale_rows", "the number of factors", x.rows(), c.len())?;
        let c = self.as_format(c, Format::F32)?;
        let arguments = [(&x).into(), (&*c).into(), x.columns().into()];
        let grid = tiles(x.rows(), vectors(x.columns(), x.format()));
        self.launch(SOURCE.kernel("scale"), &[x.format().define()], grid, &arguments)?;
        Ok(x)
    }

    /// `cache[rows_i] = x_i`, in the type of the cache; no row twice.
    ///
    /// # Errors
    /// A row is outside the cache, shapes do not fit, or the device failed.
    pub fn write_rows(&self, cache: &mut Array, rows: &Indices, x: &Array) -> Result<()> {
        agree("write_rows", "the number of rows", x.rows(), rows.len())?;
        agree("write_rows", "the number of columns", cache.columns(), x.columns())?;
        check("write_rows", rows.host()?, cache.rows())?;
        let x = self.as_format(x, cache.format())?;
        let arguments = [(&*cache).into(), rows.into(), (&*x).into(), x.columns().into()];
        let grid = tiles(x.rows(), vectors(x.columns(), x.format()));
        self.launch(SOURCE.kernel("write"), &[x.format().define()], grid, &arguments)
    }

    fn taken(&self, operation: &str, x: &Array, rows: &Indices) -> Result<Array> {
        check(operation, rows.host()?, x.rows())?;
        let y = self.undefined(rows.len(), x.columns(), x.format())?;
        let arguments = [x.into(), rows.into(), (&y).into(), x.columns().into()];
        let grid = tiles(y.rows(), vectors(x.columns(), x.format()));
        self.launch(SOURCE.kernel("gather"), &[x.format().define()], grid, &arguments)?;
        Ok(y)
    }

    fn summed(&self, operation: &str, dy: &Array, rows: &Indices, total: usize, format: Format) -> Result<Array> {
        agree(operation, "the number of rows", dy.rows(), rows.len())?;
        check(operation, rows.host()?, total)?;
        let dx = self.undefined(total, dy.columns(), format)?;
        let members = self.uploaded(bytemuck::cast_slice(&members(rows.host()?, total)))?;
        let arguments = [dy.into(), (&members).into(), (&dx).into(), dy.columns().into()];
        let grid = tiles(total, vectors(dy.columns(), dy.format()));
        let entry = if format == dy.format() { "gather_backward" } else { "embed_gradient" };
        self.launch(SOURCE.kernel(entry), &[dy.format().define()], grid, &arguments)?;
        Ok(dx)
    }
}

/// For each of `total` rows the places in `rows` that name it, ascending: where each list starts, where the last ends,
/// then the lists.
fn members(rows: &[u32], total: usize) -> Vec<u32> {
    let mut members = vec![0u32; total + 1 + rows.len()];
    let (starts, lists) = members.split_at_mut(total + 1);
    for row in rows {
        starts[*row as usize + 1] += 1;
    }
    for row in 0..total {
        starts[row + 1] += starts[row];
    }
    let mut next = starts.to_vec();
    for (place, row) in (0..).zip(rows) {
        lists[next[*row as usize] as usize] = place;
        next[*row as usize] += 1;
    }
    members
}
