//! What is measured: this crate's calls, with the checks of the lists that every user pays, and the plain loops.

use crate::lists::Lists;
use crate::plain;
use hps_core::{Batch, Error, Loss, Responses, Scalar};
use std::hint::black_box;

/// All prompts in one call.
pub fn batch<F: Scalar + 'static>(loss: Loss, lists: Lists<F>) -> impl FnMut() {
    let mut scratch = vec![F::zero(); Loss::batch_scratch_len(lists.responses)];
    let mut values = vec![F::zero(); lists.prompts];
    let mut gradient = vec![F::zero(); lists.policy.len()];
    move || {
        let Lists { responses, policy, reference, lengths, rewards, .. } = &lists;
        let batch = Batch::new(*responses, policy)
            .and_then(|batch| batch.with_reference(reference)?.with_lengths(lengths)?.with_rewards(rewards))
            .expect("equal lengths");
        black_box(&loss).values_and_gradients(&batch, &mut scratch, &mut values, &mut gradient).expect("finite rows");
        black_box((&values, &gradient));
    }
}

/// One prompt a call, with the lists that the loss reads, as its user writes it.
pub fn one_by_one<F: Scalar + 'static>(loss: Loss, lists: Lists<F>) -> Box<dyn FnMut()> {
    match (loss.reads_reference(), loss.reads_rewards()) {
        (true, true) => Box::new(rows(loss, lists, |loss, [policy, reference, rewards], scratch, gradient| {
            let row = Responses::new(policy)?.with_reference(reference)?.with_rewards(rewards)?;
            loss.value_and_gradient(&row, scratch, gradient)
        })),
        (true, false) => Box::new(rows(loss, lists, |loss, [policy, reference, _], scratch, gradient| {
            let row = Responses::new(policy)?.with_reference(reference)?;
            loss.value_and_gradient(&row, scratch, gradient)
        })),
        _ => unreachable!("the losses that are measured read a reference"),
    }
}

/// * `call`: of the policy, the reference and the rewards; scratch; the gradient.
fn rows<F: Scalar + 'static>(
    loss: Loss,
    lists: Lists<F>,
    call: impl Fn(&Loss, [&[F]; 3], &mut [F], &mut [F]) -> Result<F, Error>,
) -> impl FnMut() {
    let mut scratch = vec![F::zero(); Loss::scratch_len(lists.responses)];
    let mut values = vec![F::zero(); lists.prompts];
    let mut gradient = vec![F::zero(); lists.policy.len()];
    let mut all = move |lists: &Lists<F>| -> Result<(), Error> {
        let Lists { responses, policy, reference, rewards, .. } = lists;
        for (prompt, value) in values.iter_mut().enumerate() {
            let range = prompt * responses..(prompt + 1) * responses;
            let row = [policy, reference, rewards].map(|list| &list[range.clone()]);
            *value = call(black_box(&loss), row, &mut scratch, &mut gradient[range])?;
        }
        black_box((&values, &gradient));
        Ok(())
    };
    move || all(&lists).expect("finite rows")
}

/// One prompt a call, by the loop of [`plain`] for this loss.
pub fn plain_loop(loss: Loss, lists: Lists<f64>) -> impl FnMut() {
    let row = plain::of_name(&loss.to_string());
    let mut scratch = vec![0.0; lists.responses];
    let mut values = vec![0.0; lists.prompts];
    let mut gradient = vec![0.0; lists.policy.len()];
    move || {
        let Lists { responses, policy, reference, rewards, .. } = &lists;
        for (prompt, value) in values.iter_mut().enumerate() {
            let range = prompt * responses..(prompt + 1) * responses;
            let [policy, reference, rewards] = [policy, reference, rewards].map(|list| &list[range.clone()]);
            *value = row(policy, reference, rewards, &mut scratch, &mut gradient[range]);
        }
        black_box((&values, &gradient));
    }
}

/// A function of a whole slice.
pub fn of_numbers(numbers: Vec<f32>, apply: impl Fn(&mut [f32])) -> impl FnMut() {
    let mut values = numbers.clone();
    move || {
        values.copy_from_slice(&numbers);
        apply(&mut values);
        black_box(&values);
    }
}
