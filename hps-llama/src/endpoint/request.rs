//! What is asked of a server, checked before anything is sent.

use crate::generate::expect_sampling;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

/// What is asked of the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The server's name of the model.
    pub model: String,
    /// Responses a prompt.
    pub n: usize,
    /// Responses asked for in one request, at most. A server that gives fewer is asked again for the rest.
    pub n_per_request: usize,
    /// Divides the logits.
    pub temperature: f64,
    /// Sent where it is not 1.
    pub top_p: f64,
    /// Sent where it is not 0; not every server knows it.
    pub top_k: u32,
    /// Tokens a response at most.
    pub max_tokens: usize,
    /// By which name a chat completion is told [`max_tokens`](Self::max_tokens).
    pub max_tokens_field: MaxTokensField,
    /// Keys the `seed` of each request, with the prompt's id and the number of its first response. A server may ignore
    /// it.
    pub seed: u64,
    /// Whether the tokens' log-probs are asked for. At which temperature they are is the server's affair; vLLM's are
    /// the model's own, as those of [`generate`](crate::generate) are.
    pub logprobs: bool,
    /// What becomes of a choice that is no response.
    pub unusable: Unusable,
}

impl Request {
    /// Refuses options outside their ranges, by the rules of
    /// [`SamplingParams::check`](crate::generate::SamplingParams::check) where a model here has them too.
    ///
    /// # Errors
    /// One is; no request may have it, as JSON has no number for what is not finite.
    pub fn check(&self) -> Result<()> {
        expect_sampling(self.temperature, self.top_p)?;
        for (name, number) in [("n", self.n), ("n_per_request", self.n_per_request), ("max_tokens", self.max_tokens)] {
            if number == 0 {
                return Err(Error::new(ErrorKind::Option, format!("`{name}` is 0; it is at least 1")));
            }
        }
        Ok(())
    }
}

/// The field of a chat completion's request that says how many tokens a response has at most; of a completion's it is
/// `max_tokens` always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MaxTokensField {
    /// `max_tokens`, which most servers know.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's newer models ask for.
    MaxCompletionTokens,
}

impl MaxTokensField {
    /// Its name in the request.
    pub fn name(self) -> &'static str {
        match self {
            MaxTokensField::MaxTokens => "max_tokens",
            MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

impl fmt::Display for MaxTokensField {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for MaxTokensField {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = [MaxTokensField::MaxTokens, MaxTokensField::MaxCompletionTokens];
        known.into_iter().find(|field| field.name() == name).ok_or_else(|| {
            let message = format!("there are `max_tokens` and `max_completion_tokens`, no \"{name}\"");
            Error::new(ErrorKind::Option, message)
        })
    }
}

/// What becomes of a choice that is no response: see [`LeftOut`](super::LeftOut).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unusable {
    /// It is left out of the line, and counted there.
    #[default]
    Drop,
    /// It ends the run.
    Error,
}

impl fmt::Display for Unusable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Unusable::Drop => "drop",
            Unusable::Error => "error",
        })
    }
}

impl FromStr for Unusable {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "drop" => Ok(Unusable::Drop),
            "error" => Ok(Unusable::Error),
            _ => Err(Error::new(ErrorKind::Option, format!("there are `drop` and `error`, no \"{name}\""))),
        }
    }
}
