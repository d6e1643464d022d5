//! The newtype passes the check that implementers run on their own, and what burn suggests in its place does not.

use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use burn_tensor::backend::{AutodiffBackend, Backend};
use burn_tensor::{Element, Tensor, TensorData, activation};
use core::cell::RefCell;
use core::convert::Infallible;
use core::marker::PhantomData;
use hps_core::ScoreTensor;
use hps_core::conformance::{Failure, MOST_ROWS, Mismatch, Probe, check};
use hps_core_under_burn::Column;

type F32 = Autodiff<NdArray<f32>>;
type F64 = Autodiff<NdArray<f64>>;

/// A column whose operations are the newtype's, but for what is planted.
#[derive(Clone)]
struct Planted<B: Backend, P>(Column<B>, PhantomData<P>);

/// What may be done another way.
trait Plant: Clone {
    fn softplus<B: Backend>(x: &Column<B>) -> Column<B> {
        let Ok(value) = x.softplus();
        value
    }

    fn log_add_exp<B: Backend>(a: &Column<B>, b: &Column<B>) -> Column<B> {
        let Ok(value) = a.log_add_exp(b);
        value
    }
}

impl<B: Backend, P: Plant> ScoreTensor for Planted<B, P> {
    type Error = Infallible;

    fn add(&self, other: &Self) -> Result<Self, Infallible> {
        self.0.add(&other.0).map(planted)
    }

    fn sub(&self, other: &Self) -> Result<Self, Infallible> {
        self.0.sub(&other.0).map(planted)
    }

    fn mul(&self, other: &Self) -> Result<Self, Infallible> {
        self.0.mul(&other.0).map(planted)
    }

    fn affine(&self, scale: f64, shift: f64) -> Result<Self, Infallible> {
        self.0.affine(scale, shift).map(planted)
    }

    fn exp(&self) -> Result<Self, Infallible> {
        self.0.exp().map(planted)
    }

    fn softplus(&self) -> Result<Self, Infallible> {
        Ok(planted(P::softplus(&self.0)))
    }

    fn log_add_exp(&self, other: &Self) -> Result<Self, Infallible> {
        Ok(planted(P::log_add_exp(&self.0, &other.0)))
    }

    fn log1m_exp(&self) -> Result<Self, Infallible> {
        self.0.log1m_exp().map(planted)
    }

    fn relu(&self) -> Result<Self, Infallible> {
        self.0.relu().map(planted)
    }
}

fn planted<B: Backend, P>(column: Column<B>) -> Planted<B, P> {
    Planted(column, PhantomData)
}

/// Nothing planted.
#[derive(Clone)]
struct Own;
impl Plant for Own {}

/// burn's own.
#[derive(Clone)]
struct Softplus;
impl Plant for Softplus {
    fn softplus<B: Backend>(x: &Column<B>) -> Column<B> {
        Column(activation::softplus(x.0.clone(), 1.0))
    }
}

/// `a + softplus(b − a)`, with a softplus that is right.
#[derive(Clone)]
struct Formula;
impl Plant for Formula {
    fn log_add_exp<B: Backend>(a: &Column<B>, b: &Column<B>) -> Column<B> {
        let Ok(value) = b.sub(a).and_then(|difference| difference.softplus()).and_then(|price| a.add(&price));
        value
    }
}

/// burn walks a graph once, so the gradients by both inputs are kept from the first time that one is asked for.
struct Burn<B: AutodiffBackend, P> {
    gradients: RefCell<Option<B::Gradients>>,
    planted: PhantomData<P>,
}

impl<B: AutodiffBackend, P: Plant> Probe for Burn<B, P> {
    type Tensor = Planted<B, P>;
    const ROWS: usize = MOST_ROWS;

    fn variable(&self, numbers: &[f64]) -> Self::Tensor {
        self.gradients.replace(None);
        // Without a type, both backends' tensors would be of the same one.
        let options = (&Default::default(), B::FloatElem::dtype());
        planted(Column(Tensor::from_data(TensorData::from(numbers), options).require_grad()))
    }

    fn numbers(&self, column: &Self::Tensor, out: &mut [f64]) {
        write(column.0.0.clone(), out);
    }

    fn gradient(&self, of: &Self::Tensor, by: &Self::Tensor, out: &mut [f64]) -> bool {
        let mut gradients = self.gradients.borrow_mut();
        let gradients = gradients.get_or_insert_with(|| of.0.0.clone().sum().backward());
        match by.0.0.grad(gradients) {
            Some(gradient) => write(gradient, out),
            None => out.fill(0.0),
        }
        true
    }
}

fn write<B: Backend>(tensor: Tensor<B, 1>, out: &mut [f64]) {
    out.copy_from_slice(&tensor.into_data().convert::<f64>().into_vec::<f64>().expect("numbers"));
}

fn found<B: AutodiffBackend, P: Plant>(tolerance: f64) -> Option<Mismatch> {
    match check(&Burn::<B, P> { gradients: RefCell::new(None), planted: PhantomData }, tolerance) {
        Ok(()) => None,
        Err(Failure::Mismatch(mismatch)) => Some(mismatch),
        Err(Failure::Operation(never)) => match never {},
    }
}

#[test]
fn the_newtype_conforms() {
    assert_eq!(found::<F64, Own>(1e-14), None);
    assert_eq!(found::<F32, Own>(1e-6), None);
}

#[test]
fn burns_own_softplus_is_found() {
    let mismatch = found::<F64, Softplus>(1e-14).expect("it is wrong");
    assert_eq!((mismatch.operation, mismatch.gradient_by, mismatch.inputs[0]), ("softplus", None, 1e6));
    assert_eq!((mismatch.given, mismatch.expected), (f64::INFINITY, 1e6));
    let mismatch = found::<F32, Softplus>(1e-6).expect("it is wrong");
    assert_eq!((mismatch.operation, mismatch.gradient_by, mismatch.inputs[0]), ("softplus", None, 100.0));
    assert_eq!((mismatch.given, mismatch.expected), (f64::INFINITY, 100.0));
}

#[test]
fn the_softplus_formula_is_found() {
    for mismatch in [found::<F64, Formula>(1e-14), found::<F32, Formula>(1e-6)] {
        let mismatch = mismatch.expect("it is wrong");
        assert_eq!((mismatch.operation, mismatch.gradient_by), ("log_add_exp", None));
        assert_eq!(mismatch.inputs, [f64::NEG_INFINITY, 1.5]);
        assert!(mismatch.given.is_nan() && mismatch.expected == 1.5, "{mismatch}");
    }
}
