//! The gradient's norm and AdamW.

use crate::layout::{COLUMNS, ROWS};
use crate::matrix::Matrix;
use crate::plain::optimizer::{AdamW, global_norm};
use crate::random::Draws;
use crate::subject::Subject;
use crate::tolerance::Operation;
use hps_llama::backend::{AdamWUpdate, Backend, Trained};

const UPDATE: AdamWUpdate = AdamWUpdate {
    learning_rate: 0.01,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weight_decay: 0.0,
    step: 1,
    max_norm: f64::INFINITY,
};

pub fn global_norm_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = Draws::new(130);
    let mut arrays: Vec<Matrix> = Vec::new();
    for rows in ROWS {
        arrays.extend(COLUMNS.map(|columns| draws.matrix(rows, columns)));
        let want = Matrix::from_fn(1, 1, |_, _| global_norm(&arrays.iter().collect::<Vec<_>>()));
        let there: Vec<B::Array> = arrays.iter().map(|array| subject.single(array)).collect();
        let got = subject.backend.global_norm(&there.iter().collect::<Vec<_>>()).expect("a norm");
        subject.assert_close(Operation::GlobalNorm, &got, &want, &want);
    }
    // Squares that f32 does not hold.
    for size in [2f64.powi(-80), 2f64.powi(70)] {
        let array = draws.matrix(17, 33).map(|number| number * size);
        let want = Matrix::from_fn(1, 1, |_, _| global_norm(&[&array]));
        let got = subject.backend.global_norm(&[&subject.single(&array)]).expect("a norm");
        subject.assert_close(Operation::GlobalNorm, &got, &want, &want);
    }
}

/// Six updates of a weight, with the gradients of another in the norm.
fn check<B: Backend>(subject: &Subject<B>, draws: &mut Draws, shape: (usize, usize), options: AdamWUpdate) {
    let backend = &subject.backend;
    let mut plain = AdamW::new(draws.matrix(shape.0, shape.1));
    let mut weight = subject.trained_weight(&plain.weight);
    let mut moments = [(); 2].map(|()| backend.zeros(shape.0, shape.1).expect("zeros"));
    let mut first_terms = plain.first.clone();
    for step in 1..=6 {
        let size = [1.0, 0.25, 2f64.powi(-12), 8.0, 1.0, 0.5][step as usize - 1];
        let gradient = draws.matrix(shape.0, shape.1).map(|number| number * size);
        let other = draws.matrix(3, 5).map(|number| number * size);
        let update = AdamWUpdate { step, ..options };
        plain.update(&gradient, global_norm(&[&gradient, &other]), &update);

        let (gradient, other) = (subject.single(&gradient), subject.single(&other));
        let norm = backend.global_norm(&[&gradient, &other]).expect("a norm");
        backend.adamw(&mut weight, &gradient, &mut moments, &norm, &update).expect("an update");
        let got = backend.download_weight(&weight).expect("a download");
        let terms = plain.weight.map(|number| number.abs() + step as f64 * update.learning_rate);
        subject.assert_numbers_close(Operation::AdamWWeight, &got, &plain.weight, &terms);
        // As in torch, `m + (1 − β₁) (g − m)`: what it was and what it becomes.
        let largest = first_terms.greatest(plain.first.greatest(0.0).numbers[0]);
        subject.assert_close(Operation::AdamWMoment, &moments[0], &plain.first, &largest);
        first_terms = plain.first.clone();
        subject.assert_close(Operation::AdamWMoment, &moments[1], &plain.second, &plain.second);
    }
}

pub fn adamw_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = Draws::new(131);
    let options = [
        UPDATE,
        AdamWUpdate { weight_decay: 0.1, ..UPDATE },
        AdamWUpdate { max_norm: 1.0, ..UPDATE },
        AdamWUpdate { max_norm: 0.5, weight_decay: 0.01, beta1: 0.8, beta2: 0.95, epsilon: 1e-4, ..UPDATE },
        AdamWUpdate { max_norm: 1e6, learning_rate: 1e-5, ..UPDATE },
        AdamWUpdate { beta1: 0.5, beta2: 0.5, ..UPDATE },
    ];
    for options in options {
        for shape in [(1, 1), (3, 7), (17, 33), (129, 130)] {
            check(subject, &mut draws, shape, options);
        }
    }
}

