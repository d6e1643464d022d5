//! Preference data: a file of rows, each a prompt and its responses, best first.
//!
//! [`read`] (and [`Rows`], a row at a time) takes JSON objects, one a line or the elements of one list, plain, gzip'd or
//! zstd'd (told by content, not by name), and with the feature `parquet` Parquet files. The rows are in one of these shapes,
//! told by the first one or by [`ReadOptions`]; a row that tells another one is an error:
//!
//! | [`Shape`] | fields |
//! |---|---|
//! | lists | `prompt` (text or messages), `responses` (a list of texts or of message lists), `rewards` (as many numbers) |
//! | pairs | `prompt`, `chosen`, `rejected`: texts or lists of messages, as TRL's preference format |
//! | conversations | `chosen`, `rejected`: lists of messages whose common beginning is the prompt, as TRL takes it; a `prompt` that is text repeats one of its messages. As in UltraFeedback, binarised |
//! | transcripts | `chosen`, `rejected`: texts of `\n\nHuman: …\n\nAssistant: …` turns, as in HH-RLHF; the prompt is all but the last turn |
//! | safe-rlhf | `prompt`, `response_0`, `response_1`, and `better_response_id` and `safer_response_id`, of which one has to be chosen: PKU-SafeRLHF |
//! | ultrafeedback | `instruction`, `completions` with `response` and `fine-grained_score`: UltraFeedback as it was annotated |
//! | messages | `messages`: a conversation that ends with the assistant's turn, to learn from (SFT) |
//! | completions | `prompt`, `completion`, to learn from (SFT) |
//!
//! Pairs may have `score_chosen` and `score_rejected`, all of a file or none, which are then their rewards (a tie is a tie).
//! UltraFeedback's
//! `overall_score` is not read: in some rows it is 10 where the annotation says 1.
//!
//! A message is `{"role": …, "content": …}`, both texts. Other fields of a row are ignored.
//!
//! A response of a list that says nothing is left out and counted. So that a list may have fewer than two for that, or
//! because `hps generate` left some out (`left_out`), it is dropped then.
//!
//! Malformed rows are errors with file, line and field. Rows that are sound but teach nothing are dropped and counted
//! ([`Reason`]).

use std::path::Path;

use crate::{Error, ErrorKind, Result};

mod answered;
mod array;
mod contents;
mod datasets;
mod dropped;
mod field;
mod first;
mod lines;
mod options;
mod parts;
mod prompts;
mod records;
mod row;
mod rows;
mod shape;
mod source;
#[cfg(feature = "parquet")]
mod table;
mod transcript;

pub use answered::{AnsweredRow, AnsweredRows};
pub use contents::{Contents, expect_rereadable};
pub use dropped::{Dropped, Reason};
pub use options::{Prefer, ReadOptions};
pub use prompts::{PromptRow, Prompts};
pub use row::{Message, Prompt, Response, Row};
pub use rows::Rows;
pub use shape::Shape;

/// The usable rows of a file, in its order, and the count of the others.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Dataset {
    /// The usable rows.
    pub rows: Vec<Row>,
    /// How many rows were dropped, and why.
    pub dropped: Dropped,
}

/// Reads a file of preference data.
///
/// ```
/// let file = tempfile::NamedTempFile::new()?;
/// std::fs::write(&file, r#"{"prompt": "2 + 2 =", "responses": [" 5", " 4"], "rewards": [-1, 0.5]}"#)?;
/// let data = hps_llama::data::read(file.path())?;
/// assert_eq!(data.rows[0].rewards(), [0.5, -1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Result<Dataset> {
    read_as(path, ReadOptions::default())
}

/// Reads a file as the options say.
///
/// # Errors
/// The file cannot be read, or a row is malformed.
pub fn read_as(path: impl AsRef<Path>, options: ReadOptions) -> Result<Dataset> {
    collect(&mut Rows::open_as(path, options)?)
}

/// All rows of a file.
pub(crate) fn collect(rows: &mut Rows) -> Result<Dataset> {
    let mut data = Dataset::default();
    for row in rows {
        match row? {
            Ok(row) => {
                data.dropped.leave_out(row.left_out());
                data.rows.push(row);
            }
            Err(reason) => data.dropped.add(reason),
        }
    }
    Ok(data)
}

/// Reads several files as one. The ids go on from file to file, so that no two rows share their draws.
///
/// # Errors
/// See [`read_as`]; and more rows than have ids.
pub fn read_all<P: AsRef<Path>>(paths: &[P], options: &ReadOptions) -> Result<Dataset> {
    let mut all = Dataset::default();
    for path in paths {
        let path = path.as_ref();
        let before = all.rows.len() + all.dropped.total();
        let data = read_as(path, options.clone())?;
        all.dropped.merge(&data.dropped);
        for row in data.rows {
            let id = before.checked_add(row.id() as usize).and_then(|id| u32::try_from(id).ok());
            let message = || format!("the files together have more than {} rows", u32::MAX);
            let id = id.ok_or_else(|| Error::new(ErrorKind::Row, message()).at(path.display()))?;
            all.rows.push(row.with_id(id));
        }
    }
    Ok(all)
}
