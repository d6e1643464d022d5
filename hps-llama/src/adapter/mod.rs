//! Adapters in PEFT's form: `adapter_config.json` and `adapter_model.safetensors`.

mod expression;
mod modules;
mod options;

use crate::backend::{Backend, Precision};
use crate::base::{QUANTISED, RECORD};
use crate::config::LlamaConfig;
use crate::files::write_whole;
use crate::hub::expect_here;
use crate::lora::{Lora, Recorded};
use crate::parameter::{Parameter, Projection};
use crate::weights::{OwnedTensor, Weights, write_with_metadata};
use crate::{Error, ErrorKind, Result};
use options::AdapterOptions;
use serde_json::Value;
use std::path::Path;

const CONFIG: &str = "adapter_config.json";
const MATRICES: &str = "adapter_model.safetensors";
/// The matrices as PEFT wrote them once.
const PICKLED: &str = "adapter_model.bin";

impl<B: Backend> Lora<B> {
    /// Reads a PEFT adapter folder for a model; `seed` keys dropout if it is trained further.
    ///
    /// The projections that the configuration's rules select have to be those of which there are matrices. Whichever base it was
    /// trained on: [`on_base`](Self::on_base) looks at that.
    ///
    /// # Errors
    /// A file is missing or malformed, a matrix is missing, has another shape or a number that is not finite; an option would
    /// change the numbers in a way that is not computed here (DoRA, PiSSA, rank patterns, trained biases, …), or is not
    /// known and not off.
    pub fn from_folder(backend: &B, model: &LlamaConfig, folder: impl AsRef<Path>, seed: u64) -> Result<Self> {
        let folder = folder.as_ref();
        expect_here(folder)?;
        let path = folder.join(CONFIG);
        let AdapterOptions { mut lora, modules, base } = AdapterOptions::read(&path)?;
        let selected = modules.selected(model);
        let selected = selected.map_err(|message| Error::new(ErrorKind::Adapter, message).at(path.display()))?;
        let file = folder.join(MATRICES);
        let place = file.display().to_string();
        if !file.exists() && folder.join(PICKLED).exists() {
            let message =
                format!("is not there, only {PICKLED}, which is not read here; PEFT writes it as safetensors");
            return Err(Error::new(ErrorKind::Adapter, message).at(place));
        }
        let stored = Weights::from_files(std::slice::from_ref(&file))?;
        let modules = modules::of_matrices(model, &selected, &stored.names());
        let modules = modules.map_err(|message| Error::new(ErrorKind::Adapter, message).at(&place))?;
        let mut projections: Vec<Projection> = modules.iter().map(|(_, projection)| *projection).collect();
        projections.sort_unstable();
        projections.dedup();
        lora.target_modules = projections;
        let mut adapter = Self::from_matrices(model, lora, &modules, seed, |parameter, shape| {
            let read = stored.read(&parameter.to_string(), shape, |tensor| backend.upload_weight(tensor, true));
            read.map_err(|error| match error.kind() {
                ErrorKind::NonFinite => error,
                _ => Error::new(ErrorKind::Adapter, "does not fit the model").because(error),
            })
        })?;
        let record = |key: &str| stored.metadata(key).map(String::from);
        adapter.recorded = Recorded { digest: record(RECORD), quantisation: record(QUANTISED), name: base, place };
        Ok(adapter)
    }

    /// Writes the adapter in PEFT's form into `folder`, which is made if it does not exist.
    ///
    /// `base` is written as `base_model_name_or_path`; the digest of the base it is [on](Self::on_base) and how that was
    /// [quantised](Self::on_quantised) go into the matrices' header.
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
        let Recorded { digest, quantisation, .. } = &self.recorded;
        let records = [(RECORD, digest), (QUANTISED, quantisation)];
        let records = records.iter().filter_map(|(key, text)| Some((*key, text.as_deref()?))).collect::<Vec<_>>();
        write_with_metadata(&folder.join(MATRICES), &tensors, Precision::F32, &records)?;
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
            "target_modules": self.target_modules(model),
            "task_type": if scores { "SEQ_CLS" } else { "CAUSAL_LM" },
            "use_dora": false,
            "use_rslora": self.config.use_rslora,
        });
        write_whole(&folder.join(CONFIG), format!("{config:#}\n").as_bytes())
    }

    /// Numbers of one of its matrices, `[rows, columns]`; `None` if it has none of that name.
    ///
    /// # Errors
    /// The device failed.
    pub fn matrix(&self, backend: &B, parameter: Parameter) -> Result<Option<Vec<f32>>> {
        self.matrices.get(&parameter).map(|matrix| backend.download_weight(matrix)).transpose()
    }
}
