//! A vocabulary with scores, of SentencePiece's trainer, against transformers' ids. `data/gguf_model/README.md` says how they
//! were made.

use super::lines::{data, digests, expected, json, lines};
use super::written::{Model, read, strings};
use hps_llama::Result;
use hps_llama::companions::copy_companions;
use hps_llama::config::LlamaConfig;
use hps_llama::gguf::{Array, Gguf, Value};
use hps_llama::tokens::Tokenizer;
use serde_json::Value as Json;
use std::path::Path;

/// The file of gguf-py, to be changed.
pub fn model() -> Result<Model> {
    let file = Gguf::open(&data("spm.gguf"))?;
    let texts: Vec<&str> = file.expect("tokenizer.ggml.tokens")?;
    let types: Vec<i32> = file.expect("tokenizer.ggml.token_type")?;
    let scores: Vec<f32> = file.expect("tokenizer.ggml.scores")?;
    let mut model = Model::tiny()
        .without("llama.vocab_size")
        .without("tokenizer.ggml.merges")
        .without("tokenizer.ggml.padding_token_id")
        .with("tokenizer.ggml.model", Value::String("llama"))
        .with("tokenizer.ggml.pre", Value::String("default"))
        .with("tokenizer.ggml.tokens", strings(texts))
        .with("tokenizer.ggml.token_type", Value::Array(Array::of_i32(&types)))
        .with("tokenizer.ggml.scores", Value::Array(Array::of_f32(&scores)));
    for (name, id) in [("bos", 1), ("eos", 2), ("eot", 4), ("unknown", 0)] {
        let key = format!("tokenizer.ggml.{name}_token_id");
        model = model.with(key.leak(), Value::U32(id));
    }
    model.tensors.clear();
    Ok(model)
}

#[test]
fn pieces_have_the_ids_of_transformers() -> Result<()> {
    let values = json("spm.json");
    let texts = lines(3, 2000);
    let tokenizer = Tokenizer::from_folder(data("spm.gguf"))?;
    let ids = texts.iter().map(|text| tokenizer.encode_with_special(text)).collect::<Result<Vec<_>>>()?;
    for (index, text) in values["texts"].as_array().expect("texts").iter().enumerate() {
        assert_eq!(texts[index], *text, "the lines are Python's");
        assert_eq!(serde_json::json!(ids[index]), values["ids"][index], "{text}");
    }
    assert_eq!(digests(&ids), expected(&values["digests"]));

    let never = model()?.with("tokenizer.ggml.add_space_prefix", Value::Bool(false)).write();
    let tokenizer = Tokenizer::from_folder(&never.path)?;
    let ids = texts.iter().map(|text| tokenizer.encode_with_special(text)).collect::<Result<Vec<_>>>()?;
    assert_eq!(digests(&ids), expected(&values["never"]), "no space before a text");
    Ok(())
}

/// TinyLlama's file lists merges beside the scores; here those that the scores stand for, and then none.
#[test]
fn merges_that_the_file_lists_are_taken() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    copy_companions(&data("spm.gguf"), folder.path())?;
    let tokenizer = read(&folder.path().join("tokenizer.json"));
    let pairs = tokenizer["model"]["merges"].as_array().expect("merges").iter();
    let part = |part: &Json| part.as_str().expect("a part").to_string();
    let merges: Vec<String> = pairs.map(|pair| part(&pair[0]) + " " + &part(&pair[1])).collect();
    let listed = model()?.with("tokenizer.ggml.merges", strings(merges.iter().map(String::as_str)));
    let none = model()?.with("tokenizer.ggml.merges", strings([]));
    let ids = |path: &Path| Tokenizer::from_folder(path)?.encode_with_special(" Hello 你好, they were there<s>.");
    let known = ids(&data("spm.gguf"))?;
    let scores = model()?.with("tokenizer.ggml.scores", Value::Array(Array::of_f32(&[0.0; 1400])));
    assert_ne!(ids(&scores.write().path)?, known, "the scores count");
    assert_eq!(ids(&listed.write().path)?, known);
    assert!(ids(&none.write().path)?.len() > known.len());
    Ok(())
}

/// Pieces that spell a special token together stay pieces.
#[test]
fn no_merge_makes_a_special_token() -> Result<()> {
    let model = model()?.with_tokens(|texts, _| {
        assert_eq!(texts[700], "</");
        texts[1399] = "s>".to_string();
    });
    let tokenizer = Tokenizer::from_folder(model.write().path)?;
    assert!(tokenizer.encode_plain("x</s>")?.ends_with(&[700, 1399]));
    assert!(tokenizer.encode_with_special("x</s>")?.ends_with(&[2]));
    Ok(())
}

#[test]
fn bytes_spaces_and_named_tokens() -> Result<()> {
    let path = data("spm.gguf");
    let tokenizer = Tokenizer::from_folder(&path)?;
    let byte = |byte: u8| tokenizer.id(&format!("<0x{byte:02X}>")).expect("a byte's token");
    let ids = tokenizer.encode_plain("\u{1F9FF}")?;
    assert!(ids.ends_with(&[0xF0, 0x9F, 0xA7, 0xBF].map(byte)), "{ids:?}");
    assert_eq!(tokenizer.decode(&ids, false)?, "\u{1F9FF}");
    // A special token's spelling is text where no special tokens are asked for.
    assert!(!tokenizer.encode_plain("</s><|im_end|>")?.iter().any(|id| [2, 4].contains(id)));
    assert_eq!(tokenizer.encode_with_special("<s>")?, [1]);
    assert_eq!(tokenizer.added_around(), (&[1][..], &[][..]), "BOS unless the file says otherwise");
    let names = [tokenizer.bos(), tokenizer.eos()].map(|token| token.map(|token| token.content.as_str()));
    assert_eq!(names, [Some("<s>"), Some("</s>")]);
    assert!(tokenizer.reading().contains("LlamaTokenizer"), "{}", tokenizer.reading());

    let config = LlamaConfig::from_folder(&path)?;
    assert_eq!((config.vocab_size, config.head_dim, config.tie_word_embeddings), (1400, 16, true));
    assert_eq!((config.rope.theta, &config.eos_token_ids[..]), (10_000.0, &[2, 4][..]));
    Ok(())
}
