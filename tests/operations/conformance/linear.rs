//! The matrix products.

use crate::layout::{COLUMNS, ROWS};
use crate::plain::linear;
use crate::subject::Subject;
use crate::tolerance::Operation;
use hps_llama::backend::Backend;

pub fn linear_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(50);
    let square: Vec<(usize, usize)> =
        COLUMNS.iter().flat_map(|columns| COLUMNS.iter().map(move |outputs| (*columns, *outputs))).collect();
    for rows in ROWS {
        for (columns, outputs) in &square {
            let x = draws.matrix(rows, *columns);
            let weight = draws.weight(*outputs, *columns);
            let dy = draws.matrix(rows, *outputs);
            let (x_there, dy_there) = (subject.array(&x), subject.array(&dy));
            let weight_there = subject.weight(&weight);
            let [x_size, weight_size, dy_size] = [&x, &weight, &dy].map(|matrix| matrix.absolute());

            let got = subject.backend.linear(&x_there, &weight_there).expect("a product");
            let want = linear::linear(&x, &weight);
            subject.assert_close(Operation::Linear, &got, &want, &linear::linear(&x_size, &weight_size));

            let got = subject.backend.linear_backward(&dy_there, &weight_there).expect("a product");
            let terms = linear::linear_backward(&dy_size, &weight_size);
            subject.assert_close(Operation::Linear, &got, &linear::linear_backward(&dy, &weight), &terms);

            let got = subject.backend.weight_gradient(&dy_there, &x_there).expect("a product");
            let terms = linear::weight_gradient(&dy_size, &x_size);
            subject.assert_close(Operation::Linear, &got, &linear::weight_gradient(&dy, &x), &terms);
        }
    }
}
