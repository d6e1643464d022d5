//! Matrix products by cuBLASLt: `x Wᵀ`, `dy W` and `dyᵀ x`, summed in f32.
//!
//! A weight in codes is decoded a panel at a time: of rows for `x Wᵀ`, of columns for `dy W`. Each leads to columns of the
//! output of its own, whose sums are whole.

use crate::device::Device;
use crate::device::array::{Array, Format, Stored, Weight};
use crate::device::codes::Coded;
use crate::device::cublas::{Places, Question};
use crate::error::{Result, agree};
use crate::operations::codes::{Rows, TILE, panels};
use std::ops::Range;

/// A factor: rows in memory, seen as they are or transposed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factor {
    address: u64,
    /// Rows and columns in memory.
    rows: usize,
    columns: usize,
    /// Numbers from one row to the next.
    pitch: usize,
    format: Format,
    transposed: bool,
}

impl Factor {
    pub fn array(array: &Array) -> Factor {
        Factor::rows(array, 0, array.rows())
    }

    /// `rows` rows of an array from `first` on.
    pub fn rows(array: &Array, first: usize, rows: usize) -> Factor {
        let (columns, format) = (array.columns(), array.format());
        Factor { address: array.row(first), rows, columns, pitch: columns, format, transposed: false }
    }

    /// Of its rows as they lie in memory, the numbers of these columns.
    pub fn columns(self, columns: &Range<usize>) -> Factor {
        let address = self.address + (columns.start * self.format.size()) as u64;
        Factor { address, columns: columns.len(), ..self }
    }

    pub fn transposed(self) -> Factor {
        Factor { transposed: !self.transposed, ..self }
    }

    /// Rows and columns as it is seen.
    fn shape(&self) -> (usize, usize) {
        if self.transposed { (self.columns, self.rows) } else { (self.rows, self.columns) }
    }
}

/// Some columns of the rows of an array from one on: where a product is written, or what it is added to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region<'a> {
    array: &'a Array,
    row: usize,
    column: usize,
    columns: usize,
}

impl<'a> Region<'a> {
    /// The rows from `row` on, all their columns.
    pub fn rows(array: &'a Array, row: usize) -> Region<'a> {
        Region { array, row, column: 0, columns: array.columns() }
    }

    pub fn columns(self, columns: &Range<usize>) -> Region<'a> {
        Region { column: self.column + columns.start, columns: columns.len(), ..self }
    }

    fn address(&self) -> u64 {
        self.array.row(self.row) + (self.column * self.array.format().size()) as u64
    }
}

impl Device {
    /// `y = x Wᵀ`: `[rows, in]` to `[rows, out]`, in the type of `x`.
    ///
    /// # Errors
    /// Shapes do not fit, or the device failed.
    pub fn linear(&self, x: &Array, weight: &Weight) -> Result<Array> {
        self.product("linear", Side::Out, x, weight, None)
    }

    /// `onto + x Wᵀ`.
    ///
    /// # Errors
    /// As [`Device::linear`].
    pub fn linear_onto(&self, x: &Array, weight: &Weight, onto: &Array) -> Result<Array> {
        self.product("linear_onto", Side::Out, x, weight, Some(onto))
    }

    /// `dx = dy W`: `[rows, out]` to `[rows, in]`, in the type of `dy`.
    ///
    /// # Errors
    /// As [`Device::linear`].
    pub fn linear_backward(&self, dy: &Array, weight: &Weight) -> Result<Array> {
        self.product("linear_backward", Side::In, dy, weight, None)
    }

    /// `onto + dy W`.
    ///
    /// # Errors
    /// As [`Device::linear`].
    pub fn linear_backward_onto(&self, dy: &Array, weight: &Weight, onto: &Array) -> Result<Array> {
        self.product("linear_backward_onto", Side::In, dy, weight, Some(onto))
    }

    /// `dW = dyᵀ x`: `[out, in]`, in f32.
    ///
    /// # Errors
    /// As [`Device::linear`].
    pub fn weight_gradient(&self, dy: &Array, x: &Array) -> Result<Array> {
        agree("weight_gradient", "the number of rows of `dy`", x.rows(), dy.rows())?;
        let format = both(dy.format(), x.format());
        let (dy, x) = (self.as_format(dy, format)?, self.as_format(x, format)?);
        let out = self.undefined(dy.columns(), x.columns(), Format::F32)?;
        self.multiply(Factor::array(&dy).transposed(), Factor::array(&x), Region::rows(&out, 0), None)?;
        Ok(out)
    }

