//! Candle's tensors as columns: `y = f(x̄) + f′(x̄) · (x − x̄)`, `x̄` being `x` outside the graph.
//!
//! Value and slope are closed forms without graph, and autograd sees the bracket alone, which is 0 with derivative 1. So
//! ties, absent terms and branches that a row does not take are settled before candle differentiates anything. Its own
//! rules would get them wrong: `relu` and `abs` pass 1 at 0, so that `maximum` and a tail of `|a − b|` make (0, 1) of a
//! tie; a branch that `where_cond` drops still multiplies its 0 by infinite slopes; there is no `ln_1p`, no `exp_m1`.

use crate::numbers::score_tensor::ScoreTensor;
use candle_core::{Error, Result, Tensor as Column};
use core::f64::consts::LN_2;

/// Every loss under candle's autograd, on any of its devices; needs the feature `candle`.
///
/// The columns of one loss have one shape, usually \[prompts\], and one type, which is kept: `f32` and `f64` to a few
/// roundings, `bf16` and `f16` as far as their digits go. They need not be contiguous. `NaN` stays `NaN`. Derivatives
/// are first ones, and where an input or the value is infinite nothing passes back, arithmetic and `exp` apart.
///
/// ```
/// use candle_core::{DType, Device, Var};
/// use hps_core::{Columns, Loss};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Two prompts with three answers each, best first; policy and reference still agree.
/// let scores = Var::zeros((2, 3), DType::F64, &Device::Cpu)?;
/// let columns = [scores.get_on_dim(1, 0)?, scores.get_on_dim(1, 1)?, scores.get_on_dim(1, 2)?];
/// let loss: Loss = "dpo-pl".parse()?;
/// let value = loss.over(&Columns::new(&columns))?.value()?;
/// assert!((value.to_vec1::<f64>()?[1] - 6.0_f64.ln()).abs() < 1e-15);
///
/// let gradients = value.sum_all()?.backward()?;
/// let gradient = gradients.get(&scores).unwrap().to_vec2::<f64>()?;
/// assert_eq!(gradient[0], gradient[1]);
/// assert!((gradient[0][0] + 2.0 / 3.0).abs() < 1e-15 && (gradient[0][2] - 5.0 / 6.0).abs() < 1e-15);
/// # Ok(())
/// # }
/// ```
impl ScoreTensor for Column {
    type Error = Error;

    fn add(&self, other: &Self) -> Result<Self> {
        Column::add(self, other)
    }

    fn sub(&self, other: &Self) -> Result<Self> {
        Column::sub(self, other)
    }

    fn mul(&self, other: &Self) -> Result<Self> {
        Column::mul(self, other)
    }

    fn affine(&self, scale: f64, shift: f64) -> Result<Self> {
        Column::affine(self, scale, shift)
    }

    fn exp(&self) -> Result<Self> {
        Column::exp(self)
    }

    fn softplus(&self) -> Result<Self> {
        let x = self.detach();
        let value = x.relu()?.add(&ln_1p(&tail(&x)?)?)?;
        with_slope(value, self, &sigmoid(&x)?)
    }

    fn log_add_exp(&self, other: &Self) -> Result<Self> {
        let (a, b) = (self.detach(), other.detach());
        // Two absent terms are a tie too, where the difference would be −∞ − (−∞).
        let difference = a.eq(&b)?.where_cond(&a.zeros_like()?, &a.sub(&b)?)?;
        let value = a.maximum(&b)?.add(&ln_1p(&tail(&difference)?)?)?;
        let value = with_slope(value, self, &sigmoid(&difference)?)?;
        with_slope(value, other, &sigmoid(&difference.neg()?)?)
    }

    fn log1m_exp(&self) -> Result<Self> {
        let x = self.detach();
        let (exp, complement) = (x.exp()?, one_minus_exp(&x)?);
        let value = x.gt(-LN_2)?.where_cond(&complement.log()?, &ln_1p(&exp.neg()?)?)?;
        with_slope(value, self, &exp.neg()?.div(&complement)?)
    }

    fn relu(&self) -> Result<Self> {
        let zero = self.zeros_like()?;
        self.le(&zero)?.where_cond(&zero, self)
    }
}

/// `value`, with `slope` for its derivative by `input`.
fn with_slope(value: Column, input: &Column, slope: &Column) -> Result<Column> {
    if !input.track_op() {
        return Ok(value);
    }
    let zero = value.zeros_like()?;
    // ∞ − ∞ is no number: what is selected are the rows where the bracket is one.
    let finite = difference_to_itself(&value)?.add(&difference_to_itself(input)?)?.eq(&zero)?;
    let input = finite.where_cond(input, &zero)?;
    let bracket = input.sub(&input.detach())?;
    value.add(&finite.where_cond(slope, &zero)?.mul(&bracket)?)
}

/// 0 of a finite number, `NaN` of any other.
fn difference_to_itself(x: &Column) -> Result<Column> {
    let x = x.detach();
    x.sub(&x)
}

fn sigmoid(x: &Column) -> Result<Column> {
    let tail = tail(x)?;
    x.ge(0.0)?.where_cond(&tail.ones_like()?, &tail)?.div(&tail.affine(1.0, 1.0)?)
}

/// `e^−|x|`, in [0, 1].
fn tail(x: &Column) -> Result<Column> {
    x.abs()?.neg()?.exp()
}

/// `ln(1 + x)` of `x` in [−½, 1]: the logarithm of the rounded sum, and to first order what the rounding lost.
fn ln_1p(x: &Column) -> Result<Column> {
    let sum = x.affine(1.0, 1.0)?;
    let lost = x.sub(&sum.affine(1.0, -1.0)?)?;
    sum.log()?.add(&lost.div(&sum)?)
}

/// `1 − eˣ` of `x ≤ 0`, which does not cancel: `−2t / (1 − t)`, `t = tanh(x/2)`.
fn one_minus_exp(x: &Column) -> Result<Column> {
    let half = x.affine(0.5, 0.0)?.tanh()?;
    half.affine(-2.0, 0.0)?.div(&half.affine(-1.0, 1.0)?)
}
