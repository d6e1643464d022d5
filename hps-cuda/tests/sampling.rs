//! Drawn tokens against a plain sort in f64.

mod support;

use hps_cuda::{Device, Drawn, ErrorKind, Format, Truncation};
use support::{Matrix, device, words};

/// How far a cumulative probability may be off, where it decides: weights are of f32 logits, whose distance from the
/// greatest, 32 at most here, is rounded twice on its way to the exponent, by 6e-8 each; on average over words less.
const CUMULATIVE: f64 = 2e-6;

/// A log-prob, of the greatest distance of logits: roundings of f32 logits and of the logarithm. Measured 4e-8.
const LOG_PROB: f64 = 2e-7;

/// The largest uniform number.
const LARGEST: f32 = 1.0 - 1.0 / (1 << 24) as f32;

const TRUNCATIONS: [(f32, u32, f32); 14] = [
    (1.0, 0, 1.0),
    (0.0, 0, 1.0),
    (0.0, 5, 0.5),
    (0.1, 0, 1.0),
    (3.0, 0, 1.0),
    (1e-40, 0, 1.0),
    (1.0, 1, 1.0),
    (1.0, 2, 1.0),
    (1e6, 40, 1.0),
    (0.7, 2000, 1.0),
    (1.0, 0, 0.9),
    (1e6, 0, 0.4984),
    (0.7, 40, 0.7),
    (1.3, 3, 1e-6),
];

/// Draws from given logits, those of a row being a column: as many hidden states as features, each of one 1.
fn sample(device: &Device, logits: &Matrix, truncation: Truncation, uniforms: &[f32], format: Format) -> Drawn {
    let rows = logits.columns;
    let hidden = Matrix::from_fn(rows, rows, |row, column| f32::from(row == column));
    let uniforms = device.upload(uniforms, 1).unwrap();
    device.sample(&hidden.array(device, format), &logits.weight(device, format), truncation, &uniforms).unwrap()
}

/// Tokens that may be drawn, by id, with their weights; and how near the sum of weights came to ending elsewhere.
fn kept(logits: &[f64], truncation: Truncation) -> (Vec<(usize, f64)>, f64) {
    let Truncation { temperature, top_k, top_p } = truncation;
    let mut order: Vec<usize> = (0..logits.len()).collect();
    // A stable sort: equals stay by id, both zeros among them.
    order.sort_by(|one, other| logits[*other].partial_cmp(&logits[*one]).unwrap());
    let weigh = |token: usize| match temperature {
        0.0 => 1.0,
        _ => ((logits[token] - logits[order[0]]) / f64::from(temperature)).exp(),
    };
    let most = match (temperature, top_k) {
        (0.0, _) => 1,
        (_, 0) => order.len(),
        (_, top_k) => order.len().min(top_k as usize),
    };
    let mut tokens: Vec<(usize, f64)> = order[..most].iter().map(|token| (*token, weigh(*token))).collect();
    let mut edge = f64::INFINITY;
    if top_p < 1.0 {
        let total: f64 = tokens.iter().map(|(_, weight)| weight).sum();
        let mut sum = 0.0;
        let enough = tokens.iter().position(|(_, weight)| {
            sum += weight / total;
            edge = edge.min((sum - f64::from(top_p)).abs());
            sum >= f64::from(top_p)
        });
        tokens.truncate(enough.map_or(most, |last| last + 1));
    }
    tokens.sort_unstable_by_key(|(token, _)| *token);
    (tokens, edge)
}

