//! A model's folder in Hugging Face form, opened.

use crate::backend::{Encoding, Precision, StoredSize, StoredTensor};
use crate::base::BaseDigest;
use crate::beside;
use crate::companions;
use crate::config::LlamaConfig;
use crate::parameter::Parameter;
use crate::quantisation::Quantisation;
use crate::weights::Weights;
use crate::{Error, ErrorKind, Result, json};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Refuses to train a matrix that is stored in codes: it has no numbers to change.
pub(crate) fn expect_numbers(tensor: &StoredTensor<'_>, parameter: Parameter, trained: bool) -> Result<()> {
    match tensor.encoding() {
        Encoding::Numbers(_) => Ok(()),
        _ if !trained => Ok(()),
        encoding => {
            let message = format!(
                "`{parameter}` is stored in {}; train an adapter (`use_peft`), not the weights",
                encoding.name()
            );
            Err(Error::new(ErrorKind::Option, message))
        }
    }
}

/// What a folder's `config.json` says, and its weights, mapped and not read yet.
///
/// `tie_word_embeddings` is what the weights say where the two disagree. transformers keeps a head that is in the files
/// beside the flag and differs from the embedding, and so does this: such a model is untied.
#[derive(Debug)]
pub struct ModelFolder {
    config: LlamaConfig,
    weights: Weights,
    /// Whether the files have a head that is the embedding once more.
    repeats_head: bool,
}

impl ModelFolder {
    /// Opens a folder.
    ///
    /// # Errors
    /// A file is missing or malformed, or describes another kind of model; a head does not fit the vocabulary.
    pub fn open(folder: impl AsRef<Path>) -> Result<ModelFolder> {
        let mut config = LlamaConfig::from_folder(&folder)?;
        let weights = Weights::from_folder(folder.as_ref())?;
        let mut repeats_head = false;
        if config.tie_word_embeddings && weights.has(&Parameter::Head.to_string()) {
            let stored = |parameter: Parameter| weights.stored(&parameter.to_string(), parameter.shape(&config, 0));
            let (head, embedding) = (stored(Parameter::Head)?, stored(Parameter::Embedding)?);
            repeats_head = head.encoding().name() == embedding.encoding().name() && head.bytes() == embedding.bytes();
            config.tie_word_embeddings = repeats_head;
        }
        Ok(ModelFolder { config, weights, repeats_head })
    }

    /// Its shape.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// Refuses weights that are to be trained and are codes.
    ///
    /// # Errors
    /// As said; a weight is missing or has another shape.
    pub fn expect_trainable(&self) -> Result<()> {
        let there = |parameter: &&Parameter| self.weights.has(&parameter.to_string());
        Parameter::of_model(&self.config).iter().filter(there).try_for_each(|parameter| {
            let stored = self.weights.stored(&parameter.to_string(), parameter.shape(&self.config, 0))?;
            expect_numbers(&stored, *parameter, true)
        })
    }

    /// What each weight takes in its files, or quantised as it is loaded; of a reward model without its one row.
    ///
    /// # Errors
    /// A weight has another shape, or is quantised already; no module has a name that is to be skipped.
    pub fn stored_sizes(&self, quantisation: Option<&Quantisation>) -> Result<Vec<StoredSize>> {
        quantisation.map_or(Ok(()), |quantisation| quantisation.check(&self.config))?;
        let size = |parameter: &Parameter| {
            let stored = self.weights.stored(&parameter.to_string(), parameter.shape(&self.config, 0))?;
            match quantisation.filter(|quantisation| quantisation.applies_to(*parameter)) {
                Some(quantisation) => {
                    Quantisation::expect_numbers(&stored).map_err(|error| error.at(format!("`{parameter}`")))?;
                    Ok(quantisation.kind.size_of(parameter.shape(&self.config, 0)))
                }
                None => Ok(stored.size()),
            }
        };
        let there = |parameter: &&Parameter| self.weights.has(&parameter.to_string());
        Parameter::of_model(&self.config).iter().filter(there).map(size).collect()
    }

    /// The number type of the embedding; `None` where it is in codes.
    ///
    /// # Errors
    /// It is missing or has another shape.
    pub fn precision(&self) -> Result<Option<Precision>> {
        let shape = Parameter::Embedding.shape(&self.config, 0);
        Ok(match self.weights.stored(&Parameter::Embedding.to_string(), shape)?.encoding() {
            Encoding::Numbers(precision) => Some(*precision),
            Encoding::Blocks(_) | Encoding::FourBit(_) => None,
        })
    }

    /// Which base of adapters it is.
    ///
    /// # Errors
    /// A weight is missing or has another shape.
    pub fn base_digest(&self) -> Result<BaseDigest> {
        BaseDigest::of(&self.config, &self.weights)
    }

    pub(crate) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The weights of a language model, all that there is in its files.
    ///
    /// # Errors
    /// A tensor is missing, has another shape or number type, or has no place in the model.
    pub fn of_language_model(&self) -> Result<Vec<Parameter>> {
        let parameters = Parameter::of_model(&self.config);
        for parameter in &parameters {
            self.weights.stored(&parameter.to_string(), parameter.shape(&self.config, 0))?;
        }
        let mut read = names(&parameters);
        if self.repeats_head {
            read.insert(Parameter::Head.to_string());
        }
        self.weights.expect_only(&read)?;
        Ok(parameters)
    }
}

/// A model's own `config.json`, to be changed and written for another: with what the weights say of the head.
pub(crate) fn config_json(model: &Path, read: &LlamaConfig) -> Result<Value> {
    const CONFIG: &str = "config.json";
    let place = beside::place(model, CONFIG);
    let missing = || Error::new(ErrorKind::Io, "is not there").at(&place);
    let text = companions::own(model, CONFIG)?.ok_or_else(missing)?;
    let mut config: Value = json::of_file(&text, ErrorKind::Config, &place)?;
    if config.get("tie_word_embeddings").is_some() || read.tie_word_embeddings {
        config["tie_word_embeddings"] = read.tie_word_embeddings.into();
    }
    Ok(config)
}

/// Weights' names in files.
pub(crate) fn names(parameters: &[Parameter]) -> BTreeSet<String> {
    parameters.iter().map(ToString::to_string).collect()
}
