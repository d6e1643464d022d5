//! Regular expressions of Python's, as PEFT matches them: `re.fullmatch` on a module's path.
//!
//! A path is ASCII letters, digits, dots and underscores. On such text the engine here and Python's `re` agree, except in
//! syntax that only one of them has, or that each reads in its own way; an expression with that is refused.

use fancy_regex::Regex;

/// An expression, for whole paths.
#[derive(Debug)]
pub(super) struct Expression {
    option: &'static str,
    text: String,
    regex: Regex,
}

impl Expression {
    /// Of an option's value.
    pub(super) fn new(option: &'static str, text: &str) -> Result<Expression, String> {
        if let Some(part) = of_one_engine(text) {
            return Err(format!("`{option}` is {text:?}; {part:?} in a regular expression is not read here"));
        }
        let fail =
            |error: fancy_regex::Error| format!("`{option}` is {text:?}, which is no regular expression: {error}");
        // First alone, so that the parentheses around it close none of its own.
        Regex::new(text).map_err(fail)?;
        let regex = Regex::new(&format!("\\A(?:{text})\\z")).map_err(fail)?;
        Ok(Expression { option, text: text.into(), regex })
    }

    /// Whether it matches all of a path.
    pub(super) fn matches(&self, path: &str) -> Result<bool, String> {
        let fail =
            |error| format!("`{}` is {:?}, which cannot be matched with `{path}`: {error}", self.option, self.text);
        self.regex.is_match(path).map_err(fail)
    }
}

/// The first part of an expression that Python and the engine here do not read alike: letters after a backslash that only
/// one knows, sets in sets, `{,n}`, verbose mode.
fn of_one_engine(text: &str) -> Option<String> {
    const ESCAPES: &str = "AbBdDsSwWZ";
    let mut letters = text.chars().peekable();
    let mut in_set = false;
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        match (letter, next) {
            ('\\', Some(escaped)) => {
                let known = ESCAPES.contains(escaped) || matches!(escaped, '1'..='9') || escaped.is_ascii_punctuation();
                if !known || matches!(escaped, '<' | '>') {
                    return Some(format!("\\{escaped}"));
                }
                letters.next();
            }
            ('[', _) if in_set => return Some("[".into()),
            ('[', _) => {
                in_set = true;
                // A bracket that closes at once stands for itself.
                letters.next_if_eq(&'^');
                letters.next_if_eq(&']');
            }
            (']', _) => in_set = false,
            ('&' | '-' | '~', Some(next)) if in_set && next == letter => return Some(format!("{letter}{next}")),
            ('{', Some(',')) if !in_set => return Some("{,".into()),
            ('(', Some('?')) if !in_set => {
                letters.next();
                let flags: String = std::iter::from_fn(|| letters.next_if(char::is_ascii_alphabetic)).collect();
                if !flags.is_empty() && flags != "i" && flags != "P" && flags != "s" && flags != "m" {
                    return Some(format!("(?{flags}"));
                }
            }
            _ => {}
        }
    }
    None
}
