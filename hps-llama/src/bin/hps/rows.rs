//! The rows of a run: read, tokenised, and a share of them held out.

use hps_llama::chat::Chat;
use hps_llama::data::{self, Dropped, ReadOptions};
use hps_llama::train::options::{Task, TrainOptions};
use hps_llama::train::{Example, Split, Tokenized, Truncation, tokenize_truncated};
use hps_llama::{Error, ErrorKind, Result};

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
}

impl Rows {
    /// Reads `data`, and `eval_data` or what `eval_share` holds out.
    pub fn read(options: &TrainOptions, chat: &Chat) -> Result<Rows> {
        let truncation = Truncation { max_length: options.max_length, mode: options.truncation_mode };
        let tokens = |files: &[std::path::PathBuf]| {
            let data = data::read_all(files, &ReadOptions::demonstrations(options.task == Task::Sft))?;
            let read = data.rows.len() + data.dropped.total();
            Ok::<_, Error>((read, tokenize_truncated(&data, chat, truncation)?))
        };
        let (read, Tokenized { mut examples, dropped, truncated, .. }) = tokens(options.files()?)?;
        let held_out = match options.eval_share {
            Some(share) => hold_out(&mut examples, share)?,
            None if options.eval_data.is_empty() => Vec::new(),
            None => tokens(&options.eval_data)?.1.examples,
        };
        let (split, tokenizer) = (Split { train: examples, held_out }, chat.tokenizer().reading().to_owned());
        Ok(Rows { split, read, dropped, truncated, tokenizer })
    }
}

/// Takes out row `i`, counted from 0, where `⌊(i + 1) · share⌋ > ⌊i · share⌋`: at a share of 0.1 every tenth.
fn hold_out(examples: &mut Vec<Example>, share: f64) -> Result<Vec<Example>> {
    let count = examples.len();
    let mut index = 0;
    let held_out: Vec<Example> = examples
        .extract_if(.., |_| {
            index += 1;
            (index as f64 * share).floor() > ((index - 1) as f64 * share).floor()
        })
        .collect();
    if held_out.is_empty() {
        let message = format!("`eval_share` is {share} of {count} rows, so none is held out");
        return Err(Error::new(ErrorKind::Option, message));
    }
    Ok(held_out)
}
