//! One block and its projections, forward and backward.

use super::activations::BlockActivations;
use super::attention::Attention;
use super::{Gradients, Llama};
use crate::Result;
use crate::backend::{Adapted, Attended, Backend, Below, Heads, LowRank, Wanted};
use crate::lora::Lora;
use crate::parameter::{Parameter, Projection};

/// Whose projections a pass computes.
#[derive(Debug)]
pub(crate) struct Adaptation<'a, B: Backend> {
    pub adapter: Option<&'a Lora<B>>,
    /// The optimiser step that keys dropout; `None` outside training.
    pub step: Option<u64>,
}

impl<B: Backend> Clone for Adaptation<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B: Backend> Copy for Adaptation<'_, B> {}

/// Where the rows of a pass stand.
#[derive(Debug)]
pub(crate) struct Places<'a, B: Backend> {
    /// Of their positions.
    pub rotation: &'a B::Array,
    /// What dropout is keyed by, besides the step.
    pub identities: &'a B::Indices,
}

impl<B: Backend> Clone for Places<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B: Backend> Copy for Places<'_, B> {}

/// Attention of a block's queries, keys and values: over the batch's spans, or over a cache.
pub(crate) type Attend<'a, B> =
    dyn FnMut(&[<B as Backend>::Array; 3], Heads) -> Result<Attended<<B as Backend>::Array>> + 'a;

/// A projection's place and what it needs beside its input.
#[derive(Debug)]
struct Site<'a, B: Backend> {
    model: &'a Llama<B>,
    places: Places<'a, B>,
    adaptation: Adaptation<'a, B>,
    block: usize,
}

impl<'a, B: Backend> Site<'a, B> {
    /// The projection with what its adapter adds to it.
    fn layer(&self, projection: Projection) -> Result<Adapted<'a, B>> {
        let weight = self.model.get(Parameter::Weight(self.block, projection))?;
        let low_rank = |adapter: &'a Lora<B>| {
            let (a, b) = adapter.pair(self.block, projection)?;
            let dropout = self.adaptation.step.and_then(|step| adapter.dropout(self.block, projection, step));
            let dropout = dropout.map(|dropout| (dropout, self.places.identities));
            Some(LowRank { a, b, scale: adapter.config.scale(), dropout })
        };
        Ok(Adapted { weight, low_rank: self.adaptation.adapter.and_then(low_rank) })
    }

    /// `x Wᵀ + s (dropout(x) Aᵀ) Bᵀ`, onto another array or nothing.
    fn project(&self, projection: Projection, x: &B::Array, onto: Option<&B::Array>) -> Result<B::Array> {
        self.model.backend.adapted(x, &self.layer(projection)?, onto)
    }

    /// The gradients of what is trained at the projection, and of its input as far as it is wanted.
    fn backward(
        &self,
        projection: Projection,
        dy: &B::Array,
        x: &B::Array,
        below: Below<B::Array>,
        gradients: &mut Gradients<B>,
    ) -> Result<Option<B::Array>> {
        let backend = &self.model.backend;
        let layer = self.layer(projection)?;
        let mut low_rank = None;
        if gradients.full {
            let weight = Parameter::Weight(self.block, projection);
            gradients.add(backend, weight, backend.weight_gradient(dy, x)?, 1.0)?;
        } else if layer.low_rank.is_some() {
            low_rank = gradients.take_low_rank(self.block, projection);
        }
        let computed = backend.adapted_backward(dy, x, &layer, Wanted { below, low_rank })?;
        if let Some(sums) = computed.low_rank {
            gradients.put_low_rank(self.block, projection, sums);
        }
        Ok(computed.dx)
    }
}

impl<B: Backend> Llama<B> {
    pub(super) fn heads(&self) -> Heads {
        Heads {
            query: self.config.num_attention_heads,
            key_value: self.config.num_key_value_heads,
            dimension: self.config.head_dim,
        }
    }

    /// The block's queries, keys and values of the normed `x`, rotated.
    fn attention_inputs(&self, site: &Site<'_, B>, normed: &B::Array) -> Result<[B::Array; 3]> {
        let rotate = |x| self.backend.rotate(x, site.places.rotation, self.config.head_dim, false);
        let q = rotate(site.project(Projection::Q, normed, None)?)?;
        let k = rotate(site.project(Projection::K, normed, None)?)?;
        Ok([q, k, site.project(Projection::V, normed, None)?])
    }

    /// One block; returns its output, and its activations if they are to be kept.
    pub(crate) fn block(
        &self,
        block: usize,
        x: B::Array,
        places: Places<'_, B>,
        adaptation: Adaptation<'_, B>,
        attend: &mut Attend<'_, B>,
    ) -> Result<(B::Array, BlockActivations<B>)> {
        let activations = self.activations(block, x, places, adaptation, attend)?;
        let inner = self.backend.swiglu(&activations.gate, &activations.up)?;
        let down = Site { model: self, places, adaptation, block }.project(
            Projection::Down,
            &inner,
            Some(&activations.middle),
        )?;
        Ok((down, activations))
    }

