//! One block and its projections, forward and backward.

use super::attention::Attention;
use super::{Batch, Gradients, Llama};
use crate::Result;
use crate::backend::{Attended, Backend, Heads};
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

/// What a block's backward needs of its forward.
#[derive(Debug)]
pub(crate) struct BlockActivations<B: Backend> {
    pub x: B::Array,
    normed: B::Array,
    pub(super) q: B::Array,
    pub(super) k: B::Array,
    pub(super) v: B::Array,
    pub(super) attended: Attended<B::Array>,
    middle: B::Array,
    middle_normed: B::Array,
    gate: B::Array,
    up: B::Array,
}

impl<B: Backend> BlockActivations<B> {
    /// What later tokens attend to.
    /// What later tokens attend to.
    pub(super) fn keys_and_values(&self) -> [&B::Array; 2] {
        [&self.k, &self.v]
    }

    /// The same, and nothing else is kept.
    pub(crate) fn into_keys_and_values(self) -> [B::Array; 2] {
        [self.k, self.v]
    }
}

/// Attention of a block's queries, keys and values: over the batch's spans, or over a cache.
pub(crate) type Attend<'a, B> =
    dyn FnMut(&[<B as Backend>::Array; 3], Heads) -> Result<Attended<<B as Backend>::Array>> + 'a;

/// A projection's place and what it needs beside its input.
#[derive(Debug)]
struct Site<'a, B: Backend> {
    model: &'a Llama<B>,
    batch: &'a Batch<B>,
    adaptation: Adaptation<'a, B>,
    block: usize,
}

