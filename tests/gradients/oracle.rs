//! A Llama 3 in f64 on candle's tensors: `L = Σ_t c_t log p_t`, nats, and `∂L/∂W` by candle's autograd.
//!
//! Each row `prompt | response` is computed by itself, plainly causal. Only operations that have a backward are used:
//! candle's fused softmax, norm, rotary embedding and attention cut the graph without a word.

use crate::evaluation::Evaluation;
use candle_core::{D, DType, Device, IndexOp, Result, Tensor, Var, safetensors};
use hps_llama::pack::Group;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The model and what of it is trained: the adapter's matrices if there is one, all of its weights if not.
pub struct Oracle {
    config: Value,
    weights: HashMap<String, Tensor>,
    trained: Vec<String>,
    /// The adapter's `s`; 0 without one.
    scale: f64,
}

impl Oracle {
    /// Reads a model folder, and an adapter's.
    pub fn from_folder(model: &Path, adapter: Option<&Path>) -> Result<Oracle> {
        let mut weights = HashMap::new();
        let mut trained = Vec::new();
        let mut read = |file: &Path, train: bool| -> Result<()> {
            for (name, tensor) in safetensors::load(file, &Device::Cpu)? {
                let tensor = tensor.to_dtype(DType::F64)?;
                if train {
                    trained.push(name.clone());
                }
                let tensor = if train { Var::from_tensor(&tensor)?.as_tensor().clone() } else { tensor };
                weights.insert(name, tensor);
            }
            Ok(())
        };
        read(&model.join("model.safetensors"), adapter.is_none())?;
        let mut scale = 0.0;
        if let Some(adapter) = adapter {
            read(&adapter.join("adapter_model.safetensors"), true)?;
            let config = json(&adapter.join("adapter_config.json"));
            let r = number(&config["r"]);
            scale = number(&config["lora_alpha"]) / if config["use_rslora"] == true { r.sqrt() } else { r };
        }
        Ok(Oracle { config: json(&model.join("config.json")), weights, trained, scale })
    }

    /// Log-probs of all responses' tokens in order, and the gradients of `L`; `coefficients` has one number a token.
    pub fn differentiate(&self, groups: &[Group], coefficients: &[f32]) -> Result<Evaluation> {
        let rows = groups.iter().flat_map(|group| group.responses.iter().map(|response| (&group.prompt, response)));
        let log_probs = rows.map(|(prompt, response)| self.log_probs(prompt, response)).collect::<Result<Vec<_>>>()?;
        let log_probs = Tensor::cat(&log_probs, 0)?;
        let coefficients: Vec<f64> = coefficients.iter().copied().map(f64::from).collect();
        let gradients = (&log_probs * Tensor::new(coefficients, &Device::Cpu)?)?.sum_all()?.backward()?;
        let gradient = |name: &String| {
            let gradient = gradients.get(&self.weights[name]).expect("the graph reaches every trained weight");
            Ok((name.clone(), gradient.flatten_all()?.to_vec1()?))
        };
        let gradients = self.trained.iter().map(gradient).collect::<Result<BTreeMap<_, _>>>()?;
        Ok(Evaluation { log_probs: log_probs.to_vec1()?, gradients })
    }

    /// `log p` of each of a response's tokens: `[tokens]`.
    fn log_probs(&self, prompt: &[u32], response: &[u32]) -> Result<Tensor> {
        let tokens = [prompt, &response[..response.len() - 1]].concat();
        let x = self.last_hidden(&tokens)?.narrow(0, prompt.len() - 1, response.len())?;
        let tied = self.config["tie_word_embeddings"] == true;
        let head = if tied { "model.embed_tokens.weight" } else { "lm_head.weight" };
        let logits = x.contiguous()?.matmul(&self.weights[head].t()?)?;
        let greatest = logits.max_keepdim(D::Minus1)?.detach();
        let sums = logits.broadcast_sub(&greatest)?.exp()?.sum_keepdim(D::Minus1)?;
        let targets = Tensor::new(response, &Device::Cpu)?.unsqueeze(1)?;
        (logits.gather(&targets, 1)? - (sums.log()? + greatest)?)?.squeeze(1)
    }

    /// What the head reads: `[tokens, features]`.
    fn last_hidden(&self, tokens: &[u32]) -> Result<Tensor> {
        let [cos, sin] = self.rotation(tokens.len())?;
        let mask = causal_mask(tokens.len())?;
        let embedding = &self.weights["model.embed_tokens.weight"];
        let mut x = embedding.index_select(&Tensor::new(tokens, &Device::Cpu)?, 0)?;
        for block in 0..self.size("num_hidden_layers") {
            let name = format!("model.layers.{block}");
            let normed = self.norm(&x, &format!("{name}.input_layernorm.weight"))?;
            x = (self.attention(&normed, &format!("{name}.self_attn"), &cos, &sin, &mask)? + x)?;
            let normed = self.norm(&x, &format!("{name}.post_attention_layernorm.weight"))?;
            let gate = self.project(&normed, &format!("{name}.mlp.gate_proj"))?;
            let up = self.project(&normed, &format!("{name}.mlp.up_proj"))?;
            let inner = (gate.div(&(gate.neg()?.exp()? + 1.0)?)? * up)?;
            x = (self.project(&inner, &format!("{name}.mlp.down_proj"))? + x)?;
        }
        self.norm(&x, "model.norm.weight")
    }

