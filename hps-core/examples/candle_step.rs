//! One training step under candle, in both ways: from the coefficients, and by autograd through the loss.
//!
//! `cargo run -p hps-core --features candle --example candle_step`
//!
//! A table of log-probabilities stands for the language model, `[prompts, responses]`, and is what is trained; a real one
//! would compute it from tokens.

use candle_core::{DType, Device, Result, Tensor, Var};
use hps_core::{Batch, Columns, Loss, NegativeSampler, Position};
use std::error::Error;

const PROMPTS: usize = 2;
const RESPONSES: usize = 4;
/// Best first; the reference's log-probabilities and the estimated rewards.
const REFERENCE: [f64; 8] = [-20.0, -22.0, -19.0, -30.0, -8.0, -9.0, -12.0, -7.5];
const REWARDS: [f64; 8] = [2.0, 1.5, 0.0, -1.0, 1.0, 0.5, 0.25, -2.0];
const LENGTHS: [u32; 8] = [12, 14, 11, 20, 5, 6, 8, 5];

fn main() -> std::result::Result<(), Box<dyn Error>> {
    for name in ["dpo-bt", "dpo-pl", "dpo-hps-full", "dpo-hps", "simpo-bt", "cpo-pl"] {
        let loss: Loss = name.parse()?;
        let loss = loss.with_gamma(1.0).unwrap_or(loss);
        let start = REFERENCE.map(|log_prob| log_prob + 0.25 * (7.0 * log_prob).sin());
        let policy = Var::from_tensor(&Tensor::new(&start, &Device::Cpu)?.reshape((PROMPTS, RESPONSES))?)?;

        // What the loss reads beside the policy. Some losses read less, none minds more; only samples are for those alone
        // that compare with them.
        let samples = draws(&loss)?;
        let batch = Batch::new(RESPONSES, &start)?.with_reference(&REFERENCE)?;
        let batch = batch.with_lengths(&LENGTHS)?.with_rewards(&REWARDS)?;
        let batch = if loss.reads_sample() { batch.with_samples(&samples, None)? } else { batch };

        let from_coefficients = by_coefficients(&loss, &batch, &policy)?;
        let by_autograd = through_the_loss(&loss, &batch, &policy)?;
        let difference = (from_coefficients - &by_autograd)?.abs()?.max_all()?.to_scalar::<f64>()?;
        println!("{name:<14} largest difference of the two gradients {difference:.1e}");
        assert!(difference < 1e-12);

        policy.set(&(policy.as_tensor() - (by_autograd * 0.1)?)?)?;
    }
    Ok(())
}

/// The negative of each prompt: only that response and the preferred one would go through a real model.
fn draws(loss: &Loss) -> std::result::Result<Vec<usize>, hps_core::Error> {
    let sampler = NegativeSampler::new(7);
    let position = |row| Position { row, epoch: 0, draw: 0 };
    let prompts = REWARDS.chunks(RESPONSES).zip(0..);
    if !loss.reads_sample() {
        return Ok(vec![]);
    }
    prompts.map(|(rewards, row)| loss.draw(&sampler, rewards, position(row))).collect()
}

/// The short way: `c = ∂L/∂log π` by the closed form, and then the gradient of `Σ c · log π`, `c` being a constant.
fn by_coefficients(loss: &Loss, batch: &Batch<'_, f64>, policy: &Var) -> std::result::Result<Tensor, Box<dyn Error>> {
    let mut scratch = [0.0; Loss::batch_scratch_len(RESPONSES)];
    let (mut values, mut coefficients) = ([0.0; PROMPTS], [0.0; PROMPTS * RESPONSES]);
    loss.values_and_gradients(batch, &mut scratch, &mut values, &mut coefficients)?;
    let coefficients = Tensor::new(&coefficients, &Device::Cpu)?.reshape((PROMPTS, RESPONSES))?;
    gradient((policy.as_tensor() * coefficients)?.sum_all()?, policy).map_err(Into::into)
}

/// The long way, for what else is to be in the graph: columns of scores, one a rank, and the loss over them.
fn through_the_loss(loss: &Loss, batch: &Batch<'_, f64>, policy: &Var) -> std::result::Result<Tensor, Box<dyn Error>> {
    // Constants of the batch, column by column.
    let columns = loss.column_count(batch)?;
    let mut places = vec![0; columns * PROMPTS];
    loss.batch_places(batch, &mut places)?;
    let (mut slopes, mut origins) = (vec![0.0; columns * PROMPTS], vec![0.0; columns * PROMPTS]);
    loss.batch_score_constants(batch, &mut slopes, &mut origins)?;
    let mut constants = vec![0.0; loss.constant_count(RESPONSES) * PROMPTS];
    loss.batch_constants(batch, &mut vec![0.0; loss.constant_count(RESPONSES)], &mut constants)?;

    // Log-probabilities of the responses that are read, one column a rank, and their scores.
    let log_probs = policy.flatten_all()?.index_select(&Tensor::new(places, &Device::Cpu)?, 0)?;
    let [log_probs, slopes, origins] =
        [log_probs, Tensor::new(slopes, &Device::Cpu)?, Tensor::new(origins, &Device::Cpu)?].map(cut);
    let constants = cut(Tensor::new(constants, &Device::Cpu)?.to_dtype(DType::F64)?)?;
    let mut scores = Vec::new();
    for ((log_probs, slope), origin) in log_probs?.iter().zip(&slopes?).zip(&origins?) {
        scores.push(loss.score_over(log_probs, slope, origin)?);
    }

    // A likelihood term reads log π of the preferred response by its length.
    let lengths: Vec<f64> = LENGTHS.iter().step_by(RESPONSES).map(|&length| f64::from(length)).collect();
    let likelihood = (policy.get_on_dim(1, 0)? / Tensor::new(lengths, &Device::Cpu)?)?;

    let mut read = Columns::new(&scores).with_constants(&constants);
    if loss.reads_sample() {
        read = read.with_samples(1);
    }
    if loss.likelihood() != 0.0 {
        read = read.with_likelihood(&likelihood);
    }
    gradient(loss.over(&read)?.value()?.sum_all()?, policy).map_err(Into::into)
}

/// Runs of `PROMPTS` numbers.
fn cut(flat: Tensor) -> Result<Vec<Tensor>> {
    (0..flat.elem_count() / PROMPTS).map(|column| flat.narrow(0, column * PROMPTS, PROMPTS)).collect()
}

fn gradient(loss: Tensor, policy: &Var) -> Result<Tensor> {
    let mut gradients = loss.backward()?;
    gradients.remove(policy).ok_or_else(|| candle_core::Error::Msg("the loss does not depend on the policy".into()))
}
