//! How rotary frequencies are stretched: `llama.rope.scaling.*`, and the tensor `rope_freqs.weight`.
//!
//! llama.cpp knows no name for Llama 3's scaling. Its converter writes what each frequency is divided by,
//!
//! `g_i = 1` for a wavelength `λ_i = 2π θ^(2i/d)` below `P / high`, `g_i = factor` for one above `P / low`, and between
//! `1 / g_i = (1 − s) / factor + s`, `s = (P / λ_i − low) / (high − low)`,
//!
//! with `P` the positions that the model was first trained on. Here the four numbers are found again: those that Llama 3 has
//! are tried first, then a line is laid through `s` over `1 / λ`, whose slope and offset give `P` and `high` where `low` is 1
//! (all three times one number are the same scaling). The numbers count only if every `g_i` follows from them to the
//! rounding of f32; what no numbers give is refused.

use super::metadata::{Metadata, decimal};
use super::names::ROPE_FACTORS as FACTORS;
use crate::Result;
use crate::gguf::TensorType;
use serde_json::{Value, json};
use std::f64::consts::TAU;

const TYPE: &str = "llama.rope.scaling.type";
const FACTOR: &str = "llama.rope.scaling.factor";
const OLD_FACTOR: &str = "llama.rope.scale_linear";

/// `rope_scaling` of `config.json`; null where nothing is stretched.
pub(super) fn scaling(metadata: &Metadata<'_>, head_dim: u32, theta: f64) -> Result<Value> {
    let linear = linear(metadata)?;
    let by_tensor = match factors(metadata, head_dim)? {
        None => Value::Null,
        Some(factors) => llama3_or_linear(&factors, head_dim, theta).ok_or_else(|| {
            metadata.config(format!(
                "the factors of tensor `{FACTORS}` ({} to {}) are not those of Llama 3's scaling, and no others are \
                 computed here",
                factors[0],
                factors[factors.len() - 1]
            ))
        })?,
    };
    match (linear, by_tensor) {
        (None, by_tensor) => Ok(by_tensor),
        (Some(factor), Value::Null) => Ok(json!({"rope_type": "linear", "factor": factor})),
        (Some(factor), _) => Err(metadata.config(format!(
            "tensor `{FACTORS}` stands beside a linear scaling by {factor}; only one of them is computed here"
        ))),
    }
}

/// What all wavelengths are multiplied by, where that is not 1.
fn linear(metadata: &Metadata<'_>) -> Result<Option<f64>> {
    let factor = match metadata.decimal(FACTOR)? {
        Some(factor) => Some((FACTOR, factor)),
        None => metadata.decimal(OLD_FACTOR)?.map(|factor| (OLD_FACTOR, factor)),
    };
    let factor = match (metadata.get::<&str>(TYPE)?, factor) {
        (Some("none"), _) | (_, None) => None,
        // llama.cpp takes a factor without a type so, and 0 for none.
        (Some("linear") | None, factor) => factor.filter(|(_, factor)| *factor != 0.0),
        (Some(other), _) => {
            let message = format!("`{TYPE}` is \"{other}\"; known here are \"none\" and \"linear\"");
            return Err(metadata.config(message));
        }
    };
    match factor {
        Some((key, factor)) if factor < 0.0 => Err(metadata.config(format!("`{key}` is {factor}"))),
        factor => Ok(factor.map(|(_, factor)| factor).filter(|factor| *factor != 1.0)),
    }
}

/// What each frequency is divided by, if there is the tensor.
fn factors(metadata: &Metadata<'_>, head_dim: u32) -> Result<Option<Vec<f32>>> {
    let Some(tensor) = metadata.tensor(FACTORS) else { return Ok(None) };
    let pairs = head_dim as usize / 2;
    if tensor.kind != TensorType::F32 || tensor.dimensions != [pairs] || pairs == 0 {
        return Err(metadata.config(format!(
            "tensor `{FACTORS}` is {} of {:?} numbers; {pairs} of f32 are wanted, half of a head's {head_dim} features",
            tensor.kind, tensor.dimensions
        )));
    }
    let (numbers, _) = tensor.bytes.as_chunks::<4>();
    let factors: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    match factors.iter().position(|factor| !(factor.is_finite() && *factor > 0.0)) {
        None => Ok(Some(factors)),
        Some(index) => {
            let message = format!("number {index} of tensor `{FACTORS}` is {}, not a positive number", factors[index]);
            Err(metadata.config(message))
        }
    }
}

