//! hps-core's losses under burn's autodiff: a newtype of burn's tensors that implements [`ScoreTensor`], to copy.
//!
//! `y = f(x̄) + f′(x̄) · (x − x̄)`, `x̄` being `x` outside the graph. Value and slope are closed forms without graph, and
//! autodiff sees the bracket alone, which is 0 with derivative 1. So ties, absent terms and branches that a row does not
//! take are settled before burn differentiates anything.
//!
//! Of burn 0.21 one has to know:
//! * `activation::softplus` is `ln(eˣ + 1)` as it is written, infinite from 89 (`f32`) or 710 (`f64`) on;
//! * `activation::sigmoid` goes through `f32` and keeps seven digits of `f64`;
//! * `detach` of a tensor that requires a gradient gives another one that does; `set_require_grad(false)` gives one that
//!   does not;
//! * a second `backward` over a graph gives no gradient, and no error;
//! * a tensor that is made without a type has the one that the process first used its device with: in a process with
//!   `NdArray<f32>` and `NdArray<f64>`, both are of one type.
//!
//! `tests/conformance.rs` holds it against [`hps_core::conformance`], `tests/losses.rs` every loss against the kernels, and
//! `examples/dpo_step.rs` trains. With the crate `burn`, read `burn::tensor` for `burn_tensor`.

#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

use burn_tensor::backend::Backend;
use burn_tensor::{Element, Tensor, activation};
use core::convert::Infallible;
use core::f64::consts::LN_2;
use hps_core::ScoreTensor;

/// One score per prompt, \[prompts\], on any backend of burn. The columns of one loss have one length; at others burn
/// panics, or repeats what has length 1.
///
/// Derivatives are first ones. Where an input or the value is infinite nothing passes back, arithmetic and `exp` apart.
///
/// ```
/// use burn_autodiff::Autodiff;
/// use burn_ndarray::NdArray;
/// use burn_tensor::Tensor;
/// use hps_core::ScoreTensor;
/// use hps_core_under_burn::Column;
///
/// let score = Tensor::<Autodiff<NdArray>, 1>::zeros([2], &Default::default()).require_grad();
/// let Ok(Column(value)) = Column(score.clone()).softplus();
/// let gradient = score.grad(&value.sum().backward()).unwrap().into_data().to_vec::<f32>().unwrap();
/// assert_eq!(gradient, [0.5, 0.5]);
/// ```
#[derive(Clone, Debug)]
pub struct Column<B: Backend>(pub Tensor<B, 1>);

impl<B: Backend> Column<B> {
    /// The columns that [`hps_core::Columns`] takes, one a rank, from `[ranks, prompts]`.
    ///
    /// ```
    /// use burn_ndarray::NdArray;
    /// use burn_tensor::Tensor;
    /// use hps_core_under_burn::Column;
    ///
    /// let scores = Tensor::<NdArray, 2>::from_floats([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], &Default::default());
    /// let columns = Column::split(scores);
    /// assert_eq!(columns[1].0.to_data().to_vec::<f32>().unwrap(), [3.0, 4.0]);
    /// ```
    pub fn split(ranks: Tensor<B, 2>) -> Vec<Self> {
        ranks.iter_dim(0).map(|rank| Column(rank.squeeze_dim(0))).collect()
    }

    /// Columns without gradient, from an array `[columns, prompts]` that a filler of hps-core wrote; none from an empty one.
    ///
    /// ```
    /// use burn_ndarray::NdArray;
    /// use hps_core_under_burn::Column;
    ///
    /// let columns = Column::<NdArray>::constants(&[1.0, 2.0, 3.0, 4.0], 2, &Default::default());
    /// assert_eq!(columns[1].0.to_data().to_vec::<f32>().unwrap(), [3.0, 4.0]);
    /// ```
    pub fn constants(numbers: &[B::FloatElem], prompts: usize, device: &B::Device) -> Vec<Self> {
        // Without a type, a tensor would have the one that this process first used the device with.
        let options = || (device, B::FloatElem::dtype());
        numbers.chunks(prompts.max(1)).map(|column| Column(Tensor::from_data(column, options()))).collect()
    }
}

