//! A model folder's chat template, rendered as transformers renders it.

mod python;
mod rewritten;
mod source;
mod strings;

use super::TemplateDate;
use crate::data::Message;
use crate::{Error, ErrorKind, Result};
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind as Cause, context};
use python::Json;
use std::path::Path;

/// A chat template in Jinja.
///
/// It sees what transformers shows it: `messages`, `add_generation_prompt`, `bos_token` and the tokenizer's other named tokens,
/// `tools` and `documents` (none), `raise_exception`, `tojson` as Python's `json.dumps`, and the methods of Python's strings,
/// lists and dicts. Values are written as Python writes them, and dicts keep their order. `{% generation %}` means nothing.
///
/// `strftime_now` is defined where a date was given ([`with_date`](Self::with_date)), so that a row has the same tokens every
/// day: without one, Llama's templates write a fixed date, and a template that needs `strftime_now` is refused.
///
/// Known to differ from Jinja2: `~` writes a list, a dict or a float of many digits otherwise; Jinja2 refuses to loop over
/// `none`. A tuple, `range(3)`, and the `items()` and `keys()` of a dict are written as lists. Of a letter
/// such as `ǆ` or `ﬁ`, `title()` and `capitalize` make capitals where Python makes a title letter.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    place: String,
}

impl ChatTemplate {
    /// Reads `chat_template.jinja`, or else `additional_chat_templates/default.jinja`, or else `chat_template` of
    /// `tokenizer_config.json` (a text, or several of which the one named "default" is taken, as transformers takes it where
    /// no tools are given); `None` where the folder has none.
    ///
    /// `chat_template.json` is a processor's and is not read, as transformers' tokenizers do not read it.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Option<Self>> {
        let found = source::of_folder(folder.as_ref())?;
        found.map(|(source, place)| Self::new(source, place)).transpose()
    }

    /// A template from its source; `place` is named in errors.
    pub fn new(source: impl Into<String>, place: impl Into<String>) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_formatter(|out, _, value| out.write_str(&python::text(value)).map_err(Into::into));
        environment.set_unknown_method_callback(strings::method);
        environment.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(Cause::InvalidOperation, message))
        });
        add_filters(&mut environment);
        add_tests(&mut environment);
        let place = place.into();
        // As Jinja2: `\r\n` and `\r` end lines, and lines end on `\n`.
        let source = source.into().replace("\r\n", "\n").replace('\r', "\n");
        match environment.add_template_owned(NAME, rewritten::rewritten(&source)) {
            Ok(()) => Ok(ChatTemplate { environment, source, place }),
            Err(error) => Err(described(&error, &place)),
        }
    }

    /// The day that `strftime_now` writes.
    #[must_use]
    pub fn with_date(mut self, date: TemplateDate) -> Self {
        self.environment.add_function("strftime_now", move |format: &str| {
            date.format(format).map_err(|message| minijinja::Error::new(Cause::InvalidOperation, message))
        });
        self
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders the messages; `named` are the tokenizer's named tokens, such as `("bos_token", "<|begin_of_text|>")`.
    ///
    /// # Errors
    /// What the template raises, or what is wrong with it, after its file and line. The error has no place of its own: the
    /// row's is the caller's to add.
    pub fn render<'a>(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        named: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<String> {
        let named = Value::from_iter(named);
        let none = Value::from(());
        let variables = context! { messages, add_generation_prompt, tools => none, documents => none, ..named };
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(variables))
            .map_err(|error| described(&error, &self.place))
    }
}

/// The template's name in its environment.
const NAME: &str = "chat";

/// What the template says is wrong, after its file and line.
fn described(error: &minijinja::Error, place: &str) -> Error {
    let mut message = match error.line() {
        Some(line) => format!("{place}:{line}: "),
        None => format!("{place}: "),
    };
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    message.push_str(&what);
    if error.kind() == Cause::UnknownFunction && what.contains("strftime_now") {
        message.push_str("; `template_date` gives the day that it writes");
    }
    Error::new(ErrorKind::Template, message)
}

