//! GGUF files of a whole model.

use crate::{apart, evaluated, policy, support};
use hps_llama::backend::Precision;
use hps_llama::backend::cpu::Cpu;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use hps_llama::backend::{Backend, Dtype};
use hps_llama::blocks::{BlockType, quantise_q8_0};
use hps_llama::gguf::{Gguf, NewTensor, TensorType, Value, write_gguf};
use hps_llama::model::Llama;
use hps_llama::parameter::Parameter;
use std::path::Path;

/// A GGUF file as llama.cpp's converter writes it, rows of queries and keys in its order: the folder's numbers, and its log-probs.
#[test]
fn a_gguf_file_is_the_folder_that_it_was_made_of() {
    let tiny = support::data("models/tiny");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tiny.gguf");
    write_gguf_of_tiny(&path, TensorType::F32);
    let [from_file, from_folder] = [path.clone(), tiny].map(|base| policy(&Cpu, base, false));
    for parameter in Parameter::of_model(from_folder.model.config()) {
        let [own, theirs] = [&from_file, &from_folder].map(|policy| policy.model.weight(parameter).expect("numbers"));
        assert!(own == theirs, "{parameter}");
    }
    assert!(evaluated(&from_file) == evaluated(&from_folder), "an adapter fits both");

    // In blocks, its numbers are near, and those of a decoded folder are its own.
    write_gguf_of_tiny(&path, TensorType::Blocks(BlockType::Q8_0));
    let blocks = policy(&Cpu, path.clone(), false);
    let decoded = tempfile::tempdir().expect("a folder");
    blocks.model.save(decoded.path(), Precision::F32).expect("saved");
    assert!(evaluated(&blocks) == evaluated(&policy(&Cpu, decoded.path(), false)));
    let difference = apart(&evaluated(&blocks).0, &evaluated(&from_folder).0);
    assert!(difference > 1e-4 && difference < 2e-2, "{difference}");
    let error = Llama::from_folder(Cpu, &path, true).expect_err("blocks are not trained").to_string();
    assert!(error.contains("is stored in q8_0; train an adapter"), "{error}");
}

/// A device that keeps what a file has, in every type of its own and with rows of queries and keys in the file's order, has the
/// CPU's numbers and computes what it does.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn a_gguf_file_computes_what_its_numbers_do<B: Backend>(open: fn(Dtype) -> Option<B>) {
    let Some(backend) = open(Dtype::Float32) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tiny.gguf");
    for kind in [TensorType::F16, TensorType::BF16, TensorType::Blocks(BlockType::Q8_0)] {
        write_gguf_of_tiny(&path, kind);
        let (there, here) = (policy(&backend, path.clone(), false), policy(&Cpu, path.clone(), false));
        for parameter in Parameter::of_model(here.model.config()) {
            let [there, here] =
                [there.model.weight(parameter), here.model.weight(parameter)].map(|of| of.expect("numbers"));
            assert!(there == here, "{kind:?}: {parameter}");
        }
        let (there, here) = (evaluated(&there), evaluated(&here));
        let differences = [apart(&there.0, &here.0), apart(&there.1, &here.1)];
        println!("{kind:?}: log-probs and gradients {differences:?} from the CPU's");
        assert!(differences.iter().all(|difference| *difference < 1e-5), "{kind:?}: {differences:?}");
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
support::gpu::on_gpus!(a_gguf_file_computes_what_its_numbers_do);

/// A scale that is no number makes its block none; where that is, is told.
#[test]
fn blocks_of_no_numbers_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tiny.gguf");
    write_gguf_of_tiny(&path, TensorType::Blocks(BlockType::Q8_0));
    Llama::from_folder(Cpu, &path, false).expect("a model");
    let blocks = Gguf::open(&path).expect("a file").tensor("blk.1.ffn_up.weight").expect("a matrix").bytes.to_vec();
    let mut file = std::fs::read(&path).expect("read");
    let begin = file.windows(blocks.len()).position(|bytes| bytes == blocks).expect("its bytes");
    // Rows of 64 numbers are two blocks.
    let scale = begin + 7 * 34;
    file[scale..scale + 2].copy_from_slice(&0x7e00u16.to_le_bytes());
    std::fs::write(&path, file).expect("written");
    let error = Llama::from_folder(Cpu, &path, false).expect_err("no number").to_string();
    assert!(error.contains("`model.layers.1.mlp.up_proj.weight` has a NaN at [3, 32]"), "{error}");
}

