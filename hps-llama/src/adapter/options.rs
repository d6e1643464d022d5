//! The options of an `adapter_config.json`: read, known not to change a forward pass, or refused.
//!
//! An option that is not known here is taken for neutral only where its value is null, false or empty, as PEFT writes an
//! option that is off.

use super::modules::Modules;
use crate::lora::LoraConfig;
use crate::{Error, ErrorKind, Result, json};
use serde_json::{Map, Value};
use std::path::Path;

/// Read below.
const READ: &[&str] = &[
    "peft_type",
    "r",
    "lora_alpha",
    "lora_dropout",
    "use_rslora",
    "init_lora_weights",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "base_model_name_or_path",
];

/// Change nothing of a forward pass whatever their value: where things are, how they were trained or drawn, and the
/// settings of methods that are off.
const NEUTRAL: &[&str] = &[
    "auto_mapping",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "inference_mode",
    "loftq_config",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
];

/// Would change the numbers in a way that is not computed here, each with the values that switch it off.
const OFF: &[(&str, &[&str])] = &[
    ("alora_invocation_tokens", &["null"]),
    ("alpha_pattern", &["null", "{}"]),
    ("arrow_config", &["null"]),
    ("bias", &["\"none\"", "null"]),
    ("fan_in_fan_out", &["false", "null"]),
    ("kasa_config", &["null"]),
    ("layer_replication", &["null"]),
    ("lora_bias", &["false", "null"]),
    ("megatron_config", &["null"]),
    ("modules_to_save", &["null", "[]"]),
    ("monteclora_config", &["null"]),
    ("rank_pattern", &["null", "{}"]),
    ("target_parameters", &["null", "[]"]),
    ("trainable_token_indices", &["null", "[]", "{}"]),
    ("use_bdlora", &["false", "null"]),
    ("use_dora", &["false", "null"]),
    ("use_qalora", &["false", "null"]),
    ("velora_config", &["null"]),
];

/// Starts that draw `A` or both matrices and leave the base as it is.
const STARTS: [&str; 3] = ["gaussian", "orthogonal", "eva"];
/// Starts for which PEFT takes what the fresh adapter adds out of the base, each time it loads one; and of which it can
/// write a plain adapter.
const CONVERTIBLE: [&str; 4] = ["pissa", "olora", "corda", "lora_ga"];

/// What is read of an adapter's configuration.
#[derive(Debug)]
pub(super) struct AdapterOptions {
    /// Its `target_modules` are to follow from the matrices.
    pub(super) lora: LoraConfig,
    pub(super) modules: Modules,
    pub(super) base: Option<String>,
}

impl AdapterOptions {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(source))?;
        let fail = |message: String| Error::new(ErrorKind::Adapter, message).at(path.display());
        match json::of_file(text.as_bytes(), ErrorKind::Adapter, path.display())? {
            Value::Object(options) => Self::of(&options).map_err(fail),
            _ => Err(fail("not a JSON object".into())),
        }
    }

    fn of(options: &Map<String, Value>) -> Result<Self, String> {
        let get = |name: &str| options.get(name).unwrap_or(&Value::Null);
        let required = |name: &str| options.get(name).ok_or_else(|| format!("`{name}` is missing"));
        if required("peft_type")? != "LORA" {
            return Err(format!("`peft_type` is {}; LORA is computed here", get("peft_type")));
        }
        options.iter().try_for_each(|(name, value)| expect_known(name, value))?;
        expect_base_unchanged(get("init_lora_weights"))?;
        let number = |name: &str| {
            let value = required(name)?;
            value.as_f64().ok_or_else(|| format!("`{name}` is {value}, not a number"))
        };
        let r = required("r")?.as_u64().and_then(|r| u32::try_from(r).ok());
        let lora = LoraConfig {
            r: r.ok_or_else(|| format!("`r` is {}, not a positive whole number", get("r")))? as usize,
            lora_alpha: number("lora_alpha")?,
            lora_dropout: number("lora_dropout")?,
            use_rslora: match get("use_rslora") {
                Value::Null => false,
                Value::Bool(flag) => *flag,
                other => return Err(format!("`use_rslora` is {other}, not true or false")),
            },
            target_modules: Vec::new(),
        };
        lora.check_numbers()?;
        let base = match get("base_model_name_or_path") {
            Value::Null => None,
            Value::String(name) => Some(name.clone()),
            other => return Err(format!("`base_model_name_or_path` is {other}, not a string")),
        };
        Ok(AdapterOptions { lora, modules: Modules::read(options)?, base })
    }
}

fn expect_known(name: &str, value: &Value) -> Result<(), String> {
    if READ.contains(&name) || NEUTRAL.contains(&name) {
        return Ok(());
    }
    if let Some((_, off)) = OFF.iter().find(|(known, _)| *known == name) {
        let text = value.to_string();
        return match off.contains(&text.as_str()) {
            true => Ok(()),
            false => Err(format!("`{name}` is {text}, which would change the numbers and is not computed here")),
        };
    }
    match value {
        Value::Null | Value::Bool(false) => Ok(()),
        Value::Array(list) if list.is_empty() => Ok(()),
        Value::Object(fields) if fields.is_empty() => Ok(()),
        _ => Err(format!("`{name}` is {value}; this option is not known here and may change the numbers")),
    }
}

fn expect_base_unchanged(start: &Value) -> Result<(), String> {
    let name = match start {
        Value::Null | Value::Bool(_) => return Ok(()),
        Value::String(name) if STARTS.contains(&name.as_str()) => return Ok(()),
        Value::String(name) => name,
        other => return Err(format!("`init_lora_weights` is {other}, not true, false or a name")),
    };
    let changes = "PEFT changes the base's weights when it loads such an adapter, which is not done here";
    if CONVERTIBLE.iter().any(|start| name.starts_with(start)) {
        return Err(format!(
            "`init_lora_weights` is {start}: {changes}; PEFT writes a plain adapter of it, with the adapter as it was before \
             training: `save_pretrained(DIR, path_initial_model_for_weight_conversion=INITIAL)`"
        ));
    }
    if name == "loftq" {
        return Err(format!(
            "`init_lora_weights` is {start}: {changes}; save the base that PEFT makes, and train on that"
        ));
    }
    Err(format!("`init_lora_weights` is {start}, which is not known here and may change the base's weights"))
}