    /// `x Wᵀ` or `x W`, onto another array or nothing.
    fn product(&self, name: &str, side: Side, x: &Array, weight: &Weight, onto: Option<&Array>) -> Result<Array> {
        let (depth, columns) = match side {
            Side::Out => (weight.columns(), weight.rows()),
            Side::In => (weight.rows(), weight.columns()),
        };
        agree(name, "the number of columns", depth, x.columns())?;
        if let Some(onto) = onto {
            agree(name, "the number of rows of `onto`", x.rows(), onto.rows())?;
            agree(name, "the number of columns of `onto`", columns, onto.columns())?;
        }
        let format = match weight.stored() {
            Stored::Numbers(numbers) => both(x.format(), numbers.format()),
            Stored::Codes(_) => x.format(),
        };
        let wide = self.as_format(x, format)?;
        let onto = onto.map(|onto| self.as_format(onto, format)).transpose()?;
        let onto = onto.as_deref().map(|onto| Region::rows(onto, 0));
        let out = self.undefined(x.rows(), columns, format)?;
        let (a, to) = (Factor::array(&wide), Region::rows(&out, 0));
        match weight.stored() {
            Stored::Numbers(numbers) => {
                let numbers = self.as_format(numbers, format)?;
                self.multiply(a, side.factor(&numbers), to, onto)?;
            }
            Stored::Codes(codes) => self.multiply_decoded(side, a, codes, TILE, to, onto)?,
        }
        if out.format() == x.format() { Ok(out) } else { self.convert(&out, x.format()) }
    }

    /// `out = a Wᵀ` or `a W` of a matrix in codes, onto as many numbers of another array or nothing. The codes become numbers
    /// of the type of `a`, `tile` of them at a time.
    pub(crate) fn multiply_decoded(
        &self,
        side: Side,
        a: Factor,
        codes: &Coded,
        tile: usize,
        out: Region<'_>,
        onto: Option<Region<'_>>,
    ) -> Result<()> {
        if a.shape().0 == 0 {
            return Ok(());
        }
        let (count, each) = match side {
            Side::Out => (codes.rows(), codes.columns()),
            Side::In => (codes.columns(), codes.rows()),
        };
        for panel in panels(count, each, tile) {
            let (rows, columns) = match side {
                Side::Out => (panel.clone(), 0..codes.columns()),
                Side::In => (0..codes.rows(), panel.clone()),
            };
            let numbers = self.decoded(codes, Rows::Range(rows), columns, a.format)?;
            let onto = onto.map(|onto| onto.columns(&panel));
            self.multiply(a, side.factor(&numbers), out.columns(&panel), onto)?;
        }
        Ok(())
    }

    /// `out = a b`, onto as many numbers of another array of as many columns, or nothing.
    ///
    /// Factors are of one type; `onto`, if given, is of the type of `out` and may be `out` itself.
    pub(crate) fn multiply(&self, a: Factor, b: Factor, out: Region<'_>, onto: Option<Region<'_>>) -> Result<()> {
        let ((rows, depth), (of_b, columns)) = (a.shape(), b.shape());
        let pitch = out.array.columns();
        agree("product", "the depth of the second factor", depth, of_b)?;
        agree("product", "the number of columns", out.columns, columns)?;
        agree(
            "product",
            "the number of columns of what is added",
            pitch,
            onto.map_or(pitch, |onto| onto.array.columns()),
        )?;
        if rows == 0 || columns == 0 {
            return Ok(());
        }
        let format = out.array.format();
        let to = out.address();
        let from = onto.map_or(to, |onto| onto.address());
        if depth == 0 {
            let [of_row, step] = [columns, pitch].map(|numbers| numbers * format.size());
            let zeros = self.zeros(1, columns, format)?;
            for row in (0..rows).map(|row| (row * step) as u64) {
                match onto {
                    None => self.copy(zeros.address(), to + row, of_row)?,
                    Some(_) if from == to => {}
                    Some(_) => self.copy(from + row, to + row, of_row)?,
                }
            }
            return Ok(());
        }
        let question = Question {
            shape: [rows, columns, depth],
            transposed: [a.transposed, b.transposed],
            pitches: [a.pitch, b.pitch, pitch],
            formats: [a.format, format],
            alignments: [a.address, b.address, from, to].map(|address| 1 << address.trailing_zeros().min(8)),
            onto: onto.is_some(),
        };
        let _turn = self.turn();
        // Products follow one another on the stream, and so do the steps of a graph: all have the same.
        let workspace = self.workspace()?;
        let places = Places { a: a.address, b: b.address, onto: from, out: to, workspace };
        self.bind()?;
        self.products().multiply(question, 1.0, places, self.stream())
    }
}

