//! What is sent.

use super::{MaxTokensField, Request};
use crate::data::Prompt;
use hps_core::Philox;
use serde_json::{Value, json};

/// Counter word that sets the requests' seeds apart from other uses of the same seed.
const REQUEST: u32 = 0x5265_7175;

/// Where a prompt's requests go, after the endpoint's URL.
pub(super) fn path(prompt: &Prompt) -> &'static str {
    match prompt {
        Prompt::Messages(_) => "/chat/completions",
        Prompt::Text(_) => "/completions",
    }
}

/// The body of a request for `count` responses, the prompt's responses from number `first` on.
pub(super) fn body(request: &Request, id: u32, prompt: &Prompt, first: usize, count: usize) -> Value {
    // Other responses of the same prompt need another seed, or a server that heeds it would give the same ones again.
    // 31 bits, because some servers read a signed 32-bit number.
    let seed = Philox::new(request.seed).block([first as u32, id, 0, REQUEST])[0] >> 1;
    let mut body = json!({
        "model": request.model, "n": count, "temperature": request.temperature, "seed": seed,
    });
    match prompt {
        Prompt::Messages(messages) => {
            body["messages"] = json!(messages);
            body[request.max_tokens_field.name()] = json!(request.max_tokens);
        }
        Prompt::Text(text) => {
            body["prompt"] = json!(text);
            body[MaxTokensField::MaxTokens.name()] = json!(request.max_tokens);
        }
    }
    if request.top_p != 1.0 {
        body["top_p"] = json!(request.top_p);
    }
    if request.top_k != 0 {
        body["top_k"] = json!(request.top_k);
    }
    if request.logprobs {
        body["logprobs"] = match prompt {
            Prompt::Messages(_) => json!(true),
            Prompt::Text(_) => json!(1),
        };
    }
    body
}
