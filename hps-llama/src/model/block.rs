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

    /// [`Site::project`] of projections that read one input, onto nothing.
    fn project_all<const N: usize>(&self, projections: [Projection; N], x: &B::Array) -> Result<[B::Array; N]> {
        let layers = projections.into_iter().map(|projection| self.layer(projection)).collect::<Result<Vec<_>>>()?;
        let ys = self.model.backend.adapted_all(x, &layers)?;
        ys.try_into().map_err(|_| crate::Error::new(crate::ErrorKind::Device, "a projection's output is missing"))
    }

    /// The gradients of what is trained at a projection, and of its input.
    fn backward_one(
        &self,
        projection: Projection,
        dy: &B::Array,
        x: &B::Array,
        gradients: &mut Gradients<B>,
    ) -> Result<B::Array> {
        let backend = &self.model.backend;
        let layer = self.layer(projection)?;
        self.weight_gradient(projection, dy, x, gradients)?;
        let low_rank = self.take_sums(projection, &layer, gradients);
        let computed = backend.adapted_backward(dy, x, &layer, Wanted { below: Below::Alone, low_rank })?;
        if let Some(sums) = computed.low_rank {
            gradients.put_low_rank(self.block, projection, sums);
        }
        required(computed.dx)
    }

    /// Adds that of a weight that is trained.
    fn weight_gradient(
        &self,
        projection: Projection,
        dy: &B::Array,
        x: &B::Array,
        gradients: &mut Gradients<B>,
    ) -> Result<()> {
        if !gradients.full {
            return Ok(());
        }
        let (backend, weight) = (&self.model.backend, Parameter::Weight(self.block, projection));
        gradients.add(backend, weight, backend.weight_gradient(dy, x)?, 1.0)
    }

    /// The sums of an adapter that is trained, until they are put back.
    fn take_sums(
        &self,
        projection: Projection,
        layer: &Adapted<'_, B>,
        gradients: &mut Gradients<B>,
    ) -> Option<[B::Array; 2]> {
        let is_trained = !gradients.full && layer.low_rank.is_some();
        if is_trained { gradients.take_low_rank(self.block, projection) } else { None }
    }

    /// The gradients of what is trained at projections that read one input, and of the input as far as it is wanted.
    fn backward<const N: usize>(
        &self,
        projections: [Projection; N],
        dys: [B::Array; N],
        x: &B::Array,
        below: Below<B::Array>,
        gradients: &mut Gradients<B>,
    ) -> Result<Option<B::Array>> {
        let backend = &self.model.backend;
        let layers = projections.into_iter().map(|projection| self.layer(projection)).collect::<Result<Vec<_>>>()?;
        let mut low_rank = Vec::with_capacity(N);
        for ((projection, dy), layer) in projections.into_iter().zip(&dys).zip(&layers) {
            self.weight_gradient(projection, dy, x, gradients)?;
            low_rank.push(self.take_sums(projection, layer, gradients));
        }
        let computed = backend.adapted_all_backward(Vec::from(dys), x, &layers, Wanted { below, low_rank })?;
        for (projection, sums) in projections.into_iter().zip(computed.low_rank) {
            if let Some(sums) = sums {
                gradients.put_low_rank(self.block, projection, sums);
            }
        }
        Ok(computed.dx)
    }

    /// The gradient of a projection's input where nothing of the projection is trained: its input is not read.
    fn backward_frozen(&self, projection: Projection, dy: &B::Array) -> Result<B::Array> {
        self.model.backend.linear_backward(dy, self.layer(projection)?.weight)
    }

    /// Whether something of a projection is trained, so that its gradient reads its input.
    fn is_trained(&self, projection: Projection, gradients: &Gradients<B>) -> Result<bool> {
        Ok(gradients.full || self.layer(projection)?.low_rank.is_some())
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
        let [q, k, v] = site.project_all([Projection::Q, Projection::K, Projection::V], normed)?;
        let [q, k] = self.backend.rotate_both([q, k], site.places.rotation, self.config.head_dim, false)?;
        Ok([q, k, v])
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
        let [gate, up] = site.project_all([Projection::Gate, Projection::Up], &middle_normed)?;
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

        let d_attended = site.backward_one(Projection::O, &d_middle, &kept.attended.output, gradients)?;
        let [dq, dk, dv] = attention.backward(block, &d_attended, kept)?;
        drop(d_attended);
        let [dq, dk] = backend.rotate_both([dq, dk], places.rotation, self.config.head_dim, true)?;
        let wanted = if below { Below::Alone } else { Below::Unwanted };
        let projections = [Projection::Q, Projection::K, Projection::V];
        let d_normed = site.backward(projections, [dq, dk, dv], &kept.normed, wanted, gradients)?;
        let Some(d_normed) = d_normed else { return Ok(None) };
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
        // What the last projection read is computed again only where its own gradient reads it.
        let d_inner = match site.is_trained(Projection::Down, gradients)? {
            true => site.backward_one(Projection::Down, dy, &backend.swiglu(&kept.gate, &kept.up)?, gradients)?,
            false => site.backward_frozen(Projection::Down, dy)?,
        };
        let both = backend.swiglu_backward(&d_inner, &kept.gate, &kept.up)?;
        drop(d_inner);
        let projections = [Projection::Gate, Projection::Up];
        required(site.backward(projections, both, &kept.middle_normed, Below::Alone, gradients)?)
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
