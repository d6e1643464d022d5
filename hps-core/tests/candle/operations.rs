//! The nine operations: value and gradient by each side, against dual numbers.

use crate::tolerance;
use candle_core::{DType, Device, Tensor as Column, Var, WithDType};
use hps_core::{Dual, Scalar, ScoreTensor};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Add,
    Sub,
    Mul,
    Affine,
    Exp,
    Softplus,
    LogAddExp,
    Log1mExp,
    Relu,
}

use Operation::*;

const ALL: [Operation; 9] = [Add, Sub, Mul, Affine, Exp, Softplus, LogAddExp, Log1mExp, Relu];

/// Ties, kinks and what overflows `e^x` in either type; −1e-6 and −0.69 are where `1 − e^x` and its logarithm cancel.
const NUMBERS: [f64; 19] = [
    -1e4, -745.0, -104.0, -40.0, -17.0, -3.25, -0.75, -0.69, -0.5, -1e-6, 0.0, 1e-6, 0.5, 0.75, 3.25, 17.0, 89.0,
    710.0, 1e4,
];

impl Operation {
    fn apply<T: ScoreTensor>(self, x: &T, y: &T) -> Result<T, T::Error> {
        match self {
            Add => x.add(y),
            Sub => x.sub(y),
            Mul => x.mul(y),
            Affine => x.affine(-3.0, 0.25),
            Exp => x.exp(),
            Softplus => x.softplus(),
            LogAddExp => x.log_add_exp(y),
            Log1mExp => x.log1m_exp(),
            Relu => x.relu(),
        }
    }

    fn reads_both(self) -> bool {
        matches!(self, Add | Sub | Mul | LogAddExp)
    }
}

/// The largest error of the operation, as a share of what is expected.
fn worst_error<F: Scalar + WithDType>(operation: Operation) -> f64 {
    let numbers: Vec<F> = NUMBERS.iter().map(|&number| F::narrow(number)).collect();
    let pairs = numbers.iter().flat_map(|&x| numbers.iter().map(move |&y| (x, y)));
    let (left, right): (Vec<F>, Vec<F>) = pairs.filter(|(x, _)| operation != Log1mExp || x.widen() < 0.0).unzip();

    let [x, y] = [&left, &right].map(|numbers| Var::new(numbers.as_slice(), &Device::Cpu).unwrap());
    let value = operation.apply(x.as_tensor(), y.as_tensor()).unwrap();
    assert_eq!(value.dtype(), F::DTYPE, "{operation:?}");
    let gradients = value.sum_all().unwrap().backward().unwrap();
    let list = |column: &Column| column.to_vec1::<F>().unwrap();
    let (value, by_x) = (list(&value), list(gradients.get(&x).unwrap()));
    let by_y = operation.reads_both().then(|| list(gradients.get(&y).unwrap()));

    let mut worst = 0.0_f64;
    let mut compare = |what: &str, row: usize, given: F, expected: F| {
        let (given, expected) = (given.widen(), expected.widen());
        // Below the type's smallest normal number digits are lost to all formulas alike.
        let slack = <F as num_traits::Float>::min_positive_value().widen();
        let error = ((given - expected).abs() - slack).max(0.0) / expected.abs().max(slack);
        let error = if given == expected { 0.0 } else { error };
        let place = (left[row], right[row]);
        assert!(error <= tolerance::operation(F::DTYPE), "{operation:?} {what} {place:?}: {given} {expected}");
        worst = worst.max(error);
    };
    for row in 0..left.len() {
        let Ok(dual) = operation.apply(&Dual::variable(left[row]), &Dual::constant(right[row]));
        compare("value", row, value[row], dual.value());
        compare("by x", row, by_x[row], dual.derivative());
        if let Some(by_y) = &by_y {
            let Ok(dual) = operation.apply(&Dual::constant(left[row]), &Dual::variable(right[row]));
            compare("by y", row, by_y[row], dual.derivative());
        }
    }
    worst
}

#[test]
fn every_operation_equals_dual_numbers() {
    for operation in ALL {
        println!("{operation:?} {:e} {:e}", worst_error::<f64>(operation), worst_error::<f32>(operation));
    }
}

#[test]
fn short_types_are_kept() {
    let numbers = [-9.0, -0.5, -0.125];
    for dtype in [DType::BF16, DType::F16] {
        let x = Column::new(&numbers, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        for operation in ALL {
            let value = operation.apply(&x, &x).unwrap();
            assert_eq!(value.dtype(), dtype, "{operation:?}");
            let given = value.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
            for (given, number) in given.into_iter().zip(numbers) {
                let Ok(expected) = operation.apply(&number, &number);
                let error = (given - expected).abs() / (1.0 + expected.abs());
                assert!(error <= tolerance::operation(dtype), "{operation:?} {number}: {given} {expected}");
            }
        }
    }
}

#[test]
fn without_a_variable_there_is_no_graph() {
    let x = Column::new(&[-2.0, -0.25], &Device::Cpu).unwrap();
    for operation in ALL {
        assert!(!operation.apply(&x, &x).unwrap().track_op(), "{operation:?}");
    }
}
