//! Attention over spans and over a cache against loops in f64.

mod attention_plainly;
#[allow(dead_code)] // The other tests use the rest.
mod support;

use attention_plainly::{Magnitudes, Matrix, Plain, Seen, seen};
use hps_cuda::{Array, Device, Format, Heads, Indices};
use support::device;

/// How far a number may be from its f64 copy.
struct Tolerance {
    /// Times the terms that are added up: what rounding of inputs to the next product and of the result does.
    rounding: f64,
    /// Times the terms and the size of scores: a score's error is relative to the products it is the sum of.
    of_scores: f64,
}

/// Of outputs.
fn of_output(format: Format) -> Tolerance {
    match format {
        // As the conformance tests have it: a score's error dominates.
        Format::F32 => Tolerance { rounding: 0.0, of_scores: 2e-7 },
        // A weight and the result are rounded, 2⁻⁸ at most each. Scores are f32, exponentials good to 2⁻²².
        Format::BF16 => Tolerance { rounding: 2.0 / 256.0, of_scores: 1e-6 },
    }
}

/// Of gradients.
fn of_gradient(format: Format) -> Tolerance {
    match format {
        Format::F32 => Tolerance { rounding: 0.0, of_scores: 4e-7 },
        // A weight or a score's gradient, the result, and within the gradient the output: 2⁻⁸ at most each.
        Format::BF16 => Tolerance { rounding: 3.0 / 256.0, of_scores: 1e-6 },
    }
}

/// Of log-sum-exps, which are f32 from f32 scores in either type.
fn of_sums(format: Format) -> Tolerance {
    match format {
        Format::F32 => Tolerance { rounding: 0.0, of_scores: 2e-7 },
        // Nothing but that the logarithm is off by up to 2⁻²².
        Format::BF16 => Tolerance { rounding: 2.4e-7, of_scores: 2e-7 },
    }
}

/// Four numbers a token, of segments `(tokens, prefix start, prefix end)`.
fn spans(segments: &[(usize, u32, u32)]) -> Vec<u32> {
    let total: usize = segments.iter().map(|(tokens, ..)| tokens).sum();
    let mut spans = Vec::new();
    for (tokens, from, to) in segments {
        let start = spans.len() as u32 / 4;
        spans.extend([*from, *to, start, total as u32].repeat(*tokens));
    }
    spans
}

/// A prompt and its responses.
fn shared(prompt: usize, responses: &[usize]) -> Vec<u32> {
    let own = responses.iter().map(|tokens| (*tokens, 0, prompt as u32));
    spans(&[(prompt, 0, 0)].into_iter().chain(own).collect::<Vec<_>>())
}

const HEADS: [Heads; 6] = [
    Heads { query: 1, key_value: 1, dimension: 8 },
    Heads { query: 4, key_value: 2, dimension: 16 },
    Heads { query: 3, key_value: 1, dimension: 20 },
    Heads { query: 2, key_value: 2, dimension: 7 },
    Heads { query: 4, key_value: 2, dimension: 64 },
    Heads { query: 2, key_value: 1, dimension: 128 },
];

const FORMATS: [Format; 2] = [Format::F32, Format::BF16];

/// Uploads numbers, and takes what they are in the format.
fn given(device: &Device, draws: &mut u64, rows: usize, columns: usize, format: Format) -> (Array, Matrix) {
    let numbers: Vec<f32> = (0..rows * columns).map(|_| attention_plainly::draw(draws)).collect();
    let array = device.upload(&numbers, columns).and_then(|array| device.convert(&array, format)).expect("upload");
    let numbers = device.download(&array).expect("download");
    (array, Matrix::new(rows, columns, numbers.iter().map(|number| f64::from(*number)).collect()))
}

