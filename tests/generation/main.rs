//! Generation against forward passes without a cache: the most probable token, the distribution, and what a sample
//! depends on.
//!
//! The next token's log-probs are those of every token of the vocabulary as a response of one token.

#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod devices;
#[path = "../support/mod.rs"]
mod support;

use hps_core::Philox;
use hps_llama::ErrorKind;
use hps_llama::backend::cpu::Cpu;
use hps_llama::backend::{Backend, StoredTensor, Truncation};
use hps_llama::generate::FinishReason::{Length, Stop};
use hps_llama::generate::{Sample, SamplingParams};
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::Policy;
use hps_llama::pack::{Group, Packed};

/// The lead of a most probable token over the next, nats: cached and uncached passes differ by some 1e-6.
const LEAD: f64 = 1e-4;
/// χ² above the quantile of 4 standard deviations has a probability of 3e-5 where the distribution fits.
const DEVIATIONS: f64 = 4.0;
/// Fewest expected counts in a cell of a χ² test: above 5, where the distribution is near that of χ², and so many that
/// another temperature shows.
const CELL: f64 = 40.0;
/// Samples of a χ² test.
const SAMPLES: usize = 2000;

const VOCABULARY: u32 = 1024;

fn policy() -> Policy<Cpu> {
    support::policy("models/tiny", Some("models/tiny/adapter-11"))
}

/// Prompts of 1, 2, 9 and 40 tokens, by their ids.
fn prompts() -> Vec<(u32, Vec<u32>)> {
    let token = |id, index| Philox::new(2).block([index, id, 0, 0])[0] % 1000;
    let prompt = |(id, length): (u32, u32)| (id, (0..length).map(|index| token(id, index)).collect());
    [(8, 9), (3, 1), (500, 40), (0, 2)].map(prompt).into()
}

/// Greedy, without end tokens.
fn greedy(max_tokens: usize) -> SamplingParams {
    SamplingParams { temperature: 0.0, max_tokens, ..SamplingParams::default() }
}

fn sampled(seed: u64) -> SamplingParams {
    SamplingParams { max_tokens: 12, n: 3, seed, ..SamplingParams::default() }
}

fn generate(policy: &Policy<Cpu>, prompts: &[(u32, Vec<u32>)], params: &SamplingParams) -> Vec<Vec<Sample>> {
    policy.generate(prompts, params, true).expect("samples")
}

/// Log-probs of every next token, by one forward pass over all tokens so far.
fn next(policy: &Policy<Cpu>, tokens: &[u32], adapted: bool) -> Vec<f64> {
    let responses = (0..VOCABULARY).map(|token| vec![token]).collect();
    let group = Group { row: 0, prompt: tokens.to_vec(), responses };
    let batch = policy.model.batch(&Packed::shared(&[group])).expect("a batch");
    let log_probs = if adapted { policy.log_probs(&batch) } else { policy.base_log_probs(&batch) };
    Cpu.download(&log_probs.expect("log-probs")).expect("numbers").into_iter().map(f64::from).collect()
}

/// The most probable tokens, one forward pass each.
fn most_probable(policy: &Policy<Cpu>, prompt: &[u32], count: usize, adapted: bool) -> Vec<u32> {
    let mut tokens = prompt.to_vec();
    for _ in 0..count {
        let log_probs = next(policy, &tokens, adapted);
        let mut order: Vec<usize> = (0..log_probs.len()).collect();
        order.sort_by(|one, other| log_probs[*other].total_cmp(&log_probs[*one]));
        assert!(log_probs[order[0]] - log_probs[order[1]] > LEAD, "rounding could decide after {tokens:?}");
        tokens.push(order[0] as u32);
    }
    tokens.split_off(prompt.len())
}

#[test]
fn greedy_takes_the_most_probable_token() {
    let policy = policy();
    for adapted in [true, false] {
        let samples = policy.generate(&prompts(), &greedy(16), adapted).expect("samples");
        for ((id, prompt), samples) in prompts().iter().zip(samples) {
            let expected = most_probable(&policy, prompt, 16, adapted);
            assert_eq!(samples.len(), 1);
            let Sample { tokens, finish_reason, .. } = &samples[0];
            assert_eq!((tokens, *finish_reason), (&expected, Length), "prompt {id}, adapter {adapted}");
        }
    }
}

