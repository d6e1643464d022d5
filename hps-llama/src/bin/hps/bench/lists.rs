//! Prompts with responses of drawn tokens, and runs on them.

use super::shape::Shape;
use hps_llama::backend::Backend;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::pack::Group;
use hps_llama::train::{ActivationPolicy, Example, Route, TrainConfig, Trainer};
use hps_llama::{Error, ErrorKind, Result};
use std::time::Instant;

/// A row of tokens that no two rows or responses share.
pub fn example(row: u32, prompt: usize, responses: usize, length: usize, vocabulary: usize) -> Example {
    let tokens = |segment: usize, count: usize| {
        (0..count).map(|index| ((row as usize * 104_729 + segment * 7919 + index * 31) % vocabulary) as u32).collect()
    };
    let responses: Vec<Vec<u32>> = (1..=responses).map(|segment| tokens(segment, length)).collect();
    let rewards = (0..responses.len()).map(|number| -(number as f64) / responses.len() as f64).collect();
    let group = Group { row, prompt: tokens(0, prompt), responses };
    Example { place: format!("bench:{}", row + 1), group, rewards }
}

/// A random frozen model with a fresh adapter.
pub fn policy<B: Backend>(backend: &B, shape: Shape) -> Result<Policy<B>> {
    let model = Llama::random_frozen(backend.clone(), shape.config()?, 0.02, 0)?;
    let adapter = Some(Lora::fresh(backend, model.config(), LoraConfig::default(), 0)?);
    Ok(Policy { model, adapter })
}

/// A run of `steps` updates, each on all examples in one micro-batch.
pub fn trainer<B: Backend>(
    backend: &B,
    shape: Shape,
    loss: &str,
    examples: Vec<Example>,
    steps: u32,
    route: Route,
) -> Result<Trainer<B>> {
    let unknown = |source| Error::new(ErrorKind::Option, format!("no loss `{loss}`")).because(source);
    let config = TrainConfig {
        loss: loss.parse().map_err(|source: hps_core::Error| unknown(source))?,
        num_train_epochs: steps,
        per_device_train_batch_size: examples.len(),
        gradient_accumulation_steps: 1,
        route,
        activations: ActivationPolicy::Keep,
        ..TrainConfig::default()
    };
    Trainer::new(policy(backend, shape)?, examples, config)
}

/// Seconds of the next step.
pub fn step<B: Backend>(run: &mut Trainer<B>) -> Result<f64> {
    let start = Instant::now();
    match run.step()? {
        Some(_) => Ok(start.elapsed().as_secs_f64()),
        None => Err(Error::new(ErrorKind::Option, "the run ended before its steps were measured")),
    }
}
