//! Losses in configuration files, as their names (feature `serde`).
//!
//! Written as [`Display`](fmt::Display) prints it, read by [`FromStr`](core::str::FromStr). A name does not say every
//! number of a loss; one whose name reads back as another loss is refused rather than written.

use crate::loss::Loss;
use core::fmt::{self, Write};
use serde_core::de::{Deserialize, Deserializer, Visitor};
use serde_core::ser::{Error as _, Serialize, Serializer};

impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut name = Name { bytes: [0; NAME_LEN], len: 0 };
        write!(name, "{self}").map_err(|_| S::Error::custom("the loss's name is too long"))?;
        if name.as_str().parse() != Ok(*self) {
            return Err(S::Error::custom("the loss's name does not say all of its numbers"));
        }
        serializer.serialize_str(name.as_str())
    }
}

impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Loss, D::Error> {
        deserializer.deserialize_str(LossName)
    }
}

struct LossName;

impl Visitor<'_> for LossName {
    type Value = Loss;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a loss")
    }

    fn visit_str<E: serde_core::de::Error>(self, name: &str) -> Result<Loss, E> {
        name.parse().map_err(E::custom)
    }
}

const NAME_LEN: usize = 128;

/// A name in a fixed space, since nothing here allocates.
struct Name {
    bytes: [u8; NAME_LEN],
    len: usize,
}

impl Name {
    fn as_str(&self) -> &str {
        // Whole strings were written, so this is never the default.
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Write for Name {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.len + part.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(part.as_bytes());
        self.len = end;
        Ok(())
    }
}
