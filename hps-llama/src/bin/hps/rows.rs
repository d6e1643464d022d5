//! The rows of a run: read, tokenised, and a share of them held out.

use crate::chat::skipped_template;
use hps_llama::chat::Chat;
use hps_llama::data::{self, Dropped, ReadOptions};
use hps_llama::train::options::{Task, TrainOptions};
use hps_llama::train::{Split, Tokenized, Truncation, tokenize_truncated};
use hps_llama::{Error, Result};

/// Rows to train on and to evaluate on.
#[derive(Debug)]
pub struct Rows {
    /// To train on and to evaluate on.
    pub split: Split,
    /// Rows of `data`, whatever became of them.
    pub read: usize,
    /// Rows of `data` that were dropped.
    pub dropped: Dropped,
    /// Rows of `data` that were cut.
    pub truncated: usize,
    /// How the tokenizer is read.
    pub tokenizer: String,
    /// What is to be said of prompts that are text.
    pub skipped_template: Option<String>,
}

impl Rows {
    /// Reads `data`, and `eval_data` or what `eval_share` holds out.
    pub fn read(options: &TrainOptions, chat: &Chat) -> Result<Rows> {
        let truncation = Truncation { max_length: options.max_length, mode: options.truncation_mode };
        let tokens = |files: &[std::path::PathBuf]| {
            let read = ReadOptions { chat: options.chat, ..ReadOptions::demonstrations(options.task == Task::Sft) };
            let data = data::read_all(files, &read)?;
            let read = data.rows.len() + data.dropped.total();
            let texts = data.rows.iter().filter(|row| chat.skips_template(row.prompt())).count();
            Ok::<_, Error>((read, texts, tokenize_truncated(&data, chat, truncation)?))
        };
        let (read, texts, Tokenized { examples, dropped, truncated, .. }) = tokens(options.files()?)?;
        let split = match options.eval_share {
            Some(share) => Split::hold_out(examples, share)?,
            None if options.eval_data.is_empty() => Split::from(examples),
            None => Split { train: examples, held_out: tokens(&options.eval_data)?.2.examples },
        };
        let tokenizer = chat.tokenizer().reading().to_owned();
        Ok(Rows { split, read, dropped, truncated, tokenizer, skipped_template: skipped_template(texts) })
    }
}
