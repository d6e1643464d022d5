//! Responses from a server that speaks OpenAI's HTTP interface, as vLLM, SGLang, TGI and llama.cpp do.
//!
//! Messages go to `URL/chat/completions`, texts to `URL/completions`. Requests run side by side; lines are written in
//! the order of the prompts, so a killed command goes on at the row. What may pass (429, 408, 5xx, a timeout, a cut
//! connection, an answer that cannot be used) is asked for again, after a pause that doubles; what will not (another 4xx) ends
//! the run with the server's words.
//!
//! A choice that is no response of the model (a refusal, a tool call, an empty text: see [`LeftOut`]) is left out of its
//! line and counted there, or ends the run.
//!
//! The key is sent to the server and goes nowhere else: not into lines, not beside them, not into errors, even where the
//! server repeats it in a response or in what it says of an error (see [`ApiKey`]).

mod answer;
mod client;
mod date;
mod key;
mod left_out;
mod mask;
mod request;
mod retries;
mod rows;
mod wire;

pub use client::Endpoint;
pub use key::ApiKey;
pub use left_out::{LeftOut, Tally};
pub use request::{MaxTokensField, Request, Unusable};
pub use retries::{Pause, Retries};
pub use rows::{Progress, Served, endpoint_rows};
