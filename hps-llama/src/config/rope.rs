//! Rotary frequencies, and the two spellings their settings have had.
//!
//! `ω_i = 1 / θ^(2i/d)`, radians per position, i = 0 … d/2 − 1, d the head dimension; `Linear` divides every ω by its
//! factor, `Llama3` only those whose wavelength 2π/ω is long, with a ramp between.

use std::f32::consts::PI;

use serde_json::{Value, json};

use super::fields::Fields;
use crate::Result;

/// Rotary position embedding.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Rope {
    /// The base of the frequencies; positive.
    pub theta: f64,
    /// How the frequencies are stretched for long texts.
    pub scaling: RopeScaling,
}

/// How the rotary frequencies are stretched for long texts.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum RopeScaling {
    /// Not at all.
    Default,
    /// Long wavelengths by `factor`, short ones not, those between by a ramp (Llama 3.1 and later).
    Llama3 {
        /// What the long wavelengths are multiplied by.
        factor: f64,
        /// A wavelength above `original_max_position_embeddings / low_freq_factor` is long.
        low_freq_factor: f64,
        /// A wavelength below `original_max_position_embeddings / high_freq_factor` is short.
        high_freq_factor: f64,
        /// Positions the model was first trained on.
        original_max_position_embeddings: usize,
    },
    /// All wavelengths by `factor`.
    Linear {
        /// What the wavelengths are multiplied by.
        factor: f64,
    },
}

impl Rope {
    /// Reads `rope_theta` with `rope_scaling` (transformers 4), or `rope_parameters` (5). transformers takes `rope_scaling` where
    /// both stand; here they have to agree, so that no version reads the folder differently.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        let outer_theta = fields.positive_or_absent("rope_theta")?;
        let mut read = Vec::new();
        for name in ["rope_scaling", "rope_parameters"] {
            if let Some(inner) = fields.inner(name)? {
                let theta = inner.positive_or_absent("rope_theta")?.or(outer_theta).unwrap_or(THETA_WHEN_ABSENT);
                read.push(Rope { theta, scaling: RopeScaling::read(&inner)? });
                if outer_theta.is_some_and(|outer| outer != theta) {
                    return Err(fields.error(format!(
                        "`rope_theta` is {} but `{name}.rope_theta` is {theta}",
                        outer_theta.unwrap_or(theta)
                    )));
                }
            }
        }
        match read[..] {
            [] => Ok(Rope { theta: outer_theta.unwrap_or(THETA_WHEN_ABSENT), scaling: RopeScaling::Default }),
            [scaling, parameters] if scaling != parameters => {
                Err(fields.error("`rope_scaling` and `rope_parameters` disagree"))
            }
            [rope, ..] => Ok(rope),
        }
    }

    /// The settings as transformers 5 spells them (`rope_parameters`) and as 4 does (`rope_scaling`).
    pub(super) fn to_json(self) -> (Value, Value) {
        let scaling = match self.scaling {
            RopeScaling::Default => json!({"rope_type": "default"}),
            RopeScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
                json!({
                    "rope_type": "llama3",
                    "factor": factor,
                    "low_freq_factor": low_freq_factor,
                    "high_freq_factor": high_freq_factor,
                    "original_max_position_embeddings": original_max_position_embeddings,
                })
            }
        };
        let mut parameters = scaling.clone();
        parameters["rope_theta"] = json!(self.theta);
        (parameters, if self.scaling == RopeScaling::Default { Value::Null } else { scaling })
    }

    pub(super) fn inverse_frequencies(self, head_dim: usize) -> Vec<f32> {
        let plain = (0..head_dim / 2).map(|pair| 1.0 / (self.theta as f32).powf((2 * pair) as f32 / head_dim as f32));
        match self.scaling {
            RopeScaling::Default => plain.collect(),
            RopeScaling::Linear { factor } => plain.map(|frequency| frequency / factor as f32).collect(),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
                let positions = original_max_position_embeddings as f64;
                let (longest, shortest) = ((positions / low_freq_factor) as f32, (positions / high_freq_factor) as f32);
                let (positions, factor, low) = (positions as f32, factor as f32, low_freq_factor as f32);
                let span = (high_freq_factor - low_freq_factor) as f32;
                let stretch = |frequency: f32| {
                    let wavelength = 2.0 * PI / frequency;
                    if wavelength > longest {
                        frequency / factor
                    } else if wavelength < shortest {
                        frequency
                    } else {
                        let smooth = (positions / wavelength - low) / span;
                        (1.0 - smooth) * frequency / factor + smooth * frequency
                    }
                };
                plain.map(stretch).collect()
            }
        }
    }
}

/// What transformers takes for a Llama whose file names no theta: Llama 2's first files.
const THETA_WHEN_ABSENT: f64 = 10_000.0;

impl RopeScaling {
    fn read(fields: &Fields<'_>) -> Result<Self> {
        let kind = match (fields.text("rope_type")?, fields.text("type")?) {
            (Some(new), Some(old)) if new != old => {
                return Err(fields.error_at("rope_type", format!("is \"{new}\" but `type` is \"{old}\"")));
            }
            (Some(kind), _) | (None, Some(kind)) => kind,
            (None, None) => "default",
        };
        if let Some(part) = fields.positive_or_absent("partial_rotary_factor")?
            && part != 1.0
        {
            return Err(
                fields.error_at("partial_rotary_factor", format!("is {part}; only whole heads are rotated here"))
            );
        }
        match kind {
            "default" => Ok(RopeScaling::Default),
            "linear" => Ok(RopeScaling::Linear { factor: fields.positive("factor")? }),
            "llama3" => {
                let (low, high) = (fields.positive("low_freq_factor")?, fields.positive("high_freq_factor")?);
                if low >= high {
                    let message = format!("is {low}, not less than `high_freq_factor` {high}");
                    return Err(fields.error_at("low_freq_factor", message));
                }
                Ok(RopeScaling::Llama3 {
                    factor: fields.positive("factor")?,
                    low_freq_factor: low,
                    high_freq_factor: high,
                    original_max_position_embeddings: fields.size("original_max_position_embeddings")?,
                })
            }
            other => {
                let message = format!("is \"{other}\"; known here are \"default\", \"linear\" and \"llama3\"");
                Err(fields.error_at("rope_type", message))
            }
        }
    }
}
