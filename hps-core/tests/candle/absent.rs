//! Terms of `−∞`, ties, and numbers that are none.

use candle_core::{Device, Tensor as Column, Var};
use hps_core::{Columns, Loss, ScoreTensor};
use std::f64::consts::LN_2;

const ABSENT: f64 = f64::NEG_INFINITY;

fn variable(numbers: &[f64]) -> Var {
    Var::new(numbers, &Device::Cpu).unwrap()
}

fn list(column: &Column) -> Vec<f64> {
    column.to_vec1().unwrap()
}

#[test]
fn an_absent_term_leaves_the_other_its_whole_gradient() {
    let a = variable(&[ABSENT, 3.0, ABSENT, 3.0, -1e4, 0.0]);
    let b = variable(&[3.0, ABSENT, ABSENT, 3.0, ABSENT, 0.0]);
    let value = a.log_add_exp(&b).unwrap();
    assert_eq!(list(&value), [3.0, 3.0, ABSENT, 3.0 + LN_2, -1e4, LN_2]);
    let gradients = value.backward().unwrap();
    assert_eq!(list(gradients.get(&a).unwrap()), [0.0, 1.0, 0.0, 0.5, 1.0, 0.5]);
    assert_eq!(list(gradients.get(&b).unwrap()), [1.0, 0.0, 0.0, 0.5, 0.0, 0.5]);
}

#[test]
fn absent_terms_in_a_row_stay_absent_until_one_is_not() {
    let (a, b, c) = (variable(&[ABSENT]), variable(&[ABSENT]), variable(&[-7.0]));
    for (first, second, third) in [(&a, &b, &c), (&a, &c, &b), (&c, &a, &b)] {
        let value = first.log_add_exp(second).unwrap().log_add_exp(third).unwrap();
        assert_eq!(list(&value), [-7.0]);
        let gradients = value.exp().unwrap().softplus().unwrap().backward().unwrap();
        for (variable, present) in [(&a, false), (&b, false), (&c, true)] {
            let gradient = list(gradients.get(variable).unwrap())[0];
            assert!(if present { gradient > 0.0 } else { gradient == 0.0 }, "{gradient}");
        }
    }
}

/// Step 0 of training: the policy is the reference. `L = Σ_k ln k`, and rank `k` of `n`, counted from 0, is one of
/// `n − j` equals at every place `j ≤ k`.
#[test]
fn equal_scores_share_alike() {
    let loss: Loss = "dpo-pl".parse().unwrap();
    let scores = [(); 4].map(|()| variable(&[0.0, -2.5]));
    let columns = scores.each_ref().map(|column| column.as_tensor().clone());
    let value = loss.over(&Columns::new(&columns)).unwrap().value().unwrap();
    let gradients = value.backward().unwrap();
    for (rank, column) in scores.iter().enumerate() {
        let chosen = if rank < 3 { -1.0 } else { 0.0 };
        let expected = (0..=rank.min(2)).fold(chosen, |sum, place| sum + 1.0 / (4 - place) as f64);
        for given in list(gradients.get(column).unwrap()) {
            assert!((given - expected).abs() < 1e-15, "rank {rank}: {given}, expected {expected}");
        }
    }
    for given in list(&value) {
        assert!((given - 24.0_f64.ln()).abs() < 1e-15);
    }
}

#[test]
fn what_is_no_number_is_not_hidden() {
    let (x, y) = (variable(&[f64::NAN, ABSENT, 1.0]), variable(&[ABSENT, f64::NAN, f64::NAN]));
    let both = [x.log_add_exp(&y), y.log_add_exp(&x), x.add(&y)];
    for column in both {
        assert!(list(&column.unwrap()).iter().all(|number| number.is_nan()));
    }
    for column in [x.softplus(), x.log1m_exp(), ScoreTensor::relu(x.as_tensor()), ScoreTensor::exp(x.as_tensor())] {
        assert!(list(&column.unwrap())[0].is_nan());
    }
}

/// At 0, where the value is −∞, and beside rows that are finite.
#[test]
fn an_infinite_slope_spoils_no_other_row() {
    let x = variable(&[0.0, -1e-300, -1.0, -1e4, ABSENT]);
    let value = x.log1m_exp().unwrap();
    let rows = list(&value);
    assert_eq!((rows[0], rows[3], rows[4]), (ABSENT, 0.0, 0.0));
    let gradient = list(value.backward().unwrap().get(&x).unwrap());
    assert_eq!((gradient[0], gradient[3], gradient[4]), (0.0, 0.0, 0.0));
    assert!((gradient[1] + 1e300).abs() < 1e285 && (gradient[2] - 1.0 / (1.0 - 1.0_f64.exp())).abs() < 1e-15);
}