impl<B: Backend> Site<'_, B> {
    /// `x Wᵀ + s (dropout(x) Aᵀ) Bᵀ`.
    fn project(&self, projection: Projection, x: &B::Array) -> Result<B::Array> {
        let backend = &self.model.backend;
        let y = backend.linear(x, self.model.get(Parameter::Weight(self.block, projection))?)?;
        let Some(adapter) = self.adaptation.adapter else { return Ok(y) };
        let Some((a, b)) = adapter.pair(self.block, projection) else { return Ok(y) };
        let low = match self.mask(projection) {
            Some(dropout) => backend.linear(&backend.dropout(x, dropout, &self.batch.identities)?, a)?,
            None => backend.linear(x, a)?,
        };
        backend.add_scaled(y, &backend.linear(&low, b)?, adapter.config.scale())
    }

    fn mask(&self, projection: Projection) -> Option<crate::backend::Dropout> {
        self.adaptation.adapter?.dropout(self.block, projection, self.adaptation.step?)
    }

    /// The gradients of what is trained at the projection, and of its input if `below` is asked for.
    fn backward(
        &self,
        projection: Projection,
        dy: &B::Array,
        x: &B::Array,
        below: bool,
        gradients: &mut Gradients<B>,
    ) -> Result<Option<B::Array>> {
        let backend = &self.model.backend;
        let weight = Parameter::Weight(self.block, projection);
        if gradients.full {
            gradients.add(backend, weight, backend.weight_gradient(dy, x)?, 1.0)?;
        }
        let base = |dy| backend.linear_backward(dy, self.model.get(weight)?);
        let Some(adapter) = self.adaptation.adapter else { return below.then(|| base(dy)).transpose() };
        let Some((a, b)) = adapter.pair(self.block, projection) else { return below.then(|| base(dy)).transpose() };

        let scale = adapter.config.scale();
        let mask = self.mask(projection);
        let dropped = mask.map(|mask| backend.dropout(x, mask, &self.batch.identities)).transpose()?;
        let input = dropped.as_ref().unwrap_or(x);
        let low = backend.linear(input, a)?;
        let d_low = backend.linear_backward(dy, b)?;
        if !gradients.full {
            let (a, b) = (Parameter::LoraA(self.block, projection), Parameter::LoraB(self.block, projection));
            gradients.add(backend, b, backend.weight_gradient(dy, &low)?, scale)?;
            gradients.add(backend, a, backend.weight_gradient(&d_low, input)?, scale)?;
        }
        if !below {
            return Ok(None);
        }
        let mut through = backend.linear_backward(&d_low, a)?;
        if let Some(mask) = mask {
            through = backend.dropout(&through, mask, &self.batch.identities)?;
        }
        backend.add_scaled(base(dy)?, &through, scale).map(Some)
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
        let rotate = |x| self.backend.rotate(x, &site.batch.rotation, self.config.head_dim, false);
        let q = rotate(site.project(Projection::Q, normed)?)?;
        let k = rotate(site.project(Projection::K, normed)?)?;
        Ok([q, k, site.project(Projection::V, normed)?])
    }

    /// One block; returns its output, and its activations if they are to be kept.
    pub(crate) fn block(
        &self,
        block: usize,
        x: B::Array,
        batch: &Batch<B>,
        adaptation: Adaptation<'_, B>,
        attend: &mut Attend<'_, B>,
    ) -> Result<(B::Array, BlockActivations<B>)> {
        let activations = self.activations(block, x, batch, adaptation, attend)?;
        let inner = self.backend.swiglu(&activations.gate, &activations.up)?;
        let down = Site { model: self, batch, adaptation, block }.project(Projection::Down, &inner)?;
        Ok((self.backend.add_scaled(down, &activations.middle, 1.0)?, activations))
    }

    /// All of a block but its last projection: what its backward needs, and what is computed again if it was not kept.
    pub(super) fn activations(
        &self,
        block: usize,
        x: B::Array,
        batch: &Batch<B>,
        adaptation: Adaptation<'_, B>,
        attend: &mut Attend<'_, B>,
    ) -> Result<BlockActivations<B>> {
        let (backend, epsilon) = (&self.backend, self.config.rms_norm_eps);
        let site = Site { model: self, batch, adaptation, block };
        let normed = backend.rms_norm(&x, self.get(Parameter::InputNorm(block))?, epsilon)?;
        let inputs = self.attention_inputs(&site, &normed)?;
        let attended = attend(&inputs, self.heads())?;
        let middle = backend.add_scaled(site.project(Projection::O, &attended.output)?, &x, 1.0)?;
        let middle_normed = backend.rms_norm(&middle, self.get(Parameter::PostAttentionNorm(block))?, epsilon)?;
        let gate = site.project(Projection::Gate, &middle_normed)?;
        let up = site.project(Projection::Up, &middle_normed)?;
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
        batch: &Batch<B>,
        adaptation: Adaptation<'_, B>,
        attention: &mut dyn Attention<B>,
        gradients: &mut Gradients<B>,
    ) -> Result<Option<B::Array>> {
        let (backend, epsilon) = (&self.backend, self.config.rms_norm_eps);
        let site = Site { model: self, batch, adaptation, block };
        let below = block > 0 || gradients.full;

        let d_normed = self.feed_forward_backward(&site, &dy, kept, gradients)?;
        let gain = Parameter::PostAttentionNorm(block);
        let d_middle = self.norm_backward(gain, &d_normed, &kept.middle, epsilon, gradients)?;
        let d_middle = backend.add_scaled(d_middle, &dy, 1.0)?;

        let d_attended = required(site.backward(Projection::O, &d_middle, &kept.attended.output, true, gradients)?)?;
        let [dq, dk, dv] = attention.backward(block, &d_attended, kept)?;
        let unrotate = |x| backend.rotate(x, &batch.rotation, self.config.head_dim, true);
        let from_q = site.backward(Projection::Q, &unrotate(dq)?, &kept.normed, below, gradients)?;
        let from_k = site.backward(Projection::K, &unrotate(dk)?, &kept.normed, below, gradients)?;
        let from_v = site.backward(Projection::V, &dv, &kept.normed, below, gradients)?;
        let (Some(from_q), Some(from_k), Some(from_v)) = (from_q, from_k, from_v) else { return Ok(None) };
        let d_normed = backend.add_scaled(backend.add_scaled(from_q, &from_k, 1.0)?, &from_v, 1.0)?;
        let dx = self.norm_backward(Parameter::InputNorm(block), &d_normed, &kept.x, epsilon, gradients)?;
        backend.add_scaled(dx, &d_middle, 1.0).map(Some)
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
        let d_inner = required(site.backward(Projection::Down, dy, &inner, true, gradients)?)?;
        drop(inner);
        let [d_gate, d_up] = backend.swiglu_backward(&d_inner, &kept.gate, &kept.up)?;
        drop(d_inner);
        let from_gate = required(site.backward(Projection::Gate, &d_gate, &kept.middle_normed, true, gradients)?)?;
        let from_up = required(site.backward(Projection::Up, &d_up, &kept.middle_normed, true, gradients)?)?;
        backend.add_scaled(from_gate, &from_up, 1.0)
    }

    pub(super) fn norm_backward(
        &self,
        gain: Parameter,
        dy: &B::Array,
        x: &B::Array,
        epsilon: f64,
        gradients: &mut Gradients<B>,
    ) -> Result<B::Array> {
        if gradients.full {
            let gradient = self.backend.rms_norm_gain_gradient(dy, x, epsilon)?;
            gradients.add(&self.backend, gain, gradient, 1.0)?;
        }
        self.backend.rms_norm_backward(dy, x, self.get(gain)?, epsilon)
    }
}

/// The input gradient of a projection that was asked for it.
fn required<A>(gradient: Option<A>) -> Result<A> {
    gradient.ok_or_else(|| crate::Error::new(crate::ErrorKind::Device, "an input gradient is missing"))
}