/// * kind — of the projections whose rows are whole blocks.
fn write_gguf_of_tiny(path: &Path, kind: TensorType) {
    let bytes = std::fs::read(support::data("models/tiny/model.safetensors")).expect("read");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let rows_in_turn = |data: &[u8], columns: usize| -> Vec<u8> {
        let row = |row: usize| &data[4 * columns * row..4 * columns * (row + 1)];
        let heads = data.len() / (4 * columns) / 16;
        (0..heads)
            .flat_map(|head| (0..8).flat_map(move |i| [head * 16 + i, head * 16 + 8 + i]))
            .flat_map(row)
            .copied()
            .collect()
    };
    let mut written: Vec<(String, TensorType, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, view) in tensors.iter() {
        let parts: Vec<&str> = name.split('.').collect();
        let own = match parts[..] {
            ["model", "embed_tokens", _] => "token_embd.weight".to_string(),
            ["model", "norm", _] => "output_norm.weight".to_string(),
            ["lm_head", _] => "output.weight".to_string(),
            ["model", "layers", block, .., module, _] => {
                let module = match module {
                    "input_layernorm" => "attn_norm",
                    "post_attention_layernorm" => "ffn_norm",
                    "q_proj" => "attn_q",
                    "k_proj" => "attn_k",
                    "v_proj" => "attn_v",
                    "o_proj" => "attn_output",
                    "gate_proj" => "ffn_gate",
                    "up_proj" => "ffn_up",
                    _ => "ffn_down",
                };
                format!("blk.{block}.{module}.weight")
            }
            _ => panic!("{name}"),
        };
        let dimensions: Vec<usize> = view.shape().iter().rev().copied().collect();
        let data = match name.contains("q_proj") || name.contains("k_proj") {
            true => rows_in_turn(view.data(), dimensions[0]),
            false => view.data().to_vec(),
        };
        if kind == TensorType::F32 || !name.contains("_proj") || !dimensions[0].is_multiple_of(32) {
            written.push((own, TensorType::F32, dimensions, data));
            continue;
        }
        let numbers: Vec<f32> = data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let read = |first: usize, out: &mut [f32]| out.copy_from_slice(&numbers[first..first + out.len()]);
        let bytes = match kind {
            TensorType::F16 => numbers.iter().flat_map(|number| half::f16::from_f32(*number).to_le_bytes()).collect(),
            TensorType::BF16 => numbers.iter().flat_map(|number| half::bf16::from_f32(*number).to_le_bytes()).collect(),
            _ => quantise_q8_0(numbers.len(), read).expect("blocks"),
        };
        written.push((own, kind, dimensions, bytes));
    }
    let tensors: Vec<NewTensor<'_>> = written
        .iter()
        .map(|(name, kind, dimensions, bytes)| NewTensor { name, kind: *kind, dimensions, bytes: bytes.into() })
        .collect();
    let metadata = [
        ("general.architecture", Value::String("llama")),
        ("llama.block_count", Value::U32(3)),
        ("llama.context_length", Value::U32(2048)),
        ("llama.embedding_length", Value::U32(64)),
        ("llama.feed_forward_length", Value::U32(176)),
        ("llama.attention.head_count", Value::U32(4)),
        ("llama.attention.head_count_kv", Value::U32(2)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.freq_base", Value::F32(500_000.0)),
        ("llama.rope.dimension_count", Value::U32(16)),
        ("llama.vocab_size", Value::U32(1024)),
    ];
    write_gguf(path, &metadata, &tensors).expect("written");
}
