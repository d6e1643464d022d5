//! What is not known is refused by name.

use super::sentencepiece;
use super::written::{Model, strings};
use hps_llama::chat::Chat;
use hps_llama::config::LlamaConfig;
use hps_llama::gguf::{Array, Value};
use hps_llama::{ErrorKind, Result};

fn refused(cases: Vec<(Model, &str)>) {
    for (model, expected) in cases {
        let refusal = model.refusal();
        assert!(refusal.contains(expected), "{refusal:?} does not say {expected:?}");
    }
}

fn with(key: &'static str, value: Value<'static>) -> Model {
    Model::tiny().with(key, value)
}

#[test]
fn other_models() {
    let text = Value::String;
    refused(vec![
        (with("general.architecture", text("qwen2")), "`general.architecture` is \"qwen2\"; known here is \"llama\""),
        (with("general.architecture", Value::U32(1)), "`general.architecture` is 1 (u32) but has to be a string"),
        (Model::tiny().without("general.architecture"), "`general.architecture` is missing"),
        (with("general.type", text("adapter")), "`general.type` is \"adapter\"; a model is wanted"),
        (with("llama.expert_count", Value::U32(8)), "`llama.expert_count` is 8 (u32); only 0 is computed here"),
        (with("llama.attention.causal", Value::Bool(false)), "`llama.attention.causal` is false; only true"),
        (with("llama.attention.sliding_window", Value::U32(4096)), "`llama.attention.sliding_window` is 4096"),
        (with("llama.attention.clamp_kqv", Value::F32(8.0)), "`llama.attention.clamp_kqv` is 8.0 (f32); only 0"),
        (with("llama.attention.max_alibi_bias", Value::F32(8.0)), "`llama.attention.max_alibi_bias` is 8.0"),
        (with("llama.logit_scale", Value::F32(0.5)), "`llama.logit_scale` is 0.5 (f32); only 1 is computed here"),
        (with("llama.use_parallel_residual", Value::Bool(true)), "`llama.use_parallel_residual` is true; only false"),
        (with("llama.rope.scaling.attn_factor", Value::F32(0.5)), "`llama.rope.scaling.attn_factor` is 0.5"),
        (with("llama.attention.scale", Value::F32(0.5)), "`llama.attention.scale`, 0.5 (f32), is not known here"),
        (
            with("tokenizer.ggml.precompiled_charsmap", strings(["a"])),
            "`tokenizer.ggml.precompiled_charsmap`, an array",
        ),
        (
            with("tokenizer.huggingface.json", text("{}")),
            "`tokenizer.huggingface.json`, the string \"{}\", is not known",
        ),
    ]);
}

#[test]
fn shapes_that_are_not_a_llamas() {
    let per_block = || Value::Array(Array::of_i32(&[4, 4, 4, 4]));
    let embedding = "tensor `token_embd.weight` has the dimensions [128, 1024]";
    refused(vec![
        (Model::tiny().without("llama.block_count"), "`llama.block_count` is missing"),
        (Model::tiny().without("llama.attention.layer_norm_rms_epsilon"), "layer_norm_rms_epsilon` is missing"),
        (with("llama.attention.layer_norm_rms_epsilon", Value::F32(f32::NAN)), "layer_norm_rms_epsilon` is NaN"),
        (with("llama.attention.head_count", per_block()), "`llama.attention.head_count` is an array of 4 i32"),
        (with("llama.feed_forward_length", per_block()), "`llama.feed_forward_length` is an array of 4 i32"),
        (with("llama.attention.head_count", Value::U32(3)), "`llama.embedding_length` 128 is not a multiple of"),
        (with("llama.attention.head_count", Value::U32(0)), "is not a multiple of `llama.attention.head_count` 0"),
        (with("llama.attention.head_count_kv", Value::U32(3)), "`num_attention_heads` 4 is not a multiple of"),
        (
            with("llama.rope.dimension_count", Value::U32(16)),
            "a head has 32 features; only whole heads are rotated here",
        ),
        (with("llama.attention.value_length", Value::U32(16)), "only values as long as keys are computed here"),
        (
            with("llama.vocab_size", Value::U32(1025)),
            "`llama.vocab_size` is 1025, but `tokenizer.ggml.tokens` has 1024",
        ),
        (with("llama.embedding_length", Value::U32(256)), embedding),
        (
            with("tokenizer.ggml.eos_token_id", Value::U32(1024)),
            "`tokenizer.ggml.eos_token_id` is 1024, but there are 1024",
        ),
    ]);
}

