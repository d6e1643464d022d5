//! A LoRA step on pairs with its reference known, beside the machine's matrix product.

use super::figures::Figures;
use super::flops;
use super::lists::{step, trainer};
use super::machine::{Matrices, median};
use super::shape::Shape;
use hps_llama::Result;
use hps_llama::backend::Backend;
use hps_llama::lora::LoraConfig;
use hps_llama::pack::{Group, Packed};
use hps_llama::train::{Example, Route};

/// A step and a product in turn.
pub fn measure<B: Backend>(
    backend: &B,
    shape: Shape,
    pairs: Vec<Example>,
    steps: u32,
    figures: &mut Figures,
) -> Result<()> {
    let config = shape.config()?;
    let tokens: usize = pairs.iter().map(|pair| read(&pair.group)).sum();
    let groups: Vec<Group> = pairs.iter().map(|pair| pair.group.clone()).collect();

    let mut run = trainer(backend, shape, "dpo-hps", pairs, steps + 1, Route::Keep)?;
    // The first one scores the reference.
    step(&mut run)?;
    let (mut product, mut whole) = (Vec::new(), Vec::new());
    let matrices = Matrices::new(backend)?;
    for _ in 0..steps {
        product.push(matrices.seconds()?);
        whole.push(step(&mut run)?);
    }
    let (machine, whole) = (Matrices::<B>::FLOPS / median(product), median(whole));
    let executed = flops::of_step(&config, &LoraConfig::default(), &Packed::shared(&groups));
    figures.add("matmul_2048_gflops", machine / 1e9)?;
    figures.add("step_seconds", whole)?;
    figures.add("tokens_per_second", tokens as f64 / whole)?;
    figures.add("executed_gflop", executed / 1e9)?;
    figures.add("executed_over_matmul", executed / whole / machine)?;
    match backend.peak_memory() {
        Some(bytes) => figures.add("device_peak_mib", bytes >> 20),
        None => Ok(()),
    }
}

/// Tokens of a list's rows, its prompt with each response.
fn read(group: &Group) -> usize {
    group.responses.iter().map(|response| group.prompt.len() + response.len()).sum()
}
