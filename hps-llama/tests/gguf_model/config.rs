//! The shape of a model: as its folder's `config.json` says it.

use super::written::{Model, TINY};
use hps_llama::Result;
use hps_llama::backend::Precision;
use hps_llama::config::{LlamaConfig, RopeScaling};
use hps_llama::gguf::Value;

#[test]
fn the_file_has_the_folders_shape() -> Result<()> {
    let file = Model::tiny().write();
    let (mut read, mut folder) = (LlamaConfig::from_folder(&file.path)?, LlamaConfig::from_folder(TINY)?);
    read.eos_token_ids.sort_unstable();
    folder.eos_token_ids.sort_unstable();
    assert_eq!((read.pad_token_id.take(), folder.pad_token_id), (Some(1023), None), "the folder names none");
    assert_eq!(read, folder);
    assert_eq!(LlamaConfig::dtype(&file.path)?, Precision::BF16);
    Ok(())
}

#[test]
fn what_is_not_said_is_as_llama_cpp_has_it() -> Result<()> {
    let mut model = Model::tiny()
        .without("llama.attention.head_count_kv")
        .without("llama.rope.freq_base")
        .without("llama.rope.dimension_count")
        .without("llama.vocab_size")
        .without("tokenizer.ggml.eot_token_id")
        .without("tokenizer.ggml.padding_token_id")
        .with("llama.attention.key_length", Value::U32(64))
        .with("llama.attention.value_length", Value::U32(64));
    model.tensors.retain(|(name, _)| *name != "output.weight");
    let config = LlamaConfig::from_folder(model.write().path)?;
    assert_eq!((config.num_key_value_heads, config.head_dim, config.vocab_size), (4, 64, 1024));
    assert_eq!((config.rope.theta, config.rope.scaling), (10_000.0, RopeScaling::Default));
    assert_eq!((&config.eos_token_ids[..], config.pad_token_id, config.tie_word_embeddings), (&[1022][..], None, true));
    Ok(())
}

/// f32 has no 1e-5, but the number that was written is it again.
#[test]
fn numbers_of_f32_are_the_decimal_ones() -> Result<()> {
    for number in [1e-5f32, 1e-6, 1.5e-7, 0.1] {
        let file = Model::tiny().with("llama.attention.layer_norm_rms_epsilon", Value::F32(number)).write();
        let config = LlamaConfig::from_folder(&file.path)?;
        assert_eq!(format!("{:e}", config.rms_norm_eps), format!("{number:e}"));
        assert_eq!(config.rms_norm_eps as f32, number);
    }
    Ok(())
}

#[test]
fn keys_without_effect_pass() -> Result<()> {
    let neutral = [
        ("llama.expert_count", Value::U32(0)),
        ("llama.attention.causal", Value::Bool(true)),
        ("llama.attention.sliding_window", Value::U32(0)),
        ("llama.attention.clamp_kqv", Value::F32(0.0)),
        ("llama.use_parallel_residual", Value::Bool(false)),
        ("llama.rope.scaling.type", Value::String("none")),
        ("llama.rope.scaling.original_context_length", Value::U32(8192)),
        ("general.quantization_version", Value::U32(2)),
        ("quantize.imatrix.file", Value::String("x")),
        ("tokenizer.ggml.add_space_prefix", Value::Bool(false)),
        ("tokenizer.chat_template.tool_use", Value::String("{{ 1 }}")),
    ];
    let model = neutral.into_iter().fold(Model::tiny(), |model, (key, value)| model.with(key, value));
    let (read, tiny) = (model.write(), Model::tiny().write());
    assert_eq!(LlamaConfig::from_folder(&read.path)?, LlamaConfig::from_folder(&tiny.path)?);
    Ok(())
}
