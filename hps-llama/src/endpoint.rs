//! Responses from a server that speaks OpenAI's HTTP interface, as vLLM, SGLang, TGI and llama.cpp do.
//!
//! Messages go to `URL/chat/completions`, texts to `URL/completions`. Requests run side by side; lines are written in
//! the order of the prompts, so a killed command goes on at the row. What may pass (429, 408, 5xx, a timeout, a cut
//! connection, an answer that is none) is asked for again, after a pause that doubles; what will not (another 4xx) ends
//! the run with the server's words.
//!
//! The key is sent to the server and goes nowhere else: not into lines, not beside them, not into errors, even where the
//! server repeats it in what it says of an error.

mod client;
mod key;
mod retries;
mod rows;
mod wire;

pub use client::Endpoint;
pub use key::ApiKey;
pub use retries::Retries;
pub use rows::{Served, endpoint_rows};

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
    /// Keys the `seed` of each request, with the prompt's id and the number of its first response. A server may ignore it.
    pub seed: u64,
    /// Whether the tokens' log-probs are asked for. At which temperature they are is the server's affair; vLLM's are the
    /// model's own, as those of [`generate`](crate::generate) are.
    pub logprobs: bool,
}