    fn attention(&self, x: &Tensor, name: &str, cos: &Tensor, sin: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let (tokens, dimension) = (x.dim(0)?, self.dimension());
        let (heads, kept) = (self.size("num_attention_heads"), self.size("num_key_value_heads"));
        let split = |projection: &str, heads: usize| {
            let y = self.project(x, &format!("{name}.{projection}"))?;
            y.reshape((tokens, heads, dimension))?.transpose(0, 1)?.contiguous()
        };
        // Query head `i` reads key head `i · kept / heads`.
        let repeat = |x: Tensor| {
            let each = (kept, heads / kept, tokens, dimension);
            x.unsqueeze(1)?.broadcast_as(each)?.contiguous()?.reshape((heads, tokens, dimension))
        };
        let q = rotate(&split("q_proj", heads)?, cos, sin)?;
        let k = repeat(rotate(&split("k_proj", kept)?, cos, sin)?)?;
        let v = repeat(split("v_proj", kept)?)?;
        let scores = (q.matmul(&k.transpose(1, 2)?.contiguous()?)? / (dimension as f64).sqrt())?.broadcast_add(mask)?;
        let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
        let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
        let attended = weights.matmul(&v)?.transpose(0, 1)?.contiguous()?.reshape((tokens, heads * dimension))?;
        self.project(&attended, &format!("{name}.o_proj"))
    }

    /// `x Wᵀ`, plus `s (x Aᵀ) Bᵀ` where the projection is adapted.
    fn project(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let y = x.matmul(&self.weights[&format!("{name}.weight")].t()?)?;
        let matrix = |matrix: &str| self.weights.get(&format!("base_model.model.{name}.lora_{matrix}.weight"));
        let (Some(a), Some(b)) = (matrix("A"), matrix("B")) else { return Ok(y) };
        y + (x.matmul(&a.t()?)?.matmul(&b.t()?)? * self.scale)?
    }

    fn norm(&self, x: &Tensor, gain: &str) -> Result<Tensor> {
        let mean = (x.sqr()?.mean_keepdim(D::Minus1)? + number(&self.config["rms_norm_eps"]))?;
        x.broadcast_div(&mean.sqrt()?)?.broadcast_mul(&self.weights[gain])
    }

    /// Cosines and sines of `position · ω_i`, `ω_i = θ^(−2i/d)`, stretched as Llama 3.1 does: `[tokens, d / 2]` each.
    fn rotation(&self, tokens: usize) -> Result<[Tensor; 2]> {
        let rope = &self.config["rope_parameters"];
        let (theta, dimension) = (number(&rope["rope_theta"]), self.dimension());
        let frequency = |pair: usize| {
            let frequency = theta.powf(-2.0 * pair as f64 / dimension as f64);
            if rope["rope_type"] != "llama3" {
                return frequency;
            }
            let [factor, low, high, positions] =
                ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"]
                    .map(|name| number(&rope[name]));
            let turns = positions * frequency / std::f64::consts::TAU;
            let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            frequency * (kept + (1.0 - kept) / factor)
        };
        let frequencies: Vec<f64> = (0..dimension / 2).map(frequency).collect();
        let angles = (0..tokens).flat_map(|position| frequencies.iter().map(move |ω| position as f64 * ω));
        let angles = Tensor::from_iter(angles, &Device::Cpu)?.reshape((tokens, dimension / 2))?;
        Ok([angles.cos()?, angles.sin()?])
    }

    fn dimension(&self) -> usize {
        self.size("head_dim")
    }

    fn size(&self, name: &str) -> usize {
        self.config[name].as_u64().expect("a whole number") as usize
    }
}

/// Turns the pair `(i, i + d/2)` of each head `[heads, tokens, d]` by its angle.
fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let half = x.dim(2)? / 2;
    let (first, second) = (x.i((.., .., ..half))?, x.i((.., .., half..))?);
    let turned = [
        (first.broadcast_mul(cos)? - second.broadcast_mul(sin)?)?,
        (second.broadcast_mul(cos)? + first.broadcast_mul(sin)?)?,
    ];
    Tensor::cat(&turned, 2)
}

/// 0 where a query sees a key, `−∞` where not: `[tokens, tokens]`.
fn causal_mask(tokens: usize) -> Result<Tensor> {
    let visible = (0..tokens).flat_map(|query| (0..tokens).map(move |key| key <= query));
    let mask: Vec<f64> = visible.map(|visible| if visible { 0.0 } else { f64::NEG_INFINITY }).collect();
    Tensor::from_vec(mask, (tokens, tokens), &Device::Cpu)
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("the file is there");
    serde_json::from_str(&text).expect("the file is JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}
