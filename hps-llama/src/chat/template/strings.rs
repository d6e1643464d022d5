//! Methods of Python's strings whose results differ from those that minijinja's companion has: white space is Python's,
//! places are counted in characters, and nothing is true of an empty string.

use super::python::is_space;
use minijinja::value::{Value, from_args};
use minijinja::{Error, State};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether there are cased letters, and none of them is a capital.
pub(super) fn is_lower(text: &str) -> bool {
    text.contains(char::is_lowercase) && !text.contains(char::is_uppercase)
}

/// Whether there are cased letters, and all of them are capitals.
pub(super) fn is_upper(text: &str) -> bool {
    text.contains(char::is_uppercase) && !text.contains(char::is_lowercase)
}

/// The method's result.
///
/// # Errors
/// Wrong arguments, or a method that is not known.
pub(super) fn method(state: &State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args);
    };
    let all = |of: fn(char) -> bool| {
        let () = from_args(args)?;
        Ok(Value::from(!text.is_empty() && text.chars().all(of)))
    };
    let cased = |of: fn(&str) -> bool| {
        let () = from_args(args)?;
        Ok(Value::from(of(text)))
    };
    let place = |found: Option<usize>| match found {
        Some(at) => Value::from(text[..at].chars().count()),
        None => Value::from(-1),
    };
    match (name, args) {
        ("strip", []) => Ok(text.trim_matches(is_space).into()),
        ("lstrip", []) => Ok(text.trim_start_matches(is_space).into()),
        ("rstrip", []) => Ok(text.trim_end_matches(is_space).into()),
        ("split", []) => Ok(text.split(is_space).filter(|part| !part.is_empty()).map(Value::from).collect()),
        ("splitlines", []) => Ok(lines(text).into_iter().map(Value::from).collect()),
        ("find", _) => from_args(args).map(|(what,): (&str,)| place(text.find(what))),
        ("rfind", _) => from_args(args).map(|(what,): (&str,)| place(text.rfind(what))),
        ("title", []) => Ok(title(text).into()),
        ("capitalize", []) => Ok(capitalized(text).into()),
        ("islower", _) => cased(is_lower),
        ("isupper", _) => cased(is_upper),
        ("isspace", _) => all(is_space),
        ("isdigit", _) => all(|c| c.general_category() == GeneralCategory::DecimalNumber || is_raised_digit(c)),
        ("isnumeric", _) => all(char::is_numeric),
        ("isalnum", _) => all(char::is_alphanumeric),
        ("isalpha", _) => all(|c| {
            use GeneralCategory as Category;
            let letters = [
                Category::UppercaseLetter,
                Category::LowercaseLetter,
                Category::TitlecaseLetter,
                Category::ModifierLetter,
                Category::OtherLetter,
            ];
            letters.contains(&c.general_category())
        }),
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
    }
}

/// Superscript and subscript digits, which Python counts among the digits.
fn is_raised_digit(c: char) -> bool {
    matches!(c, '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{2070}' | '\u{2074}'..='\u{2079}' | '\u{2080}'..='\u{2089}')
}

/// Lines at Python's line ends, without them.
fn lines(text: &str) -> Vec<&str> {
    let is_end = |c: char| matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((at, end)) = rest.char_indices().find(|&(_, c)| is_end(c)) {
        lines.push(&rest[..at]);
        rest = &rest[at + end.len_utf8()..];
        if end == '\r' {
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// `str.title`: a letter is small after a letter, and large after anything else.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_letter = false;
    for c in text.chars() {
        if after_letter {
            out.extend(c.to_lowercase())
        } else {
            out.extend(c.to_uppercase())
        }
        after_letter = c.is_lowercase() || c.is_uppercase();
    }
    out
}

/// `str.capitalize`: the first character large, the others small.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(chars.as_str().to_lowercase().chars()).collect()
}

/// Jinja2's filter `title`: words begin after `-`, white space and opening brackets.
pub(super) fn titled(text: &str) -> String {
    let begins = |c: char| is_space(c) || matches!(c, '-' | '(' | '{' | '[' | '<');
    text.split_inclusive(begins).map(capitalized).collect()
}

/// Jinja2's filter `indent`: all lines but the first, and none that is empty, unless asked for.
pub(super) fn indented(text: &str, indentation: &str, first: bool, blank: bool) -> String {
    // A line end at the text's end is kept, as Jinja2 keeps it.
    let whole = format!("{text}\n");
    let lines = lines(&whole).into_iter().enumerate().map(|(index, line)| match index {
        0 if !first => line.to_owned(),
        0 => format!("{indentation}{line}"),
        _ if line.is_empty() && !blank => String::new(),
        _ => format!("{indentation}{line}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}
