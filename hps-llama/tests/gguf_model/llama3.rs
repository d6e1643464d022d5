//! A tokenizer of Llama 3's form, written as a GGUF file, is the one that it was; and the other ways to cut.

use super::lines::{digests, expected, json, lines};
use super::written::{Model, TINY, strings};
use hps_llama::Result;
use hps_llama::chat::{Chat, Message};
use hps_llama::gguf::Value;
use hps_llama::tokens::Tokenizer;

#[test]
fn the_file_has_the_folders_tokens() -> Result<()> {
    let file = Model::tiny().write();
    let (folder, tokenizer) = (Tokenizer::from_folder(TINY)?, Tokenizer::from_folder(&file.path)?);
    for line in lines(5, 2000) {
        let line = line + "<|eot_id|>x<|begin_of_text|>";
        let ids = tokenizer.encode_with_special(&line)?;
        assert_eq!(ids, folder.encode_with_special(&line)?, "{line:?}");
        assert_eq!(tokenizer.encode_plain(&line)?, folder.encode_plain(&line)?, "{line:?}");
        assert_eq!(tokenizer.decode(&ids, false)?, line);
    }
    assert_eq!(tokenizer.special_tokens(), folder.special_tokens());
    assert_eq!(tokenizer.added_around(), folder.added_around());
    assert_eq!(tokenizer.added_around().0, [1018]);
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.pad()), (folder.bos(), folder.eos(), folder.pad()));
    assert_eq!(tokenizer.vocab_size(), 1024);
    assert!(tokenizer.reading().contains("GGUF"), "{}", tokenizer.reading());
    Ok(())
}

#[test]
fn conversations_are_rendered_as_the_folders_are() -> Result<()> {
    let file = Model::tiny().write();
    let (folder, chat) = (Chat::from_folder(TINY)?, Chat::from_folder(&file.path)?);
    let messages = [
        Message::new("system", "You are <|eot_id|> brief."),
        Message::user("What is 12 × 30?\n"),
        Message::assistant("360"),
        Message::user("Thanks!"),
    ];
    for turns in [1, 2, 3, 4] {
        for open in [false, true] {
            assert_eq!(chat.render(&messages[..turns], open)?, folder.render(&messages[..turns], open)?);
            assert_eq!(chat.encode(&messages[..turns], open)?, folder.encode(&messages[..turns], open)?);
        }
    }
    assert!(!chat.allows_long_positions(), "context_length is heeded");
    Ok(())
}

/// A token that no merges make, though it is of the vocabulary, is found whole only where pieces that are tokens are not
/// merged: with `llama-bpe`, and not with `gpt-2`.
#[test]
fn llama_3_takes_a_piece_that_is_a_token_as_it_is() -> Result<()> {
    let mut id = 0;
    let with = |texts: &mut Vec<String>, types: &mut Vec<i32>| {
        id = texts.iter().position(|text| text == "Ġthe").expect("a token");
        texts[id] = "Ġqqxj".to_string();
        types[id] = 1;
    };
    let merges = Model::tiny().merges();
    let merges =
        merges.iter().filter(|merge| merge.replace(' ', "") != "Ġthe" && merge.split(' ').all(|part| part != "Ġthe"));
    let merges = strings(merges.map(String::as_str));
    let model = Model::tiny().with_tokens(with).with("tokenizer.ggml.merges", merges);
    let ids = |model: Model| Tokenizer::from_folder(&model.write().path)?.encode_plain(" qqxj");
    assert_eq!(ids(model.clone())?, [id as u32]);
    assert!(ids(model.with("tokenizer.ggml.pre", Value::String("gpt-2")))?.len() > 1);
    Ok(())
}

/// Merges of which the ways to cut make different use.
const CUT: [&str; 8] = ["Ġ Ġ", "1 2", "12 3", "123 4", "Ġ 1", "! !", "+ =", "Ġ +"];

/// The tiny model with those in place of its last ones.
fn cut_apart() -> Model {
    let model = Model::tiny().with_tokens(|texts, _| {
        for (text, merge) in texts[1018 - CUT.len()..].iter_mut().zip(CUT) {
            *text = merge.replace(' ', "");
        }
    });
    let merges = model.merges();
    let merges = merges[..merges.len() - CUT.len()].iter().map(String::as_str).chain(CUT);
    model.clone().with("tokenizer.ggml.merges", strings(merges))
}

/// Digests of tokenizers' ids in Python, with Oniguruma.
#[test]
fn each_way_to_cut_has_its_tokens() -> Result<()> {
    let values = json("cuts.json");
    let lines = lines(4, 2000);
    let mut found = Vec::new();
    for name in ["gpt-2", "smollm", "default"] {
        let file = cut_apart().with("tokenizer.ggml.pre", Value::String(name)).write();
        let tokenizer = Tokenizer::from_folder(&file.path)?;
        let ids = lines.iter().map(|line| tokenizer.encode_plain(line)).collect::<Result<Vec<_>>>()?;
        assert_eq!(digests(&ids), expected(&values[name]), "{name}");
        assert_eq!(tokenizer.added_around(), (&[][..], &[][..]), "{name}: BOS only if the file says so");
        found.push(digests(&ids));
    }
    assert!(found[0] != found[1] && found[1] != found[2] && found[0] != found[2], "the ways differ");
    Ok(())
}

#[test]
fn bos_and_eos_are_put_around_a_text_as_the_file_says() -> Result<()> {
    for (bos, eos, around) in [
        (true, false, (vec![1018], vec![])),
        (false, true, (vec![], vec![1022])),
        (true, true, (vec![1018], vec![1022])),
    ] {
        let file = Model::tiny()
            .with("tokenizer.ggml.add_bos_token", Value::Bool(bos))
            .with("tokenizer.ggml.add_eos_token", Value::Bool(eos))
            .write();
        let tokenizer = Tokenizer::from_folder(&file.path)?;
        assert_eq!(tokenizer.added_around(), (&around.0[..], &around.1[..]));
    }
    Ok(())
}

/// SmolLM2's special tokens stand before the others, and a token of the users' may stand anywhere.
#[test]
fn ids_are_places_wherever_special_tokens_stand() -> Result<()> {
    let model = Model::tiny().with_tokens(|texts, types| {
        texts.swap(0, 1018);
        types.swap(0, 1018);
        texts[1021] = "<tool>".to_string();
        types[1021] = 4;
        texts[1020] = "[PAD]".to_string();
        types[1020] = 5;
    });
    let tokenizer = Tokenizer::from_folder(&model.with("tokenizer.ggml.bos_token_id", Value::U32(0)).write().path)?;
    assert_eq!(tokenizer.encode_with_special("<|begin_of_text|>!<tool>")?, [0, 1018, 1021]);
    assert_eq!(*tokenizer.encode_plain("<tool>!")?, [1021, 1018]);
    assert!(tokenizer.encode_plain("<|begin_of_text|>[PAD]")?.iter().all(|id| ![0, 1020].contains(id)));
    assert_eq!((tokenizer.id("[PAD]"), tokenizer.vocab_size()), (Some(1020), 1024));
    let ids: Vec<u32> = tokenizer.special_tokens().iter().map(|token| token.id).collect();
    assert_eq!(ids, [0, 1019, 1022, 1023]);
    Ok(())
}
