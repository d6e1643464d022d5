//! One option's value: what was given in a file or on the command line, and the types it is read into.

use crate::backend::BackendName;
use crate::chat::TemplateDate;
use hps_core::{GammaSchedule, Loss, NegativeScale, TiePolicy};
use std::fmt;
use std::path::PathBuf;
use toml::de::DeValue;

/// A value as it was given.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// A flag's text, which may be anything.
    Word(String),
    /// A TOML string.
    Text(String),
    /// A TOML number's digits.
    Number(String),
    /// A TOML truth value.
    Truth(bool),
    /// A TOML array, or a flag's several texts.
    List(Vec<Given>),
    /// What no option takes.
    Other(&'static str),
}

impl Given {
    /// A value of a TOML file.
    pub(super) fn of_toml(value: &DeValue<'_>) -> Given {
        match value {
            DeValue::String(text) => Given::Text(text.to_string()),
            DeValue::Integer(digits) => match i128::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(number) => Given::Number(number.to_string()),
                Err(_) => Given::Number(digits.to_string()),
            },
            DeValue::Float(digits) => Given::Number(digits.as_str().to_string()),
            DeValue::Boolean(truth) => Given::Truth(*truth),
            DeValue::Array(entries) => {
                Given::List(entries.iter().map(|entry| Given::of_toml(entry.get_ref())).collect())
            }
            DeValue::Datetime(_) => Given::Other("a date"),
            DeValue::Table(_) => Given::Other("a table"),
        }
    }

    /// The texts of one flag, in order.
    pub(super) fn of_flag(texts: &[String]) -> Given {
        match texts {
            [text] => Given::Word(text.clone()),
            _ => Given::List(texts.iter().cloned().map(Given::Word).collect()),
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Given::Word(text) | Given::Text(text) => Some(text),
            _ => None,
        }
    }

    fn digits(&self) -> Option<&str> {
        match self {
            Given::Word(text) | Given::Number(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::Text(text) => write!(out, "{text:?}"),
            Given::Word(text) if text.is_empty() => out.write_str("\"\""),
            Given::Word(text) | Given::Number(text) => out.write_str(text),
            Given::Truth(truth) => write!(out, "{truth}"),
            Given::List(entries) => {
                let entries: Vec<String> = entries.iter().map(Given::to_string).collect();
                write!(out, "[{}]", entries.join(", "))
            }
            Given::Other(what) => out.write_str(what),
        }
    }
}

/// A type that options have.
pub(super) trait Setting: Sized {
    /// What a value may be, for errors: `it takes …`.
    fn takes() -> String;

    /// The value, or `None` where it is of another kind.
    fn read(given: &Given) -> Option<Self>;

    /// As TOML; `None` where nothing is set.
    fn written(&self) -> Option<String>;

    /// What is wrong with the value where its kind is right; by default as [`takes`](Self::takes) says.
    fn refused(given: &Given) -> String {
        format!("{given}; it takes {}", Self::takes())
    }

    /// Whether a list of them is given on the command line as one text with commas.
    const WORD: bool = false;
}

/// A text as a TOML string.
pub(super) fn quoted(text: &str) -> String {
    // In one line: a text of several would stand in the plan as if it were options.
    match text.contains(char::is_control) {
        true => format!("\"{}\"", text.chars().map(escaped).collect::<String>()),
        false => toml::Value::String(text.into()).to_string(),
    }
}

fn escaped(letter: char) -> String {
    match letter {
        '"' | '\\' => format!("\\{letter}"),
        letter if letter.is_control() => format!("\\u{:04x}", u32::from(letter)),
        letter => letter.to_string(),
    }
}

impl Setting for bool {
    fn takes() -> String {
        "true or false".into()
    }

    fn read(given: &Given) -> Option<bool> {
        match given {
            Given::Truth(truth) => Some(*truth),
            Given::Word(word) => word.parse().ok(),
            _ => None,
        }
    }

