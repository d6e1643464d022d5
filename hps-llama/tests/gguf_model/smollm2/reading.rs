//! Its tokens, shape and chat template. `data/gguf_model/README.md` says where the values are from.

use super::file;
use crate::lines::{digests, expected, json, lines};
use hps_llama::Result;
use hps_llama::chat::{Chat, Message};
use hps_llama::config::LlamaConfig;
use hps_llama::tokens::Tokenizer;

#[test]
fn ten_thousand_lines_have_the_same_tokens() -> Result<()> {
    let Some(path) = file() else { return Ok(()) };
    let values = json("smollm2.json");
    let lines = lines(1, 10_000);
    assert_eq!(lines[0], values["text"], "the lines are Python's");
    let tokenizer = Tokenizer::from_folder(&path)?;
    let ids = lines.iter().map(|line| tokenizer.encode_with_special(line)).collect::<Result<Vec<_>>>()?;
    assert_eq!(ids.iter().map(Vec::len).sum::<usize>(), values["tokens"]);
    assert_eq!(digests(&ids), expected(&values["digests"]), "cut as SmolLM2's tokenizer.json does");
    let plain = lines.iter().map(|line| tokenizer.encode_plain(line)).collect::<Result<Vec<_>>>()?;
    assert_eq!(digests(&plain), expected(&values["plain"]), "no special tokens");

    // transformers does not know that `smollm` splits digits, and has other tokens for white space before a digit.
    let otherwise: Vec<usize> = serde_json::from_value(values["otherwise_in_transformers"].clone()).expect("numbers");
    assert_eq!(otherwise.len(), 1061);
    let alike: Vec<_> = ids.iter().enumerate().filter(|(line, _)| otherwise.binary_search(line).is_err()).collect();
    let alike: Vec<Vec<u32>> = alike.into_iter().map(|(_, ids)| ids.clone()).collect();
    assert_eq!(digests(&alike), expected(&values["transformers"]), "transformers' reading of the file");
    let spaced =
        |text: &str| text.chars().zip(text.chars().skip(1)).any(|(one, two)| one.is_whitespace() && two.is_numeric());
    assert!(otherwise.iter().all(|line| spaced(&lines[*line])), "only white space before a digit");

    for (line, ids) in lines.iter().zip(&ids) {
        assert_eq!(tokenizer.decode(ids, false)?, *line);
    }
    Ok(())
}

#[test]
fn its_shape_and_template_are_known() -> Result<()> {
    let Some(path) = file() else { return Ok(()) };
    let config = LlamaConfig::from_folder(&path)?;
    let shape = [
        (config.num_hidden_layers, 30),
        (config.hidden_size, 576),
        (config.intermediate_size, 1536),
        (config.num_attention_heads, 9),
        (config.num_key_value_heads, 3),
        (config.head_dim, 64),
        (config.vocab_size, 49_152),
        (config.max_position_embeddings, 8192),
    ];
    assert!(shape.iter().all(|(found, known)| found == known), "{config:?}");
    assert_eq!((config.rms_norm_eps, config.rope.theta, config.tie_word_embeddings), (1e-5, 1e5, true));
    assert_eq!((config.bos_token_id, &config.eos_token_ids[..], config.pad_token_id), (Some(1), &[2][..], Some(2)));

    let chat = Chat::from_folder(&path)?;
    let messages = [Message::user("What is 12 + 30?")];
    let text = chat.render(&messages, true)?;
    let expected = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
                    <|im_start|>user\nWhat is 12 + 30?<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(text, expected);
    assert_eq!(chat.prompt(&messages)?[..2], [1, 9690]);
    let tokenizer = chat.tokenizer();
    assert_eq!(tokenizer.added_around(), (&[][..], &[][..]));
    assert_eq!(tokenizer.special_tokens().len(), 17);
    assert_eq!((tokenizer.bos().map(|token| token.id), tokenizer.eos().map(|token| token.id)), (Some(1), Some(2)));
    Ok(())
}
