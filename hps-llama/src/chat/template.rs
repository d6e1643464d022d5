//! A model folder's chat template, rendered as transformers renders it.

use std::path::Path;

use minijinja::value::{Kwargs, Value};
use minijinja::{AutoEscape, Environment, ErrorKind as Cause, context};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::data::Message;
use crate::tokens::read_json;
use crate::{Error, ErrorKind, Result};

/// A chat template in Jinja.
///
/// It sees what transformers shows it: `messages`, `add_generation_prompt`, `bos_token` and the tokenizer's other named tokens,
/// `tools` and `documents` (none), `raise_exception`, `tojson` as Python's `json.dumps`, and the methods of Python's strings,
/// lists and dicts. `strftime_now` and `date_string` are left undefined, so that a row has the same tokens every day: Llama's
/// templates then write a fixed date.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    place: String,
}

impl ChatTemplate {
    /// Reads `chat_template.jinja`, or else `chat_template` of `tokenizer_config.json` (a text, or a list of which the one named
    /// "default" is taken); `None` where the folder has neither.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = folder.as_ref().join("chat_template.jinja");
        if path.exists() {
            let source = std::fs::read_to_string(&path)
                .map_err(|error| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(error))?;
            return Self::new(source, path.display().to_string()).map(Some);
        }
        let path = folder.as_ref().join("tokenizer_config.json");
        let Some(config) = read_json(&path)? else { return Ok(None) };
        let refused = |message: String| Error::new(ErrorKind::Template, message).at(path.display());
        let source = match &config["chat_template"] {
            serde_json::Value::Null => return Ok(None),
            serde_json::Value::String(source) => source,
            serde_json::Value::Array(list) => {
                let default = list.iter().find(|entry| entry["name"] == "default");
                default.and_then(|entry| entry["template"].as_str()).ok_or_else(|| {
                    let names: Vec<_> = list.iter().map(|entry| entry["name"].to_string()).collect();
                    refused(format!("`chat_template` has no template named \"default\", only {}", names.join(", ")))
                })?
            }
            other => return Err(refused(format!("`chat_template` is {other}, neither text nor a list"))),
        };
        Self::new(source, path.display().to_string()).map(Some)
    }

    /// A template from its source; `place` is named in errors.
    pub fn new(source: impl Into<String>, place: impl Into<String>) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(Cause::InvalidOperation, message))
        });
        environment.add_filter("tojson", to_json);
        let (source, place) = (source.into(), place.into());
        match environment.add_template_owned(NAME, source.clone()) {
            Ok(()) => Ok(ChatTemplate { environment, source, place }),
            Err(error) => Err(Error::new(ErrorKind::Template, describe(&error)).at(place)),
        }
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders the messages; `named` are the tokenizer's named tokens, such as `("bos_token", "<|begin_of_text|>")`.
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
            .map_err(|error| Error::new(ErrorKind::Template, describe(&error)).at(&self.place))
    }
}

/// The template's name in its environment.
const NAME: &str = "chat";

/// What the template says is wrong, and its line.
fn describe(error: &minijinja::Error) -> String {
    let what = match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    };
    match error.line() {
        Some(line) => format!("{what} (line {line} of the template)"),
        None => what,
    }
}

/// Python's `json.dumps(value, ensure_ascii=False, indent=indent)`; minijinja's own escapes for HTML.
fn to_json(value: Value, options: Kwargs) -> Result<String, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    options.assert_all_used()?;
    let mut bytes = Vec::new();
    let written = match indent {
        Some(width) => {
            let indent = " ".repeat(width);
            let formatter = PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut bytes, OneLine)),
    };
    let failed = |error: String| minijinja::Error::new(Cause::BadSerialization, error);
    written.map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
}

/// Python's separators: `", "` and `": "`.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}
