//! The check of an implementation passes what is right and finds what is wrong.

use hps_core::conformance::{Failure, Mismatch, Probe, check};
use hps_core::{Dual, Scalar, ScoreTensor};
use std::convert::Infallible;
use std::marker::PhantomData;

/// Plain numbers.
struct Numbers<F>(PhantomData<F>);

impl<F: Scalar + ScoreTensor> Probe for Numbers<F> {
    type Tensor = F;
    const ROWS: usize = 1;

    fn variable(&self, numbers: &[f64]) -> F {
        F::narrow(numbers[0])
    }

    fn numbers(&self, column: &F, out: &mut [f64]) {
        out[0] = column.widen();
    }

    fn gradient(&self, _: &F, _: &F, _: &mut [f64]) -> bool {
        false
    }
}

/// A number with its derivatives by the two inputs, and the implementation that it is tried with.
#[derive(Debug, Clone)]
struct Traced<O> {
    by: [Dual<f64>; 2],
    operations: PhantomData<O>,
}

/// What an implementation may do its own way.
trait Operations: Clone {
    fn log_add_exp(a: &Dual<f64>, b: &Dual<f64>) -> Dual<f64> {
        let Ok(sum) = a.log_add_exp(b);
        sum
    }

    fn softplus(x: &Dual<f64>) -> Dual<f64> {
        let Ok(price) = x.softplus();
        price
    }

    fn relu(x: &Dual<f64>) -> Dual<f64> {
        let Ok(positive) = x.relu();
        positive
    }
}

impl<O: Operations> Traced<O> {
    fn each(&self, f: impl Fn(&Dual<f64>) -> Dual<f64>) -> Result<Self, Infallible> {
        Ok(Traced { by: [f(&self.by[0]), f(&self.by[1])], operations: PhantomData })
    }

    fn both(&self, other: &Self, f: impl Fn(&Dual<f64>, &Dual<f64>) -> Dual<f64>) -> Result<Self, Infallible> {
        let by = [f(&self.by[0], &other.by[0]), f(&self.by[1], &other.by[1])];
        Ok(Traced { by, operations: PhantomData })
    }
}

fn right(result: Result<Dual<f64>, Infallible>) -> Dual<f64> {
    let Ok(number) = result;
    number
}

impl<O: Operations> ScoreTensor for Traced<O> {
    type Error = Infallible;

    fn add(&self, other: &Self) -> Result<Self, Infallible> {
        self.both(other, |a, b| right(a.add(b)))
    }

    fn sub(&self, other: &Self) -> Result<Self, Infallible> {
        self.both(other, |a, b| right(a.sub(b)))
    }

    fn mul(&self, other: &Self) -> Result<Self, Infallible> {
        self.both(other, |a, b| right(a.mul(b)))
    }

    fn affine(&self, scale: f64, shift: f64) -> Result<Self, Infallible> {
        self.each(|x| right(x.affine(scale, shift)))
    }

    fn exp(&self) -> Result<Self, Infallible> {
        self.each(|x| right(x.exp()))
    }

    fn softplus(&self) -> Result<Self, Infallible> {
        self.each(O::softplus)
    }

    fn log_add_exp(&self, other: &Self) -> Result<Self, Infallible> {
        self.both(other, O::log_add_exp)
    }

    fn log1m_exp(&self) -> Result<Self, Infallible> {
        self.each(|x| right(x.log1m_exp()))
    }

    fn relu(&self) -> Result<Self, Infallible> {
        self.each(O::relu)
    }
}

/// Which input a column is is told by the order in which they are made.
struct Derivatives<O>(std::cell::Cell<usize>, PhantomData<O>);

impl<O: Operations> Probe for Derivatives<O> {
    type Tensor = Traced<O>;
    const ROWS: usize = 1;

    fn variable(&self, numbers: &[f64]) -> Traced<O> {
        let input = self.0.replace((self.0.get() + 1) % 2);
        let along = |direction: usize| match direction == input {
            true => Dual::variable(numbers[0]),
            false => Dual::constant(numbers[0]),
        };
        Traced { by: [along(0), along(1)], operations: PhantomData }
    }

