//! Tokens drawn from the head.

use crate::conformance::head::value_size;
use crate::matrix::Matrix;
use crate::plain::head::{log_probs, probabilities};
use crate::random::Draws;
use crate::subject::Subject;
use crate::tolerance::Operation;
use hps_llama::backend::{Backend, Truncation};

const LARGEST_UNIFORM: f64 = 1.0 - 1.0 / (1 << 24) as f64;

fn sample<B: Backend>(
    subject: &Subject<B>,
    hidden: &Matrix,
    head: &Matrix,
    temperature: f32,
    uniforms: &Matrix,
) -> Vec<u32> {
    drawn(subject, hidden, head, Truncation { temperature, top_k: 0, top_p: 1.0 }, uniforms).0
}

fn drawn<B: Backend>(
    subject: &Subject<B>,
    hidden: &Matrix,
    head: &Matrix,
    truncation: Truncation,
    uniforms: &Matrix,
) -> (Vec<u32>, Vec<f32>) {
    let (hidden, head) = (subject.array(hidden), subject.weight(head));
    let drawn = subject.backend.sample(&hidden, &head, truncation, &subject.single(uniforms)).expect("samples");
    let tokens = subject.backend.download_indices(&drawn.tokens).expect("a download");
    (tokens, subject.backend.download(&drawn.log_probs).expect("a download"))
}

/// Small integers, so that every backend forms the same logits; the largest of them occurs at several ids.
pub fn at_temperature_zero_the_lowest_of_equals_wins<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(140);
    for vocabulary in [1, 7, 65, 1000] {
        let integers =
            |draws: &mut Draws, rows: usize| Matrix::from_fn(rows, 4, |_, _| f64::from(draws.below(5)) - 2.0);
        let (hidden, mut head) = (integers(&mut draws, 129), integers(&mut draws, vocabulary));
        for word in vocabulary / 2..vocabulary {
            for column in 0..4 {
                head[(word, column)] = head[(vocabulary - 1 - word, column)];
            }
        }
        let got = sample(subject, &hidden, &head, 0.0, &draws.matrix(129, 1).map(|number| number.abs() / 2.0));
        for (row, got) in got.into_iter().enumerate() {
            let logit = |word: usize| (0..4).map(|at| hidden[(row, at)] * head[(word, at)]).sum::<f64>();
            let greatest = (0..vocabulary).map(logit).fold(f64::NEG_INFINITY, f64::max);
            let lowest = (0..vocabulary).find(|word| logit(*word) == greatest).expect("a word");
            assert_eq!(got as usize, lowest, "row {row} of a vocabulary of {vocabulary}");
        }
    }
}

/// The first index whose cumulative probability exceeds the uniform number, up to rounding of the former.
pub fn a_sample_is_where_the_cumulative_probability_passes<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(141);
    let allowed = (subject.tolerance)(Operation::Cumulative);
    for (vocabulary, columns) in [(1, 1), (7, 3), (65, 16), (1000, 16)] {
        for temperature in [0.1f32, 0.7, 1.0, 3.0] {
            let (hidden, head) = (draws.matrix(129, columns), draws.weight(vocabulary, columns));
            let mut uniforms = Matrix::from_fn(129, 1, |_, _| draws.uniform());
            uniforms.numbers[0] = 0.0;
            uniforms.numbers[1] = LARGEST_UNIFORM;
            // Every other row's number lies where one word ends and the next begins.
            for row in (3..129).step_by(2) {
                let p = probabilities(hidden.row(row), &head, f64::from(temperature));
                let end: f64 = p[..=draws.below(vocabulary) as usize].iter().sum();
                uniforms.numbers[row] = f64::from(end as f32).min(LARGEST_UNIFORM);
            }
            let got = sample(subject, &hidden, &head, temperature, &uniforms);
            assert_eq!(got.len(), 129);
            let mut worst = 0.0f64;
            for (row, got) in got.into_iter().enumerate() {
                let p = probabilities(hidden.row(row), &head, f64::from(temperature));
                let below: f64 = p[..got as usize].iter().sum();
                let uniform = uniforms[(row, 0)];
                let excess = (below - uniform).max(uniform - below - p[got as usize]);
                worst = worst.max(excess);
                assert!(excess <= allowed, "row {row} draws {got} by {uniform}; it is {excess} past");
            }
            println!("Cumulative [{vocabulary}, {columns}] {worst:.2e}");
        }
    }
}