    /// All of a block but its last projection: what its backward needs, and what is computed again if it was not kept.
    pub(super) fn activations(
        &self,
        block: usize,
        x: B::Array,
        places: Places<'_, B>,
        adaptation: Adaptation<'_, B>,
        attend: &mut Attend<'_, B>,
    ) -> Result<BlockActivations<B>> {
        let (backend, epsilon) = (&self.backend, self.config.rms_norm_eps);
        let site = Site { model: self, places, adaptation, block };
        let normed = backend.rms_norm(&x, self.get(Parameter::InputNorm(block))?, epsilon)?;
        let inputs = self.attention_inputs(&site, &normed)?;
        let attended = attend(&inputs, self.heads())?;
        let middle = site.project(Projection::O, &attended.output, Some(&x))?;
        let middle_normed = backend.rms_norm(&middle, self.get(Parameter::PostAttentionNorm(block))?, epsilon)?;
        let gate = site.project(Projection::Gate, &middle_normed, None)?;
        let up = site.project(Projection::Up, &middle_normed, None)?;
        let [q, k, v] = inputs;
        Ok(BlockActivations { x, normed, q, k, v, attended, middle, middle_normed, gate, up })
    }

    /// The gradient of a block's input from that of its output; `None` if nothing below is trained.
    #[allow(clippy::too_many_arguments)] // A pass's parts; a struct would only rename them.
    pub(super) fn block_backward(
        &self,
        block: usize,
        dy: B::Array,
        kept: &BlockActivations<B>,
        places: Places<'_, B>,
        adaptation: Adaptation<'_, B>,
        attention: &mut dyn Attention<B>,
        gradients: &mut Gradients<B>,
    ) -> Result<Option<B::Array>> {
        let backend = &self.backend;
        let site = Site { model: self, places, adaptation, block };
        let below = block > 0 || gradients.full;

        let d_normed = self.feed_forward_backward(&site, &dy, kept, gradients)?;
        let gain = Parameter::PostAttentionNorm(block);
        let d_middle = self.norm_backward(gain, &d_normed, &kept.middle, Some(&dy), gradients)?;
        drop((d_normed, dy));

        let d_attended =
            required(site.backward(Projection::O, &d_middle, &kept.attended.output, Below::Alone, gradients)?)?;
        let [dq, dk, dv] = attention.backward(block, &d_attended, kept)?;
        drop(d_attended);
        let mut d_normed = if below { Below::Alone } else { Below::Unwanted };
        for (projection, dy, turned) in
            [(Projection::Q, dq, true), (Projection::K, dk, true), (Projection::V, dv, false)]
        {
            let dy = if turned { backend.rotate(dy, places.rotation, self.config.head_dim, true)? } else { dy };
            let sum = site.backward(projection, &dy, &kept.normed, d_normed, gradients)?;
            d_normed = sum.map_or(Below::Unwanted, Below::Onto);
        }
        let Below::Onto(d_normed) = d_normed else { return Ok(None) };
        self.norm_backward(Parameter::InputNorm(block), &d_normed, &kept.x, Some(&d_middle), gradients).map(Some)
    }

    /// The gradient of the normed middle from that of the block's output. Its arrays, the widest, end with it.
    fn feed_forward_backward(
        &self,
        site: &Site<'_, B>,
        dy: &B::Array,
        kept: &BlockActivations<B>,
        gradients: &mut Gradients<B>,
    ) -> Result<B::Array> {
        let backend = &self.backend;
        let inner = backend.swiglu(&kept.gate, &kept.up)?;
        let d_inner = required(site.backward(Projection::Down, dy, &inner, Below::Alone, gradients)?)?;
        drop(inner);
        let [d_gate, d_up] = backend.swiglu_backward(&d_inner, &kept.gate, &kept.up)?;
        drop(d_inner);
        let from_gate = site.backward(Projection::Gate, &d_gate, &kept.middle_normed, Below::Alone, gradients)?;
        let onto = Below::Onto(required(from_gate)?);
        required(site.backward(Projection::Up, &d_up, &kept.middle_normed, onto, gradients)?)
    }

    /// `dx` of a norm, onto another array or nothing.
    pub(super) fn norm_backward(
        &self,
        gain: Parameter,
        dy: &B::Array,
        x: &B::Array,
        onto: Option<&B::Array>,
        gradients: &mut Gradients<B>,
    ) -> Result<B::Array> {
        let epsilon = self.config.rms_norm_eps;
        if gradients.full {
            let gradient = self.backend.rms_norm_gain_gradient(dy, x, epsilon)?;
            gradients.add(&self.backend, gain, gradient, 1.0)?;
        }
        let gain = self.get(gain)?;
        match onto {
            Some(onto) => self.backend.rms_norm_backward_onto(dy, x, gain, epsilon, onto),
            None => self.backend.rms_norm_backward(dy, x, gain, epsilon),
        }
    }
}

/// The input gradient of a projection that was asked for it.
fn required<A>(gradient: Option<A>) -> Result<A> {
    gradient.ok_or_else(|| crate::Error::new(crate::ErrorKind::Device, "an input gradient is missing"))
}