#[test]
fn tensors_that_a_llama_has_not() {
    for name in [
        "blk.0.attn_q.bias",
        "blk.0.attn_q_norm.weight",
        "blk.0.ffn_gate_exps.weight",
        "blk.4.attn_q.weight",
        "blk.00.attn_q.weight",
        "rope_factors_long.weight",
        "output.bias",
        "token_embd",
    ] {
        let refusal = Model::tiny().with_tensor(name, &[32]).refusal();
        assert!(refusal.contains(&format!("tensor `{name}` has no place in a Llama of 4 blocks")), "{refusal}");
    }
}

#[test]
fn tokenizers_that_are_not_known() {
    let text = Value::String;
    let change = |change: fn(&mut Vec<String>, &mut Vec<i32>)| Model::tiny().with_tokens(change);
    refused(vec![
        (with("tokenizer.ggml.model", text("bert")), "`tokenizer.ggml.model` is \"bert\"; known here are \"gpt2\" and"),
        (with("tokenizer.ggml.pre", text("qwen2")), "`tokenizer.ggml.pre` is \"qwen2\"; known here are \"llama-bpe\""),
        (Model::tiny().without("tokenizer.ggml.pre"), "`tokenizer.ggml.pre` is missing"),
        (Model::tiny().without("tokenizer.ggml.token_type"), "`tokenizer.ggml.token_type` is missing"),
        (Model::tiny().without("tokenizer.ggml.merges"), "`tokenizer.ggml.merges` is missing"),
        (with("tokenizer.ggml.add_space_prefix", Value::Bool(true)), "`tokenizer.ggml.add_space_prefix` is true"),
        (
            with("tokenizer.ggml.remove_extra_whitespaces", Value::Bool(true)),
            "remove_extra_whitespaces` is true; only false",
        ),
        (Model::tiny().without("tokenizer.ggml.bos_token_id"), "`tokenizer.ggml.bos_token_id` is missing, but"),
        (with("tokenizer.ggml.merges", strings(["Ġ t", "Ġt"])), "merge 1, `Ġt`, is not of two tokens"),
        (with("tokenizer.ggml.merges", strings(["q 7"])), "merge 0, `q 7`, is not of two tokens that are a third one"),
        (change(|_, types| types[7] = 0), "`tokenizer.ggml.token_type` of token 7 is 0; 1 to 6 are known"),
        (change(|_, types| types[7] = 6), "is one of a byte, which a byte-level vocabulary has not"),
        (
            change(|_, types| types.truncate(1023)),
            "`tokenizer.ggml.tokens` has 1024 entries, but `tokenizer.ggml.token_type` 1023",
        ),
        (change(|texts, _| texts[7] = texts[300].clone()), "tokens 7 and 300 are both"),
        (change(|texts, _| texts[1000].clear()), "token 1000 has 0 bytes"),
        (
            Model::tiny()
                .without("tokenizer.chat_template")
                .with("tokenizer.chat_templates", strings(["tool_use", "rag"])),
            "has no `tokenizer.chat_template`, only templates of other names: tool_use, rag",
        ),
    ]);
}

#[test]
fn vocabularies_with_scores_that_are_not_whole() -> Result<()> {
    let model = || sentencepiece::model();
    let scores = |numbers: &[f32]| Value::Array(Array::of_f32(numbers));
    refused(vec![
        (model()?.without("tokenizer.ggml.scores"), "`tokenizer.ggml.scores` is missing"),
        (model()?.with("tokenizer.ggml.scores", scores(&[0.0; 3])), "`tokenizer.ggml.scores` has 3 entries, but"),
        (
            model()?.with("tokenizer.ggml.scores", scores(&[f32::NAN; 1400])),
            "`tokenizer.ggml.scores` of token 0 is NaN",
        ),
        (model()?.with("tokenizer.ggml.merges", strings(["a b"])), "merge 0, `a b`, is not of two tokens"),
        (
            model()?.with_tokens(|texts, _| {
                let byte = texts.iter().position(|text| text == "<0xE2>").expect("a byte's token");
                texts[byte] = "unlikely".to_string();
            }),
            "has no token `<0xE2>`, so that some texts would have no tokens",
        ),
    ]);
    Ok(())
}

#[test]
fn a_file_of_another_kind_or_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.gguf");
    for error in [LlamaConfig::from_folder(&path).expect_err("no file"), Chat::from_folder(&path).expect_err("no file")]
    {
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(error.to_string(), format!("{}: there is no folder or GGUF file of this name", path.display()));
    }
    std::fs::write(&path, "PK and so on").expect("a file");
    let error = LlamaConfig::from_folder(&path).expect_err("no GGUF");
    assert!(error.to_string().starts_with(&format!("{}: is no GGUF file", path.display())), "{error}");
}
