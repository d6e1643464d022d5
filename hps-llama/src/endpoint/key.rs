//! A key that does not print, and that is hidden where a server repeats it.

use super::mask::Mask;
use crate::{Error, ErrorKind, Result};
use std::fmt;

/// Characters from which on a key is secret whatever they are.
const LONG: usize = 16;
/// The same of a key that has both a letter and a digit.
const SHORT: usize = 8;
/// A key of llama.cpp's examples, which its users keep.
const PLACEHOLDER: &str = "sk-no-key-required";

/// The key of a server.
///
/// It is *secret* where it has at least 16 characters, or at least 8 with a letter and a digit among them, and is not
/// `sk-no-key-required`. Other keys (`EMPTY`, `none`, `x`) stand in for one where a server needs none: they keep nobody
/// out, and hiding them would destroy texts that hold the word.
///
/// Where a server repeats a secret key in a response, `[key]` takes its place: as it is or in another case, in base64,
/// in hex, with characters escaped as `%73`, `\u0073`, `\x73` or `&#115;`, and with white space or unseen characters
/// between its own. In an error, or in why a pause is made, so does any run of 8 of its characters. What a server says
/// with 401 or 403 is not shown at all. A server that means to (a cipher, a part in each of two responses) can still
/// write the key: it has it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    key: String,
    /// Of a secret key.
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
        Ok(ApiKey { key: key.to_string(), mask: is_secret(key).then(|| Mask::new(key)) })
    }

    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.key)
    }

    /// A text of a response without the key.
    pub(super) fn hide(&self, text: String) -> String {
        match &self.mask {
            Some(mask) => mask.hide(&text),
            None => text,
        }
    }

    /// A text that is shown, without the key and without its parts.
    pub(super) fn hide_parts(&self, text: &str) -> String {
        self.mask.as_ref().map_or_else(|| text.to_string(), |mask| mask.hide_parts(text))
    }
}

fn is_secret(key: &str) -> bool {
    let has = |of: fn(&u8) -> bool| key.bytes().any(|byte| of(&byte));
    let mixed = has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit);
    key != PLACEHOLDER && (key.len() >= LONG || (key.len() >= SHORT && mixed))
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
        for placeholder in ["EMPTY", "none", "x", "not-needed", "lm-studio", "sk-1234", "sk-no-key-required"] {
            let key = ApiKey::new(placeholder).expect("a key");
            let text = format!("an {placeholder} box, none left");
            assert_eq!((key.hide(text.clone()), key.hide_parts(&text)), (text.clone(), text), "{placeholder}");
        }
        for secret in ["hunter22", "token-abc123", "correct-horse-battery"] {
            assert_eq!(ApiKey::new(secret).expect("a key").hide(format!("is {secret}.")), "is [key].");
        }
    }
}