#[track_caller]
fn assert_close(
    what: &str,
    device: &Device,
    got: &Array,
    want: &Matrix,
    terms: &Magnitudes<'_>,
    tolerance: &Tolerance,
) {
    assert_eq!([got.rows(), got.columns()], [want.rows, want.columns], "{what}");
    let got = device.download(got).expect("download");
    for (at, (got, want)) in got.iter().zip(&want.numbers).enumerate() {
        let most =
            tolerance.rounding * terms.added[at] + tolerance.of_scores * terms.added[at] * (1.0 + terms.scores[at]);
        let off = (f64::from(*got) - want).abs();
        let [row, column] = [at / terms.columns, at % terms.columns];
        // Not `off > most`: a NaN is off.
        assert!(off <= most, "{what}, row {row}, column {column}: {got} for {want}, off by {off:e} of {most:e}");
    }
}

/// Attention and its gradients; queries are those of all tokens but the first `before`.
fn check(device: &Device, name: &str, spans: &[u32], before: usize, heads: Heads, format: Format) {
    let what = format!("{name}, {heads:?}, {format:?}");
    let mut draws = 1;
    let tokens = spans.len() / 4;
    let [of_q, of_k] = [heads.query, heads.key_value].map(|count| count * heads.dimension);
    let (q, q_plain) = given(device, &mut draws, tokens - before, of_q, format);
    let (k, k_plain) = given(device, &mut draws, tokens, of_k, format);
    let (v, v_plain) = given(device, &mut draws, tokens, of_k, format);
    let (dy, dy_plain) = given(device, &mut draws, tokens - before, of_q, format);
    let indices = device.upload_indices(spans).expect("upload");

    let seen: Vec<Seen> = (before..tokens).map(|token| seen(spans, token)).collect();
    let plain = Plain { q: &q_plain, k: &k_plain, v: &v_plain, seen: &seen, heads };
    let (want, terms) = plain.attention();
    let got = device.attention(&q, &k, &v, &indices, heads).expect("attention");
    assert_eq!(got.output.format(), format);
    assert_close(&format!("output, {what}"), device, &got.output, &want.output, &terms.output(), &of_output(format));
    assert_close(&format!("sums, {what}"), device, &got.log_sum_exp, &want.sums, &terms.sums(), &of_sums(format));

    let attended = [&got.output, &got.log_sum_exp];
    let gradients = device.attention_backward(&dy, [&q, &k, &v], attended, &indices, heads).expect("gradients");
    let (wants, terms) = plain.gradients(&dy_plain);
    for (index, name) in ["dq", "dk", "dv"].into_iter().enumerate() {
        assert_eq!(gradients[index].format(), format);
        let what = format!("{name}, {what}");
        assert_close(&what, device, &gradients[index], &wants[index], &terms[index].of(), &of_gradient(format));
    }
}

#[test]
fn attention_agrees() {
    let Some(device) = device() else { return };
    let layouts = [
        ("one token", spans(&[(1, 0, 0)])),
        ("causal", spans(&[(129, 0, 0)])),
        ("four sequences", spans(&[(5, 0, 0), (1, 5, 5), (70, 0, 0), (3, 76, 76)])),
        ("a prompt and its responses", shared(70, &[1, 67, 20])),
        ("a sibling", spans(&[(67, 0, 0), (3, 0, 67), (70, 30, 70)])),
    ];
    for (name, spans) in &layouts {
        for heads in HEADS {
            for format in FORMATS {
                check(&device, name, spans, 0, heads, format);
            }
        }
    }
}

#[test]
fn attention_of_the_last_tokens_agrees() {
    let Some(device) = device() else { return };
    for (spans, before) in
        [(shared(5, &[2, 3]), 5), (shared(130, &[1, 70]), 130), (spans(&[(64, 0, 0), (64, 0, 64)]), 64)]
    {
        for heads in [HEADS[1], HEADS[5]] {
            for format in FORMATS {
                check(&device, "the last tokens", &spans, before, heads, format);
            }
        }
    }
}

