//! What is measured: this crate's calls, with the checks of the lists that every user pays, and the plain loops.

use crate::lists::Lists;
use crate::plain;
use hps_core::{Batch, Loss, Responses, Scalar};
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

/// One prompt a call.
pub fn one_by_one<F: Scalar + 'static>(loss: Loss, lists: Lists<F>) -> impl FnMut() {
    let mut scratch = vec![F::zero(); Loss::scratch_len(lists.responses)];
    let mut values = vec![F::zero(); lists.prompts];
    let mut gradient = vec![F::zero(); lists.policy.len()];
    move || {
        let Lists { responses, policy, reference, lengths, rewards, .. } = &lists;
        for (prompt, value) in values.iter_mut().enumerate() {
            let range = prompt * responses..(prompt + 1) * responses;
            let [policy, reference, rewards] = [policy, reference, rewards].map(|list| &list[range.clone()]);
            let row = Responses::new(policy)
                .and_then(|row| {
                    row.with_reference(reference)?.with_lengths(&lengths[range.clone()])?.with_rewards(rewards)
                })
                .expect("a row");
            let gradient = &mut gradient[range];
            *value = black_box(&loss).value_and_gradient(&row, &mut scratch, gradient).expect("finite rows");
        }
        black_box((&values, &gradient));
    }
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
