//! What computing a shared prompt once saves: forward and backward of lists packed both ways, in turn.

use super::figures::Figures;
use super::lists::{example, policy};
use super::machine::{median, seconds};
use super::shape::Shape;
use hps_llama::Result;
use hps_llama::backend::Backend;
use hps_llama::model::{Activations, Gradients, Policy};
use hps_llama::pack::Packed;

/// Responses of the lists.
const LISTS: [usize; 2] = [2, 8];
/// A list's steps stand for so many of the other measures'.
const SHARE: u32 = 5;

/// Of a pair, and of a longer list.
pub fn measure<B: Backend>(backend: &B, shape: Shape, steps: u32, figures: &mut Figures) -> Result<()> {
    let policy = policy(backend, shape)?;
    let (prompt, response) = shape.pair();
    for count in LISTS {
        let groups = [example(0, prompt, count, response, policy.model.config().vocab_size).group];
        let packed = [Packed::shared(&groups), Packed::separate(&groups)];
        let mut measured = [const { Vec::new() }; 2];
        for round in 0..=steps.div_ceil(SHARE) {
            for (measured, packed) in measured.iter_mut().zip(&packed) {
                let seconds = seconds(|| pass(&policy, packed))?;
                if round > 0 {
                    measured.push(seconds);
                }
            }
        }
        let [shared, separate] = measured.map(median);
        figures.add(&format!("separate_over_shared_n{count}"), separate / shared)?;
    }
    Ok(())
}

/// A forward with its backward, to the end.
fn pass<B: Backend>(policy: &Policy<B>, packed: &Packed) -> Result<()> {
    let batch = policy.model.batch(packed)?;
    let pass = policy.forward(&batch, 0, Activations::Keep)?;
    let mut gradients = Gradients::zeros(policy)?;
    policy.backward(&batch, pass, &vec![1.0; packed.targets.len()], &mut gradients)?;
    // A download waits for the device; of one of the adapter's matrices it costs nothing.
    gradients.iter().next().map_or(Ok(()), |(_, gradient)| policy.model.backend().download(gradient).map(drop))
}