impl<B: Backend> ScoreTensor for Column<B> {
    type Error = Infallible;

    fn add(&self, other: &Self) -> Result<Self, Infallible> {
        Ok(Column(self.0.clone() + other.0.clone()))
    }

    fn sub(&self, other: &Self) -> Result<Self, Infallible> {
        Ok(Column(self.0.clone() - other.0.clone()))
    }

    fn mul(&self, other: &Self) -> Result<Self, Infallible> {
        Ok(Column(self.0.clone() * other.0.clone()))
    }

    fn affine(&self, scale: f64, shift: f64) -> Result<Self, Infallible> {
        Ok(Column(self.0.clone() * scale + shift))
    }

    fn exp(&self) -> Result<Self, Infallible> {
        Ok(Column(self.0.clone().exp()))
    }

    fn softplus(&self) -> Result<Self, Infallible> {
        let x = outside_the_graph(&self.0);
        let value = x.clone().clamp_min(0.0) + tail(&x).log1p();
        Ok(Column(with_slope(value, &self.0, sigmoid(&x))))
    }

    fn log_add_exp(&self, other: &Self) -> Result<Self, Infallible> {
        let (a, b) = (outside_the_graph(&self.0), outside_the_graph(&other.0));
        // Two absent terms are a tie too, where the difference would be −∞ − (−∞).
        let difference = (a.clone() - b.clone()).mask_fill(a.clone().equal(b.clone()), 0.0);
        let value = a.max_pair(b) + tail(&difference).log1p();
        let value = with_slope(value, &self.0, sigmoid(&difference));
        Ok(Column(with_slope(value, &other.0, sigmoid(&-difference))))
    }

    fn log1m_exp(&self) -> Result<Self, Infallible> {
        let x = outside_the_graph(&self.0);
        let exp = x.clone().exp();
        // 1 − eˣ without cancelling: −2t / (1 − t), t = tanh(x/2).
        let half = (x.clone() * 0.5).tanh();
        let complement = half.clone() * -2.0 / (-half + 1.0);
        let far = (-exp.clone()).log1p();
        let value = far.mask_where(x.greater_elem(-LN_2), complement.clone().log());
        Ok(Column(with_slope(value, &self.0, -exp / complement)))
    }

    fn relu(&self) -> Result<Self, Infallible> {
        Ok(Column(activation::relu(self.0.clone())))
    }
}

/// `value`, with `slope` for its derivative by `input`; none of the two has one by itself.
fn with_slope<B: Backend>(value: Tensor<B, 1>, input: &Tensor<B, 1>, slope: Tensor<B, 1>) -> Tensor<B, 1> {
    // ∞ − ∞ is no number: what stays are the rows where the bracket is one.
    let infinite = value.clone().is_finite().bool_and(input.clone().is_finite()).bool_not();
    let input = input.clone().mask_fill(infinite.clone(), 0.0);
    let bracket = input.clone() - outside_the_graph(&input);
    value + slope.mask_fill(infinite, 0.0) * bracket
}

fn outside_the_graph<B: Backend>(x: &Tensor<B, 1>) -> Tensor<B, 1> {
    x.clone().set_require_grad(false)
}

fn sigmoid<B: Backend>(x: &Tensor<B, 1>) -> Tensor<B, 1> {
    let tail = tail(x);
    tail.clone().mask_fill(x.clone().greater_equal_elem(0.0), 1.0) / (tail + 1.0)
}

/// `e^−|x|`, in [0, 1].
fn tail<B: Backend>(x: &Tensor<B, 1>) -> Tensor<B, 1> {
    (-x.clone().abs()).exp()
}
