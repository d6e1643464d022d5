//! Attention over spans, forward and backward.

use crate::layout::{Layout, Lengths, all, causal, groups};
use crate::matrix::Matrix;
use crate::plain::attention;
use crate::random::Draws;
use crate::subject::Subject;
use crate::tolerance::Operation;
use hps_llama::backend::{Backend, Heads};
use hps_llama::pack::Packed;

pub const HEADS: [Heads; 5] = [
    Heads { query: 1, key_value: 1, dimension: 8 },
    Heads { query: 1, key_value: 1, dimension: 64 },
    Heads { query: 4, key_value: 2, dimension: 16 },
    Heads { query: 6, key_value: 3, dimension: 8 },
    Heads { query: 8, key_value: 2, dimension: 64 },
];

/// `[q, k, v]` of some tokens.
pub fn inputs(draws: &mut Draws, tokens: usize, heads: Heads) -> [Matrix; 3] {
    let shared = heads.key_value * heads.dimension;
    [heads.query * heads.dimension, shared, shared].map(|columns| draws.matrix(tokens, columns))
}

/// What rounding of output and log-sum-exp is relative to: a score's error is one of its products' sum `s`, so a
/// weight's is `s` times itself. `s` is bounded by the log-sum-exp over magnitudes.
///
/// * sizes — log-sum-exp of the inputs' magnitudes, `[tokens, query heads]`.
/// * averages — attention over the values' magnitudes.
pub fn magnitudes(sizes: &Matrix, averages: &Matrix, heads: Heads) -> [Matrix; 2] {
    let output = Matrix::from_fn(averages.rows, averages.columns, |row, column| {
        (1.0 + sizes[(row, column / heads.dimension)].abs()) * averages[(row, column)]
    });
    [output, sizes.map(|size| 1.0 + size.abs())]
}

fn check<B: Backend>(subject: &Subject<B>, [q, k, v]: [&Matrix; 3], dy: &Matrix, spans: &[u32], heads: Heads) {
    let backend = &subject.backend;
    let [q_there, k_there, v_there] = [q, k, v].map(|matrix| subject.array(matrix));
    let spans_there = subject.indices(spans);
    let got = backend.attention(&q_there, &k_there, &v_there, &spans_there, heads).expect("attention");

    let [output, sums] = attention::attention(q, k, v, spans, heads);
    let [averages, _] = attention::attention(q, k, &v.absolute(), spans, heads);
    let [_, sizes] = attention::attention(&q.absolute(), &k.absolute(), v, spans, heads);
    let [output_terms, sum_terms] = magnitudes(&sizes, &averages, heads);
    subject.assert_close(Operation::Attention, &got.output, &output, &output_terms);
    subject.assert_close(Operation::LogSumExp, &got.log_sum_exp, &sums, &sum_terms);

    let dy_there = subject.array(dy);
    let gradients = backend.attention_backward(&dy_there, &q_there, &k_there, &v_there, &got, &spans_there, heads);
    let want = attention::attention_backward(dy, [q, k, v], spans, heads);
    for (got, want) in gradients.expect("gradients").iter().zip(&want) {
        // A token that sees itself alone has no dq; what cancels there is of the inputs' size.
        let terms = want.greatest(1.0).map(|number| number * (1.0 + sizes.greatest(0.0).numbers[0]));
        subject.assert_close(Operation::AttentionBackward, got, want, &terms);
    }
}

pub fn attention_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(90);
    for Layout { name, spans } in all() {
        println!("{name}");
        for heads in HEADS {
            let [q, k, v] = inputs(&mut draws, spans.len() / 4, heads);
            let dy = draws.matrix(q.rows, q.columns);
            check(subject, [&q, &k, &v], &dy, &spans, heads);
        }
    }
}

/// Queries of the responses alone: the prompt's keys and values come from another pass.
pub fn attention_of_the_last_tokens_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(93);
    let layouts: [&[Lengths<'_>]; 4] =
        [&[(5, &[0, 1])], &[(1, &[70, 2])], &[(130, &[0, 1, 67, 129, 17])], &[(64, &[64, 64])]];
    for lengths in layouts {
        let spans = Packed::shared(&groups(lengths)).spans;
        let before = lengths[0].0;
        for heads in HEADS {
            let [all, k, v] = inputs(&mut draws, spans.len() / 4, heads);
            let [q, dy] = [(); 2].map(|()| draws.matrix(all.rows - before, all.columns));
            check(subject, [&q, &k, &v], &dy, &spans, heads);
        }
    }
}

/// Scores of ±80 and beyond, where one key takes all.
pub fn attention_agrees_at_large_scores<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(91);
    let heads = HEADS[2];
    for spans in [causal(&[70]), all().pop().expect("a layout").spans] {
        let [q, k, v] = inputs(&mut draws, spans.len() / 4, heads);
        let dy = draws.matrix(q.rows, q.columns);
        check(subject, [&q.map(|number| 16.0 * number), &k, &v], &dy, &spans, heads);
    }
}

/// The mask as the trait words it: what a token does not see does not move it by a bit.
pub fn attention_ignores_what_is_not_seen<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(92);
    let heads = HEADS[3];
    for layout in all().iter().filter(|layout| layout.tokens() > 3) {
        let [q, k, v] = inputs(&mut draws, layout.tokens(), heads);
        let spans = subject.indices(&layout.spans);
        let output = |k: &Matrix, v: &Matrix| {
            let [q, k, v] = [&q, k, v].map(|matrix| subject.array(matrix));
            let attended = subject.backend.attention(&q, &k, &v, &spans, heads).expect("attention");
            subject.matrix(&attended.output, heads.query * heads.dimension)
        };
        let before = output(&k, &v);
        let changed = draws.below(layout.tokens()) as usize;
        let (mut other_k, mut other_v) = (k.clone(), v.clone());
        for column in 0..k.columns {
            other_k[(changed, column)] += 1.0;
            other_v[(changed, column)] -= 1.0;
        }
        let after = output(&other_k, &other_v);
        for token in 0..layout.tokens() {
            let sees = Layout::seen(&layout.spans, token).contains(&changed);
            let moved = before.row(token) != after.row(token);
            assert_eq!(moved, sees, "{}: key {changed}, query {token}", layout.name);
        }
    }
}
