//! Takes a secret out of a text, however it is written there.
//!
//! The secret has several forms: its own characters, its bytes in hex, and in base64 of either alphabet, beginning at
//! any of the three places that a byte has in four characters. Of each form, a character may stand for itself in either
//! case or as an escape, and white space, unseen characters and marks may stand between two of them.

use crate::visible::is_hidden;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// What takes the secret's place.
const HIDDEN: &str = "[key]";
/// Characters of the secret that are a part of it worth hiding; all of a shorter one.
const PART: usize = 8;
const ALPHABETS: [[u8; 2]; 2] = [*b"+/", *b"-_"];

/// A secret's forms.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Mask {
    forms: Vec<Form>,
}

#[derive(Clone, PartialEq, Eq)]
struct Form {
    /// ASCII.
    letters: Vec<u8>,
    /// How many of them stand for [`PART`] characters of the secret.
    part: usize,
}

impl Mask {
    /// Of a secret of ASCII.
    pub(super) fn new(secret: &str) -> Mask {
        let part = secret.len().min(PART);
        let hex = secret.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
        let mut forms = vec![Form { letters: secret.into(), part }, Form { letters: hex, part: 2 * part }];
        for alphabet in ALPHABETS {
            for before in 0..3 {
                let letters = base64(secret.as_bytes(), before, alphabet);
                // 8 bytes are 10⅔ characters.
                forms.push(Form { part: letters.len().min(11), letters });
            }
        }
        Mask { forms }
    }

    /// The text without the secret.
    pub(super) fn hide(&self, text: &str) -> String {
        replace(text, |rest| self.forms.iter().filter_map(|form| run(rest, &form.letters, form.letters.len())).max())
    }

    /// The text without the secret and without its parts.
    pub(super) fn hide_parts(&self, text: &str) -> String {
        let longest = |rest: &str| {
            let parts = self.forms.iter().flat_map(|form| {
                (0..=form.letters.len() - form.part).filter_map(|from| run(rest, &form.letters[from..], form.part))
            });
            parts.max()
        };
        replace(text, longest)
    }
}

