//! A file of prompts and responses, rated by a reward model: each row gets `rewards`, one a response in their order, and
//! `reward_model`, which says what rated it. Its other fields stay.

use crate::backend::Backend;
use crate::data::{AnsweredRow, AnsweredRows, Contents, expect_rereadable};
use crate::digest::Digest;
use crate::files::Output;
use crate::pack::Group;
use crate::resumable::{PROGRAM, Resumable};
use crate::reward_model::Scorer;
use crate::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What is rated, and where the rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreOptions {
    /// Rows of `prompt` and `responses`.
    pub data: PathBuf,
    /// The same rows with `rewards`; there when all are.
    pub output: PathBuf,
    /// Whether an output that is there is replaced.
    pub overwrite: bool,
    /// Whether rewards that rows have are replaced.
    pub overwrite_rewards: bool,
    /// Whether rows of text are rated, and written, as conversations.
    pub chat: bool,
    /// Tokens of a pass at most, or one response with its prompt; no number depends on it.
    pub max_num_batched_tokens: usize,
}

/// How many rows were rated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoredRows {
    /// All.
    pub rows: usize,
    /// Those of them that a killed command had left.
    pub resumed: usize,
    /// Those of them that have no response to rate: their `rewards` are an empty list.
    pub unanswered: usize,
    /// Those of the rows rated now whose prompt is text, where the reward model has a chat template.
    pub texts: usize,
}

/// Rates all rows; killed, it goes on where it was when it is called again with the same options.
///
/// * model — the digest of the reward model's folder.
/// * progress — called with the rows done, and the rows there are.
///
/// # Errors
/// A row is malformed or has rewards that are not to be replaced (all rows are looked at first); the output is there, or
/// lines of another run are; the data can be read only once, or change while they are read; a response does not fit the model; a reward is not finite; a file cannot be written.
pub fn score<B: Backend>(
    scorer: &Scorer<B>,
    model: Digest,
    options: &ScoreOptions,
    mut progress: impl FnMut(usize, usize),
) -> Result<ScoredRows> {
    let output = Output { path: &options.output, inputs: &[&options.data], overwrite: options.overwrite };
    Resumable::check(&output)?;
    let (total, unanswered, contents) = count(options)?;
    let mut fingerprint = json!({
        "command": "score",
        "program": PROGRAM,
        "reward_model": scorer.label(),
        "model_sha256": model.to_string(),
        "arithmetic": scorer.arithmetic(),
        "data_sha256": contents.sha256().to_string(),
    });
    if options.chat {
        fingerprint["chat"] = json!(true);
    }
    if let Some(date) = scorer.chat().date() {
        fingerprint["template_date"] = json!(date.to_string());
    }
    let mut output = Resumable::open(&output, &fingerprint)?;
    output.expect_at_most(total)?;
    progress(output.done(), total);
    let (mut rows, mut groups, mut tokens, mut texts) = (Vec::new(), Vec::new(), 0, 0);
    for row in AnsweredRows::open_again(&options.data, &contents)?.skip(output.done()) {
        let row = if options.chat { row?.into_chat() } else { row? };
        texts += usize::from(scorer.chat().skips_template(&row.prompt));
        let group = scorer.group(row.id, &row.prompt, &row.responses).map_err(|error| error.at(&row.place))?;
        if tokens + group.tokens() > options.max_num_batched_tokens {
            write(scorer, &mut output, std::mem::take(&mut rows), &groups, options)?;
            groups.clear();
            tokens = 0;
            progress(output.done(), total);
        }
        tokens += group.tokens();
        rows.push(row);
        groups.push(group);
    }
    write(scorer, &mut output, rows, &groups, options)?;
    progress(output.done(), total);
    let resumed = output.resumed();
    output.finish()?;
    Ok(ScoredRows { rows: total, resumed, unanswered, texts })
}

/// How many rows there are, each of them sound, how many without a response, and what their file holds.
fn count(options: &ScoreOptions) -> Result<(usize, usize, Contents)> {
    expect_rereadable(&options.data)?;
    let (mut count, mut unanswered) = (0, 0);
    let mut rows = AnsweredRows::open(&options.data)?;
    for row in rows.by_ref() {
        let row = row?;
        if row.has_rewards() && !options.overwrite_rewards {
            let message = "has `rewards` already; `--overwrite_rewards` replaces them";
            return Err(Error::new(ErrorKind::Row, message).at(&row.place));
        }
        count += 1;
        unanswered += usize::from(row.responses.is_empty());
    }
    Ok((count, unanswered, rows.contents()?))
}

fn write<B: Backend>(
    scorer: &Scorer<B>,
    output: &mut Resumable,
    rows: Vec<AnsweredRow>,
    groups: &[Group],
    options: &ScoreOptions,
) -> Result<()> {
    let rewards = scorer.rewards(groups, options.max_num_batched_tokens)?;
    for (AnsweredRow { mut fields, .. }, rewards) in rows.into_iter().zip(rewards) {
        fields.insert("rewards".into(), json!(rewards));
        fields.insert("reward_model".into(), scorer.label().into());
        output.push(&Value::Object(fields))?;
    }
    Ok(())
}
