//! A loss of hps-core in a trainer that runs on burn: from log-probabilities to the loss of a batch, and back to the policy.
//!
//! The policy is a table of logits, one distribution over eight tokens a prompt. `[prompts, responses]` is best first.
//!
//! ```sh
//! cargo run --manifest-path tests/burn/Cargo.toml --example dpo_step -- dpo-hps-full
//! ```

use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use burn_tensor::{Int, Tensor, activation};
use hps_core::{Batch, Columns, Loss};
use hps_core_under_burn::Column;
use std::error::Error;

type Backend = Autodiff<NdArray<f32>>;

const PROMPTS: usize = 2;
const RESPONSES: usize = 3;
const TOKENS: usize = 4;
const VOCABULARY: usize = 8;

const ANSWERS: [[[i64; TOKENS]; RESPONSES]; PROMPTS] =
    [[[1, 4, 2, 2], [3, 0, 5, 2], [7, 7, 7, 2]], [[6, 5, 4, 2], [1, 1, 6, 2], [0, 3, 0, 2]]];
const REWARDS: [f32; PROMPTS * RESPONSES] = [1.0, 0.4, -1.0, 2.0, 0.5, 0.0];

/// Of every answer, summed over its tokens, nats: `[prompts, responses]`.
fn log_probs(logits: &Tensor<Backend, 2>) -> Tensor<Backend, 2> {
    let tokens = Tensor::<Backend, 3, Int>::from_data(ANSWERS, &logits.device());
    let of_tokens = activation::log_softmax(logits.clone(), 1).gather(1, tokens.reshape([PROMPTS as i32, -1]));
    of_tokens.reshape([PROMPTS, RESPONSES, TOKENS]).sum_dim(2).squeeze_dim(2)
}

/// The loss of every prompt, nats, with gradient: `[prompts]`.
///
/// As it stands for losses that read a whole list and neither lengths nor supervised targets; what else one reads is
/// given to `Batch` and `Columns` under its name, or they say that it is missing.
fn over_batch(
    loss: &Loss,
    policy: Tensor<Backend, 2>,
    reference: &[f32],
) -> Result<Tensor<Backend, 1>, Box<dyn Error>> {
    let device = policy.device();
    let numbers = policy.to_data().into_vec::<f32>()?;
    let batch = Batch::new(RESPONSES, &numbers)?.with_reference(reference)?.with_rewards(&REWARDS)?;

    // What has no gradient, column by column as `over` reads it.
    let (mut slopes, mut origins) = ([0.0; PROMPTS * RESPONSES], [0.0; PROMPTS * RESPONSES]);
    loss.batch_score_constants(&batch, &mut slopes, &mut origins)?;
    let count = loss.constant_count(RESPONSES);
    let mut constants = vec![0.0; count * PROMPTS];
    loss.batch_constants(&batch, &mut vec![0.0; count], &mut constants)?;
    let [slopes, origins, constants] =
        [&slopes[..], &origins, &constants].map(|numbers| Column::constants(numbers, PROMPTS, &device));

    let mut scores = vec![];
    for (log_probs, line) in Column::split(policy.transpose()).iter().zip(slopes.iter().zip(&origins)) {
        scores.push(loss.score_over(log_probs, line.0, line.1)?);
    }
    let Column(values) = loss.over(&Columns::new(&scores).with_constants(&constants))?.value()?;
    Ok(values)
}

fn main() -> Result<(), Box<dyn Error>> {
    let loss: Loss = std::env::args().nth(1).as_deref().unwrap_or("dpo-hps-full").parse()?;
    let mut logits = Tensor::<Backend, 2>::zeros([PROMPTS, VOCABULARY], &Default::default());
    let reference = log_probs(&logits).into_data().into_vec::<f32>()?;

    let mut means = vec![];
    for step in 0..20 {
        logits = logits.require_grad();
        let mean = over_batch(&loss, log_probs(&logits), &reference)?.mean();
        let gradient = logits.grad(&mean.backward()).ok_or("the loss does not depend on the policy")?;
        means.push(mean.into_scalar());
        println!("step {step:2}: {:.6} nats", means[step]);
        // Descent of rate 10; a trainer's optimiser goes here.
        logits = Tensor::from_inner(logits.inner() - gradient * 10.0);
    }

    assert!(means.windows(2).all(|pair| pair[1] < pair[0]), "the loss fell in every step");
    let policy = log_probs(&logits).into_data().into_vec::<f32>()?;
    for (policy, reference) in policy.chunks(RESPONSES).zip(reference.chunks(RESPONSES)) {
        let gained = |answer: usize| policy[answer] - reference[answer];
        assert!((1..RESPONSES).all(|other| gained(other) < gained(0)), "the preferred answer gained most");
    }
    Ok(())
}