/// Draws from every row, and compares tokens and log-probs.
fn check(device: &Device, logits: &Matrix, truncation: Truncation, uniforms: &[f32], format: Format) {
    let drawn = sample(device, logits, truncation, uniforms, format);
    let (tokens, log_probs) = (drawn.tokens.host().unwrap(), device.download(&drawn.log_probs).unwrap());
    assert_eq!((tokens.len(), log_probs.len()), (uniforms.len(), uniforms.len()));
    for (row, uniform) in uniforms.iter().enumerate() {
        let name = format!("row {row} of {} words, {truncation:?}, {uniform}", logits.rows);
        let logits: Vec<f64> = (0..logits.rows).map(|word| f64::from(logits.row(word)[row])).collect();
        let (kept, edge) = kept(&logits, truncation);
        let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
        let token = tokens[row] as usize;
        let below: f64 = kept.iter().filter(|(kept, _)| *kept < token).map(|(_, weight)| weight / total).sum();
        let own = kept.iter().find(|(kept, _)| *kept == token).map(|(_, weight)| weight / total);
        if edge > CUMULATIVE {
            let own = own.unwrap_or_else(|| panic!("{name}: {token} is not kept"));
            let excess = (below - f64::from(*uniform)).max(f64::from(*uniform) - below - own);
            assert!(excess <= CUMULATIVE && own > 0.0, "{name}: {token} is {excess:e} past");
        }
        let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - greatest).exp()).sum();
        let (want, got) = (logits[token] - greatest - sum.ln(), f64::from(log_probs[row]));
        let allowed = LOG_PROB * (1.0 + greatest - logits[token] + sum.sqrt());
        assert!((got - want).abs() <= allowed, "{name}: log-prob {got}, not {want} ± {allowed:e}");
    }
}

fn check_all(device: &Device, logits: impl Fn(usize) -> Matrix) {
    for words in [1, 7, 33, 1000, 2052] {
        let logits = logits(words);
        let mut random = support::words(words as u64);
        for (index, (temperature, top_k, top_p)) in TRUNCATIONS.into_iter().enumerate() {
            let mut uniforms: Vec<f32> =
                (0..logits.columns).map(|_| (random() >> 8) as f32 / (1 << 24) as f32).collect();
            (uniforms[0], uniforms[1]) = (0.0, LARGEST);
            let format = [Format::F32, Format::BF16][index % 2];
            check(device, &logits, Truncation { temperature, top_k, top_p }, &uniforms, format);
        }
    }
}

#[test]
fn scattered_logits() {
    let Some(device) = device() else { return };
    check_all(&device, |words| {
        let mut logits = Matrix::random(words as u64, words, 4);
        logits.numbers.iter_mut().for_each(|number| *number *= 16.0);
        logits
    });
}

/// Equals are kept by id; both zeros are equals.
#[test]
fn equal_logits() {
    let Some(device) = device() else { return };
    check_all(&device, |count| {
        let mut random = words(count as u64);
        Matrix::from_fn(count, 4, |_, _| [-2.0, -1.0, -0.0, 0.0, 1.0, 2.0][random() as usize % 6])
    });
}

/// Uniform numbers pass the kept tokens by id, all of them.
#[test]
fn a_cut_keeps_the_first_of_the_order() {
    let Some(device) = device() else { return };
    let count = 60;
    let mut random = words(1);
    let column: Vec<f32> = (0..30).map(|_| (random() % 3) as f32).collect();
    let logits = Matrix::from_fn(30, count, |word, _| column[word]);
    let uniforms: Vec<f32> = (0..count).map(|row| row as f32 / count as f32).collect();
    let mut order: Vec<u32> = (0..30).collect();
    order.sort_by(|one, other| column[*other as usize].total_cmp(&column[*one as usize]).then(one.cmp(other)));
    for (top_k, top_p, most) in [(0, 1.0, 30), (17, 1.0, 17), (0, 0.49, 15), (20, 0.49, 10), (0, 1e-6, 1)] {
        let truncation = Truncation { temperature: 1e6, top_k, top_p };
        let drawn = sample(&device, &logits, truncation, &uniforms, Format::F32);
        let mut found = drawn.tokens.host().unwrap().to_vec();
        assert!(found.is_sorted(), "{truncation:?}: {found:?}");
        found.dedup();
        let mut first = order[..most].to_vec();
        first.sort_unstable();
        assert_eq!(found, first, "{truncation:?}");
    }
}