/// Pearson's `χ² = Σ (observed − expected)² / expected` of 40,000 draws has mean 12 and deviation sqrt(24) over 13 words.
pub fn samples_follow_the_softmax<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(142);
    let (count, words) = (40_000, 13);
    let (hidden, head) = (draws.matrix(1, 4), draws.weight(words, 4));
    let hidden = Matrix::from_fn(count, 4, |_, column| hidden[(0, column)]);
    let uniforms = Matrix::from_fn(count, 1, |_, _| draws.uniform());
    let mut observed = vec![0.0; words];
    for word in sample(subject, &hidden, &head, 0.7, &uniforms) {
        observed[word as usize] += 1.0;
    }
    let p = probabilities(hidden.row(0), &head, f64::from(0.7f32));
    let chi_square: f64 =
        p.iter().zip(&observed).map(|(p, observed)| (observed - p * count as f64).powi(2) / (p * count as f64)).sum();
    assert!(p.iter().all(|p| p * count as f64 > 5.0), "every word is expected often enough: {p:?}");
    let freedom = (words - 1) as f64;
    assert!((chi_square - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(), "χ² = {chi_square}");
}

/// Integer logits, so that every backend forms the same; equals at the cut are kept by id. At a temperature so high that
/// what is kept is all alike, the draw says how many tokens are kept, and which.
pub fn a_cut_keeps_the_first_of_the_order<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(143);
    let vocabulary = 300;
    let logits: Vec<f64> = (0..vocabulary).map(|_| f64::from(draws.below(6))).collect();
    let mut order: Vec<usize> = (0..vocabulary).collect();
    order.sort_by(|one, other| logits[*other].total_cmp(&logits[*one]).then(one.cmp(other)));
    let (hidden, head) = (Matrix::from_fn(400, 1, |_, _| 1.0), Matrix::from_fn(vocabulary, 1, |word, _| logits[word]));
    let uniforms = Matrix::from_fn(400, 1, |row, _| row as f64 / 400.0);
    let temperature = 1e6;
    // Of 300 alike, a sum of 0.5 needs 150, and 0.5 of the first 200 of them 100; a margin for rounding.
    for (top_k, top_p, count) in
        [(1, 1.0, 1), (77, 1.0, 77), (1000, 1.0, 300), (0, 0.4984, 150), (200, 0.4984, 100), (0, 1e-6, 1)]
    {
        let (tokens, _) = drawn(subject, &hidden, &head, Truncation { temperature, top_k, top_p }, &uniforms);
        let mut kept = order[..count].to_vec();
        kept.sort_unstable();
        let mut found: Vec<usize> = tokens.iter().map(|token| *token as usize).collect();
        assert!(found.is_sorted(), "uniform numbers pass the tokens by id");
        found.dedup();
        assert_eq!(found, kept, "top_k {top_k}, top_p {top_p}");
    }
}

/// Log-probs are of the whole distribution at temperature 1, whatever is drawn from.
pub fn log_probs_of_draws_are_the_models_own<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(144);
    let (hidden, head) = (draws.matrix(65, 16), draws.weight(1000, 16));
    let uniforms = Matrix::from_fn(65, 1, |_, _| draws.uniform());
    let allowed = (subject.tolerance)(Operation::LogProbs);
    for (temperature, top_k, top_p) in [(1.0, 0, 1.0), (0.0, 0, 1.0), (0.5, 0, 1.0), (2.0, 7, 1.0), (0.8, 40, 0.7)] {
        let (tokens, got) = drawn(subject, &hidden, &head, Truncation { temperature, top_k, top_p }, &uniforms);
        let expected = log_probs(&hidden, &head, &tokens);
        for (row, got) in got.iter().enumerate() {
            let (got, expected) = (f64::from(*got), expected[(row, 0)]);
            let allowed = allowed * value_size(hidden.row(row), &head);
            assert!((got - expected).abs() <= allowed, "row {row}: {got} against {expected}");
        }
    }
}
