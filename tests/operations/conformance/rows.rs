//! Embedding, gathering, scaling and writing of rows.

use crate::layout::{COLUMNS, ROWS};
use crate::plain::rows;
use crate::subject::Subject;
use crate::tolerance::Operation;
use hps_llama::backend::Backend;

pub fn embed_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(30);
    for vocabulary in [7, 1000] {
        for tokens in ROWS {
            for columns in COLUMNS {
                let table = draws.weight(vocabulary, columns);
                let ids = draws.indices(tokens, vocabulary);
                let dy = draws.matrix(tokens, columns);

                let want = rows::gather(&table, &ids);
                let on_device = subject.indices(&ids);
                let got = subject.backend.embed(&subject.weight(&table), &on_device).expect("embedded");
                subject.assert_close(Operation::Copy, &got, &want, &want.absolute());

                let want = rows::gather_backward(&dy, &ids, vocabulary);
                let terms = rows::gather_backward(&dy.absolute(), &ids, vocabulary);
                let got = subject.backend.embed_gradient(&subject.array(&dy), &on_device, vocabulary);
                subject.assert_close(Operation::RowSum, &got.expect("a gradient"), &want, &terms);
            }
        }
    }
}

/// With rows taken often, and rows never taken.
pub fn gather_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(31);
    for (total, taken) in [(1, 5), (3, 2), (17, 65), (129, 17), (65, 129), (5, 2049)] {
        for columns in COLUMNS {
            let x = draws.matrix(total, columns);
            let dy = draws.matrix(taken, columns);
            let mut indices = draws.indices(taken, total);
            indices[1..].iter_mut().step_by(3).for_each(|row| *row = total as u32 - 1);
            let on_device = subject.indices(&indices);

            let want = rows::gather(&x, &indices);
            let got = subject.backend.gather(&subject.array(&x), &on_device).expect("gathered");
            subject.assert_close(Operation::Copy, &got, &want, &want.absolute());

            let want = rows::gather_backward(&dy, &indices, total);
            let terms = rows::gather_backward(&dy.absolute(), &indices, total);
            let got = subject.backend.gather_backward(&subject.array(&dy), &on_device, total).expect("a gradient");
            subject.assert_close(Operation::RowSum, &got, &want, &terms);
        }
    }
}

pub fn scale_rows_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(32);
    for count in ROWS {
        for columns in COLUMNS {
            let (x, mut c) = (draws.matrix(count, columns), draws.matrix(count, 1));
            c.numbers[0] = 0.0;
            let want = rows::scale_rows(&x, &c);
            let got = subject.backend.scale_rows(subject.array(&x), &subject.single(&c)).expect("scaled");
            subject.assert_close(Operation::ScaleRows, &got, &want, &want.absolute());
        }
    }
}

/// Written rows change, the others do not; a second write does not undo the first.
pub fn write_rows_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(33);
    for columns in COLUMNS {
        let mut want = draws.matrix(67, columns);
        let mut cache = subject.array(&want);
        for indices in [vec![66, 0, 31], vec![5], (7..72).step_by(2).filter(|row| *row < 67).collect()] {
            let x = draws.matrix(indices.len(), columns);
            for (from, to) in indices.iter().enumerate() {
                (0..columns).for_each(|column| want[(*to as usize, column)] = x[(from, column)]);
            }
            let on_device = subject.indices(&indices);
            subject.backend.write_rows(&mut cache, &on_device, &subject.array(&x)).expect("written");
            subject.assert_close(Operation::Copy, &cache, &want, &want.absolute());
        }
    }
}
