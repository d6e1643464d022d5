//! A key that does not print.

use crate::{Error, ErrorKind, Result};
use std::fmt;

/// What takes the key's place in a text.
const HIDDEN: &str = "[key]";

/// The key of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key; white space around it is taken off.
    ///
    /// # Errors
    /// It is empty, or has a character that no HTTP header can hold. The error does not tell the key.
    pub fn new(key: &str) -> Result<Self> {
        let key = key.trim();
        if key.is_empty() {
            return Err(Error::new(ErrorKind::Option, "the key is empty"));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::new(ErrorKind::Option, "the key has a character that is not visible ASCII"));
        }
        Ok(ApiKey(key.to_string()))
    }

    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// The text without the key.
    pub(super) fn hide(&self, text: &str) -> String {
        text.replace(&self.0, HIDDEN)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ApiKey")
    }
}
