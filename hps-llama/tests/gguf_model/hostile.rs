//! Bytes that are changed give a model or an error, and never stop the program.

use super::lines::data;
use hps_core::Philox;
use hps_llama::chat::{Chat, Message};
use hps_llama::config::LlamaConfig;

#[test]
fn changed_bytes_are_read_or_refused() {
    let original = std::fs::read(data("spm.gguf")).expect("a file");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("changed.gguf");
    let (mut read, mut refused) = (0, 0);
    for case in 0..400u32 {
        let words = Philox::new(19).block([case, 0, 0, 0]);
        let mut bytes = original.clone();
        // Half of them among the keys before the long lists, which are about a tenth of the file.
        let places = if case % 2 == 0 { 700 } else { bytes.len() };
        for word in &words[..1 + usize::from(case % 7 == 0)] {
            let place = ((u64::from(*word) * places as u64) >> 32) as usize;
            bytes[place] = if case % 5 == 0 { *word as u8 } else { *word as u8 & 0x7f };
        }
        std::fs::write(&path, &bytes).expect("a file");
        let config = LlamaConfig::from_folder(&path);
        let chat = Chat::from_folder(&path);
        match (&config, &chat) {
            (Ok(_), Ok(chat)) => {
                let _ = chat.tokenizer().encode_with_special("Ein Übel <|im_end|> 美\n");
                let _ = chat.prompt(&[Message::user("x")]);
                read += 1;
            }
            _ => refused += 1,
        }
        for error in [config.err(), chat.err()].into_iter().flatten() {
            assert!(error.to_string().contains("changed.gguf"), "{error}");
        }
    }
    assert!(read > 30 && refused > 100, "{read} read, {refused} refused");
}

/// What the fuzzer begins with gets as far as a text's tokens.
#[test]
fn the_fuzzers_seeds_are_models() {
    for (name, tokens) in [("llama", 1), ("scores", 2)] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/gguf").join(name);
        assert_eq!(LlamaConfig::from_folder(&path).expect("a model").head_dim, 4);
        let chat = Chat::from_folder(&path).expect("a tokenizer");
        assert_eq!(chat.tokenizer().encode_plain("ab").expect("tokens").len(), tokens, "{name}");
    }
}