#[test]
fn a_sample_does_not_depend_on_its_neighbours() {
    let (policy, mut prompts, params) = (policy(), prompts(), sampled(1));
    let together = generate(&policy, &prompts, &params);
    for (prompt, samples) in prompts.iter().zip(&together) {
        assert_eq!(&generate(&policy, std::slice::from_ref(prompt), &params)[0], samples, "prompt {} alone", prompt.0);
        assert!(samples[0] != samples[1] && samples[1] != samples[2] && samples[0] != samples[2], "{samples:?}");
    }
    prompts.reverse();
    let mut reversed = generate(&policy, &prompts, &params);
    reversed.reverse();
    assert_eq!(reversed, together);

    let more = generate(&policy, &prompts, &SamplingParams { n: 5, max_tokens: 20, ..params });
    for (more, samples) in more.iter().rev().zip(&together) {
        for (more, sample) in more.iter().zip(samples) {
            assert_eq!(more.tokens[..12], sample.tokens, "more and longer samples begin alike");
        }
    }
}

#[test]
fn another_seed_gives_other_samples() {
    let policy = policy();
    let samples = |seed| generate(&policy, &prompts(), &sampled(seed)).concat();
    assert_eq!(samples(1), samples(1));
    for other in [2, 1 | 1 << 32] {
        assert!(samples(1).iter().zip(samples(other)).all(|(one, other)| *one != other), "seed {other}");
    }
}

#[test]
fn another_id_gives_other_samples() {
    let prompt = prompts()[0].1.clone();
    let samples = generate(&policy(), &[(1, prompt.clone()), (2, prompt.clone()), (1, prompt)], &sampled(1));
    assert_ne!(samples[0], samples[1]);
    assert_eq!(samples[0], samples[2]);
}

#[test]
fn stop_tokens_end_a_sequence_and_no_other() {
    let policy = policy();
    let free = generate(&policy, &prompts(), &greedy(16));
    // The fifth token of the first prompt, and a token that is not generated.
    let stop = free[0][0].tokens[4];
    let unused = (0..VOCABULARY).find(|token| free.iter().all(|samples| !samples[0].tokens.contains(token)));
    let stop_token_ids = vec![unused.expect("64 tokens of 1024"), stop];
    let stopped = generate(&policy, &prompts(), &SamplingParams { stop_token_ids, ..greedy(16) });
    for (free, stopped) in free.iter().zip(&stopped) {
        let end = free[0].tokens.iter().position(|token| *token == stop);
        let tokens = free[0].tokens[..end.unwrap_or(16)].to_vec();
        let log_probs = free[0].log_probs[..end.map_or(16, |end| end + 1)].to_vec();
        let finish_reason = if end.is_some() { Stop } else { Length };
        assert_eq!(stopped[0], Sample { tokens, log_probs, finish_reason });
    }
    assert!(stopped[0][0].stopped() && stopped.iter().any(|samples| !samples[0].stopped()), "{stopped:?}");
}

#[test]
fn max_tokens_counts_the_end_token() {
    let (policy, prompts) = (policy(), prompts());
    let Sample { tokens: free, log_probs, .. } = generate(&policy, &prompts[..1], &greedy(16))[0][0].clone();
    let stop_token_ids = vec![free[4]];
    let end = free.iter().position(|token| *token == free[4]).expect("it is there");
    for max_tokens in [1, end, end + 1, end + 2] {
        let params = SamplingParams { stop_token_ids: stop_token_ids.clone(), ..greedy(max_tokens) };
        let expected = Sample {
            tokens: free[..end.min(max_tokens)].to_vec(),
            log_probs: log_probs[..(end + 1).min(max_tokens)].to_vec(),
            finish_reason: if max_tokens > end { Stop } else { Length },
        };
        assert_eq!(generate(&policy, &prompts[..1], &params)[0], [expected], "{max_tokens} tokens");
    }
}

