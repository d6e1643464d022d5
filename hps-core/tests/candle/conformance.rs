//! Candle's tensors pass the check that implementers run on their own.

use candle_core::{DType, Device, Tensor as Column, Var};
use hps_core::conformance::{MOST_ROWS, Probe, check};

struct Candle(DType);

impl Probe for Candle {
    type Tensor = Column;
    const ROWS: usize = MOST_ROWS;

    fn variable(&self, numbers: &[f64]) -> Column {
        let column = Column::new(numbers, &Device::Cpu).and_then(|column| column.to_dtype(self.0));
        Var::from_tensor(&column.expect("a column")).expect("a variable").as_tensor().clone()
    }

    fn numbers(&self, column: &Column, out: &mut [f64]) {
        let numbers = column.to_dtype(DType::F64).and_then(|column| column.to_vec1()).expect("numbers");
        out.copy_from_slice(&numbers);
    }

    fn gradient(&self, of: &Column, by: &Column, out: &mut [f64]) -> bool {
        let gradients = of.sum_all().and_then(|sum| sum.backward()).expect("gradients");
        match gradients.get(by) {
            Some(gradient) => self.numbers(gradient, out),
            None => out.fill(0.0),
        }
        true
    }
}

#[test]
fn candle_conforms() {
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-6), (DType::BF16, 2e-2)] {
        check(&Candle(dtype), tolerance).unwrap_or_else(|failure| panic!("{dtype:?}: {failure}"));
    }
}
