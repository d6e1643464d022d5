//! From lists to gradients: log π and log π_ref, the coefficients they mean, and the backward, by either exact route.

use super::drawn::Drawn;
use super::{Example, ListShape, Plan, Reference};
use crate::Result;
use crate::backend::Backend;
use crate::model::{Gradients, Policy};
use crate::pack::{Group, Packed};
use std::ops::Range;

/// A prompt with the responses that its loss reads.
#[derive(Debug)]
pub(super) struct List {
    /// Which example it is of.
    pub example: usize,
    /// Which of the example's responses they are.
    pub drawn: Drawn,
    pub group: Group,
}

/// From a list's number and the summed log-probs of the policy and of the reference to `∂L/∂log π` of each response; of a
/// reward model, from its scores and zeros to `∂L/∂r`.
pub(super) type Weigh<'a> = dyn FnMut(usize, &[f64], &[f64]) -> Result<Vec<f32>> + 'a;

/// What all passes of a step share.
#[derive(Debug)]
pub(super) struct Passes<'a, B: Backend> {
    pub policy: &'a Policy<B>,
    pub reference: &'a mut Reference<B>,
    pub examples: &'a [Example],
    /// Keys dropout.
    pub step: u64,
}

impl<B: Backend> Passes<'_, B> {
    /// Adds the gradients of the planned lists.
    pub fn differentiate(
        &mut self,
        lists: &[List],
        plan: &Plan,
        weigh: &mut Weigh<'_>,
        gradients: &mut Gradients<B>,
    ) -> Result<()> {
        match plan.chunk_tokens {
            None => self.in_one_pass(lists, plan, weigh, gradients),
            Some(tokens) => {
                let mut numbers = plan.lists.clone();
                numbers.try_for_each(|number| self.in_chunks(lists, number, tokens, plan, weigh, gradients))
            }
        }
    }

    /// All lists side by side; what their backward needs is kept until the coefficients are known.
    fn in_one_pass(
        &mut self,
        lists: &[List],
        plan: &Plan,
        weigh: &mut Weigh<'_>,
        gradients: &mut Gradients<B>,
    ) -> Result<()> {
        let backend = self.policy.model.backend();
        let planned = &lists[plan.lists.clone()];
        let groups: Vec<Group> = planned.iter().map(|list| list.group.clone()).collect();
        let drawn: Vec<(usize, usize)> = planned.iter().flat_map(List::drawn).collect();
        let packed = self.policy.pack(&groups);
        let batch = self.policy.model.batch(&packed)?;
        let reference = self.reference.log_probs(self.policy, self.examples, &drawn, None)?;
        let pass = self.policy.forward(&batch, self.step, plan.activations)?;
        let log_probs = backend.download(pass.log_probs())?;
        let mut coefficients = vec![0.0f32; log_probs.len()];
        let mut tokens = 0;
        for (number, ranges) in plan.lists.clone().zip(&packed.responses) {
            let list = &lists[number].group;
            let reference = Packed::sums(&reference[tokens..], &list.scored());
            tokens += list.responses.iter().map(Vec::len).sum::<usize>();
            let c = weigh(number, &Packed::sums(&log_probs, ranges), &reference)?;
            for (range, c) in ranges.iter().zip(c) {
                coefficients[range.clone()].fill(c);
            }
        }
        self.policy.backward(&batch, pass, &coefficients, gradients)
    }

    /// One list: its chunks' log-probs first, then each chunk forward and backward with its coefficients, the prompt last.
    fn in_chunks(
        &mut self,
        lists: &[List],
        number: usize,
        tokens: usize,
        plan: &Plan,
        weigh: &mut Weigh<'_>,
        gradients: &mut Gradients<B>,
    ) -> Result<()> {
        let (policy, group) = (self.policy, &lists[number].group);
        let drawn: Vec<(usize, usize)> = lists[number].drawn().collect();
        let reference = self.reference.log_probs(policy, self.examples, &drawn, Some(tokens))?;
        let mut prompt = policy.prompt(group, self.step, plan.activations)?;
        let mut log_probs = Vec::with_capacity(group.responses.len());
        for chunk in group.chunks(tokens) {
            let chunk = policy.pack_chunk(group, chunk);
            let scores = policy.model.backend().download(&policy.chunk_log_probs(&prompt, &chunk)?)?;
            log_probs.extend(chunk.responses.iter().flat_map(|ranges| Packed::sums(&scores, ranges)));
        }
        let c = weigh(number, &log_probs, &Packed::sums(&reference, &group.scored()))?;
        for chunk in group.chunks(tokens) {
            let packed = policy.pack_chunk(group, chunk.clone());
            let lengths = packed.responses.iter().flatten().map(Range::len);
            let coefficients: Vec<f32> =
                c[chunk].iter().zip(lengths).flat_map(|(c, length)| std::iter::repeat_n(*c, length)).collect();
            policy.chunk_backward(&mut prompt, &packed, &coefficients, gradients)?;
        }
        policy.prompt_backward(prompt, gradients)
    }
}

impl List {
    /// What memory depends on.
    pub fn shapes(lists: &[List]) -> Vec<ListShape> {
        lists.iter().map(|list| ListShape::from(&list.group)).collect()
    }

    /// Its responses by (example, response).
    pub fn drawn(&self) -> impl Iterator<Item = (usize, usize)> {
        self.drawn.responses.iter().map(|response| (self.example, *response))
    }
}
