//! Which of a model folder's files has the template.

use crate::tokens::read_json;
use crate::{Error, ErrorKind, Result, beside};
use serde_json::Value;
use std::path::Path;

const CONFIG: &str = "tokenizer_config.json";

/// The template's text and its file.
pub(super) fn of_folder(folder: &Path) -> Result<Option<(String, String)>> {
    for name in ["chat_template.jinja", "additional_chat_templates/default.jinja"] {
        if let Some(text) = beside::read_text(folder, name)? {
            return Ok(Some((text, beside::place(folder, name))));
        }
    }
    let additional = folder.join("additional_chat_templates");
    let names = names(&additional)?;
    if !names.is_empty() {
        return Err(no_default(&names).at(additional.display()));
    }
    let Some(config) = read_json(folder, CONFIG)? else { return Ok(None) };
    let refused = |message: String| Error::new(ErrorKind::Template, message).at(beside::place(folder, CONFIG));
    let source = match &config["chat_template"] {
        Value::Null => return Ok(None),
        Value::String(source) => source,
        Value::Array(list) => {
            let default = list.iter().rfind(|entry| entry["name"] == "default");
            default.and_then(|entry| entry["template"].as_str()).ok_or_else(|| {
                let names: Vec<String> = list.iter().map(|entry| entry["name"].to_string()).collect();
                refused(format!("`chat_template` has no template named \"default\", only {}", names.join(", ")))
            })?
        }
        Value::Object(named) => named.get("default").and_then(Value::as_str).ok_or_else(|| {
            let names: Vec<String> = named.keys().map(|name| format!("{name:?}")).collect();
            refused(format!("`chat_template` has no template named \"default\", only {}", names.join(", ")))
        })?,
        other => return Err(refused(format!("`chat_template` is {other}, neither text nor a list"))),
    };
    Ok(Some((source.to_owned(), beside::place(folder, CONFIG))))
}

fn no_default(names: &[String]) -> Error {
    let message = format!("has no template named \"default\", only {}", names.join(", "));
    Error::new(ErrorKind::Template, message)
}

/// The templates of a folder of them, by name.
fn names(folder: &Path) -> Result<Vec<String>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        let entry =
            entry.map_err(|error| Error::new(ErrorKind::Io, "cannot be read").at(folder.display()).because(error))?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "jinja")
            && let Some(name) = path.file_stem()
        {
            names.push(format!("{:?}", name.to_string_lossy()));
        }
    }
    names.sort_unstable();
    Ok(names)
}
