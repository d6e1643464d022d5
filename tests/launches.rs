//! What a step has a CUDA device do, counted by the emulated one: launches, fills of memory, multiplications of matrices.
//!
//! The emulator writes its counts of a whole process, so programs of their own do the work: what one has done more than
//! another is what was asked of it more.
#![cfg(feature = "cuda")]

mod support;

use hps_llama::backend::Dtype;
use hps_llama::backend::cuda::Cuda;
use hps_llama::config::LlamaConfig;
use hps_llama::generate::SamplingParams;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Activations, Gradients, Llama, Policy};
use hps_llama::pack::{Group, Packed};
use hps_llama::parameter::Projection;
use std::collections::BTreeMap;
use std::process::Command;

/// Set in the programs, to what they do.
const INNER: &str = "HPS_TEST_OF_LAUNCHES";

/// A model's shape and what is computed with it.
#[derive(Debug, Clone, Copy)]
struct Work {
    hidden: usize,
    wide: usize,
    heads: [usize; 2],
    width: usize,
    layers: usize,
    /// Of the prompt and of each of two responses.
    tokens: [usize; 2],
    /// Tokens to generate, instead of a training step.
    generated: usize,
    /// Whether all projections are adapted, not queries and values alone.
    all: bool,
}

const SMALL: Work =
    Work { hidden: 64, wide: 96, heads: [4, 2], width: 16, layers: 2, tokens: [40, 20], generated: 0, all: false };

/// An eighth of Llama-3-8B's width, and of its tokens: attention has the same share.
const EIGHTH: Work =
    Work { hidden: 512, wide: 1792, heads: [4, 1], width: 128, layers: 2, tokens: [1, 511], generated: 0, all: false };

impl Work {
    fn words(&self) -> String {
        let Work { hidden, wide, heads: [query, key], width, layers, tokens: [prompt, response], generated, all } =
            self;
        format!("{hidden} {wide} {query} {key} {width} {layers} {prompt} {response} {generated} {}", u8::from(*all))
    }

    fn read(words: &str) -> Work {
        let numbers: Vec<usize> = words.split(' ').map(|word| word.parse().unwrap()).collect();
        let [hidden, wide, query, key, width, layers, prompt, response, generated, all] = numbers[..] else {
            panic!("{words}")
        };
        let (heads, tokens) = ([query, key], [prompt, response]);
        Work { hidden, wide, heads, width, layers, tokens, generated, all: all == 1 }
    }

    fn policy(&self, backend: Cuda) -> Policy<Cuda> {
        let Work { hidden, wide, heads: [query, key], width, layers, .. } = self;
        let json = format!(
            r#"{{"model_type": "llama", "vocab_size": 128, "hidden_size": {hidden}, "intermediate_size": {wide},
            "num_hidden_layers": {layers}, "num_attention_heads": {query}, "num_key_value_heads": {key},
            "head_dim": {width}, "rms_norm_eps": 1e-5, "max_position_embeddings": 8192, "rope_theta": 10000.0,
            "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": false}}"#
        );
        let config = LlamaConfig::from_json(&json, "here").unwrap();
        let mut adapted = LoraConfig::default();
        if self.all {
            adapted.target_modules = Projection::ALL.to_vec();
        }
        let adapter = Lora::fresh(&backend, &config, adapted, 3).unwrap();
        let model = Llama::random_frozen(backend, config, 0.05, 5).unwrap();
        Policy { model, adapter: Some(adapter) }
    }

    fn run(&self, backend: Cuda) {
        let policy = self.policy(backend);
        let tokens =
            |count: usize, seed: usize| (0..count).map(|at| ((at * 31 + seed) % 128) as u32).collect::<Vec<_>>();
        let [prompt, response] = self.tokens;
        if self.generated > 0 {
            let params = SamplingParams { max_tokens: self.generated, n: 2, ..SamplingParams::default() };
            policy.generate(&[(0, tokens(prompt, 1))], &params, true).unwrap();
            return;
        }
        let responses = vec![tokens(response, 2), tokens(response, 3)];
        let group = Group { row: 0, prompt: tokens(prompt, 1), responses };
        let packed = Packed::shared(&[group]);
        let batch = policy.model.batch(&packed).unwrap();
        let mut gradients = Gradients::zeros(&policy).unwrap();
        let pass = policy.forward(&batch, 1, Activations::Keep).unwrap();
        policy.backward(&batch, pass, &vec![0.5; packed.sources.len()], &mut gradients).unwrap();
    }

    /// Of each kernel, and of what is none: how often it was launched, and multiplications of matrices.
    fn counts(&self) -> BTreeMap<String, [i64; 2]> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts");
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["work", "--exact"])
            .env(INNER, self.words())
            .env("EMULATOR_COUNT", &path)
            .output()
            .unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let table = std::fs::read_to_string(path).unwrap();
        let count = |cell: Option<&str>| cell.and_then(|cell| cell.parse().ok()).unwrap();
        let line = |line: &str| {
            let cells: Vec<&str> = line.split('\t').collect();
            (cells[0].to_owned(), [count(cells.get(1).copied()), count(cells.last().copied())])
        };
        table.lines().skip(1).map(line).collect()
    }

    /// What `more` does beyond this.
    fn difference(&self, more: &Work) -> BTreeMap<String, [i64; 2]> {
        let fewer = self.counts();
        let mut difference = more.counts();
        for (name, count) in &mut difference {
            let other = fewer.get(name).copied().unwrap_or_default();
            *count = [count[0] - other[0], count[1] - other[1]];
        }
        difference.retain(|_, count| *count != [0, 0]);
        difference
    }
}