/// Blocks of keys that no query sees: their gradients are zeros, and nothing that was asked for is left on its way.
#[test]
fn keys_that_no_query_sees_have_no_gradient() {
    let Some(device) = device() else { return };
    for (spans, before) in
        [(spans(&[(128, 0, 0), (5, 128, 128)]), 128), (spans(&[(300, 0, 0), (40, 140, 290), (3, 340, 340)]), 300)]
    {
        for heads in HEADS {
            for format in FORMATS {
                check(&device, "unseen keys", &spans, before, heads, format);
            }
        }
    }
}

/// A prompt that so many tiles of queries see that its gradients are computed in parts.
#[test]
fn gradients_in_parts_agree() {
    let Some(device) = device() else { return };
    let spans = shared(20, &[50; 24]);
    for heads in [HEADS[0], HEADS[1]] {
        for format in FORMATS {
            check(&device, "parts", &spans, 0, heads, format);
        }
    }
}

/// The same spans serve other queries and other heads: what is kept with them is told apart.
#[test]
fn spans_are_used_again() {
    let Some(device) = device() else { return };
    let spans = shared(9, &[4, 5]);
    let indices = device.upload_indices(&spans).expect("upload");
    let mut draws = 3;
    let bits = |heads: Heads, format: Format, before: usize, indices: &Indices, draws: &mut u64| {
        let (q, _) = given(&device, draws, 18 - before, heads.query * heads.dimension, format);
        let [(k, _), (v, _)] = [(); 2].map(|()| given(&device, draws, 18, heads.key_value * heads.dimension, format));
        let got = device.attention(&q, &k, &v, indices, heads).expect("attention");
        let gradients = device
            .attention_backward(&q, [&q, &k, &v], [&got.output, &got.log_sum_exp], indices, heads)
            .expect("gradients");
        let arrays = [&got.output, &gradients[0], &gradients[1], &gradients[2]];
        arrays.map(|array| device.download(array).expect("download"))
    };
    for (heads, before) in [(HEADS[0], 0), (HEADS[1], 9), (HEADS[1], 0), (HEADS[0], 9)] {
        for format in FORMATS {
            let fresh = device.upload_indices(&spans).expect("upload");
            let mut again = draws;
            let expected = bits(heads, format, before, &fresh, &mut draws);
            assert_eq!(bits(heads, format, before, &indices, &mut again), expected);
        }
    }
}

/// Prefix and own rows of each sequence: shared, apart, empty, in either order, longer than a tile and than a part.
const CACHED: [[u32; 4]; 9] = [
    [0, 5, 9, 12],
    [0, 5, 12, 13],
    [0, 0, 3, 4],
    [7, 7, 0, 65],
    [2, 70, 70, 135],
    [2, 70, 140, 140],
    [6, 9, 20, 20],
    [3, 3, 8, 8],
    [1, 530, 20, 540],
];

#[test]
fn decode_attention_agrees() {
    let Some(device) = device() else { return };
    for heads in HEADS {
        for format in FORMATS {
            for queries in [1, 3, CACHED.len()] {
                let what = format!("{queries} queries, {heads:?}, {format:?}");
                let mut draws = 2;
                let columns = heads.key_value * heads.dimension;
                let (q, q_plain) = given(&device, &mut draws, queries, heads.query * heads.dimension, format);
                let (k, k_plain) = given(&device, &mut draws, 540, columns, format);
                let (v, v_plain) = given(&device, &mut draws, 540, columns, format);
                let rows = CACHED[..queries].iter();
                let seen: Vec<Seen> = rows.map(|[from, to, start, end]| Seen::new(*from..*to, *start..*end)).collect();
                let plain = Plain { q: &q_plain, k: &k_plain, v: &v_plain, seen: &seen, heads };
                let (want, terms) = plain.attention();
                let spans = device.upload_indices(CACHED[..queries].as_flattened()).expect("upload");
                let got = device.decode_attention(&q, &k, &v, &spans, heads).expect("attention");
                assert_close(&what, &device, &got, &want.output, &terms.output(), &of_output(format));
            }
        }
    }
}

