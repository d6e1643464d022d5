//! Any bytes as a GGUF file: no panic; an error names the file; a tensor that is read has the bytes that its dimensions need,
//! and decodes; nor as a Llama's, whose shape and tokenizer are sound or refused.

use hps_llama::chat::Chat;
use hps_llama::config::LlamaConfig;
use hps_llama::gguf::{Gguf, TensorType};

/// The first numbers of a tensor that are decoded.
const DECODED: usize = 1024;

pub fn run(data: &[u8]) {
    let (_folder, path) = super::file("model.gguf", data);
    let file = match Gguf::open(&path) {
        Ok(file) => file,
        Err(error) => {
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            return;
        }
    };
    for key in file.keys() {
        let value = file.value(key).expect("a key's value");
        assert!(!value.to_string().is_empty(), "{key}");
        let _ = (file.get::<u32>(key), file.get::<f32>(key), file.get::<bool>(key), file.get::<&str>(key));
        let _ = (file.get::<Vec<&str>>(key), file.get::<Vec<f32>>(key), file.get::<Vec<i32>>(key));
    }
    for tensor in file.tensors() {
        let numbers = tensor.rows() * tensor.columns();
        assert_eq!(tensor.kind.bytes_of(numbers), Some(tensor.bytes.len()), "{}", tensor.name);
        assert!(file.tensor(tensor.name).is_some_and(|same| same.bytes.as_ptr() == tensor.bytes.as_ptr()));
        if let TensorType::Blocks(block) = tensor.kind {
            block.decode(tensor.bytes, 0, &mut vec![0.0; numbers.min(DECODED)]);
        }
    }
    match LlamaConfig::from_folder(&path) {
        Ok(config) => assert!(config.num_attention_heads % config.num_key_value_heads == 0),
        Err(error) => assert!(error.to_string().contains(&path.display().to_string()), "{error}"),
    }
    match Chat::from_folder(&path) {
        Ok(chat) => drop(chat.tokenizer().encode_with_special("Ein Übel 美\n 12")),
        Err(error) => assert!(error.to_string().contains(&path.display().to_string()), "{error}"),
    }
}
