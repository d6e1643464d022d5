//! Whether a type computes what [`ScoreTensor`] asks for: run it on a tensor type of your own, in a test.
//!
//! Every operation is compared with dual numbers in `f64`, value and gradients, where an implementation is usually wrong:
//! at ties, at absent terms (`−∞`), a million nats away from 0, at the kink of `relu`, and with all of these in one column.
//!
//! | trap | what goes wrong | the operation |
//! |---|---|---|
//! | `a + softplus(b − a)` | NaN where either is `−∞` | `log_add_exp` |
//! | through an elementwise maximum | the gradient at a tie is (0, 1) or (1, 1) in place of (½, ½) | `log_add_exp` |
//! | `ln(1 + eˣ)` as it is written (burn 0.21's `softplus`) | infinite from 89 (`f32`) or 710 (`f64`) on | `softplus` |
//! | a branch that `where` drops | its infinite slope times 0 is NaN in the gradient | `log_add_exp`, `log1m_exp` |
//! | `max(x, 0)` with the slope 1 at 0 | a satisfied margin goes on pushing | `relu` |
//!
//! The sound way for autograd that differentiates branches: value and slope are computed outside the graph, from detached
//! inputs, and the result is `value + slope · (x − detach(x))`, with `x` replaced by 0 in rows where it is infinite. What
//! autograd sees is the bracket, which is 0 and has the derivative 1.

use crate::numbers::{Dual, ScoreTensor};
use core::fmt;

/// How columns of a type are made and read.
///
/// ```
/// use hps_core::conformance::{Probe, check};
///
/// struct Doubles;
///
/// impl Probe for Doubles {
///     type Tensor = f64;
///     const ROWS: usize = 1;
///
///     fn variable(&self, numbers: &[f64]) -> f64 {
///         numbers[0]
///     }
///
///     fn numbers(&self, column: &f64, out: &mut [f64]) {
///         out[0] = *column;
///     }
///
///     fn gradient(&self, _of: &f64, _by: &f64, _out: &mut [f64]) -> bool {
///         false // A plain number has none.
///     }
/// }
///
/// assert!(check(&Doubles, 1e-15).is_ok());
/// ```
pub trait Probe {
    /// The type that is checked.
    type Tensor: ScoreTensor;

    /// Rows of a column, 1 to [`MOST_ROWS`]: 1 for a number, several for what holds several, so that different cases
    /// meet in one column.
    const ROWS: usize;

    /// A column with these numbers, by which gradients are taken. They are exact in `f32`, and in `bf16` to a unit.
    fn variable(&self, numbers: &[f64]) -> Self::Tensor;

    /// Writes a column's numbers.
    fn numbers(&self, column: &Self::Tensor, out: &mut [f64]);

    /// Writes `∂(Σ of)/∂by`, one entry a row, zeros where `of` does not depend on `by`; `false` from a type without
    /// gradients.
    ///
    /// One result is asked for its gradients by both inputs, before another [`variable`](Self::variable) is made: where
    /// autograd walks a graph only once, the first call keeps what the second one reads.
    fn gradient(&self, of: &Self::Tensor, by: &Self::Tensor, out: &mut [f64]) -> bool;
}

/// The most rows of a column.
pub const MOST_ROWS: usize = 16;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Failure<E> {
    /// An operation failed by itself.
    Operation(E),
    /// It computes something else.
    Mismatch(Mismatch),
}

/// A number that is not the one that it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The operation, by its name in [`ScoreTensor`].
    pub operation: &'static str,
    /// `None` of its value, else by which of its inputs the gradient is.
    pub gradient_by: Option<usize>,
    /// Its inputs; of an operation on one, the first.
    pub inputs: [f64; 2],
    /// What it gives.
    pub given: f64,
    /// What is right.
    pub expected: f64,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { operation, gradient_by, inputs: [a, b], given, expected } = self;
        match gradient_by {
            None => write!(f, "{operation} at ({a}, {b}) is {given}, not {expected}"),
            Some(input) => {
                write!(f, "the gradient of {operation} at ({a}, {b}) by input {input} is {given}, not {expected}")
            }
        }
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Operation(error) => write!(f, "an operation failed: {error}"),
            Failure::Mismatch(mismatch) => mismatch.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Failure<E> {}

