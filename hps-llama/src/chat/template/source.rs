//! Which of a model folder's files has the template.

use crate::tokens::read_json;
use crate::{Error, ErrorKind, Result};
use serde_json::Value;
use std::path::Path;

/// The template's text and its file.
pub(super) fn of_folder(folder: &Path) -> Result<Option<(String, String)>> {
    let file = folder.join("chat_template.jinja");
    let additional = folder.join("additional_chat_templates");
    for path in [file, additional.join("default.jinja")] {
        if path.exists() {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(error))?;
            return Ok(Some((text, path.display().to_string())));
        }
    }
    let names = names(&additional)?;
    if !names.is_empty() {
        return Err(no_default(&names).at(additional.display()));
    }
    let path = folder.join("tokenizer_config.json");
    let Some(config) = read_json(&path)? else { return Ok(None) };
    let refused = |message: String| Error::new(ErrorKind::Template, message).at(path.display());
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
    Ok(Some((source.to_owned(), path.display().to_string())))
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
