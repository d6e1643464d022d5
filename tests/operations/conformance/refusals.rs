//! What does not fit is an `Err`: from the operation, or from the download of what it returned.

use crate::layout::causal;
use crate::subject::Subject;
use hps_llama::Result;
use hps_llama::backend::{Backend, Heads};

const HEADS: Heads = Heads { query: 2, key_value: 1, dimension: 4 };

fn refused<B: Backend>(subject: &Subject<B>, what: &str, result: Result<B::Array>) {
    let downloaded = result.and_then(|array| subject.backend.download(&array));
    assert!(downloaded.is_err(), "{what}: {downloaded:?}");
}

pub fn a_token_outside_the_table_is_refused<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(150);
    let (table, dy) = (subject.weight(&draws.weight(7, 3)), subject.array(&draws.matrix(2, 3)));
    for token in [7, u32::MAX] {
        let tokens = subject.indices(&[0, token]);
        refused(subject, "a token", subject.backend.embed(&table, &tokens));
        refused(subject, "a token's gradient", subject.backend.embed_gradient(&dy, &tokens, 7));
    }
}

pub fn a_row_outside_the_array_is_refused<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(151);
    let x = subject.array(&draws.matrix(7, 3));
    let dy = subject.array(&draws.matrix(2, 3));
    for row in [7, u32::MAX] {
        let rows = subject.indices(&[0, row]);
        refused(subject, "a row", subject.backend.gather(&x, &rows));
        refused(subject, "a row's gradient", subject.backend.gather_backward(&dy, &rows, 7));
        let mut cache = subject.array(&draws.matrix(7, 3));
        let written = subject.backend.write_rows(&mut cache, &rows, &dy).map(|()| cache);
        refused(subject, "a row of the cache", written);
    }
}

pub fn a_target_outside_the_vocabulary_is_refused<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(152);
    let (hidden, head) = (subject.array(&draws.matrix(2, 3)), subject.weight(&draws.weight(7, 3)));
    let c = subject.single(&draws.matrix(2, 1));
    for target in [7, u32::MAX] {
        let targets = subject.indices(&[0, target]);
        let values = subject.backend.log_probs(&hidden, &head, &targets, true).map(|scores| scores.values);
        refused(subject, "a target", values);
        let gradient = subject.backend.log_probs_weight_gradient(&hidden, &head, &targets, &c);
        refused(subject, "a target's gradient", gradient);
    }
}

/// As many targets as hidden states.
pub fn a_missing_target_is_refused<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(153);
    let (hidden, head) = (subject.array(&draws.matrix(2, 3)), subject.weight(&draws.weight(7, 3)));
    for targets in [vec![1], vec![1, 2, 3]] {
        let scores = subject.backend.log_probs(&hidden, &head, &subject.indices(&targets), false);
        refused(subject, "targets", scores.map(|scores| scores.values));
    }
}

/// Spans of six tokens that name no mask, forward and backward.
fn assert_spans_refused<B: Backend>(subject: &Subject<B>, what: &str, spans: &[u32]) {
    let mut draws = subject.draws(154);
    let q = subject.array(&draws.matrix(6, 8));
    let [k, v] = [(); 2].map(|()| subject.array(&draws.matrix(6, 4)));
    let spans = subject.indices(spans);
    let attended = subject.backend.attention(&q, &k, &v, &spans, HEADS);
    refused(subject, what, attended.map(|attended| attended.output));
    let well = subject.backend.attention(&q, &k, &v, &subject.indices(&causal(&[6])), HEADS).expect("attention");
    let gradients = subject.backend.attention_backward(&q, &q, &k, &v, &well, &spans, HEADS);
    refused(subject, what, gradients.map(|[dq, _, _]| dq));
}

pub fn malformed_spans_are_refused<B: Backend>(subject: &Subject<B>) {
    let edited = |token: usize, span: [u32; 4]| {
        let mut spans = causal(&[6]);
        spans[4 * token..4 * token + 4].copy_from_slice(&span);
        spans
    };
    let cases = [
        ("a segment that starts later than its token", edited(2, [0, 0, 3, 6])),
        ("a segment that starts nowhere", edited(0, [0, 0, 1, 6])),
        ("a prefix that ends before it starts", edited(3, [2, 1, 3, 6])),
        ("a prefix that reaches its own token", edited(3, [0, 4, 3, 6])),
        ("a prefix beyond the tokens", edited(3, [0, 9, 3, 6])),
        ("a segment begun again in its middle", [causal(&[2, 4])[..20].to_vec(), vec![0, 0, 0, 2]].concat()),
    ];
    for (what, spans) in cases {
        assert_spans_refused(subject, what, &spans);
    }
}

/// Four numbers for each of the tokens.
pub fn missing_spans_are_refused<B: Backend>(subject: &Subject<B>) {
    for (what, spans) in [
        ("spans of too few tokens", causal(&[5])),
        ("spans of too many tokens", causal(&[7])),
        ("three numbers for the last token", causal(&[6])[..23].to_vec()),
    ] {
        assert_spans_refused(subject, what, &spans);
    }
}

/// Fewer queries than keys are those of the last segments, whole ones.
pub fn a_first_query_inside_a_segment_is_refused<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(156);
    let spans = subject.indices(&causal(&[2, 4]));
    let [k, v] = [(); 2].map(|()| subject.array(&draws.matrix(6, 4)));
    for queries in [5, 3, 7] {
        let q = subject.array(&draws.matrix(queries, 8));
        let attended = subject.backend.attention(&q, &k, &v, &spans, HEADS);
        refused(subject, "queries", attended.map(|attended| attended.output));
    }
}

/// A sequence may not see another sequence's cache rows that do not exist.
pub fn cache_rows_that_do_not_exist_are_refused<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(155);
    let q = subject.array(&draws.matrix(1, 8));
    let [keys, values] = [(); 2].map(|()| subject.array(&draws.matrix(6, 4)));
    for span in [[0, 7, 0, 0], [0, 0, 3, 7], [4, 2, 0, 1], [0, 0, 3, 2]] {
        let spans = subject.indices(&span);
        let output = subject.backend.decode_attention(&q, &keys, &values, &spans, HEADS);
        refused(subject, "a span of the cache", output);
    }
}
