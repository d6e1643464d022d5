//! Tokens drawn from the head's distribution, cut as [`Truncation`] says.

use super::exponential::{exp_shifted, maximum};
use super::head::rows_per_tile;
use super::matrix::Matrix;
use super::weight::Weight;
use crate::backend::{Drawn, Truncation};
use crate::{Error, ErrorKind, Result};
use rayon::prelude::*;
use std::cmp::Ordering;

/// Tokens looked at first for the shortest beginning of a sum; then twice as many, until they suffice.
const BEGINNING: usize = 64;

pub(super) fn sample(
    hidden: &Matrix,
    head: &Weight,
    truncation: Truncation,
    uniforms: &Matrix,
) -> Result<Drawn<Vec<u32>, Matrix>> {
    let mut tokens = Vec::with_capacity(hidden.rows());
    let mut log_probs = Vec::with_capacity(hidden.rows());
    let tile = rows_per_tile(head.rows());
    for (index, uniforms) in uniforms.data.chunks(tile).enumerate() {
        let start = index * tile;
        let logits = head.times_transposed(hidden.view().subrows(start, uniforms.len()));
        if let Some(index) = logits.data.iter().position(|logit| logit.is_nan()) {
            let message = format!("the logits of sequence {} of the batch are NaN", start + index / logits.columns);
            return Err(Error::new(ErrorKind::NonFinite, message));
        }
        let rows = logits.data.par_chunks(logits.columns).zip(uniforms);
        let drawn: Vec<(u32, f32)> = rows.map(|(logits, uniform)| draw(logits, truncation, *uniform)).collect();
        tokens.extend(drawn.iter().map(|(token, _)| *token));
        log_probs.extend(drawn.iter().map(|(_, log_prob)| *log_prob));
    }
    Ok(Drawn { tokens, log_probs: Matrix::new(log_probs, 1) })
}

/// A token and its log-prob before anything is scaled or left out.
fn draw(logits: &[f32], truncation: Truncation, uniform: f32) -> (u32, f32) {
    let greatest = maximum(logits);
    let mut weights = logits.to_vec();
    let sum = exp_shifted(&mut weights, greatest);
    if truncation.temperature != 1.0 && truncation.temperature > 0.0 {
        weights
            .iter_mut()
            .zip(logits)
            .for_each(|(weight, logit)| *weight = (logit - greatest) / truncation.temperature);
        exp_shifted(&mut weights, 0.0);
    }
    let token = if truncation.temperature > 0.0 {
        match kept(logits, &weights, truncation) {
            None => pass(logits, (0..).zip(weights.iter().copied()), uniform),
            Some(kept) => pass(logits, kept.iter().map(|token| (*token, weights[*token as usize])), uniform),
        }
    } else {
        greedy(logits)
    };
    (token, (logits[token as usize] - greatest) - sum.ln())
}

/// The index of the largest logit, the lowest of equals.
fn greedy(logits: &[f32]) -> u32 {
    let greatest = maximum(logits);
    logits.iter().position(|logit| *logit == greatest).unwrap_or(0) as u32
}

/// The tokens that may be drawn, by id; `None` for all.
fn kept(logits: &[f32], weights: &[f32], truncation: Truncation) -> Option<Vec<u32>> {
    let all = logits.len();
    let most = match truncation.top_k as usize {
        0 => all,
        top_k => top_k.min(all),
    };
    if most == all && truncation.top_p >= 1.0 {
        return None;
    }
    // The order is total, so what is kept does not depend on how it is found.
    let order = |one: &u32, other: &u32| {
        let [first, second] = [one, other].map(|token| logits[*token as usize]);
        second.partial_cmp(&first).unwrap_or(Ordering::Equal).then(one.cmp(other))
    };
    let mut tokens: Vec<u32> = (0..all as u32).collect();
    let begin = |tokens: &mut Vec<u32>, length: usize| {
        if length < tokens.len() {
            tokens.select_nth_unstable_by(length, order);
        }
    };
    begin(&mut tokens, most);
    tokens.truncate(most);
    if truncation.top_p < 1.0 {
        let weight = |token: &u32| f64::from(weights[*token as usize]);
        // By id, whatever order the selection left.
        tokens.sort_unstable();
        let least = f64::from(truncation.top_p) * tokens.iter().map(weight).sum::<f64>();
        let mut length = BEGINNING.min(tokens.len());
        loop {
            begin(&mut tokens, length);
            tokens[..length].sort_unstable_by(order);
            let mut sum = 0.0;
            let enough = tokens[..length].iter().position(|token| {
                sum += weight(token);
                sum >= least
            });
            match enough {
                Some(last) => {
                    tokens.truncate(last + 1);
                    break;
                }
                None if length == tokens.len() => break,
                None => length = (2 * length).min(tokens.len()),
            }
        }
    }
    tokens.sort_unstable();
    Some(tokens)
}

/// The first token whose cumulative weight exceeds `uniform` of all weights.
fn pass(logits: &[f32], tokens: impl Iterator<Item = (u32, f32)> + Clone, uniform: f32) -> u32 {
    let total: f64 = tokens.clone().map(|(_, weight)| f64::from(weight)).sum();
    let threshold = f64::from(uniform) * total;
    let mut cumulative = 0.0;
    for (token, weight) in tokens {
        cumulative += f64::from(weight);
        if cumulative > threshold {
            return token;
        }
    }
    greedy(logits)
}