/// `rope_scaling` that gives these factors.
fn llama3_or_linear(factors: &[f32], head_dim: u32, theta: f64) -> Option<Value> {
    let (first, last) = (factors[0], factors[factors.len() - 1]);
    if factors.iter().all(|factor| *factor == first) {
        let linear = || json!({"rope_type": "linear", "factor": decimal(first)});
        return Some(if first == 1.0 { Value::Null } else { linear() });
    }
    let frequencies = frequencies(head_dim, theta);
    let tried = [8.0, 32.0, decimal(last), 4.0, 16.0, 2.0, 64.0];
    let of_llama = tried.into_iter().filter(|factor| *factor > 1.0).flat_map(|factor| {
        [8192.0, 2048.0, 4096.0, 16_384.0, 32_768.0, 65_536.0, 131_072.0].map(|positions| Llama3 {
            factor,
            low: 1.0,
            high: 4.0,
            positions,
        })
    });
    let found = tried.into_iter().filter(|factor| *factor > 1.0).flat_map(|factor| {
        Llama3::through(factors, &frequencies, factor) //
    });
    of_llama.chain(found).find(|scaling| scaling.gives(factors, &frequencies)).map(Llama3::to_json)
}

/// `ω_i`, radians per position, in the steps of f32 that transformers and llama.cpp's converter take.
fn frequencies(head_dim: u32, theta: f64) -> Vec<f64> {
    let frequency = |pair: u32| 1.0 / (theta as f32).powf((2 * pair) as f32 / head_dim as f32);
    (0..head_dim / 2).map(|pair| f64::from(frequency(pair))).collect()
}

/// Llama 3's scaling.
#[derive(Debug, Clone, Copy)]
struct Llama3 {
    factor: f64,
    low: f64,
    high: f64,
    positions: f64,
}

impl Llama3 {
    /// Those with `low` 1 whose line goes through the factors that are neither 1 nor `factor`: with round numbers, and as
    /// the line has it.
    fn through(factors: &[f32], frequencies: &[f64], factor: f64) -> Vec<Llama3> {
        let between = |divisor: f64| divisor > 1.0 + 1e-6 && divisor < factor * (1.0 - 1e-6);
        let points: Vec<(f64, f64)> = factors
            .iter()
            .zip(frequencies)
            .map(|(divisor, frequency)| (f64::from(*divisor), frequency / TAU))
            .filter(|(divisor, _)| between(*divisor))
            .map(|(divisor, waves)| (waves, (1.0 / divisor - 1.0 / factor) / (1.0 - 1.0 / factor)))
            .collect();
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (waves, smooth) = (mean(|point| point.0), mean(|point| point.1));
        let square = points.iter().map(|point| (point.0 - waves).powi(2)).sum::<f64>();
        let slope = points.iter().map(|point| (point.0 - waves) * (point.1 - smooth)).sum::<f64>() / square;
        let offset = slope * waves - smooth;
        let (high, positions) = (1.0 + 1.0 / offset, slope / offset);
        // A line through fewer than two points is none, and its numbers are not finite.
        if !(high.is_finite() && positions.is_finite() && offset > 0.0 && positions >= 1.0) {
            return Vec::new();
        }
        let positions = positions.round();
        vec![
            Llama3 { factor, low: 1.0, high: (high * 16.0).round() / 16.0, positions },
            Llama3 { factor, low: 1.0, high, positions },
        ]
    }

    /// Whether the factors are this scaling's. Two programs' frequencies differ by a few units of f32, and a factor by up to
    /// `factor` times as much.
    fn gives(&self, factors: &[f32], frequencies: &[f64]) -> bool {
        let allowed = 2e-6 * self.factor;
        self.high > self.low
            && factors.iter().zip(frequencies).all(|(divisor, frequency)| {
                let expected = self.divisor(*frequency);
                (f64::from(*divisor) - expected).abs() <= allowed * expected
            })
    }

    fn divisor(&self, frequency: f64) -> f64 {
        let wavelength = TAU / frequency;
        if wavelength < self.positions / self.high {
            1.0
        } else if wavelength > self.positions / self.low {
            self.factor
        } else {
            let smooth = (self.positions / wavelength - self.low) / (self.high - self.low);
            1.0 / ((1.0 - smooth) / self.factor + smooth)
        }
    }

    fn to_json(self) -> Value {
        json!({
            "rope_type": "llama3",
            "factor": self.factor,
            "low_freq_factor": self.low,
            "high_freq_factor": self.high,
            "original_max_position_embeddings": self.positions as u64,
        })
    }
}
