//! What a row of preferences consists of, whatever its shape.

use serde_json::{Map, Value};

use super::field::{Read, get, number};
use super::{Prompt, Reason, Response};

/// The rewards of a chosen and a rejected response; only their order matters.
pub(super) const PAIR: [f64; 2] = [1.0, 0.0];

/// The prompt, the responses and their rewards, or why the row cannot be used.
pub(super) type Parts = Result<(Prompt, Vec<Response>, Vec<f64>), Reason>;

/// The rewards of a pair: `score_chosen` and `score_rejected` where the row has them.
pub(super) fn pair_scores(row: &Map<String, Value>) -> Read<[f64; 2]> {
    let score = |name: &str| get(row, name).map(|value| number(value, name)).transpose();
    match (score("score_chosen")?, score("score_rejected")?) {
        (Some(chosen), Some(rejected)) if chosen < rejected => {
            Err(format!("`score_chosen` is {chosen} but `score_rejected` is {rejected}"))
        }
        (Some(chosen), Some(rejected)) => Ok([chosen, rejected]),
        (Some(chosen), None) => Err(format!("`score_chosen` is {chosen} but there is no `score_rejected`")),
        (None, Some(rejected)) => Err(format!("`score_rejected` is {rejected} but there is no `score_chosen`")),
        (None, None) => Ok(PAIR),
    }
}

pub(super) fn pair(prompt: Prompt, chosen: Response, rejected: Response, scores: [f64; 2]) -> Read<Parts> {
    let chosen = chosen.answering(&prompt).map_err(|wrong| format!("`chosen` {wrong}"))?;
    let rejected = rejected.answering(&prompt).map_err(|wrong| format!("`rejected` {wrong}"))?;
    Ok(Ok((prompt, vec![chosen, rejected], scores.to_vec())))
}
