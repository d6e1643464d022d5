//! The metadata of a model's file, read with errors that name the file and the key.

use super::keys;
use crate::gguf::{FromValue, Gguf, Tensor, Value};
use crate::{Error, ErrorKind, Result};

/// What a file of another kind says of itself.
const TYPE: &str = "general.type";
const ARCHITECTURE: &str = "general.architecture";

/// The metadata of a Llama.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metadata<'a>(&'a Gguf);

impl<'a> Metadata<'a> {
    /// Refuses what is no Llama, and keys that are not known.
    pub(super) fn of_model(gguf: &'a Gguf) -> Result<Metadata<'a>> {
        let metadata = Metadata(gguf);
        if let Some(other) = metadata.get::<&str>(TYPE)?.filter(|kind| *kind != "model") {
            return Err(metadata.config(format!("`{TYPE}` is \"{other}\"; a model is wanted")));
        }
        match gguf.expect::<&str>(ARCHITECTURE)? {
            "llama" => {}
            other => return Err(metadata.config(format!("`{ARCHITECTURE}` is \"{other}\"; known here is \"llama\""))),
        }
        for key in gguf.keys() {
            let value = gguf.value(key).expect("a key of the file");
            keys::check(key, &value).map_err(|message| metadata.config(message))?;
        }
        Ok(metadata)
    }

    /// An error of the model's shape.
    pub(super) fn config(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Config, message).at(self.0.path().display())
    }

    /// An error of its tokenizer.
    pub(super) fn tokens(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Tokens, message).at(self.0.path().display())
    }

    pub(super) fn get<T: FromValue<'a>>(&self, key: &str) -> Result<Option<T>> {
        self.0.get(key)
    }

    pub(super) fn expect<T: FromValue<'a>>(&self, key: &str) -> Result<T> {
        self.0.expect(key)
    }

    /// How many values an array has, whatever they are.
    pub(super) fn length(&self, key: &str) -> Result<Option<usize>> {
        match self.0.value(key) {
            None => Ok(None),
            Some(Value::Array(array)) => Ok(Some(array.len())),
            Some(value) => Err(self.config(format!("`{key}` is {value} but has to be an array"))),
        }
    }

    /// A number as it was written before it became f32: the shortest decimal number that rounds to it.
    pub(super) fn decimal(&self, key: &str) -> Result<Option<f64>> {
        self.get::<f32>(key)?.map(|number| self.finite(key, number).map(decimal)).transpose()
    }

    fn finite(&self, key: &str, number: f32) -> Result<f32> {
        if number.is_finite() { Ok(number) } else { Err(self.config(format!("`{key}` is {number}"))) }
    }

    /// A token's id, below the number of tokens.
    pub(super) fn token_id(&self, name: &str) -> Result<Option<u32>> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        let Some(id) = self.get::<u32>(&key)? else { return Ok(None) };
        let tokens = self.length(TOKENS)?.unwrap_or(0);
        if id as usize >= tokens {
            return Err(self.tokens(format!("`{key}` is {id}, but there are {tokens} tokens")));
        }
        Ok(Some(id))
    }

    pub(super) fn tensor(&self, name: &str) -> Option<Tensor<'a>> {
        self.0.tensor(name)
    }

    pub(super) fn tensors(&self) -> impl Iterator<Item = Tensor<'a>> {
        self.0.tensors()
    }
}

/// The key of the tokens' texts.
pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";

/// The shortest decimal number that rounds to this one as f32.
pub(super) fn decimal(number: f32) -> f64 {
    number.to_string().parse().expect("a number as Rust writes it")
}