/// Filters whose results are other ones in minijinja.
fn add_filters(environment: &mut Environment<'static>) {
    environment.add_filter("tojson", to_json);
    environment.add_filter("string", |value: &Value| python::text(value));
    environment.add_filter("trim", |value: &Value, chars: Option<&str>| {
        let text = python::text(value);
        match chars {
            Some(chars) => text.trim_matches(|c| chars.contains(c)).to_owned(),
            None => text.trim_matches(python::is_space).to_owned(),
        }
    });
    environment.add_filter("title", |value: &Value| strings::titled(&python::text(value)));
    environment.add_filter("capitalize", |value: &Value| strings::capitalized(&python::text(value)));
    environment.add_filter("upper", |value: &Value| python::text(value).to_uppercase());
    environment.add_filter("lower", |value: &Value| python::text(value).to_lowercase());
    for name in ["length", "count"] {
        environment.add_filter(name, |value: &Value| match value.kind() {
            ValueKind::Undefined => Ok(0),
            _ => minijinja::filters::length(value),
        });
    }
    environment.add_filter("indent", |value: &Value, width: Option<Value>, first: Option<bool>, options: Kwargs| {
        let (named_width, named_first): (Option<Value>, Option<bool>) = (options.get("width")?, options.get("first")?);
        let blank: Option<bool> = options.get("blank")?;
        options.assert_all_used()?;
        let indentation = match width.or(named_width) {
            None => " ".repeat(4),
            Some(width) if width.kind() == ValueKind::String => python::text(&width),
            Some(width) => " ".repeat(i64::try_from(width)?.clamp(0, 1000) as usize),
        };
        let first = first.or(named_first).unwrap_or(false);
        Ok::<_, minijinja::Error>(strings::indented(&python::text(value), &indentation, first, blank.unwrap_or(false)))
    });
    environment.add_filter("round", |value: Value, digits: Option<i32>| match (f64::try_from(value.clone()), digits) {
        // To the even one of two neighbours that are equally near, and exactly: as the digits are written.
        (Ok(number), digits) if !value.is_integer() && number.is_finite() && digits.unwrap_or(0) >= 0 => {
            let written = format!("{number:.*}", digits.unwrap_or(0) as usize);
            Ok(Value::from(written.parse::<f64>().unwrap_or(number)))
        }
        _ => minijinja::filters::round(value, digits),
    });
    // Of other results than Jinja2's, and of no use in a chat: no filter is better than another one.
    for name in ["pprint", "attr"] {
        environment.remove_filter(name);
    }
    for name in ["escape", "e"] {
        environment.add_filter(name, |value: &Value| {
            let text = python::text(value).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            text.replace('\'', "&#39;").replace('"', "&#34;")
        });
    }
}

/// Tests whose results are other ones in minijinja.
fn add_tests(environment: &mut Environment<'static>) {
    environment
        .add_test("iterable", |value: &Value| value.kind() != ValueKind::None && minijinja::tests::is_iterable(value));
    // What has a length and items: in Python, text and dicts too.
    environment.add_test("sequence", |value: &Value| {
        !matches!(value.kind(), ValueKind::None | ValueKind::Bool | ValueKind::Number)
    });
    environment.add_test("lower", |value: &Value| strings::is_lower(&python::text(value)));
    environment.add_test("upper", |value: &Value| strings::is_upper(&python::text(value)));
    environment.add_test("number", |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));
}

/// transformers' filter: `json.dumps(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
fn to_json(value: &Value, positional: Rest<Value>, options: Kwargs) -> Result<String, minijinja::Error> {
    let refused = |message: &str| minijinja::Error::new(Cause::InvalidOperation, message.to_owned());
    if positional.len() > 4 {
        return Err(refused("`tojson` has four options at most"));
    }
    let option = |index: usize, name: &str| -> Result<Value, minijinja::Error> {
        let named: Option<Value> = options.get(name)?;
        Ok(positional.get(index).cloned().or(named).unwrap_or_else(|| Value::from(())))
    };
    let indent = option(1, "indent")?;
    let indent = match indent.kind() {
        ValueKind::None => None,
        ValueKind::String => Some(indent.as_str().unwrap_or_default().to_owned()),
        ValueKind::Number => Some(" ".repeat(i64::try_from(indent)?.clamp(0, 1000) as usize)),
        _ => return Err(refused("`indent` of `tojson` is a number or text")),
    };
    let separators = option(2, "separators")?;
    let [item_separator, key_separator] = match separators.kind() {
        ValueKind::None => [if indent.is_none() { ", " } else { "," }.to_owned(), ": ".to_owned()],
        _ => {
            let parts: Vec<Value> = separators.try_iter()?.collect();
            match parts.iter().map(Value::as_str).collect::<Option<Vec<&str>>>().as_deref() {
                Some([item, key]) => [(*item).to_owned(), (*key).to_owned()],
                _ => return Err(refused("`separators` of `tojson` are two texts")),
            }
        }
    };
    let (ensure_ascii, sort_keys) = (option(0, "ensure_ascii")?.is_true(), option(3, "sort_keys")?.is_true());
    options.assert_all_used()?;
    Json { ensure_ascii, indent, item_separator, key_separator, sort_keys }.dump(value)
}