/// A sequence's output has the same bits alone and beside others that share its prefix, heads enough for several blocks.
#[test]
fn decode_attention_does_not_depend_on_its_company() {
    let Some(device) = device() else { return };
    for heads in [Heads { query: 8, key_value: 1, dimension: 16 }, Heads { query: 18, key_value: 1, dimension: 8 }] {
        for format in FORMATS {
            let mut draws = 4;
            let numbers: Vec<f32> =
                (0..11 * heads.query * heads.dimension).map(|_| attention_plainly::draw(&mut draws)).collect();
            let (k, _) = given(&device, &mut draws, 140, heads.dimension, format);
            let (v, _) = given(&device, &mut draws, 140, heads.dimension, format);
            let spans: Vec<[u32; 4]> = (0..11).map(|query| [0, 70, 70 + query, 100 + 3 * query]).collect();
            let output = |queries: std::ops::Range<usize>| {
                let columns = heads.query * heads.dimension;
                let q =
                    device.upload(&numbers[queries.start * columns..queries.end * columns], columns).expect("upload");
                let q = device.convert(&q, format).expect("convert");
                let spans = device.upload_indices(spans[queries].as_flattened()).expect("upload");
                let output = device.decode_attention(&q, &k, &v, &spans, heads).expect("attention");
                device.download(&output).expect("download")
            };
            let together = output(0..11);
            for query in [0, 7, 10] {
                let columns = heads.query * heads.dimension;
                assert_eq!(output(query..query + 1), together[query * columns..(query + 1) * columns], "{query}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(device) = device() else { return };
    let heads = Heads { query: 2, key_value: 1, dimension: 4 };
    let mut draws = 5;
    let (q, _) = given(&device, &mut draws, 6, 8, Format::F32);
    let (k, _) = given(&device, &mut draws, 6, 4, Format::F32);
    let whole = spans(&[(6, 0, 0)]);
    let attention = |q: &Array, spans: &[u32], heads: Heads| {
        let spans = device.upload_indices(spans).expect("upload");
        device.attention(q, &k, &k, &spans, heads).err().map(|error| error.to_string())
    };
    assert_eq!(attention(&q, &whole, heads), None);
    for (spans, words) in [
        ([&whole[..20], &[0, 4, 3, 6][..]].concat(), "token 5 has the span [0, 4) ∪ [3, 5]"),
        (whole[..23].to_vec(), "23 numbers of spans for 6 tokens"),
        (spans(&[(6, 0, 1)]), "token 0 has the span [0, 1) ∪ [0, 0]"),
    ] {
        assert_eq!(attention(&q, &spans, heads).as_deref(), Some(words));
    }
    let (fewer, _) = given(&device, &mut draws, 5, 8, Format::F32);
    let refused = attention(&fewer, &whole, heads);
    assert_eq!(refused.as_deref(), Some("attention: the first query is token 1, inside the segment from 0"));
    let refused = attention(&q, &whole, Heads { query: 1, key_value: 1, dimension: 130 });
    assert_eq!(refused.as_deref(), Some("attention: heads of 130 columns; kernels have room for 128"));
    let refused = attention(&q, &whole, Heads { query: 3, key_value: 2, dimension: 4 });
    assert_eq!(refused.as_deref(), Some("attention: 3 query heads and 2 key/value heads of 4 columns"));

    let spans = device.upload_indices(&[0, 7, 0, 0]).expect("upload");
    let (q, _) = given(&device, &mut draws, 1, 8, Format::F32);
    let refused = device.decode_attention(&q, &k, &k, &spans, heads).err().map(|error| error.to_string());
    assert_eq!(refused.as_deref(), Some("a span [0, 7) ∪ [0, 0) of a cache of 6 rows"));
}