/// Replaces what begins at a place and has the length that `found` says.
fn replace(text: &str, found: impl Fn(&str) -> Option<usize>) -> String {
    let (mut shown, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(character) = text[at..].chars().next() {
        match found(&text[at..]) {
            Some(length) => {
                shown.push_str(HIDDEN);
                at += length;
            }
            None => {
                shown.push(character);
                at += character.len_utf8();
            }
        }
    }
    shown
}

/// The length of text that spells the letters from the first on, `least` of them or more.
fn run(text: &str, letters: &[u8], least: usize) -> Option<usize> {
    let (mut end, mut at) = (0, 0);
    for (spelt, letter) in letters.iter().enumerate() {
        let step = loop {
            match step(&text.as_bytes()[at..], *letter) {
                Some(length) => break Some(length),
                None if spelt == 0 => break None,
                None => match between(&text[at..]) {
                    0 => break None,
                    length => at += length,
                },
            }
        };
        match step {
            Some(length) => {
                at += length;
                end = at;
            }
            None => return Some(end).filter(|_| spelt >= least),
        }
    }
    Some(end)
}

/// How many bytes of white space, or of what is not seen, the text begins with: a character, or its escape in JSON.
fn between(text: &str) -> usize {
    let unseen = |character: &char| character.is_whitespace() || is_hidden(*character) || is_blank(*character);
    let escapes = ["\\n", "\\r", "\\t"];
    match text.chars().next().filter(unseen) {
        Some(character) => character.len_utf8(),
        None => escapes.into_iter().find(|escape| text.starts_with(escape)).map_or(0, str::len),
    }
}

/// Whether a character is drawn as nothing or upon the one before it: marks, variation selectors, fillers of Hangul, the
/// empty pattern of Braille.
fn is_blank(character: char) -> bool {
    use GeneralCategory::{EnclosingMark, NonspacingMark};
    matches!(character, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' | '\u{180b}'..='\u{180f}')
        || matches!(character.general_category(), NonspacingMark | EnclosingMark)
}

/// How many bytes spell the letter: it, or an escape of it, which may itself be escaped.
fn step(text: &[u8], letter: u8) -> Option<usize> {
    let is = |byte: u32| byte < 0x80 && (byte as u8).eq_ignore_ascii_case(&letter);
    let (&first, rest) = text.split_first()?;
    if is(first.into()) {
        return Some(1);
    }
    let number = |digits: &[u8], radix| u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok();
    let fixed = |digits: Option<&[u8]>| digits.and_then(|digits| number(digits, 16)).is_some_and(is);
    match first {
        b'%' => {
            let escaped = 2 * rest.chunks_exact(2).take_while(|pair| *pair == b"25").count();
            fixed(rest.get(escaped..escaped + 2)).then_some(escaped + 3)
        }
        b'\\' => {
            let slashes = 1 + rest.iter().take_while(|byte| **byte == b'\\').count();
            match text.get(slashes)? {
                b'u' if fixed(text.get(slashes + 1..slashes + 5)) => Some(slashes + 5),
                b'x' if fixed(text.get(slashes + 1..slashes + 3)) => Some(slashes + 3),
                other => is((*other).into()).then_some(slashes + 1),
            }
        }
        b'&' => {
            let amps = 4 * rest.chunks_exact(4).take_while(|four| *four == b"amp;").count();
            let end = amps + rest[amps..].iter().take(10).position(|byte| *byte == b';')?;
            let code = match &rest[amps..end] {
                [b'#', b'x' | b'X', digits @ ..] => number(digits, 16)?,
                [b'#', digits @ ..] => number(digits, 10)?,
                _ => return None,
            };
            is(code).then_some(end + 2)
        }
        _ => None,
    }
}

/// The characters of base64 that bytes decide alone, `before` bytes after the beginning.
fn base64(bytes: &[u8], before: usize, [last_but_one, last]: [u8; 2]) -> Vec<u8> {
    let bit = |at: usize| bytes[at / 8 - before] >> (7 - at % 8) & 1;
    let (first, end) = ((8 * before).div_ceil(6), 8 * (before + bytes.len()) / 6);
    let six = |letter: usize| (6 * letter..6 * letter + 6).fold(0, |number, at| number << 1 | bit(at));
    let letter = |number: u8| match number {
        0..26 => b'A' + number,
        26..52 => b'a' + number - 26,
        52..62 => b'0' + number - 52,
        62 => last_but_one,
        _ => last,
    };
    (first..end).map(|place| letter(six(place))).collect()
}

#[cfg(test)]
mod tests {
    use super::{ALPHABETS, Mask, base64};

    const SECRET: &str = "sk-n0body/may+see?this";

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let text = |bytes: &[u8], before| String::from_utf8(base64(bytes, before, ALPHABETS[0])).expect("ASCII");
        assert_eq!((text(b"foobar", 0), text(b"fooba", 0)), ("Zm9vYmFy".into(), "Zm9vYm".into()));
        // Of "foobar", what "oobar" and "obar" decide.
        assert_eq!((text(b"oobar", 1), text(b"obar", 2)), ("9vYmFy".into(), "vYmFy".into()));
        assert_eq!((text(&[0xfb, 0xff], 0), base64(&[0xfb, 0xff], 0, ALPHABETS[1])), ("+/".into(), b"-_".to_vec()));
    }

    #[test]
    fn the_secret_is_hidden_however_it_is_written() {
        let mask = Mask::new(SECRET);
        let each = |escape: fn(u8) -> String| SECRET.bytes().map(escape).collect::<String>();
        for written in [
            SECRET.to_string(),
            SECRET.to_uppercase(),
            each(|byte| format!("%{byte:02X}")),
            each(|byte| format!("%25{byte:02x}")),
            "sk-n0body%2Fmay%2bsee%3Fthis".into(),
            each(|byte| format!("\\u{byte:04x}")),
            each(|byte| format!("\\\\x{byte:02X}")),
            "sk-n0body\\/may+see?this".into(),
            each(|byte| format!("&#{byte};")),
            each(|byte| format!("&amp;#x{byte:x};")),
            each(|byte| format!("{byte:02X}")),
            "sk-n0body/\n  may+see?this".into(),
            each(|byte| format!("{} ", byte as char)).trim_end().into(),
            "sk-n0body/\u{200b}may+\u{202e}see?this".into(),
        ] {
            assert_eq!(mask.hide(&format!("it is {written}, é")), "it is [key], é", "{written}");
            assert_eq!(mask.hide_parts(&format!("it is {written}, é")), "it is [key], é", "{written}");
        }
        let blanks = "\u{fe00}\u{fe0f}\u{34f}\u{3164}\u{2800}\u{115f}\u{1160}\u{ffa0}\u{180b}\u{180e}\u{180f}\u{e0100}\u{e01ef}\u{301}\u{20dd}";
        for blank in blanks.chars() {
            let written: Vec<String> = SECRET.chars().map(String::from).collect();
            let written = written.join(&blank.to_string());
            assert_eq!(mask.hide(&format!("it is {written}, é")), "it is [key], é", "{}", blank.escape_unicode());
        }
        assert_eq!(mask.hide("sk-n0body/may+see?thi"), "sk-n0body/may+see?thi");
    }

    #[test]
    fn base64_of_a_text_with_the_secret_hides_it() {
        let mask = Mask::new(SECRET);
        for alphabet in ALPHABETS {
            for before in ["", "B", "Be", "Bearer "] {
                for after in ["", ":", "\r\n"] {
                    let encoded = String::from_utf8(base64(format!("{before}{SECRET}{after}").as_bytes(), 0, alphabet));
                    let encoded = encoded.expect("ASCII");
                    let hidden = mask.hide(&encoded);
                    let (first, last) = hidden.split_once("[key]").unwrap_or_else(|| panic!("{encoded}"));
                    // What neighbours decide together with a byte of the secret stays.
                    assert!(first.len() <= (8 * before.len()).div_ceil(6) && last.len() <= 4, "{hidden}");
                    let lines = format!("{}\r\n{}", &encoded[..20], &encoded[20..]);
                    assert!(mask.hide(&lines).contains("[key]"), "{lines}");
                }
            }
        }
    }

    #[test]
    fn parts_are_hidden_from_eight_characters_on() {
        let mask = Mask::new(SECRET);
        let hidden =
            mask.hide_parts("{\"a\": \"sk-n0body/\", \"b\": \"may+see?this\", \"c\": \"n0body/\", \"d\": \"n0body\"}");
        assert_eq!(hidden, "{\"a\": \"[key]\", \"b\": \"[key]\", \"c\": \"n0body/\", \"d\": \"n0body\"}");
        let base64 = String::from_utf8(base64(SECRET.as_bytes(), 0, ALPHABETS[0])).expect("ASCII");
        assert_eq!(mask.hide_parts(&format!("{}…", &base64[4..15])), "[key]…");
        assert_eq!(mask.hide_parts(&format!("{}…", &base64[4..14])), format!("{}…", &base64[4..14]));
    }
}
