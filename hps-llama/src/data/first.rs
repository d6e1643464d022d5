//! What a file's first row says of all of them, so that each is looked at with the same eyes.

use super::ReadOptions;
use super::field::{Read, get};
use super::shape::Shape;
use serde_json::{Map, Value};

/// What the first row says.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    shape: Shape,
    /// Whether it is the row that tells the shape, and no option.
    told: bool,
    demonstrations: bool,
    /// Whether pairs have scores.
    scored: bool,
}

impl First {
    /// Of the file whose first row this is.
    pub(super) fn of(row: &Map<String, Value>, options: &ReadOptions) -> Read<Self> {
        let (told, demonstrations) = (options.shape.is_none(), options.demonstrations);
        let shape = match options.shape {
            Some(shape) => shape,
            None => Shape::of(row, demonstrations)?,
        };
        Ok(First { shape, told, demonstrations, scored: is_scored(row) })
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Refuses fields of two shapes in one row.
    pub(super) fn expect_one_shape(&self, row: &Map<String, Value>) -> Read<()> {
        if self.told { Shape::expect_one(row) } else { Ok(()) }
    }

    /// Refuses a row, sound in itself, that would have been read otherwise as the first one, or whose rewards are of
    /// another kind than the first one's.
    pub(super) fn expect_alike(&self, row: &Map<String, Value>) -> Read<()> {
        if self.told {
            let shape = Shape::of(row, self.demonstrations)?;
            if shape != self.shape {
                return Err(format!("is of the shape {shape}, but the first row is of {}", self.shape));
            }
        }
        let paired = matches!(self.shape, Shape::Pairs | Shape::Conversations | Shape::Transcripts);
        match (self.scored, is_scored(row)) {
            // Scores and the 1 and 0 of rows without them are not of one scale.
            (true, false) if paired => {
                Err("has no `score_chosen` and `score_rejected`, but the first row has them".into())
            }
            (false, true) if paired => {
                Err("has `score_chosen` and `score_rejected`, but the first row has none".into())
            }
            _ => Ok(()),
        }
    }
}

fn is_scored(row: &Map<String, Value>) -> bool {
    ["score_chosen", "score_rejected"].iter().any(|name| get(row, name).is_some())
}
