//! A key that does not print, and that is hidden where a server repeats it.

use super::mask::Mask;
use crate::{Error, ErrorKind, Result};
use std::fmt;

/// Characters from which on a key is hidden in responses.
const IN_RESPONSES: usize = 8;
/// The same in errors, where no text is lost.
const IN_ERRORS: usize = 4;
/// What stands in for a key where a server needs none.
const PLACEHOLDERS: [&str; 7] =
    ["EMPTY", "none", "not-needed", "not-required", "no-key-required", "sk-no-key-required", "lm-studio"];

/// The key of a server.
///
/// Where a server repeats it in a response, `[key]` takes its place if it has at least 8 characters: as it is or in another
/// case, in base64, in hex, with characters escaped as `%73`, `\u0073`, `\x73` or `&#115;`, and with white space, unseen
/// characters or marks between its own. Shorter keys stay in responses, where hiding them would destroy other words. In an
/// error, or in why a pause is made, it is hidden if it has at least 4 characters, and so is any run of 8 of its characters.
/// What a server says with 401 or 403 is not shown at all.
///
/// `EMPTY`, `none`, `not-needed`, `not-required`, `no-key-required`, `sk-no-key-required` and `lm-studio` stand in for a key
/// where a server needs none, and are hidden nowhere. A server that means to (another encoding, a cipher, a part in each of
/// two responses) can still write the key: it has it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    key: String,
    /// Of one that is hidden in errors.
    mask: Option<Mask>,
}

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
        Ok(ApiKey { key: key.to_string(), mask: is_hidden(key, IN_ERRORS).then(|| Mask::new(key)) })
    }

    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.key)
    }

    /// A text of a response without the key.
    pub(super) fn hide(&self, text: String) -> String {
        match &self.mask {
            Some(mask) if is_hidden(&self.key, IN_RESPONSES) => mask.hide(&text),
            _ => text,
        }
    }

    /// Whether the key, or a part of it, is in a text where its likeness is no accident.
    pub(super) fn is_in(&self, text: &str) -> bool {
        is_hidden(&self.key, IN_RESPONSES) && self.hide_parts(text) != text
    }

    /// A text that is shown, without the key and without its parts.
    pub(super) fn hide_parts(&self, text: &str) -> String {
        self.mask.as_ref().map_or_else(|| text.to_string(), |mask| mask.hide_parts(text))
    }
}

fn is_hidden(key: &str, least: usize) -> bool {
    key.len() >= least && !PLACEHOLDERS.contains(&key)
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ApiKey")
    }
}

#[cfg(test)]
mod tests {
    use super::ApiKey;

    #[test]
    fn words_that_stand_in_for_a_key_destroy_no_text() {
        for placeholder in super::PLACEHOLDERS.into_iter().chain(["x", "abc"]) {
            let key = ApiKey::new(placeholder).expect("a key");
            let text = format!("an {placeholder} box, none left");
            assert_eq!((key.hide(text.clone()), key.hide_parts(&text)), (text.clone(), text), "{placeholder}");
        }
    }

    #[test]
    fn keys_are_hidden_by_their_length() {
        for (written, in_responses) in [
            ("hide", false),
            ("sk-1234", false),
            ("hunter22", true),
            ("abcdefghijkl", true),
            ("sk-1234567890abcdef", true),
        ] {
            let key = ApiKey::new(written).expect("a key");
            let text = format!("is {written}.");
            let response = if in_responses { "is [key]." } else { &text };
            assert_eq!(
                (key.hide(text.clone()), key.hide_parts(&text)),
                (response.into(), "is [key].".into()),
                "{written}"
            );
            assert_eq!(key.is_in(&format!("host/{written}")), in_responses);
        }
    }
}
