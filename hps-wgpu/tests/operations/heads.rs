//! Attention against f64, with heads as wide as Llama's, on devices of as little workgroup memory as there are: every tiling.

use crate::attention::spans;
use crate::numbers::numbers;
use crate::support::{Quiet, limited};
use crate::tolerance;
use hps_wgpu::{Array, Heads};

/// Two prompts whose segments end inside of blocks.
const PACKED: [(u32, &[u32]); 2] = [(21, &[18, 1, 9]), (3, &[17, 5])];
const TOKENS: usize = 74;

/// Keys of a block, as many as queries, and whether all that is read more than once is held: 1 if it is.
type Tiling = (usize, usize);

/// Bytes of workgroup memory; columns of heads; what follows forward, where this is 0 always, and backward. 116 columns at 16
/// take all of 32 KiB; 128 would take 35 KiB, which Mesa's CPU adapter does not have.
const TILINGS: [(u32, usize, [Tiling; 2]); 9] = [
    (16 << 10, 32, [(16, 0), (16, 1)]),
    (16 << 10, 64, [(16, 0), (8, 1)]),
    (16 << 10, 112, [(16, 0), (8, 1)]),
    (16 << 10, 120, [(8, 0), (8, 1)]),
    (16 << 10, 128, [(8, 0), (8, 0)]),
    (32 << 10, 64, [(16, 0), (16, 1)]),
    (32 << 10, 116, [(16, 0), (16, 1)]),
    (32 << 10, 126, [(16, 0), (8, 1)]),
    (32 << 10, 128, [(16, 0), (8, 1)]),
];

/// Also with as few buffers as a kernel may bind on some adapters.
fn device(memory: u32) -> Option<Quiet> {
    limited(|limits| (limits.workgroup_memory, limits.buffers) = (Some(memory), Some(8)))
}

#[test]
fn every_tiling() {
    for (memory, dimension, [(forward, _), (backward, held)]) in TILINGS {
        let Some(device) = device(memory) else { return };
        let there = device.wgpu().0.limits();
        assert_eq!((there.max_compute_workgroup_storage_size, there.max_storage_buffers_per_shader_stage), (memory, 8));
        check(&device, dimension);
        let expected = [
            format!("attention D={dimension} BLOCK={forward} HOLDS_UPSTREAM=0"),
            format!("keys_backward D={dimension} BLOCK={backward} HOLDS_UPSTREAM={held}"),
            format!("queries_backward D={dimension} BLOCK={backward} HOLDS_UPSTREAM={held}"),
        ];
        let mut compiled = device.compiled();
        compiled.retain(|name| name.contains("BLOCK") && !name.starts_with("along"));
        compiled.sort();
        assert_eq!(compiled, expected, "{memory} bytes");
    }
}

/// Whatever this adapter has: more than 35 KiB, for one.
#[test]
fn as_wide_as_llamas() {
    let Some(device) = limited(|_| ()) else { return };
    check(&device, 128);
}

/// WGSL's least: nothing more than every adapter has.
#[test]
fn on_the_least_device() {
    let Some(device) = limited(|limits| *limits = hps_wgpu::Limits::least()) else { return };
    check(&device, 128);
}

fn check(device: &Quiet, dimension: usize) {
    let heads = Heads { query: 4, key_value: 2, dimension };
    let plain = Plain { heads, spans: spans(&PACKED) };
    // Scores between -8 and 8 or so: neither alike nor one alone.
    let grown = |seed: u32, columns: usize| -> Vec<f32> {
        numbers(seed, TOKENS * columns).into_iter().map(|number| number * 4.0).collect()
    };
    let (wide, narrow) = (heads.query * dimension, heads.key_value * dimension);
    let [q, dy] = [1, 2].map(|seed| grown(seed, wide));
    let [k, v] = [3, 4].map(|seed| grown(seed, narrow));
    let of = |numbers: &[f32], columns: usize| device.upload(numbers, columns).unwrap();
    let [q_there, k_there, v_there, dy_there] = [of(&q, wide), of(&k, narrow), of(&v, narrow), of(&dy, wide)];
    let of_tokens = device.upload_indices(&plain.spans).unwrap();
    let attended = device.attention(&q_there, &k_there, &v_there, &of_tokens, heads).unwrap();
    let there = [&attended.output, &attended.log_sum_exp];
    let [dq, dk, dv] =
        device.attention_backward(&dy_there, [&q_there, &k_there, &v_there], there, &of_tokens, heads).unwrap();
    let exact = plain.attention(&q, &k, &v, &dy);
    let given: [&Array; 5] = [&attended.output, &attended.log_sum_exp, &dq, &dk, &dv];
    for ((name, array), exact) in ["output", "log-sum-exp", "dq", "dk", "dv"].into_iter().zip(given).zip(&exact) {
        let given = device.download(array).unwrap();
        assert_eq!(given.len(), exact.len());
        let largest = exact.iter().fold(0.0f64, |largest, number| largest.max(number.abs()));
        let off = given.iter().zip(exact).fold(0.0f64, |off, (a, b)| off.max((f64::from(*a) - b).abs()));
        let share = off / largest;
        assert!(share <= tolerance::ATTENTION && largest > 0.1, "{dimension} columns: {name} is {share:e} off");
    }
}

/// Attention as it is defined, in f64.
struct Plain {
    heads: Heads,
    spans: Vec<u32>,
}

impl Plain {
    fn sees(&self, query: usize, key: usize) -> bool {
        let [from, to, start, _] = self.spans.as_chunks::<4>().0[query].map(|number| number as usize);
        (from..to).contains(&key) || (start..=query).contains(&key)
    }

    /// Output, log-sum-exp, dq, dk, dv.
    fn attention(&self, q: &[f32], k: &[f32], v: &[f32], dy: &[f32]) -> [Vec<f64>; 5] {
        let Heads { query: heads, key_value, dimension } = self.heads;
        let scale = 1.0 / (dimension as f64).sqrt();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let mut results = [heads * dimension, heads, heads * dimension, key_value * dimension, key_value * dimension]
            .map(|columns| vec![0.0; TOKENS * columns]);
        for query in 0..TOKENS {
            for head in 0..heads {
                let of_query = (query * heads + head) * dimension..(query * heads + head + 1) * dimension;
                let of_key = |key: usize| {
                    let at = (key * key_value + head / (heads / key_value)) * dimension;
                    at..at + dimension
                };
                let keys: Vec<usize> = (0..TOKENS).filter(|key| self.sees(query, *key)).collect();
                let scores: Vec<f64> =
                    keys.iter().map(|key| scale * dot(&q[of_query.clone()], &k[of_key(*key)])).collect();
                let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum = scores.iter().map(|score| (score - greatest).exp()).sum::<f64>();
                results[1][query * heads + head] = greatest + sum.ln();
                let weights: Vec<f64> = scores.iter().map(|score| (score - greatest).exp() / sum).collect();
                let along: Vec<f64> = keys.iter().map(|key| dot(&dy[of_query.clone()], &v[of_key(*key)])).collect();
                let mean = weights.iter().zip(&along).map(|(weight, along)| weight * along).sum::<f64>();
                for ((key, weight), along) in keys.iter().zip(weights).zip(along) {
                    let slope = weight * (along - mean) * scale;
                    for (at, of_key) in of_query.clone().zip(of_key(*key)) {
                        results[0][at] += weight * f64::from(v[of_key]);
                        results[2][at] += slope * f64::from(k[of_key]);
                        results[3][of_key] += slope * f64::from(q[at]);
                        results[4][of_key] += weight * f64::from(dy[at]);
                    }
                }
            }
        }
        results
    }
}