/// An operation on two columns, of which those on one take the first.
type Operation<T> = fn(&T, &T) -> Result<T, <T as ScoreTensor>::Error>;

/// `(name, operation, the inputs it is tried at)`.
struct Case<T: ScoreTensor> {
    name: &'static str,
    operation: Operation<T>,
    inputs: &'static [[f64; 2]],
}

const ABSENT: f64 = f64::NEG_INFINITY;

/// Sums, differences, products.
const ORDINARY: &[[f64; 2]] = &[[0.0, 0.0], [1.5, -2.0], [-0.25, 0.0], [1e6, 1e6], [-1e6, 0.5], [3.0, 3.0]];
const EXPONENTS: &[[f64; 2]] =
    &[[0.0, 0.0], [1.0, 0.0], [-0.5, 0.0], [-20.0, 0.0], [20.0, 0.0], [-1e6, 0.0], [ABSENT, 0.0]];
const SLOPES: &[[f64; 2]] = &[
    [0.0, 0.0],
    [1.0, 0.0],
    [-0.5, 0.0],
    [12.0, 0.0],
    [-12.0, 0.0],
    [100.0, 0.0],
    [-100.0, 0.0],
    [1e6, 0.0],
    [-1e6, 0.0],
];
const SUMS: &[[f64; 2]] = &[
    [0.0, 0.0],
    [1.5, 1.5],
    [-1e6, -1e6],
    [1e6, 1e6],
    [0.0, 1.0],
    [1.0, 0.0],
    [-3.0, 8.0],
    [0.0, 1e6],
    [-1e6, 1e6],
    [1.5, ABSENT],
    [ABSENT, 1.5],
    [ABSENT, 0.0],
    [1e6, ABSENT],
    [ABSENT, ABSENT],
];
/// For a sum of three: a million nats away from 0, `f32` rounds the first sum to a sixteenth, and so does the slope.
const CHAINS: &[[f64; 2]] =
    &[[0.0, 0.0], [1.5, 1.5], [0.0, 1.0], [0.0, 1e6], [1.5, ABSENT], [ABSENT, 1.5], [ABSENT, ABSENT]];
/// Below 0: just, about `−ln 2` where the two forms meet, far.
const COMPLEMENTS: &[[f64; 2]] =
    &[[-0.0078125, 0.0], [-0.5, 0.0], [-0.6875, 0.0], [-0.75, 0.0], [-4.0, 0.0], [-20.0, 0.0]];
const KINKS: &[[f64; 2]] = &[[0.0, 0.0], [1.5, 0.0], [-1.5, 0.0], [1e6, 0.0], [-1e6, 0.0]];

fn case<T: ScoreTensor>(name: &'static str, operation: Operation<T>, inputs: &'static [[f64; 2]]) -> Case<T> {
    Case { name, operation, inputs }
}

fn cases<T: ScoreTensor>() -> [Case<T>; 13] {
    [
        case("add", |a, b| a.add(b), ORDINARY),
        case("sub", |a, b| a.sub(b), ORDINARY),
        case("mul", |a, b| a.mul(b), ORDINARY),
        case("affine", |a, _| a.affine(-2.5, 0.5), ORDINARY),
        // An empty sum: zeros, whatever the column holds.
        case("affine", |a, _| a.affine(0.0, 0.0), ORDINARY),
        case("exp", |a, _| a.exp(), EXPONENTS),
        case("softplus", |a, _| a.softplus(), SLOPES),
        case("log_add_exp", |a, b| a.log_add_exp(b), SUMS),
        // As losses use them: a difference of scores, and a sum of three of which two may be absent.
        case("softplus", |a, b| b.sub(a)?.softplus(), ORDINARY),
        case("log_add_exp", |a, b| a.log_add_exp(b)?.log_add_exp(a), CHAINS),
        case(
            "log_add_exp",
            |a, b| a.affine(0.0, 0.0)?.log_add_exp(&a.log_add_exp(b)?),
            &[[0.0, 0.0], [1.5, ABSENT], [2.0, 3.0]],
        ),
        case("log1m_exp", |a, _| a.log1m_exp(), COMPLEMENTS),
        case("relu", |a, _| a.relu(), KINKS),
    ]
}

