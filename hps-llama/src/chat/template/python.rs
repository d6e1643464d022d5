//! What values look like in Python: templates are written for Jinja2, whose `str`, `repr` and `json.dumps` are Python's.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether Python's `str.strip` and `str.split` take the character for white space: Unicode's, and four separators.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `str(value)`; nothing where the value is undefined.
pub(super) fn text(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined => String::new(),
        ValueKind::String => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        _ => shown(value),
    }
}

/// `repr(value)`.
fn shown(value: &Value) -> String {
    let items = |open: char, close: char, items: &mut dyn Iterator<Item = String>| {
        let items: Vec<String> = items.collect();
        format!("{open}{}{close}", items.join(", "))
    };
    match value.kind() {
        ValueKind::Undefined => "Undefined".into(),
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        ValueKind::Number if !value.is_integer() => {
            f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float)
        }
        ValueKind::Seq => match value.try_iter() {
            Ok(list) => items('[', ']', &mut list.map(|item| shown(&item))),
            Err(_) => value.to_string(),
        },
        ValueKind::Map => match value.try_iter() {
            Ok(keys) => {
                let pair = |key: Value| {
                    let item = value.get_item(&key).unwrap_or_default();
                    format!("{}: {}", shown(&key), shown(&item))
                };
                items('{', '}', &mut keys.map(pair))
            }
            Err(_) => value.to_string(),
        },
        _ => value.to_string(),
    }
}

/// `repr` of a float: the shortest digits, with an exponent below 1e-4 and from 1e16.
fn float(number: f64) -> String {
    if !number.is_finite() {
        return if number.is_nan() { "nan".into() } else { format!("{}inf", if number < 0.0 { "-" } else { "" }) };
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let scientific = format!("{number:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let plain = number.to_string();
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

/// `repr` of a string: in single quotes unless it has one and no double quote; what cannot be printed escaped.
fn quoted(text: &str) -> String {
    use GeneralCategory as Category;
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        let hidden = c != ' '
            && matches!(
                c.general_category(),
                Category::Control
                    | Category::Format
                    | Category::Surrogate
                    | Category::PrivateUse
                    | Category::Unassigned
                    | Category::LineSeparator
                    | Category::ParagraphSeparator
                    | Category::SpaceSeparator
            );
        let code = u32::from(c);
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            _ if hidden && code < 0x100 => out.push_str(&format!("\\x{code:02x}")),
            _ if hidden && code < 0x1_0000 => out.push_str(&format!("\\u{code:04x}")),
            _ if hidden => out.push_str(&format!("\\U{code:08x}")),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// `json.dumps` with its options.
#[derive(Debug)]
pub(super) struct Json {
    pub(super) ensure_ascii: bool,
    /// What a level is indented by; `None` for one line.
    pub(super) indent: Option<String>,
    pub(super) item_separator: String,
    pub(super) key_separator: String,
    pub(super) sort_keys: bool,
}

impl Json {
    /// The value's text.
    ///
    /// # Errors
    /// A value or key that JSON does not have, an undefined one among them; keys that are sorted and not all text.
    pub(super) fn dump(&self, value: &Value) -> Result<String, Error> {
        let mut out = String::new();
        self.write(value, 1, &mut out)?;
        Ok(out)
    }

    fn write(&self, value: &Value, level: usize, out: &mut String) -> Result<(), Error> {
        let refused = |what: String| Err(Error::new(ErrorKind::BadSerialization, what));
        match value.kind() {
            ValueKind::Undefined => return refused("an undefined value has no JSON".into()),
            ValueKind::None | ValueKind::Bool | ValueKind::Number => out.push_str(&scalar(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.list(['[', ']'], &items, level, out, |item, out| self.write(item, level + 1, out))?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    if keys.len() > 1 && keys.iter().any(|key| key.as_str().is_none()) {
                        return refused("keys are sorted and not all text".into());
                    }
                    keys.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
                }
                self.list(['{', '}'], &keys, level, out, |key, out| {
                    match key.kind() {
                        ValueKind::String => self.string(key.as_str().unwrap_or_default(), out),
                        ValueKind::None | ValueKind::Bool | ValueKind::Number => self.string(&scalar(key), out),
                        other => return refused(format!("a key is a {other}")),
                    }
                    out.push_str(&self.key_separator);
                    self.write(&value.get_item(key)?, level + 1, out)
                })?;
            }
            other => return refused(format!("a value of the kind {other} has no JSON")),
        }
        Ok(())
    }

    fn list(
        &self,
        [open, close]: [char; 2],
        items: &[Value],
        level: usize,
        out: &mut String,
        mut write: impl FnMut(&Value, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let new_line = |level: usize, out: &mut String| {
            if let Some(indent) = &self.indent {
                out.push('\n');
                (0..level).for_each(|_| out.push_str(indent));
            }
        };
        out.push(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push_str(&self.item_separator);
            }
            new_line(level, out);
            write(item, out)?;
        }
        if !items.is_empty() {
            new_line(level - 1, out);
        }
        out.push(close);
        Ok(())
    }

    fn string(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || self.ensure_ascii && !(' '..='~').contains(&c) => {
                    let mut units = [0; 2];
                    c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

fn scalar(value: &Value) -> String {
    match value.kind() {
        ValueKind::None => "null".into(),
        ValueKind::Bool => if value.is_true() { "true" } else { "false" }.into(),
        _ => match shown(value).as_str() {
            "nan" => "NaN".into(),
            "inf" => "Infinity".into(),
            "-inf" => "-Infinity".into(),
            number => number.into(),
        },
    }
}