    fn numbers(&self, column: &Traced<O>, out: &mut [f64]) {
        out[0] = column.by[0].value();
    }

    fn gradient(&self, of: &Traced<O>, by: &Traced<O>, out: &mut [f64]) -> bool {
        let direction = usize::from(by.by[1].derivative() != 0.0);
        out[0] = of.by[direction].derivative();
        // Of an absent term: there is none to compare.
        if !by.by[0].value().is_finite() || !of.by[0].value().is_finite() {
            out[0] = 0.0;
        }
        true
    }
}

fn found<O: Operations>() -> Option<Mismatch> {
    match check(&Derivatives::<O>(std::cell::Cell::new(0), PhantomData), 1e-14) {
        Ok(()) => None,
        Err(Failure::Mismatch(mismatch)) => Some(mismatch),
        Err(Failure::Operation(never)) => match never {},
    }
}

#[test]
fn numbers_and_dual_numbers_pass() {
    check(&Numbers::<f64>(PhantomData), 1e-14).expect("f64");
    check(&Numbers::<f32>(PhantomData), 1e-6).expect("f32");
    #[derive(Clone)]
    struct Own;
    impl Operations for Own {}
    assert_eq!(found::<Own>(), None);
}

/// `a + softplus(b − a)`, which this crate's documentation once called right.
#[test]
fn the_softplus_formula_is_found() {
    #[derive(Clone)]
    struct Formula;
    impl Operations for Formula {
        fn log_add_exp(a: &Dual<f64>, b: &Dual<f64>) -> Dual<f64> {
            right(a.add(&right(right(b.sub(a)).softplus())))
        }
    }
    let mismatch = found::<Formula>().expect("it is wrong");
    assert_eq!((mismatch.operation, mismatch.gradient_by), ("log_add_exp", None));
    assert!(mismatch.inputs.contains(&f64::NEG_INFINITY) && mismatch.given.is_nan(), "{mismatch}");
}

#[test]
fn a_maximum_at_a_tie_is_found() {
    #[derive(Clone)]
    struct Maximum;
    impl Operations for Maximum {
        fn log_add_exp(a: &Dual<f64>, b: &Dual<f64>) -> Dual<f64> {
            let sum = right(a.log_add_exp(b));
            if a.value() == b.value() { Dual::new(sum.value(), b.derivative()) } else { sum }
        }
    }
    let mismatch = found::<Maximum>().expect("it is wrong");
    assert_eq!((mismatch.operation, mismatch.gradient_by, mismatch.inputs), ("log_add_exp", Some(0), [0.0, 0.0]));
    assert_eq!((mismatch.given, mismatch.expected), (0.0, 0.5));
    let text = "the gradient of log_add_exp at (0, 0) by input 0 is 0, not 0.5";
    assert_eq!(mismatch.to_string(), text);
}

#[test]
fn a_softplus_that_overflows_is_found() {
    #[derive(Clone)]
    struct Literal;
    impl Operations for Literal {
        fn softplus(x: &Dual<f64>) -> Dual<f64> {
            let power = x.value().exp();
            Dual::new((1.0 + power).ln(), power / (1.0 + power) * x.derivative())
        }
    }
    let mismatch = found::<Literal>().expect("it is wrong");
    assert_eq!((mismatch.operation, mismatch.inputs[0]), ("softplus", 1e6));
    assert!(mismatch.given.is_infinite(), "{mismatch}");
}

#[test]
fn a_slope_at_the_kink_is_found() {
    #[derive(Clone)]
    struct Kink;
    impl Operations for Kink {
        fn relu(x: &Dual<f64>) -> Dual<f64> {
            if x.value() >= 0.0 { *x } else { Dual::constant(0.0) }
        }
    }
    let mismatch = found::<Kink>().expect("it is wrong");
    assert_eq!((mismatch.operation, mismatch.gradient_by, mismatch.given), ("relu", Some(0), 1.0));
}