/// Compares every operation of a type with dual numbers; the first difference is the error.
///
/// * `tolerance`: of a number `x`, `tolerance · max(1, |x|)`: 1e-14 for `f64`, 1e-6 for `f32`, 2e-2 for `bf16`.
///
/// # Errors
/// The operation, its inputs and both numbers, or the error of an operation that failed.
pub fn check<P: Probe>(probe: &P, tolerance: f64) -> Result<(), Failure<<P::Tensor as ScoreTensor>::Error>> {
    let oracle = cases::<Dual<f64>>();
    for (case, oracle) in cases::<P::Tensor>().iter().zip(&oracle) {
        let rows = P::ROWS.clamp(1, MOST_ROWS);
        for first in 0..case.inputs.len() {
            // Each case at each place of a column, with those that follow it beside it.
            let mut inputs = [[0.0; 2]; MOST_ROWS];
            for (row, inputs) in inputs.iter_mut().enumerate() {
                *inputs = case.inputs[(first + row) % case.inputs.len()];
            }
            check_column(probe, tolerance, case, oracle, &inputs[..rows])?;
        }
    }
    Ok(())
}

fn check_column<P: Probe>(
    probe: &P,
    tolerance: f64,
    case: &Case<P::Tensor>,
    oracle: &Case<Dual<f64>>,
    inputs: &[[f64; 2]],
) -> Result<(), Failure<<P::Tensor as ScoreTensor>::Error>> {
    let rows = inputs.len();
    let mut numbers = [[0.0; MOST_ROWS]; 2];
    for (row, input) in inputs.iter().enumerate() {
        (numbers[0][row], numbers[1][row]) = (input[0], input[1]);
    }
    let columns = numbers.map(|numbers| probe.variable(&numbers[..rows]));
    let result = (case.operation)(&columns[0], &columns[1]).map_err(Failure::Operation)?;

    // Along the first input's direction, then along the second's.
    let mut expected = [[Dual::constant(0.0); MOST_ROWS]; 2];
    for (row, [a, b]) in inputs.iter().enumerate() {
        let along = [(Dual::variable(*a), Dual::constant(*b)), (Dual::constant(*a), Dual::variable(*b))];
        for (direction, (a, b)) in along.iter().enumerate() {
            let Ok(number) = (oracle.operation)(a, b);
            expected[direction][row] = number;
        }
    }
    let mut given = [0.0; MOST_ROWS];
    let compare = |gradient_by, given: &[f64], expected: &dyn Fn(usize) -> f64| {
        for (row, &given) in given.iter().enumerate() {
            let expected = expected(row);
            let close = (given - expected).abs() <= tolerance * expected.abs().max(1.0);
            if !close && given != expected {
                let (operation, inputs) = (case.name, inputs[row]);
                return Err(Failure::Mismatch(Mismatch { operation, gradient_by, inputs, given, expected }));
            }
        }
        Ok(())
    };
    probe.numbers(&result, &mut given[..rows]);
    compare(None, &given[..rows], &|row| expected[0][row].value())?;
    for direction in 0..2 {
        if !probe.gradient(&result, &columns[direction], &mut given[..rows]) {
            return Ok(());
        }
        // By an absent term, or of an absent result, nothing has to pass; NaN may not.
        let slope = |row: usize| {
            let slope = expected[direction][row].derivative();
            let finite = inputs[row][direction].is_finite() && expected[0][row].value().is_finite();
            if finite { slope } else { 0.0 }
        };
        compare(Some(direction), &given[..rows], &slope)?;
    }
    Ok(())
}
