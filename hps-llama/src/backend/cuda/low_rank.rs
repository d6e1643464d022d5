//! Layers that read one input, and what adapters add to them: all adapters' work at once.

use super::Cuda;
use crate::Result;
use crate::backend::{Adapted, Backend, Below};
use hps_cuda::Array;

impl Cuda {
    /// What the adapters of layers add to their outputs.
    pub(super) fn with_low_ranks(&self, ys: Vec<Array>, x: &Array, layers: &[Adapted<'_, Self>]) -> Result<Vec<Array>> {
        let dropped = self.dropped(x, layers)?;
        let (mut with, mut all): (Vec<_>, Vec<_>) = (Vec::new(), Vec::with_capacity(layers.len()));
        let mut adapters = Vec::new();
        for ((y, layer), dropped) in ys.into_iter().zip(layers).zip(&dropped) {
            match matrices(layer) {
                Some(low_rank) => {
                    adapters.push((dropped.as_ref().unwrap_or(x), low_rank));
                    with.push(y);
                    all.push(None);
                }
                None => all.push(Some(y)),
            }
        }
        let mut with = self.device.add_low_ranks(with, &adapters)?.into_iter();
        Ok(all.into_iter().filter_map(|y| y.or_else(|| with.next())).collect())
    }

    /// The input of each adapter that drops some of it.
    pub(super) fn dropped(&self, x: &Array, layers: &[Adapted<'_, Self>]) -> Result<Vec<Option<Array>>> {
        let of = |layer: &Adapted<'_, Self>| {
            let low_rank = layer.low_rank.as_ref();
            let dropout = low_rank.and_then(|low_rank| low_rank.dropout);
            dropout.map(|(dropout, ids)| self.dropout(x, dropout, ids)).transpose()
        };
        layers.iter().map(of).collect()
    }

    /// `dx` of the layers without their adapters.
    pub(super) fn linears_backward(
        &self,
        dys: &[&Array],
        layers: &[Adapted<'_, Self>],
        below: Below<Array>,
    ) -> Result<Option<Array>> {
        let mut dx = match below {
            Below::Unwanted => return Ok(None),
            Below::Alone => None,
            Below::Onto(onto) => Some(onto),
        };
        for (dy, layer) in dys.iter().zip(layers) {
            dx = Some(match dx {
                None => self.device.linear_backward(dy, layer.weight)?,
                Some(onto) => self.device.linear_backward_onto(dy, layer.weight, &onto)?,
            });
        }
        Ok(dx)
    }

    /// Adds what goes through the adapters to `dx`, if there is one, and their own gradients to the sums there are.
    pub(super) fn low_ranks_backward(
        &self,
        dys: &[&Array],
        x: &Array,
        layers: &[Adapted<'_, Self>],
        dx: Option<Array>,
        sums: &mut [Option<[Array; 2]>],
    ) -> Result<Option<Array>> {
        let device = &self.device;
        let dropped = match sums.iter().any(Option::is_some) {
            true => self.dropped(x, layers)?,
            false => layers.iter().map(|_| None).collect(),
        };
        let (mut adapters, mut masks, mut summed) = (Vec::new(), Vec::new(), Vec::new());
        for (((dy, layer), dropped), sums) in dys.iter().zip(layers).zip(&dropped).zip(sums) {
            let (Some(low_rank), Some(of)) = (matrices(layer), &layer.low_rank) else { continue };
            let x = sums.is_some().then(|| dropped.as_ref().unwrap_or(x));
            adapters.push(hps_cuda::LowRankGradient { low_rank, dy, x });
            masks.push(of.dropout);
            summed.push(sums.as_mut());
        }
        let narrowed = device.narrow_low_ranks(&adapters)?;

        let mut of_summed = (Vec::new(), Vec::new(), Vec::new());
        for ((adapter, narrowed), sums) in adapters.iter().zip(&narrowed).zip(summed) {
            if let Some(sums) = sums {
                of_summed.0.push(*adapter);
                of_summed.1.push(narrowed);
                of_summed.2.push(sums);
            }
        }
        let (of_adapters, of_narrowed, sums) = of_summed;
        device.low_rank_gradients(&of_adapters, &of_narrowed, sums)?;

        let Some(mut dx) = dx else { return Ok(None) };
        let through = narrowed.iter().zip(&adapters).zip(&masks);
        let plain = through.clone().filter(|(_, mask)| mask.is_none());
        let plain: Vec<_> = plain.map(|((narrowed, adapter), _)| (narrowed, adapter.low_rank)).collect();
        dx = device.add_low_ranks_backward(dx, &plain)?;
        for ((narrowed, adapter), mask) in through {
            let Some((dropout, identities)) = *mask else { continue };
            let zeros = device.zeros(dx.rows(), dx.columns(), dx.format())?;
            let through = device.add_low_ranks_backward(zeros, &[(narrowed, adapter.low_rank)])?;
            dx = device.add_scaled(dx, &self.dropout(&through, dropout, identities)?, 1.0)?;
        }
        Ok(Some(dx))
    }
}

/// An adapter's matrices, as the crate has them.
fn matrices<'a>(layer: &'a Adapted<'_, Cuda>) -> Option<hps_cuda::LowRank<'a>> {
    layer.low_rank.as_ref().map(|low_rank| hps_cuda::LowRank { a: low_rank.a, b: low_rank.b, scale: low_rank.scale })
}
