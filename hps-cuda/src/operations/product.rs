//! Matrix products by cuBLASLt: `x Wᵀ`, `dy W` and `dyᵀ x`, summed in f32.

use crate::device::Device;
use crate::device::array::{Array, Format, Weight};
use crate::device::cublas::{Places, Question};
use crate::error::{Result, agree};
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
        self.multiply(Factor::array(&dy).transposed(), Factor::array(&x), &out, 0, 1.0, None)?;
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
        let format = both(x.format(), weight.format());
        let (wide, weight) = (self.as_format(x, format)?, self.as_format(weight.array(), format)?);
        let onto = onto.map(|onto| self.as_format(onto, format)).transpose()?;
        let out = self.undefined(x.rows(), columns, format)?;
        let factor = match side {
            Side::Out => Factor::array(&weight).transposed(),
            Side::In => Factor::array(&weight),
        };
        self.multiply(Factor::array(&wide), factor, &out, 0, 1.0, onto.as_deref().map(|onto| (onto, 0)))?;
        if out.format() == x.format() { Ok(out) } else { self.convert(&out, x.format()) }
    }

    /// The rows of `out` from `first` on are `scale · a b`, onto as many rows of another array or nothing.
    ///
    /// Factors are of one type; `onto`, if given, is of the type of `out` and may be `out` itself.
    pub(crate) fn multiply(
        &self,
        a: Factor,
        b: Factor,
        out: &Array,
        first: usize,
        scale: f32,
        onto: Option<(&Array, usize)>,
    ) -> Result<()> {
        let ((rows, depth), (of_b, columns)) = (a.shape(), b.shape());
        agree("product", "the depth of the second factor", depth, of_b)?;
        agree("product", "the number of columns", out.columns(), columns)?;
        if rows == 0 || columns == 0 {
            return Ok(());
        }
        let to = out.row(first);
        let from = onto.map_or(to, |(onto, first)| onto.row(first));
        if depth == 0 {
            let bytes = rows * columns * out.format().size();
            if onto.is_none() {
                let zeros = self.zeros(rows, columns, out.format())?;
                return self.copy(zeros.address(), to, bytes);
            }
            return if from == to { Ok(()) } else { self.copy(from, to, bytes) };
        }
        let question = Question {
            shape: [rows, columns, depth],
            transposed: [a.transposed, b.transposed],
            pitches: [a.pitch, b.pitch],
            formats: [a.format, out.format()],
            alignments: [a.address, b.address, from, to].map(|address| 1 << address.trailing_zeros().min(8)),
            onto: onto.is_some(),
        };
        let _turn = self.turn();
        // Products follow one another on the stream, and so do the steps of a graph: all have the same.
        let workspace = self.workspace()?;
        let places = Places { a: a.address, b: b.address, onto: from, out: to, workspace };
        self.bind()?;
        self.products().multiply(question, scale, places, self.stream())
    }
}

/// Which of a weight's dimensions a product leads to.
#[derive(Clone, Copy)]
enum Side {
    Out,
    In,
}

/// The type in which numbers of both keep their values.
pub(crate) fn both(a: Format, b: Format) -> Format {
    if a == b { a } else { Format::F32 }
}