/// Which of a weight's dimensions a product leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Out,
    In,
}

impl Side {
    /// A weight's numbers as the second factor.
    fn factor(self, numbers: &Array) -> Factor {
        match self {
            Side::Out => Factor::array(numbers).transposed(),
            Side::In => Factor::array(numbers),
        }
    }
}

/// The type in which numbers of both keep their values.
pub(crate) fn both(a: Format, b: Format) -> Format {
    if a == b { a } else { Format::F32 }
}

#[cfg(test)]
mod tests {
    use super::{Factor, Region, Side};
    use crate::device::Device;
    use crate::device::array::{Format, Stored};
    use crate::device::codes::{Codes, Encoding};

    /// Panels of eight and of one, onto what there is or nothing. Numbers are whole and small, so sums are exact.
    #[test]
    fn a_matrix_is_decoded_in_any_panels() {
        const SHAPES: [[usize; 2]; 3] = [[70, 33], [9, 40], [16, 1]];
        const ROWS: usize = 5;
        let device = match Device::open(None) {
            Ok(device) => device,
            Err(error) => {
                assert!(std::env::var_os("HPS_REQUIRE_CUDA").is_none(), "{error}");
                eprintln!("SKIPPED, as {error}");
                return;
            }
        };
        for [outputs, inputs] in SHAPES {
            let number = |at: usize| (at * 7 % 5) as f32 - 2.0;
            // -2 to 2 as f16.
            let codes = (0..outputs * inputs).map(|at| [0xc000u16, 0xbc00, 0, 0x3c00, 0x4000][at * 7 % 5]);
            let bytes: Vec<u8> = codes.flat_map(u16::to_le_bytes).collect();
            let codes =
                Codes { encoding: Encoding::F16, rows: outputs, columns: inputs, bytes: &bytes, interleaved: None };
            let weight = device.upload_codes(&codes).unwrap();
            let Stored::Codes(matrix) = weight.stored() else { panic!("{weight:?}") };
            for (side, depth, columns) in [(Side::Out, inputs, outputs), (Side::In, outputs, inputs)] {
                let x: Vec<f32> = (0..ROWS * depth).map(|at| (at % 3) as f32 - 1.0).collect();
                let onto: Vec<f32> = (0..ROWS * columns).map(|at| (at % 11) as f32).collect();
                let product = |entry: usize| -> f32 {
                    let (row, column) = (entry / columns, entry % columns);
                    let place = |at: usize| match side {
                        Side::Out => column * inputs + at,
                        Side::In => at * inputs + column,
                    };
                    (0..depth).map(|at| x[row * depth + at] * number(place(at))).sum()
                };
                for (format, tile) in
                    [(Format::F32, 1), (Format::F32, 700), (Format::BF16, 300), (Format::BF16, 1 << 20)]
                {
                    let there = |numbers: &[f32], columns| {
                        device.convert(&device.upload(numbers, columns).unwrap(), format).unwrap()
                    };
                    let (x, onto_there) = (there(&x, depth), there(&onto, columns));
                    for onto_is in [None, Some(&onto_there)] {
                        let out = device.zeros(ROWS, columns, format).unwrap();
                        let added = onto_is.map(|onto| Region::rows(onto, 0));
                        let to = Region::rows(&out, 0);
                        device.multiply_decoded(side, Factor::array(&x), matrix, tile, to, added).unwrap();
                        let added = |entry: usize| if onto_is.is_some() { onto[entry] } else { 0.0 };
                        let want: Vec<f32> = (0..out.len()).map(|entry| product(entry) + added(entry)).collect();
                        // None is above 256, which bfloat16 holds.
                        assert!(want.iter().all(|number| number.abs() <= 256.0));
                        assert_eq!(
                            device.download(&out).unwrap(),
                            want,
                            "{outputs} x {inputs}, {side:?}, tiles of {tile}"
                        );
                    }
                }
            }
        }
    }
}
