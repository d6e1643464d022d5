//! GGUF files of small Llamas, changed as a test needs it.

use hps_llama::chat::Chat;
use hps_llama::config::LlamaConfig;
use hps_llama::gguf::{Array, NewTensor, TensorType, Value, write_gguf};
use serde_json::Value as Json;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder whose tokenizer has Llama 3's form.
pub const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/tiny-llama3");

/// What is written into a file.
#[derive(Clone)]
pub struct Model {
    pub metadata: Vec<(&'static str, Value<'static>)>,
    pub tensors: Vec<(&'static str, Vec<usize>)>,
    pub rope_factors: Option<Vec<f32>>,
}

/// A file, for as long as it is held.
pub struct Written {
    _folder: TempDir,
    pub path: PathBuf,
}

impl Model {
    /// `assets/tiny-llama3` as llama.cpp's converter writes it, but for its tensors.
    pub fn tiny() -> Model {
        let tokenizer = read(&Path::new(TINY).join("tokenizer.json"));
        let mut tokens: Vec<(u64, String, i32)> = Vec::new();
        for (text, id) in tokenizer["model"]["vocab"].as_object().expect("a vocabulary") {
            tokens.push((id.as_u64().expect("an id"), text.clone(), 1));
        }
        for token in tokenizer["added_tokens"].as_array().expect("added tokens") {
            let text = token["content"].as_str().expect("a text").to_string();
            tokens.push((token["id"].as_u64().expect("an id"), text, 3));
        }
        tokens.sort();
        assert!((0..).zip(&tokens).all(|(place, (id, ..))| place == *id), "ids are places");
        let merges = tokenizer["model"]["merges"].as_array().expect("merges").iter();
        let merges: Vec<String> = merges
            .map(|pair| format!("{} {}", pair[0].as_str().expect("a part"), pair[1].as_str().expect("a part")))
            .collect();
        let template = fs::read_to_string(Path::new(TINY).join("chat_template.jinja")).expect("a template");
        let types: Vec<i32> = tokens.iter().map(|(.., kind)| *kind).collect();
        let metadata = vec![
            ("general.architecture", Value::String("llama")),
            ("general.type", Value::String("model")),
            ("general.name", Value::String("tiny")),
            ("llama.block_count", Value::U32(4)),
            ("llama.context_length", Value::U32(512)),
            ("llama.embedding_length", Value::U32(128)),
            ("llama.feed_forward_length", Value::U32(384)),
            ("llama.attention.head_count", Value::U32(4)),
            ("llama.attention.head_count_kv", Value::U32(2)),
            ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
            ("llama.rope.freq_base", Value::F32(500_000.0)),
            ("llama.rope.dimension_count", Value::U32(32)),
            ("llama.vocab_size", Value::U32(1024)),
            ("tokenizer.ggml.model", Value::String("gpt2")),
            ("tokenizer.ggml.pre", Value::String("llama-bpe")),
            ("tokenizer.ggml.tokens", strings(tokens.iter().map(|(_, text, _)| text.as_str()))),
            ("tokenizer.ggml.token_type", Value::Array(Array::of_i32(&types))),
            ("tokenizer.ggml.merges", strings(merges.iter().map(String::as_str))),
            ("tokenizer.ggml.bos_token_id", Value::U32(1018)),
            ("tokenizer.ggml.eos_token_id", Value::U32(1022)),
            ("tokenizer.ggml.eot_token_id", Value::U32(1019)),
            ("tokenizer.ggml.padding_token_id", Value::U32(1023)),
            ("tokenizer.chat_template", Value::String(template.leak())),
        ];
        let tensors = vec![("token_embd.weight", vec![128, 1024]), ("output.weight", vec![128, 1024])];
        Model { metadata, tensors, rope_factors: None }
    }

    /// With another value of a key, or with a new key.
    pub fn with(mut self, key: &'static str, value: Value<'static>) -> Model {
        match self.metadata.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => self.metadata.push((key, value)),
        }
        self
    }

    /// Without a key.
    pub fn without(mut self, key: &str) -> Model {
        let before = self.metadata.len();
        self.metadata.retain(|(known, _)| *known != key);
        assert_eq!(self.metadata.len() + 1, before, "{key} was there");
        self
    }

    /// With one more tensor, of zeros.
    pub fn with_tensor(mut self, name: &'static str, dimensions: &[usize]) -> Model {
        self.tensors.push((name, dimensions.to_vec()));
        self
    }

    pub fn with_rope_factors(mut self, factors: &[f32]) -> Model {
        self.rope_factors = Some(factors.to_vec());
        self
    }

    /// The values of an array.
    fn array<T>(&self, key: &str, value: fn(Value<'_>) -> Option<T>) -> Vec<T> {
        match self.metadata.iter().find(|(known, _)| *known == key) {
            Some((_, Value::Array(array))) => {
                array.iter().map(|one| value(one).expect("a value of the type")).collect()
            }
            _ => panic!("{key} is an array"),
        }
    }

    fn texts(&self, key: &str) -> Vec<String> {
        self.array(key, |value| match value {
            Value::String(text) => Some(text.to_string()),
            _ => None,
        })
    }

    pub fn merges(&self) -> Vec<String> {
        self.texts("tokenizer.ggml.merges")
    }

    /// With other tokens.
    pub fn with_tokens(self, change: impl FnOnce(&mut Vec<String>, &mut Vec<i32>)) -> Model {
        let mut texts = self.texts("tokenizer.ggml.tokens");
        let mut types = self.array("tokenizer.ggml.token_type", |value| match value {
            Value::I32(number) => Some(number),
            _ => None,
        });
        change(&mut texts, &mut types);
        self.with("tokenizer.ggml.tokens", strings(texts.iter().map(String::as_str)))
            .with("tokenizer.ggml.token_type", Value::Array(Array::of_i32(&types)))
    }

    pub fn write(&self) -> Written {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tiny.gguf");
        let zeros = |(name, dimensions): &(&'static str, Vec<usize>)| (*name, dimensions.clone(), Vec::new());
        let mut tensors: Vec<(&str, Vec<usize>, Vec<u8>)> = self.tensors.iter().map(zeros).collect();
        for (_, dimensions, bytes) in &mut tensors {
            bytes.resize(dimensions.iter().product::<usize>() * 4, 0);
        }
        if let Some(factors) = &self.rope_factors {
            let bytes = factors.iter().flat_map(|factor| factor.to_le_bytes()).collect();
            tensors.push(("rope_freqs.weight", vec![factors.len()], bytes));
        }
        let tensors: Vec<NewTensor<'_>> = tensors
            .iter()
            .map(|(name, dimensions, bytes)| NewTensor { name, kind: TensorType::F32, dimensions, bytes: bytes.into() })
            .collect();
        write_gguf(&path, &self.metadata, &tensors).expect("a file");
        Written { _folder: folder, path }
    }

    /// What is said of a file that is refused: by the reader of its shape, or by that of its texts.
    pub fn refusal(&self) -> String {
        let written = self.write();
        let error = match LlamaConfig::from_folder(&written.path) {
            Err(error) => error,
            Ok(_) => Chat::from_folder(&written.path).expect_err("a refused file"),
        };
        let place = written.path.display().to_string();
        assert!(error.place().is_some_and(|found| found.starts_with(&place)), "{error}");
        error.to_string().strip_prefix(&place).expect("the file").trim_start_matches(": ").to_string()
    }
}

pub fn strings<'s>(texts: impl IntoIterator<Item = &'s str>) -> Value<'static> {
    Value::Array(Array::of_strings(texts))
}

pub fn read(path: &Path) -> Json {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}