/// From a head in codes: what is drawn from its numbers.
#[test]
fn codes_draw_what_their_numbers_do() {
    let Some(device) = device() else { return };
    let head = Matrix::random(9, 1003, 64);
    let uniforms = device.upload(&[0.0, 0.3, 0.7, 0.99, LARGEST], 1).unwrap();
    let truncation = Truncation { temperature: 0.7, top_k: 40, top_p: 0.9 };
    for format in [Format::F32, Format::BF16] {
        let hidden = Matrix::random(10, 5, 64).array(&device, format);
        let [drawn, want] = [head.codes(&device), head.weight(&device, format)].map(|head| {
            let Drawn { tokens, log_probs } = device.sample(&hidden, &head, truncation, &uniforms).unwrap();
            (tokens.host().unwrap().to_vec(), device.download(&log_probs).unwrap())
        });
        assert_eq!(drawn, want, "{format:?}");
    }
}

/// Words that cannot be drawn are not, and do not stand in the way.
#[test]
fn impossible_words() {
    let Some(device) = device() else { return };
    let column = [f32::NEG_INFINITY, 3e38, -3e38, f32::NEG_INFINITY, 3e38];
    // A hidden state of zeros would make NaNs of infinities: one feature.
    let head = Matrix::from_fn(5, 1, |word, _| column[word]).weight(&device, Format::F32);
    let hidden = Matrix::from_fn(2, 1, |_, _| 1.0).array(&device, Format::F32);
    let uniforms = device.upload(&[0.25, 0.75], 1).unwrap();
    for top_p in [1.0, 0.9] {
        let truncation = Truncation { temperature: 1.0, top_k: 4, top_p };
        let drawn = device.sample(&hidden, &head, truncation, &uniforms).unwrap();
        assert_eq!(drawn.tokens.host().unwrap(), [1, 4]);
    }
}

#[test]
fn logits_without_a_softmax_are_an_error() {
    let Some(device) = device() else { return };
    let head = Matrix::from_fn(3, 1, |word, _| word as f32 - 1.0).weight(&device, Format::F32);
    let uniforms = device.upload(&[0.5; 3], 1).unwrap();
    for broken in [f32::NAN, f32::INFINITY] {
        let hidden = device.upload(&[1.0, -1.0, broken], 1).unwrap();
        for temperature in [0.0, 1.0] {
            let truncation = Truncation { temperature, top_k: 2, top_p: 0.9 };
            let drawn = device.sample(&hidden, &head, truncation, &uniforms).unwrap();
            let error = drawn.tokens.host().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NonFinite);
            assert!(error.to_string().contains("sequence 2"), "{error}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(device) = device() else { return };
    let truncation = Truncation { temperature: 1.0, top_k: 0, top_p: 1.0 };
    let hidden = Matrix::random(1, 2, 3).array(&device, Format::F32);
    for (words, columns, uniforms, parts) in [
        (7, 3, 1, ["uniforms is 1", "2 is needed"]),
        (7, 4, 2, ["columns is 3", "4 is needed"]),
        (0, 3, 2, ["2 tokens", "0 words"]),
    ] {
        let head = Matrix::random(2, words, columns).weight(&device, Format::F32);
        let uniforms = device.zeros(uniforms, 1, Format::F32).unwrap();
        let error = device.sample(&hidden, &head, truncation, &uniforms).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(parts.iter().all(|part| error.to_string().contains(part)), "{error}");
    }
    let (none, head) = (device.zeros(0, 3, Format::F32).unwrap(), Matrix::random(2, 7, 3));
    let uniforms = device.zeros(0, 1, Format::F32).unwrap();
    let drawn = device.sample(&none, &head.weight(&device, Format::F32), truncation, &uniforms).unwrap();
    assert!(drawn.tokens.host().unwrap().is_empty());
}