/// To the bit.
pub fn adamw_of_all_is_adamw_of_each<B: Backend>(subject: &Subject<B>) {
    let backend = &subject.backend;
    let mut draws = Draws::new(134);
    let shapes = [(3, 7), (1, 1), (129, 130), (17, 4), (8, 512)];
    let start = shapes.map(|(rows, columns)| draws.matrix(rows, columns));
    let gradients = shapes.map(|(rows, columns)| subject.single(&draws.matrix(rows, columns)));
    let norm = backend.global_norm(&gradients.each_ref()).expect("a norm");
    let update = AdamWUpdate { max_norm: 1.0, weight_decay: 0.1, ..UPDATE };
    let fresh = || {
        let moments = shapes.map(|(rows, columns)| [(); 2].map(|()| backend.zeros(rows, columns).expect("zeros")));
        (start.each_ref().map(|matrix| subject.trained_weight(matrix)), moments)
    };
    let [(mut weights, mut moments), (mut others, mut of_others)] = [fresh(), fresh()];
    for ((weight, moments), gradient) in weights.iter_mut().zip(&mut moments).zip(&gradients) {
        backend.adamw(weight, gradient, moments, &norm, &update).expect("an update");
    }
    let all = others.iter_mut().zip(&mut of_others).zip(&gradients);
    let all = all.map(|((weight, moments), gradient)| Trained { weight, gradient, moments }).collect();
    backend.adamw_all(all, &norm, &update).expect("an update");
    for ((one, other), start) in weights.iter().zip(&others).zip(&start) {
        let [one, other] = [one, other].map(|weight| backend.download_weight(weight).expect("a download"));
        assert_eq!(one, other);
        assert_ne!(one, start.single());
    }
    for (one, other) in moments.iter().flatten().zip(of_others.iter().flatten()) {
        assert_eq!(subject.numbers(one), subject.numbers(other));
    }
}

/// A weight without a gradient stays, but for its decay.
pub fn adamw_without_a_gradient_only_decays<B: Backend>(subject: &Subject<B>) {
    let start = Draws::new(132).matrix(3, 7);
    for weight_decay in [0.0, 0.5] {
        let mut weight = subject.trained_weight(&start);
        let mut moments = [(); 2].map(|()| subject.backend.zeros(3, 7).expect("zeros"));
        let gradient = subject.backend.zeros(3, 7).expect("zeros");
        let norm = subject.backend.global_norm(&[&gradient]).expect("a norm");
        let update = AdamWUpdate { weight_decay, max_norm: 1.0, ..UPDATE };
        subject.backend.adamw(&mut weight, &gradient, &mut moments, &norm, &update).expect("an update");
        let want = start.map(|number| number * (1.0 - 0.01 * weight_decay));
        let got = subject.backend.download_weight(&weight).expect("a download");
        subject.assert_numbers_close(Operation::AdamWWeight, &got, &want, &want.absolute());
    }
}

/// A gradient that is not finite changes neither weight nor moments.
pub fn adamw_leaves_a_broken_step_out<B: Backend>(subject: &Subject<B>) {
    let mut draws = Draws::new(133);
    for broken in [f64::NAN, f64::INFINITY] {
        let start = draws.matrix(3, 7);
        let mut weight = subject.trained_weight(&start);
        let mut moments = [draws.matrix(3, 7), draws.matrix(3, 7).absolute()].map(|moment| subject.single(&moment));
        let before = moments.each_ref().map(|moment| subject.numbers(moment));
        let (gradient, mut other) = (subject.single(&draws.matrix(3, 7)), draws.matrix(2, 2));
        other.numbers[3] = broken;
        let norm = subject.backend.global_norm(&[&gradient, &subject.single(&other)]).expect("a norm");
        assert!(!subject.numbers(&norm)[0].is_finite());
        for max_norm in [1.0, f64::INFINITY] {
            let update = AdamWUpdate { max_norm, weight_decay: 0.1, ..UPDATE };
            subject.backend.adamw(&mut weight, &gradient, &mut moments, &norm, &update).expect("an update");
            assert_eq!(subject.backend.download_weight(&weight).expect("a download"), start.single());
            assert_eq!(moments.each_ref().map(|moment| subject.numbers(moment)), before);
        }
    }
}
