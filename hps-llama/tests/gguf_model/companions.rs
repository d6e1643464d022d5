//! The small files that a GGUF file stands for, written into a folder, are one that reads alike.

use super::lines::{data, lines};
use super::written::{Model, TINY, read};
use hps_llama::chat::{Chat, Message};
use hps_llama::companions::copy_companions;
use hps_llama::config::LlamaConfig;
use hps_llama::gguf::{NewTensor, TensorType, Value, write_gguf};
use hps_llama::tokens::Tokenizer;
use hps_llama::{Digest, Result};
use std::path::Path;

#[test]
fn the_written_folder_is_the_one_the_file_was_made_of() -> Result<()> {
    let (file, folder) = (Model::tiny().write(), tempfile::tempdir().expect("a folder"));
    copy_companions(&file.path, folder.path())?;
    let (written, original) =
        (read(&folder.path().join("tokenizer.json")), read(&Path::new(TINY).join("tokenizer.json")));
    for part in ["model", "added_tokens", "normalizer", "pre_tokenizer", "decoder", "truncation", "padding"] {
        assert_eq!(written[part], original[part], "{part}");
    }
    for part in ["single", "special_tokens"] {
        assert_eq!(written["post_processor"][part], original["post_processor"][part], "{part}");
    }
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["chat_template.jinja", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]);
    let (chat, message) = (Chat::from_folder(folder.path())?, [Message::user("Hello, 你好!")]);
    assert_eq!(chat.prompt(&message)?, Chat::from_folder(TINY)?.prompt(&message)?);
    Ok(())
}

/// A file that was split is read by its first part, and its digest is of all of them.
#[test]
fn a_split_file_is_one_model() -> Result<()> {
    let whole = Model::tiny().write();
    assert_eq!(Digest::of_folder(&whole.path)?, Digest::of_file(&whole.path)?);
    let folder = tempfile::tempdir().expect("a folder");
    let part = |index: u16| folder.path().join(format!("tiny-{:05}-of-00002.gguf", index + 1));
    let write = |index: u16, number: f32| {
        let mut metadata = vec![("split.no", Value::U16(index)), ("split.count", Value::U16(2))];
        let (name, kind) = (["token_embd.weight", "output.weight"][usize::from(index)], TensorType::F32);
        let mut bytes = vec![0; 128 * 1024 * 4];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        if index == 0 {
            metadata.extend(Model::tiny().metadata);
        }
        let tensor = NewTensor { name, kind, dimensions: &[128, 1024], bytes: bytes.into() };
        write_gguf(&part(index), &metadata, &[tensor])
    };
    write(0, 1.0)?;
    write(1, 1.0)?;
    let (first, config) = (Digest::of_folder(part(0))?, LlamaConfig::from_folder(part(0))?);
    assert_eq!(config, LlamaConfig::from_folder(&whole.path)?);
    assert!(!config.tie_word_embeddings, "the second part has the head");
    write(1, 2.0)?;
    assert_ne!(Digest::of_folder(part(0))?, first, "the second part counts");
    Ok(())
}

#[test]
fn a_vocabulary_with_scores_is_written_with_its_merges() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    copy_companions(&data("spm.gguf"), folder.path())?;
    let (file, written) = (Tokenizer::from_folder(data("spm.gguf"))?, Tokenizer::from_folder(folder.path())?);
    for line in lines(6, 500) {
        assert_eq!(written.encode_with_special(&line)?, file.encode_with_special(&line)?, "{line:?}");
    }
    assert_eq!(written.reading(), file.reading());
    Ok(())
}