/// What such a program does.
#[test]
fn work() {
    if let Ok(words) = std::env::var(INNER) {
        Work::read(&words).run(support::gpu::cuda(Dtype::BFloat16).expect("it was there"));
    }
}

/// Whether the device is the emulated one, which alone counts.
fn counted() -> bool {
    let Some(backend) = support::gpu::cuda(Dtype::BFloat16) else { return false };
    let emulated = backend.device().name() == "PTX emulator";
    if !emulated {
        eprintln!("SKIPPED, as {} does not count", backend.device().name());
    }
    emulated
}

fn launches(difference: &BTreeMap<String, [i64; 2]>) -> i64 {
    difference.iter().filter(|(name, _)| *name != "cuMemset").map(|(_, [launches, _])| launches).sum()
}

/// Of a layer above the lowest: forward and backward, queries and values adapted; and all projections.
#[test]
fn a_layer_takes_few_launches() {
    if !counted() {
        return;
    }
    for (all, most) in [(false, 33), (true, 53)] {
        let work = Work { all, ..SMALL };
        let layer = work.difference(&Work { layers: 3, ..work });
        println!("all projections: {all}; launches of a layer: {} {layer:?}", launches(&layer));
        assert!(launches(&layer) <= most, "{}: {layer:?}", launches(&layer));
    }
}

/// What tokens after the second take: those are replayed.
#[test]
fn a_step_of_generation_fills_no_memory() {
    if !counted() {
        return;
    }
    let work = Work { generated: 4, ..SMALL };
    let steps = work.difference(&Work { generated: 9, ..work });
    println!("launches of a step of generation: {} {steps:?}", launches(&steps) / 5);
    assert!(launches(&steps) > 5 && !steps.contains_key("cuMemset"), "{steps:?}");
}

/// Multiplications of matrices that a layer's step needs: each product once; attention two forward and five backward, of
/// the keys that each query sees; adapters' are not counted on either side.
///
/// Attention backward does seven: scores and their gradients are formed once for the queries' gradient and once for the
/// keys', so that every sum has one owner and one order. That and tiles of which not all is seen is what is beyond: 8.1 %
/// here, where rows are an eighth as long as the tiles are made for.
#[test]
fn a_layer_multiplies_what_it_needs() {
    if !counted() {
        return;
    }
    let layer = EIGHTH.difference(&Work { layers: 3, ..EIGHTH });
    let of_adapters = ["narrow_products", "widen_onto", "gradient_parts"];
    let counted = layer.iter().filter(|(name, _)| !of_adapters.contains(&name.as_str()));
    let executed: i64 = counted.map(|(_, [_, multiplications])| multiplications).sum();
    let Work { hidden, wide, heads: [query, key], width, tokens: [prompt, response], .. } = EIGHTH;
    let tokens = prompt + 2 * (response - 1);
    let products = tokens * (2 * hidden * (query + key) * width + 3 * hidden * wide) * 2;
    let seen = (1..=prompt).sum::<usize>() + 2 * (1..response).map(|own| prompt + own).sum::<usize>();
    let attention = 7 * seen * query * width;
    let needed = (products + attention) as f64;
    println!("multiplications: {executed} of {needed} needed, {:.4}; {layer:?}", executed as f64 / needed);
    assert!(executed as f64 <= 1.085 * needed, "{:.4}: {layer:?}", executed as f64 / needed);
}