    fn written(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for f64 {
    fn takes() -> String {
        "a number".into()
    }

    fn read(given: &Given) -> Option<f64> {
        let digits = given.digits()?;
        let number: f64 = digits.parse().ok()?;
        // A number beyond the largest one is not infinity.
        let honest = number.is_finite() || !digits.contains(|letter: char| letter.is_ascii_digit());
        (honest && !number.is_nan()).then_some(number)
    }

    fn written(&self) -> Option<String> {
        // The shortest digits that read back to the same number; 1 as 1.0.
        Some(format!("{self:?}"))
    }
}

macro_rules! whole_numbers {
    ($($type:ty),+) => {$(
        impl Setting for $type {
            fn takes() -> String {
                format!("a whole number from 0 to {}", <$type>::MAX)
            }

            fn read(given: &Given) -> Option<$type> {
                given.digits()?.parse().ok()
            }

            fn written(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+};
}

whole_numbers!(u32, u64, usize);

impl Setting for PathBuf {
    fn takes() -> String {
        "a path".into()
    }

    fn read(given: &Given) -> Option<PathBuf> {
        given.text().filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    fn written(&self) -> Option<String> {
        Some(quoted(&self.display().to_string()))
    }
}

impl Setting for String {
    fn takes() -> String {
        "a number or a name".into()
    }

    fn read(given: &Given) -> Option<String> {
        given.text().or(given.digits()).filter(|text| !text.is_empty()).map(String::from)
    }

    fn written(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl<T: Setting> Setting for Option<T> {
    fn takes() -> String {
        T::takes()
    }

    fn read(given: &Given) -> Option<Option<T>> {
        T::read(given).map(Some)
    }

    fn written(&self) -> Option<String> {
        self.as_ref().and_then(T::written)
    }

    fn refused(given: &Given) -> String {
        T::refused(given)
    }
}

/// One or a list.
impl<T: Setting> Setting for Vec<T> {
    fn takes() -> String {
        format!("{}, or a list of them", T::takes())
    }

    fn read(given: &Given) -> Option<Vec<T>> {
        match given {
            Given::List(entries) => {
                let entries: Option<Vec<Vec<T>>> = entries.iter().map(Vec::read).collect();
                Some(entries?.into_iter().flatten().collect())
            }
            Given::Word(word) if T::WORD => {
                word.split(',').map(|word| T::read(&Given::Word(word.trim().into()))).collect()
            }
            _ => T::read(given).map(|entry| vec![entry]),
        }
    }

    fn written(&self) -> Option<String> {
        let entries: Vec<String> = self.iter().filter_map(T::written).collect();
        match &entries[..] {
            [] => None,
            [entry] => Some(entry.clone()),
            _ => Some(format!("[{}]", entries.join(", "))),
        }
    }
}

impl Setting for Loss {
    fn takes() -> String {
        "the name of a loss".into()
    }

    fn read(given: &Given) -> Option<Loss> {
        given.text()?.parse().ok()
    }

    fn written(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }

    fn refused(given: &Given) -> String {
        let Some(name) = given.text() else { return format!("{given}; it takes {}", Self::takes()) };
        let near = super::names::nearest_loss(name);
        format!("`{name}`, and no loss has this name{}", super::nearest::question(near))
    }
}

impl Setting for BackendName {
    fn takes() -> String {
        "cpu, cuda or wgpu".into()
    }

    fn read(given: &Given) -> Option<BackendName> {
        given.text()?.parse().ok()
    }

    fn written(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

impl Setting for GammaSchedule {
    fn takes() -> String {
        "linspace-fifths, continuous, official-code or constant:<gamma>".into()
    }

    fn read(given: &Given) -> Option<GammaSchedule> {
        given.text()?.parse().ok()
    }

    fn written(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

impl Setting for NegativeScale {
    fn takes() -> String {
        "unit, count or a number".into()
    }

    fn read(given: &Given) -> Option<NegativeScale> {
        let named = given.text().and_then(|text| text.parse().ok());
        named.or_else(|| f64::read(given).map(NegativeScale::Custom))
    }

    fn written(&self) -> Option<String> {
        Some(match self {
            NegativeScale::Custom(scale) => format!("{scale:?}"),
            named => quoted(&named.to_string()),
        })
    }
}

impl Setting for TiePolicy {
    fn takes() -> String {
        "keep or mask-max".into()
    }

    fn read(given: &Given) -> Option<TiePolicy> {
        given.text()?.parse().ok()
    }

    fn written(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

impl Setting for TemplateDate {
    fn takes() -> String {
        "a day of the form YYYY-MM-DD".into()
    }

    fn read(given: &Given) -> Option<TemplateDate> {
        given.text()?.parse().ok()
    }

    fn written(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}
