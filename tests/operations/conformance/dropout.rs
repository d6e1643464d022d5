//! Dropout.

use crate::layout::{COLUMNS, ROWS, groups};
use crate::matrix::Matrix;
use crate::plain::dropout::{dropout, kept};
use crate::random::Draws;
use crate::subject::Subject;
use crate::tolerance::Operation;
use hps_llama::backend::{Backend, Dropout};
use hps_llama::pack::Packed;
use std::collections::{BTreeMap, BTreeSet};

const KEY: [u32; 2] = [0x1234_5678, 0x9ABC_DEF0];

fn identities(draws: &mut Draws, rows: usize) -> Vec<u32> {
    (0..rows).flat_map(|_| [draws.word(), draws.below(6), draws.below(5000)]).collect()
}

fn dropped<B: Backend>(subject: &Subject<B>, x: &Matrix, mask: Dropout, identities: &[u32]) -> Matrix {
    let got = subject.backend.dropout(&subject.array(x), mask, &subject.indices(identities)).expect("dropped");
    subject.matrix(&got, x.columns)
}

/// Entry for entry the mask of Philox.
pub fn dropout_is_philox<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(70);
    for rows in ROWS {
        for columns in COLUMNS {
            for rate in [0.0, 0.05, 0.5, 0.9] {
                let mask = Dropout { rate, key: KEY };
                let (x, ids) = (draws.matrix(rows, columns), identities(&mut draws, rows));
                let want = dropout(&x, mask, &ids);
                let on_device = subject.indices(&ids);
                let got = subject.backend.dropout(&subject.array(&x), mask, &on_device).expect("dropped");
                // Dropped entries have no magnitude, so they must be 0.
                subject.assert_close(Operation::Dropout, &got, &want, &want.absolute());
            }
        }
    }
}

/// Within five standard deviations of `rate`, for every column.
pub fn dropout_drops_its_rate<B: Backend>(subject: &Subject<B>) {
    let (rows, columns) = (4001, 9);
    let x = Matrix::from_fn(rows, columns, |_, _| 1.0);
    let ids: Vec<u32> = (0..rows as u32).flat_map(|row| [row % 50, row % 3, row / 3]).collect();
    for rate in [0.05f32, 0.5] {
        let got = dropped(subject, &x, Dropout { rate, key: KEY }, &ids);
        let deviation = (f64::from(rate * (1.0 - rate)) * rows as f64).sqrt();
        for column in 0..columns {
            let zeros = (0..rows).filter(|row| got[(*row, column)] == 0.0).count();
            let expected = f64::from(rate) * rows as f64;
            assert!((zeros as f64 - expected).abs() < 5.0 * deviation, "{zeros} zeros in column {column} at {rate}");
        }
    }
}

/// A token's mask depends on its identity and the key alone, not on its place in a batch.
pub fn dropout_does_not_see_the_packing<B: Backend>(subject: &Subject<B>) {
    let groups = groups(&[(3, &[2, 5]), (17, &[1, 0, 9]), (2, &[65])]);
    let mut turned = groups.clone();
    turned.reverse();
    let alone: Vec<Packed> = groups.iter().map(|group| Packed::shared(std::slice::from_ref(group))).collect();
    let separate = Packed::separate(&groups);
    let together = [Packed::shared(&groups), Packed::shared(&turned)];

    let mask = Dropout { rate: 0.5, key: KEY };
    let mut seen: BTreeMap<Vec<u32>, Vec<f64>> = BTreeMap::new();
    let (mut compared, columns) = (0, 33);
    for packed in together.iter().chain(&alone).chain([&separate]) {
        let got = dropped(subject, &Matrix::from_fn(packed.len(), columns, |_, _| 1.0), mask, &packed.identities);
        for (row, identity) in packed.identities.chunks(3).enumerate() {
            let before = seen.entry(identity.to_vec()).or_insert_with(|| got.row(row).to_vec());
            assert_eq!(before, got.row(row), "the mask of {identity:?}");
            compared += 1;
        }
    }
    assert!(compared > 3 * seen.len(), "each token in three packings at least");
    let masks: BTreeSet<Vec<bool>> =
        seen.values().map(|row| row.iter().map(|number| *number == 0.0).collect()).collect();
    assert_eq!(masks.len(), seen.len(), "no two tokens share a mask");
    let other = Dropout { key: [KEY[0] ^ 1, KEY[1]], ..mask };
    let (identity, row) = seen.first_key_value().expect("tokens");
    let changed = (0..columns).any(|column| kept(other, identity, column) != (row[column] != 0.0));
    assert!(changed, "another key, another mask");
}

/// `⟨y, D x⟩ = ⟨D y, x⟩`.
pub fn dropout_is_its_own_adjoint<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(71);
    let mask = Dropout { rate: 0.3, key: KEY };
    let (x, y) = (draws.matrix(65, 33), draws.matrix(65, 33));
    let ids = identities(&mut draws, 65);
    let [forward, backward] = [&x, &y].map(|matrix| dropped(subject, matrix, mask, &ids));
    let terms = x.absolute().dot(&y.absolute());
    let error = (forward.dot(&y) - backward.dot(&x)).abs();
    assert!(error <= (subject.tolerance)(Operation::Dropout) * terms, "{error} of {terms}");
}
