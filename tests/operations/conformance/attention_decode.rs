//! Attention of one query a sequence over a cache.

use super::attention::{HEADS, inputs, magnitudes};
use crate::layout::{Layout, all};
use crate::matrix::Matrix;
use crate::plain::attention;
use crate::subject::Subject;
use crate::tolerance::Operation;
use hps_llama::backend::Backend;

/// Prefix and own rows of each query: shared, apart, empty, in either order, longer than any block.
const SPANS: [[u32; 4]; 8] = [
    [0, 5, 9, 12],
    [0, 5, 12, 13],
    [0, 0, 3, 4],
    [7, 7, 0, 65],
    [2, 70, 70, 135],
    [100, 140, 0, 17],
    [0, 139, 139, 140],
    [6, 9, 20, 20],
];

pub fn decode_attention_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(100);
    for heads in HEADS {
        for queries in [1, 3, SPANS.len()] {
            let [_, k, v] = inputs(&mut draws, 140, heads);
            let q = draws.matrix(queries, heads.query * heads.dimension);
            let spans = &SPANS[..queries];
            let seen: Vec<Vec<usize>> = spans
                .iter()
                .map(|[from, to, start, end]| (*from..*to).chain(*start..*end).map(|row| row as usize).collect())
                .collect();
            let [want, _] = attention::attend(&q, &k, &v, &seen, heads);
            let [averages, _] = attention::attend(&q, &k, &v.absolute(), &seen, heads);
            let [_, sizes] = attention::attend(&q.absolute(), &k.absolute(), &v, &seen, heads);
            let [terms, _] = magnitudes(&sizes, &averages, heads);

            let [q, k, v] = [&q, &k, &v].map(|matrix| subject.array(matrix));
            let got = subject.backend.decode_attention(&q, &k, &v, &subject.indices(spans.as_flattened()), heads);
            subject.assert_close(Operation::Attention, &got.expect("attention"), &want, &terms);
        }
    }
}

/// Token by token over the cache is the same as all tokens at once.
pub fn decode_attention_is_a_row_of_attention<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(101);
    for Layout { spans, .. } in all() {
        let heads = HEADS[2];
        let inputs = inputs(&mut draws, spans.len() / 4, heads);
        let [averages, sizes] = {
            let [q, k, v] = inputs.each_ref().map(Matrix::absolute);
            let [averages, _] = attention::attention(&inputs[0], &inputs[1], &v, &spans, heads);
            let [_, sizes] = attention::attention(&q, &k, &v, &spans, heads);
            [averages, sizes]
        };
        let [terms, _] = magnitudes(&sizes, &averages, heads);
        let [q, k, v] = inputs.each_ref().map(|matrix| subject.array(matrix));
        let whole = subject.backend.attention(&q, &k, &v, &subject.indices(&spans), heads).expect("attention");
        let whole = subject.matrix(&whole.output, heads.query * heads.dimension);

        let mut decoded = spans.clone();
        (0..decoded.len() / 4).for_each(|token| decoded[4 * token + 3] = token as u32 + 1);
        let got = subject.backend.decode_attention(&q, &k, &v, &subject.indices(&decoded), heads);
        subject.assert_close(Operation::Attention, &got.expect("attention"), &whole, &terms);
    }
}
