//! Adapters in PEFT's form: `adapter_config.json` and `adapter_model.safetensors`.

use crate::backend::{Backend, Precision};
use crate::config::LlamaConfig;
use crate::files::write_whole;
use crate::lora::{Lora, LoraConfig};
use crate::parameter::{Parameter, Projection};
use crate::weights::{OwnedTensor, Weights, write_safetensors};
use crate::{Error, ErrorKind, Result, json};
use serde_json::Value;
use std::path::Path;

/// Options of PEFT that would change the numbers and are not computed here, each with the values that switch it off.
const REFUSED: &[(&str, &[&str])] = &[
    ("use_dora", &["false", "null"]),
    ("use_qalora", &["false", "null"]),
    ("use_bdlora", &["false", "null"]),
    ("lora_bias", &["false", "null"]),
    ("bias", &["\"none\"", "null"]),
    ("fan_in_fan_out", &["false", "null"]),
    ("modules_to_save", &["null", "[]"]),
    ("rank_pattern", &["null", "{}"]),
    ("alpha_pattern", &["null", "{}"]),
    ("layers_to_transform", &["null"]),
    ("layer_replication", &["null"]),
    ("exclude_modules", &["null", "[]"]),
    ("trainable_token_indices", &["null", "[]"]),
    ("target_parameters", &["null", "[]"]),
    ("alora_invocation_tokens", &["null"]),
    ("kasa_config", &["null"]),
    ("monteclora_config", &["null"]),
    ("velora_config", &["null"]),
];

impl<B: Backend> Lora<B> {
    /// Reads a PEFT adapter folder for a model; `seed` keys dropout if it is trained further.
    ///
    /// # Errors
    /// A file is missing or malformed, a matrix is missing or has another shape, an option would change the numbers in
    /// a way that is not computed here (DoRA, rank patterns, trained biases, …).
    pub fn from_folder(backend: &B, model: &LlamaConfig, folder: impl AsRef<Path>, seed: u64) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join("adapter_config.json");
        let config = read_config(&path)?;
        let file = folder.join("adapter_model.safetensors");
        let stored = Weights::from_files(std::slice::from_ref(&file))?;
        let known: Vec<String> = config.parameters(model).iter().map(ToString::to_string).collect();
        if let Some(name) = stored.names().into_iter().find(|name| !known.iter().any(|known| known == name)) {
            let message = format!("`{name}` has no place in this model and `target_modules`");
            return Err(Error::new(ErrorKind::Adapter, message).at(file.display()));
        }
        Self::from_matrices(model, config, seed, |parameter, shape| {
            let read = stored.read(&parameter.to_string(), shape, |tensor| backend.upload_weight(tensor, true));
            read.map_err(|error| Error::new(ErrorKind::Adapter, "does not fit the model").because(error))
        })
    }

    /// Writes the adapter in PEFT's form into `folder`, which is made if it does not exist.
    ///
    /// `base` is written as `base_model_name_or_path`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, backend: &B, model: &LlamaConfig, folder: impl AsRef<Path>, base: &str) -> Result<()> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder)
            .map_err(|source| Error::new(ErrorKind::Io, "cannot be made").at(folder.display()).because(source))?;
        let mut tensors = Vec::new();
        for (parameter, matrix) in &self.matrices {
            let (rows, columns) = parameter.shape(model, self.config.r);
            let data = backend.download_weight(matrix)?;
            tensors.push(OwnedTensor { name: parameter.to_string(), shape: vec![rows, columns], data });
        }
        write_safetensors(&folder.join("adapter_model.safetensors"), &tensors, Precision::F32)?;
        let modules: Vec<&str> = self.config.target_modules.iter().map(|projection| projection.name()).collect();
        let scores = self.matrices.contains_key(&Parameter::AdaptedScore);
        let config = serde_json::json!({
            "base_model_name_or_path": base,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "lora_alpha": self.config.lora_alpha,
            "lora_dropout": self.config.lora_dropout,
            "modules_to_save": if scores { serde_json::json!(["score"]) } else { Value::Null },
            "peft_type": "LORA",
            "r": self.config.r,
            "target_modules": modules,
            "task_type": if scores { "SEQ_CLS" } else { "CAUSAL_LM" },
            "use_dora": false,
            "use_rslora": self.config.use_rslora,
        });
        write_whole(&folder.join("adapter_config.json"), format!("{config:#}\n").as_bytes())
    }

    /// Numbers of one of its matrices, `[rows, columns]`; `None` if it has none of that name.
    ///
    /// # Errors
    /// The device failed.
    pub fn matrix(&self, backend: &B, parameter: Parameter) -> Result<Option<Vec<f32>>> {
        self.matrices.get(&parameter).map(|matrix| backend.download_weight(matrix)).transpose()
    }
}

/// Reads and checks an `adapter_config.json`.
fn read_config(path: &Path) -> Result<LoraConfig> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(source))?;
    let fail = |message: String| Error::new(ErrorKind::Adapter, message).at(path.display());
    let value = json::of_file(text.as_bytes(), ErrorKind::Adapter, path.display())?;
    if value["peft_type"] != "LORA" {
        return Err(fail(format!("`peft_type` is {}; LORA is computed here", value["peft_type"])));
    }
    for (option, off) in REFUSED {
        let text = value.get(option).map_or("null".into(), Value::to_string);
        if !off.contains(&text.as_str()) {
            return Err(fail(format!("`{option}` is {text}, which would change the numbers and is not computed here")));
        }
    }
    let number =
        |name: &str| value[name].as_f64().ok_or_else(|| fail(format!("`{name}` is {}, not a number", value[name])));
    let r = value["r"].as_u64().ok_or_else(|| fail(format!("`r` is {}, not a whole number", value["r"])))?;
    Ok(LoraConfig {
        r: r as usize,
        lora_alpha: number("lora_alpha")?,
        lora_dropout: number("lora_dropout")?,
        use_rslora: value["use_rslora"].as_bool().unwrap_or(false),
        target_modules: target_modules(&value["target_modules"]).map_err(fail)?,
    })
}

/// A list of projection names, or `"all-linear"`.
fn target_modules(value: &Value) -> Result<Vec<Projection>, String> {
    if value == "all-linear" {
        return Ok(Projection::ALL.to_vec());
    }
    let names = value
        .as_array()
        .ok_or_else(|| format!("`target_modules` is {value}; a list of projection names or \"all-linear\" is read"))?;
    let mut modules = Vec::new();
    for name in names {
        let projection = name.as_str().and_then(Projection::from_name).ok_or_else(|| {
            let known = Projection::ALL.map(Projection::name).join(", ");
            format!("`target_modules` names {name}; the projections are {known}")
        })?;
        modules.push(projection);
    }
    modules.sort_unstable();
    modules.dedup();
    Ok(modules)
}
