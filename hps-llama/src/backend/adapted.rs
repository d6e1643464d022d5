//! A linear layer and what an adapter adds to it: `y = x Wᵀ + s (drop(x) Aᵀ) Bᵀ`.
//!
//! With frozen `W`, `l = drop(x) Aᵀ` and `d_l = dy B`: `dB += s dyᵀ l`, `dA += s d_lᵀ drop(x)`,
//! `dx = dy W + s drop(d_l A)`. The functions here compute that by a backend's plain operations, for those that have
//! nothing faster.

use super::{Backend, Dropout};
use crate::Result;

/// A linear layer under an adapter, or without one.
#[derive(Debug)]
pub struct Adapted<'a, B: Backend> {
    /// `W`, `[out, in]`.
    pub weight: &'a B::Weight,
    /// What is added to it.
    pub low_rank: Option<LowRank<'a, B>>,
}

/// `s B A`.
#[derive(Debug)]
pub struct LowRank<'a, B: Backend> {
    /// `A`, `[rank, in]`.
    pub a: &'a B::Weight,
    /// `B`, `[out, rank]`.
    pub b: &'a B::Weight,
    /// `s`.
    pub scale: f32,
    /// Its input's dropout, and the identities of the rows.
    pub dropout: Option<(Dropout, &'a B::Indices)>,
}

/// What is to be computed of the gradients of [`Adapted`], or of several that read one input.
#[derive(Debug)]
pub struct Wanted<A, L = Option<[A; 2]>> {
    /// Whether `dx` is, and what it is added to.
    pub below: Below<A>,
    /// Where `s dA` and `s dB` are added up, if they are; of each layer.
    pub low_rank: L,
}

/// Sums of several layers' `s dA` and `s dB`, where there are any.
pub type OfLayers<A> = Vec<Option<[A; 2]>>;

/// What is to be computed of an input's gradient.
#[derive(Debug)]
pub enum Below<A> {
    /// Nothing.
    Unwanted,
    /// The gradient.
    Alone,
    /// The sum of this and the gradient.
    Onto(A),
}

/// Gradients of [`Adapted`], or of several that read one input, as they were [`Wanted`].
#[derive(Debug)]
pub struct AdaptedGradients<A, L = Option<[A; 2]>> {
    /// `[rows, in]`.
    pub dx: Option<A>,
    /// The sums of `s dA`, `[rank, in]`, and `s dB`, `[out, rank]`; of each layer.
    pub low_rank: L,
}

pub(super) fn forward<B: Backend>(
    backend: &B,
    x: &B::Array,
    layer: &Adapted<'_, B>,
    onto: Option<&B::Array>,
) -> Result<B::Array> {
    let mut y = backend.linear(x, layer.weight)?;
    if let Some(LowRank { a, b, scale, dropout }) = &layer.low_rank {
        let low = match dropout {
            Some((dropout, identities)) => backend.linear(&backend.dropout(x, *dropout, identities)?, a)?,
            None => backend.linear(x, a)?,
        };
        y = backend.add_scaled(y, &backend.linear(&low, b)?, *scale)?;
    }
    match onto {
        Some(onto) => backend.add_scaled(y, onto, 1.0),
        None => Ok(y),
    }
}

pub(super) fn backward<B: Backend>(
    backend: &B,
    dy: &B::Array,
    x: &B::Array,
    layer: &Adapted<'_, B>,
    wanted: Wanted<B::Array>,
) -> Result<AdaptedGradients<B::Array>> {
    let Wanted { below, low_rank: mut sums } = wanted;
    let mut through = None;
    if let Some(LowRank { a, b, scale, dropout }) = &layer.low_rank {
        let drop = |x| dropout.map(|(dropout, identities)| backend.dropout(x, dropout, identities)).transpose();
        let dropped = drop(x)?;
        let input = dropped.as_ref().unwrap_or(x);
        let d_low = backend.linear_backward(dy, b)?;
        if let Some([of_a, of_b]) = sums {
            let low = backend.linear(input, a)?;
            let of_b = backend.add_scaled(of_b, &backend.weight_gradient(dy, &low)?, *scale)?;
            let of_a = backend.add_scaled(of_a, &backend.weight_gradient(&d_low, input)?, *scale)?;
            sums = Some([of_a, of_b]);
        }
        if !matches!(below, Below::Unwanted) {
            let whole = backend.linear_backward(&d_low, a)?;
            through = Some((drop(&whole)?.unwrap_or(whole), *scale));
        }
    }
    let alone = || {
        let dx = backend.linear_backward(dy, layer.weight)?;
        match &through {
            Some((through, scale)) => backend.add_scaled(dx, through, *scale),
            None => Ok(dx),
        }
    };
    let dx = match below {
        Below::Unwanted => None,
        Below::Alone => Some(alone()?),
        Below::Onto(onto) => Some(backend.add_scaled(onto, &alone()?, 1.0)?),
    };
    Ok(AdaptedGradients { dx, low_rank: sums })
}

/// Layer after layer: the input's gradient of one is what that of the next is added to.
pub(super) fn backward_of_all<B: Backend>(
    backend: &B,
    dys: Vec<B::Array>,
    x: &B::Array,
    layers: &[Adapted<'_, B>],
    wanted: Wanted<B::Array, OfLayers<B::Array>>,
) -> Result<AdaptedGradients<B::Array, OfLayers<B::Array>>> {
    let mut below = wanted.below;
    let mut low_rank = Vec::with_capacity(layers.len());
    for ((dy, layer), sums) in dys.into_iter().zip(layers).zip(wanted.low_rank) {
        let computed = backend.adapted_backward(&dy, x, layer, Wanted { below, low_rank: sums })?;
        below = computed.dx.map_or(Below::Unwanted, Below::Onto);
        low_rank.push(computed.low_rank);
    }
    let dx = match below {
        Below::Onto(dx) => Some(dx),
        Below::Alone | Below::Unwanted => None,
    };
    Ok(AdaptedGradients { dx, low_rank })
}
