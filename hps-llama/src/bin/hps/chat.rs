//! How the commands that read a model folder's template and tokenizer are told to read them.

use clap::Args;
use hps_llama::Result;
use hps_llama::chat::{Chat, TemplateDate};
use hps_llama::train::thousands;
use serde_json::{Value, json};
use std::path::Path;

/// Flags about rows as tokens.
#[derive(Debug, Args)]
pub struct ChatFlags {
    /// Treat text prompts as user turns, with the model's chat template; lists of messages always use it.
    #[arg(long = "chat")]
    pub text_as_turns: bool,
    /// Date that the chat template prints: 2026-11-30 [default: none; a template that needs a date is refused].
    #[arg(long = "template_date", alias = "template-date", value_name = "YYYY-MM-DD")]
    pub template_date: Option<TemplateDate>,
    /// Allow sequences longer than the model's `max_position_embeddings`.
    #[arg(long = "allow_long_positions", alias = "allow-long-positions")]
    pub allow_long_positions: bool,
}

impl ChatFlags {
    /// A folder's.
    pub fn chat(&self, folder: &Path) -> Result<Chat> {
        let chat = Chat::from_folder(folder)?;
        Ok(chat.template_date(self.template_date).allow_long_positions(self.allow_long_positions))
    }

    /// Notes in a fingerprint what is given of them.
    pub fn note_in(&self, options: &mut Value) {
        if self.text_as_turns {
            options["chat"] = json!(true);
        }
        if let Some(date) = self.template_date {
            options["template_date"] = json!(date.to_string());
        }
        if self.allow_long_positions {
            options["allow_long_positions"] = json!(true);
        }
    }
}

/// What is to be said of prompts that are text, as many as [`Chat::skips_template`] finds.
pub fn skipped_template(texts: usize) -> Option<String> {
    let prompts = prompts_are(texts);
    (texts > 0).then(|| {
        format!("{prompts} text, which the model reads without its chat template; `--chat` makes each a user's turn")
    })
}

/// `3 prompts are`.
pub fn prompts_are(count: usize) -> String {
    if count == 1 { "1 prompt is".into() } else { format!("{} prompts are", thousands(count)) }
}