#[test]
fn nothing_asked_for_is_nothing_given() {
    let policy = policy();
    assert_eq!(generate(&policy, &[], &sampled(0)), Vec::<Vec<Sample>>::new());
    assert_eq!(generate(&policy, &prompts(), &SamplingParams { n: 0, ..sampled(0) }), vec![Vec::new(); 4]);
    let empty = Sample { tokens: Vec::new(), log_probs: Vec::new(), finish_reason: Length };
    let none = SamplingParams { max_tokens: 0, ..sampled(0) };
    assert_eq!(generate(&policy, &prompts(), &none), vec![vec![empty; 3]; 4]);
}

#[test]
fn prompts_that_cannot_be_read_are_refused() {
    let policy = policy();
    for (tokens, part) in [(Vec::new(), "prompt 17"), (vec![5, VOCABULARY], "1024")] {
        let mut prompts = prompts();
        prompts.insert(1, (17, tokens));
        let error = policy.generate(&prompts, &sampled(0), true).expect_err("it cannot be read");
        assert_eq!(error.kind(), ErrorKind::Tokens, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn options_outside_their_range_are_refused() {
    let policy = policy();
    let refused = |params: SamplingParams, name: &str| {
        let given = policy.generate(&prompts(), &params, true);
        let error = given.err().unwrap_or_else(|| panic!("{params:?} is taken"));
        assert_eq!(error.kind(), ErrorKind::Option, "{error}");
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    };
    for temperature in [f32::NAN, -1.0, f32::INFINITY] {
        refused(SamplingParams { temperature, ..sampled(0) }, "temperature");
    }
    for top_p in [f32::NAN, 0.0, -0.1, 1.001] {
        refused(SamplingParams { top_p, ..sampled(0) }, "top_p");
    }
    refused(SamplingParams { max_num_seqs: 0, ..sampled(0) }, "max_num_seqs");
}

#[test]
fn the_adapter_is_on_or_off() {
    let (policy, base) = (policy(), support::policy("models/tiny", None));
    let fresh = Lora::fresh(&Cpu, base.model.config(), LoraConfig::default(), 0).expect("an adapter");
    let fresh = Policy { adapter: Some(fresh), ..support::policy("models/tiny", None) };
    for params in [greedy(16), sampled(4)] {
        let of = |policy: &Policy<Cpu>, adapted| policy.generate(&prompts(), &params, adapted).expect("samples");
        let [on, off] = [true, false].map(|adapted| of(&policy, adapted));
        assert!(on.iter().zip(&off).all(|(on, off)| on != off), "the adapter changes every prompt's samples");
        for other in [of(&base, true), of(&base, false), of(&fresh, true), of(&fresh, false)] {
            assert_eq!(off, other, "without an adapter, or with one that changes nothing");
        }
    }
}

/// Quantile of χ² with `cells − 1` degrees of freedom (Wilson & Hilferty 1931).
fn quantile(cells: usize) -> f64 {
    let freedom = (cells - 1) as f64;
    let variance = 2.0 / (9.0 * freedom);
    freedom * (1.0 - variance + DEVIATIONS * variance.sqrt()).powi(3)
}

/// χ² of the counts of tokens against their probabilities, over its quantile: fits below 1. Cells join tokens of
/// neighbouring probability.
fn misfit(counts: &[usize], probabilities: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by(|one, other| probabilities[*other].total_cmp(&probabilities[*one]));
    let mut cells = vec![(0.0, 0.0)];
    let mut left = SAMPLES as f64;
    for token in order {
        let expected = SAMPLES as f64 * probabilities[token];
        let last = cells.len() - 1;
        cells[last] = (cells[last].0 + counts[token] as f64, cells[last].1 + expected);
        left -= expected;
        if cells[last].1 >= CELL && left >= CELL {
            cells.push((0.0, 0.0));
        }
    }
    let square: f64 = cells.iter().map(|(count, expected)| (count - expected).powi(2) / expected).sum();
    square / quantile(cells.len())
}

#[test]
fn first_tokens_follow_the_distribution() {
    let policy = policy();
    for prompt in [&prompts()[0], &prompts()[1]] {
        let log_probs = next(&policy, &prompt.1, true);
        let probabilities = |temperature: f64| kept(&log_probs, temperature, 0, 1.0);
        for temperature in [0.7f32, 1.0] {
            let params = SamplingParams { temperature, max_tokens: 1, n: SAMPLES, ..sampled(6) };
            let mut counts = vec![0; VOCABULARY as usize];
            for sample in &generate(&policy, std::slice::from_ref(prompt), &params)[0] {
                counts[sample.tokens[0] as usize] += 1;
            }
            let fit = misfit(&counts, &probabilities(f64::from(temperature)));
            println!("prompt {}, temperature {temperature}: χ² at {fit:.2} of its limit", prompt.0);
            assert!(fit < 1.0, "prompt {}, temperature {temperature}: χ² at {fit} of its limit", prompt.0);
            for other in [0.7, 1.0 / 0.7].map(|factor| factor * f64::from(temperature)) {
                let fit = misfit(&counts, &probabilities(other));
                println!("  against temperature {other:.2}: {fit:.2}");
                assert!(fit > 1.0, "samples at {temperature} pass for some at {other}: χ² at {fit} of its limit");
            }
        }
    }
}

/// Probabilities at a temperature of the first `top_k` tokens, and of these of the fewest that have `top_p` together.
fn kept(log_probs: &[f64], temperature: f64, top_k: usize, top_p: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..log_probs.len()).collect();
    order.sort_by(|one, other| log_probs[*other].total_cmp(&log_probs[*one]).then(one.cmp(other)));
    order.truncate(if top_k == 0 { log_probs.len() } else { top_k });
    let weight = |token: &usize| (log_probs[*token] / temperature).exp();
    let total: f64 = order.iter().map(weight).sum();
    let mut sum = 0.0;
    let enough = order.iter().position(|token| {
        sum += weight(token) / total;
        sum >= top_p
    });
    order.truncate(enough.map_or(order.len(), |last| last + 1));
    let total: f64 = order.iter().map(weight).sum();
    let mut probabilities = vec![0.0; log_probs.len()];
    order.iter().for_each(|token| probabilities[*token] = weight(token) / total);
    probabilities
}

/// Nothing outside of what is kept is drawn, and inside it the proportions stay.
#[test]
fn first_tokens_follow_the_truncated_distribution() {
    let (policy, prompt) = (policy(), prompts()[0].clone());
    let log_probs = next(&policy, &prompt.1, true);
    for (temperature, top_k, top_p) in
        [(1.0f32, 5, 1.0f32), (0.7, 0, 0.8), (1.0, 0, 0.5), (1.3, 20, 0.6), (1.0, 1, 0.9)]
    {
        let params = SamplingParams { temperature, top_k, top_p, max_tokens: 1, n: SAMPLES, ..sampled(9) };
        let samples = generate(&policy, std::slice::from_ref(&prompt), &params).concat();
        let mut counts = vec![0; VOCABULARY as usize];
        samples.iter().for_each(|sample| counts[sample.tokens[0] as usize] += 1);
        let expected = kept(&log_probs, f64::from(temperature), top_k as usize, f64::from(top_p));
        let size = expected.iter().filter(|p| **p > 0.0).count();
        assert!(size < VOCABULARY as usize / 2, "{size} tokens are kept");
        let outside = (0..counts.len()).find(|token| counts[*token] > 0 && expected[*token] == 0.0);
        assert_eq!(outside, None, "temperature {temperature}, top_k {top_k}, top_p {top_p}: outside of {size} tokens");
        if size == 1 {
            assert_eq!(counts.iter().max(), Some(&SAMPLES));
            continue;
        }
        let fit = misfit(&counts, &expected);
        println!("temperature {temperature}, top_k {top_k}, top_p {top_p}: {size} tokens, χ² at {fit:.2} of its limit");
        assert!(fit < 1.0, "temperature {temperature}, top_k {top_k}, top_p {top_p}: χ² at {fit} of its limit");
        let fit = misfit(&counts, &kept(&log_probs, f64::from(temperature), 0, 1.0));
        assert!(fit > 1.0, "samples of {size} tokens pass for some of all: χ² at {fit} of its limit");
        // What is stored is the log-prob before the temperature and the cut.
        for sample in &samples {
            let difference = f64::from(sample.log_probs[0]) - log_probs[sample.tokens[0] as usize];
            assert!(difference.abs() < LEAD, "a log-prob is {difference} off");
        }
    }
}

/// Log-probs stored while drawing are those of a forward pass over prompt and response.
#[test]
fn stored_log_probs_are_those_of_a_forward_pass() {
    let policy = policy();
    let params = SamplingParams { temperature: 0.8, top_p: 0.9, top_k: 50, ..sampled(5) };
    for ((id, prompt), samples) in prompts().into_iter().zip(generate(&policy, &prompts(), &params)) {
        for sample in samples {
            let group = Group { row: id, prompt: prompt.clone(), responses: vec![sample.tokens.clone()] };
            let batch = policy.model.batch(&Packed::shared(&[group])).expect("a batch");
            let log_probs = Cpu.download(&policy.log_probs(&batch).expect("log-probs")).expect("numbers");
            assert_eq!((log_probs.len(), sample.log_probs.len()), (12, 12));
            for (stored, computed) in sample.log_probs.iter().zip(&log_probs) {
                assert!(f64::from(stored - computed).abs() < LEAD, "prompt {id}: {stored} against {computed}");
            }
            let sum: f64 = sample.log_probs.iter().copied().map(f64::from).sum();
            assert_eq!(sample.log_prob(), sum);
        }
    }
}

/// To the bit: products, cache and draws of a sequence do not see what is decoded beside it, nor when the others end.
#[test]
fn batches_change_no_bit() {
    let (policy, prompts) = (policy(), prompts());
    let free = generate(&policy, &prompts, &sampled(2)).concat();
    // Sequences end at different steps; the cache grows twice.
    let stop_token_ids = free.iter().step_by(2).map(|sample| sample.tokens[7]).collect();
    let params = SamplingParams { top_p: 0.95, max_tokens: 90, n: 7, stop_token_ids, max_num_seqs: 1000, ..sampled(2) };
    let together = generate(&policy, &prompts, &params);
    let lengths: Vec<usize> = together.concat().iter().map(|sample| sample.log_probs.len()).collect();
    assert!(lengths.contains(&90) && lengths.iter().any(|length| *length < 20), "{lengths:?}");
    for max_num_seqs in [1, 2, 3, 7, 8, 14, 20] {
        let batched = generate(&policy, &prompts, &SamplingParams { max_num_seqs, ..params.clone() });
        assert_eq!(batched, together, "{max_num_seqs} at once");
    }
    for (prompt, samples) in prompts.iter().zip(&together) {
        let first = generate(&policy, std::slice::from_ref(prompt), &SamplingParams { n: 1, ..params.clone() });
        assert_eq!(first[0], samples[..1], "prompt {} alone", prompt.0);
    }
}

/// At a temperature that makes all tokens alike, a token is where its draw lies: the draws of two steps fill a square.
#[test]
fn draws_of_two_steps_are_independent() {
    const SIDE: usize = 4;
    let params = SamplingParams { temperature: 1e6, max_tokens: 2, n: SAMPLES, ..sampled(8) };
    let mut counts = [0; SIDE * SIDE];
    for sample in &generate(&policy(), &prompts()[..1], &params)[0] {
        let [first, second] = [0, 1].map(|step| sample.tokens[step] as usize * SIDE / VOCABULARY as usize);
        counts[first * SIDE + second] += 1;
    }
    let fit = misfit(&counts, &[1.0 / (SIDE * SIDE) as f64; SIDE * SIDE]);
    assert!(fit < 1.0, "χ² at {fit} of its limit: {counts:?}");
}

/// A model that computes no numbers has no most probable token.
#[test]
fn logits_that_are_no_numbers_are_refused() {
    let matrix = |numbers: &[f32], columns| Cpu.upload(numbers, columns).expect("uploaded");
    let (hidden, uniforms) = (matrix(&[1.0, 1.0, 1.0, f32::NAN], 2), matrix(&[0.5, 0.5], 1));
    let numbers: Vec<u8> = [0.5f32; 6].into_iter().flat_map(f32::to_le_bytes).collect();
    let head =
        StoredTensor::singles([3, 2], &numbers).and_then(|head| Cpu.upload_weight(&head, false)).expect("uploaded");
    for temperature in [0.0, 1.0] {
        let truncation = Truncation { temperature, top_k: 0, top_p: 1.0 };
        let error = Cpu.sample(&hidden, &head, truncation, &uniforms).expect_err("NaN");
        assert_eq!(error.kind(), ErrorKind::NonFinite, "{error}");
        assert!(error.to_string().contains("sequence 1"), "{error}");
    }
}
