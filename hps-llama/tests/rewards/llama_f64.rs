//! A Llama's hidden states and ArmoRM's head in f64, written from their formulas: no batch, no sharing, no device.

use crate::gated_folder::{GATE_LAYERS, HEAD, HEADS, HIDDEN, KEY_VALUE_HEADS, LAYERS, Numbers, OBJECTIVES};

fn tensor(numbers: &Numbers, name: &str) -> Vec<f64> {
    numbers[name].iter().map(|number| f64::from(*number)).collect()
}

/// `W x`.
fn linear(numbers: &Numbers, name: &str, x: &[f64]) -> Vec<f64> {
    tensor(numbers, name).chunks_exact(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
}

fn norm(numbers: &Numbers, name: &str, x: &[f64]) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    x.iter().zip(tensor(numbers, name)).map(|(x, gain)| x / (mean + 1e-5).sqrt() * gain).collect()
}

/// Turns the pairs `(i, i + HEAD / 2)` of each head by `position · 10000^(−2i / HEAD)`.
fn rotated(x: &[f64], position: usize) -> Vec<f64> {
    let mut out = x.to_vec();
    for head in (0..x.len()).step_by(HEAD) {
        for pair in 0..HEAD / 2 {
            let angle = position as f64 * 10000f64.powf(-2.0 * pair as f64 / HEAD as f64);
            let (one, other) = (x[head + pair], x[head + pair + HEAD / 2]);
            out[head + pair] = one * angle.cos() - other * angle.sin();
            out[head + pair + HEAD / 2] = other * angle.cos() + one * angle.sin();
        }
    }
    out
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let sum: f64 = x.iter().map(|x| x.exp()).sum();
    x.iter().map(|x| x.exp() / sum).collect()
}

/// The normed last hidden state of each token.
pub fn hidden(numbers: &Numbers, tokens: &[u32]) -> Vec<Vec<f64>> {
    let table = tensor(numbers, "model.embed_tokens.weight");
    let mut states: Vec<Vec<f64>> =
        tokens.iter().map(|token| table[*token as usize * HIDDEN..][..HIDDEN].to_vec()).collect();
    for layer in 0..LAYERS {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        let normed: Vec<Vec<f64>> = states.iter().map(|x| norm(numbers, &name("input_layernorm"), x)).collect();
        let projected = |part: &str, turn: bool| -> Vec<Vec<f64>> {
            let each = normed.iter().enumerate().map(|(position, x)| {
                let y = linear(numbers, &name(part), x);
                if turn { rotated(&y, position) } else { y }
            });
            each.collect()
        };
        let (q, k, v) = (
            projected("self_attn.q_proj", true),
            projected("self_attn.k_proj", true),
            projected("self_attn.v_proj", false),
        );
        for (token, state) in states.iter_mut().enumerate() {
            let mut attended = Vec::new();
            for head in 0..HEADS {
                let (own, shared) = (head * HEAD, head / (HEADS / KEY_VALUE_HEADS) * HEAD);
                let score = |key: &Vec<f64>| {
                    let dot: f64 = q[token][own..own + HEAD].iter().zip(&key[shared..]).map(|(q, k)| q * k).sum();
                    dot / (HEAD as f64).sqrt()
                };
                let weights = softmax(&k[..=token].iter().map(score).collect::<Vec<f64>>());
                attended.extend((0..HEAD).map(|column| {
                    weights.iter().zip(&v).map(|(weight, value)| weight * value[shared + column]).sum::<f64>()
                }));
            }
            let added = linear(numbers, &name("self_attn.o_proj"), &attended);
            state.iter_mut().zip(added).for_each(|(x, added)| *x += added);
            let x = norm(numbers, &name("post_attention_layernorm"), state);
            let (gate, up) = (linear(numbers, &name("mlp.gate_proj"), &x), linear(numbers, &name("mlp.up_proj"), &x));
            let inner: Vec<f64> = gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect();
            let added = linear(numbers, &name("mlp.down_proj"), &inner);
            state.iter_mut().zip(added).for_each(|(x, added)| *x += added);
        }
    }
    states.iter().map(|x| norm(numbers, "model.norm.weight", x)).collect()
}

/// ArmoRM's ratings, shares and score, the gate reading the token `gate`.
pub fn armo(numbers: &Numbers, tokens: &[u32], gate: usize) -> (Vec<f64>, Vec<f64>, f64) {
    let hidden = hidden(numbers, tokens);
    let rewards = linear(numbers, "regression_layer.weight", &hidden[tokens.len() - 1]);
    let mut x = hidden[gate].clone();
    for layer in 0..=GATE_LAYERS {
        let bias = tensor(numbers, &format!("gating.layers.{layer}.bias"));
        x = linear(numbers, &format!("gating.layers.{layer}.weight"), &x)
            .iter()
            .zip(bias)
            .map(|(x, b)| x + b)
            .collect();
        if layer < GATE_LAYERS {
            x = x.iter().map(|x| x.max(0.0)).collect();
        }
    }
    let scale = f64::from(numbers["gating.logit_scale"][0]);
    let logits: Vec<f64> = x.iter().map(|x| x / 10.0).collect();
    let shares: Vec<f64> = softmax(&logits).iter().map(|share| scale * share).collect();
    let transform = tensor(numbers, "reward_transform_matrix");
    let mut score = 0.0;
    for (to, share) in shares.iter().enumerate() {
        for (from, reward) in rewards.iter().enumerate() {
            score += reward * transform[from * OBJECTIVES + to] * share;
        }
    }
    (rewards, shares, score)
}
