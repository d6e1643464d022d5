//! A template as minijinja has to be given it to write what Jinja2 writes.
//!
//! * `{% generation %}`: transformers marks with it what the assistant wrote. A block that changes nothing comes in its
//!   place; like transformers' own it has variables of its own. White space control stays.
//! * A line end after `{% raw %}` is text to Jinja2; minijinja takes one away.
//! * Escapes in strings that are Python's only: `\a`, `\v`, `\U0001f600`, a line's end; and `\/`, which is two characters.

use std::borrow::Cow;
use std::ops::Range;

/// What comes in the place of a part of the source.
type Edit = (Range<usize>, Cow<'static, str>);

/// The template, rewritten.
pub(super) fn rewritten(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut done = 0;
    for (part, text) in edits(source) {
        out.push_str(&source[done..part.start]);
        out.push_str(&text);
        done = part.end;
    }
    out.push_str(&source[done..]);
    out
}

fn edits(source: &str) -> Vec<Edit> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = source[at..].find('{').map(|start| at + start) {
        let inside = start + 2;
        at = match source.as_bytes().get(start + 1) {
            Some(b'#') => source[inside..].find("#}").map_or(source.len(), |end| inside + end + 2),
            Some(b'{') => end_of(source, inside, "}}", &mut found),
            Some(b'%') => {
                let end = end_of(source, inside, "%}", &mut found);
                let word = word(source, inside..end);
                match &source[word.clone()] {
                    "raw" => {
                        if source[end..].starts_with('\n') && !source[..end].ends_with("-%}") {
                            found.push((end..end, "\n".into()));
                        }
                        end_of_raw(source, end)
                    }
                    "generation" => {
                        found.push((word, "with".into()));
                        end
                    }
                    "endgeneration" => {
                        found.push((word, "endwith".into()));
                        end
                    }
                    _ => end,
                }
            }
            _ => start + 1,
        };
    }
    found
}

/// The only word of a tag, empty if there are others.
fn word(source: &str, tag: Range<usize>) -> Range<usize> {
    let text = &source[tag.clone()];
    let text = text.strip_suffix("%}").unwrap_or(text).trim_end_matches(['-', '+']).trim_end();
    let core = text.trim_start_matches(['-', '+']).trim_start();
    let end = tag.start + text.len();
    let is_word = core.chars().all(|c| c.is_ascii_alphabetic());
    if is_word { end - core.len()..end } else { end..end }
}

/// After the tag's end; quotes hide one. Strings' escapes are looked at on the way.
fn end_of(source: &str, from: usize, end: &str, found: &mut Vec<Edit>) -> usize {
    let bytes = source.as_bytes();
    let mut at = from;
    let mut quote = None;
    while at < bytes.len() {
        match quote {
            Some(_) if bytes[at] == b'\\' => {
                found.extend(escape(source, at));
                at += 1;
            }
            Some(open) if bytes[at] == open => quote = None,
            Some(_) => {}
            None if bytes[at..].starts_with(end.as_bytes()) => return at + end.len(),
            None if matches!(bytes[at], b'"' | b'\'') => quote = Some(bytes[at]),
            None => {}
        }
        at += 1;
    }
    bytes.len()
}

/// What comes in the place of an escape that begins at a place.
fn escape(source: &str, at: usize) -> Option<Edit> {
    let two = at..at + 2;
    match source.as_bytes().get(at + 1)? {
        b'a' => Some((two, "\\x07".into())),
        b'v' => Some((two, "\\x0b".into())),
        b'/' => Some((at..at, "\\".into())),
        b'\n' => Some((two, "".into())),
        b'U' => {
            let digits = source.get(at + 2..at + 10)?;
            let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
            // A quote would end the string.
            let text = if c.is_ascii() { format!("\\x{:02x}", u32::from(c)) } else { c.to_string() };
            Some((at..at + 10, text.into()))
        }
        _ => None,
    }
}

/// At the tag that ends raw text.
fn end_of_raw(source: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(start) = source[at..].find("{%").map(|start| at + start) {
        let end = source[start..].find("%}").map_or(source.len(), |end| start + end + 2);
        if &source[word(source, start + 2..end)] == "endraw" {
            return end;
        }
        at = start + 2;
    }
    source.len()
}
