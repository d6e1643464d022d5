//! Text from files and servers as it may be shown: what steers a terminal, or hides in a text, stands as its escape.
//!
//! Escaped are Unicode's categories Cc (control: line ends, ESC), Cf (format: direction overrides, zero-width and tag
//! characters), Zl and Zp (line and paragraph separators): `\n`, `\u{1b}`, `\u{202e}`.

use std::borrow::Cow;
use std::fmt::{self, Write};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The text in one line, with nothing in it that is not seen.
///
/// ```
/// use hps_llama::visible;
///
/// assert_eq!(visible("plain, übel, 美"), "plain, übel, 美");
/// assert_eq!(visible("\u{1b}[2Jgone\nsafe\u{202e}txe.exe"), "\\u{1b}[2Jgone\\nsafe\\u{202e}txe.exe");
/// ```
pub fn visible(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// The same with its line ends kept.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escape(text, |letter| letter == '\n')
}

/// The same JSON, with what is not seen in its texts as JSON's own escapes.
///
/// ```
/// assert_eq!(hps_llama::visible_json("\"a\u{202e}b\u{e0041}\""), r#""a\u202eb\udb40\udc41""#);
/// ```
pub fn visible_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_hidden) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        match is_hidden(letter) {
            true => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped += &format!("\\u{unit:04x}")),
            false => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

fn escape(text: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let hidden = |letter: char| is_hidden(letter) && !kept(letter);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if hidden(letter) { escaped.extend(letter.escape_default()) } else { escaped.push(letter) }
    }
    Cow::Owned(escaped)
}

/// Whether a character is not seen, or steers what shows it.
pub(crate) fn is_hidden(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_control();
    }
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
    matches!(letter.general_category(), Control | Format | LineSeparator | ParagraphSeparator)
}

/// Writes what is visible of a text.
pub(crate) struct Gate<'a, W>(pub(crate) &'a mut W);

impl<W: Write> Write for Gate<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&visible(text))
    }
}

#[cfg(test)]
mod tests {
    use super::{visible, visible_lines};

    #[test]
    fn whatever_is_not_seen_is_escaped() {
        // One of each kind: C0, DEL, C1, soft hyphen, Arabic number sign, Mongolian vowel separator, zero-width space and
        // joiner, both separators, direction overrides and isolates, byte order mark, shorthand, musical, language tags.
        for hidden in "\u{1b}\u{7f}\u{9b}\u{ad}\u{600}\u{180e}\u{200b}\u{200d}\u{2028}\u{2029}\u{202e}\u{2066}\u{feff}\u{1bca0}\u{1d173}\u{e0001}\u{e0041}"
            .chars()
        {
            let code = u32::from(hidden);
            assert_eq!(visible(&format!("a{hidden}b")), format!("a\\u{{{code:x}}}b"));
        }
        assert_eq!(visible("a\r\n\tb"), "a\\r\\n\\tb");
        assert_eq!(visible_lines("a\r\n\tb"), "a\\r\n\\tb");
        assert_eq!(visible("ünï 美 🙂 «»"), "ünï 美 🙂 «»");
    }
}
