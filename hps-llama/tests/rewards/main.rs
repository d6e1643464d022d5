//! Reward models over text: ArmoRM against a computation of its own in f64, scores of transformers, what nothing depends on.

mod armo;
mod gated_folder;
mod llama_f64;
mod scorer;

use hps_llama::data::{Message, Prompt, Response};
use std::path::PathBuf;

/// Scores in f32 trunks against f64 ones or transformers' f32: they are of the order of 1, after two or three blocks.
const SCORE: f64 = 2e-4;
/// The same numbers with the prompt computed once for all or once for each: f32 products in another order.
const SHARED: f64 = 1e-5;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}

fn asked(text: &str) -> Prompt {
    Prompt::Messages(vec![Message::user(text)])
}

fn answers(texts: &[&str]) -> Vec<Response> {
    texts.iter().map(|text| Response::Text(text.to_string())).collect()
}
