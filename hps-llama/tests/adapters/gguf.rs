//! An adapter as llama.cpp loads it.

use super::{data, edited, tiny};
use hps_llama::ErrorKind;
use hps_llama::backend::cpu::Cpu;
use hps_llama::export::write_gguf_adapter;
use hps_llama::gguf::Gguf;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::parameter::{Parameter, Projection};
use hps_llama::reward_model::RewardModel;
use std::path::Path;

fn singles(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn written(adapter: &Lora<Cpu>) -> (tempfile::TempDir, Gguf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("adapter.gguf");
    write_gguf_adapter(&Cpu, &tiny(), adapter, &path).expect("written");
    let file = Gguf::open(&path).expect("a GGUF file");
    (folder, file)
}

#[test]
fn metadata_are_those_of_an_adapter() {
    let adapter = Lora::from_folder(&Cpu, &tiny(), data("models/tiny/adapter-11"), 0).expect("an adapter");
    let (_folder, file) = written(&adapter);
    let text = |key: &str| file.expect::<&str>(key).expect("a text");
    assert_eq!(["general.architecture", "general.type", "adapter.type"].map(text), ["llama", "adapter", "lora"]);
    assert_eq!(file.expect::<f32>("adapter.lora.alpha").expect("a number"), 16.0);
    let mut names: Vec<String> = file.tensors().map(|tensor| tensor.name.to_string()).collect();
    names.sort();
    let expected: Vec<String> = (0..3)
        .flat_map(|block| ["q", "v"].map(|module| format!("blk.{block}.attn_{module}.weight.lora_")))
        .flat_map(|name| ["a", "b"].map(|part| format!("{name}{part}")))
        .collect();
    assert_eq!(names, expected);
    let shape = |name: &str| file.tensor(name).map(|tensor| tensor.dimensions.to_vec());
    assert_eq!(shape("blk.0.attn_q.weight.lora_a"), Some(vec![64, 8]));
    assert_eq!(shape("blk.2.attn_v.weight.lora_b"), Some(vec![8, 32]));
}

/// Queries and keys have two halves a head, whose rows llama.cpp wants in turn: `[heads, 2, d / 2]` to `[heads, d / 2, 2]`.
#[test]
fn rows_of_queries_and_keys_are_in_turn() {
    let options = LoraConfig { target_modules: Projection::ALL.to_vec(), ..LoraConfig::default() };
    let (r, model) = (options.r, tiny());
    // B of a fresh adapter is zero; A has numbers, and serves for it.
    let mut fresh = Lora::fresh(&Cpu, &model, options, 3).expect("an adapter");
    let folder = tempfile::tempdir().expect("a folder");
    fresh.save(&Cpu, &model, folder.path(), "tiny").expect("saved");
    let path = folder.path().join("adapter_model.safetensors");
    counted(&path);
    fresh = Lora::from_folder(&Cpu, &model, folder.path(), 3).expect("an adapter");
    let (_folder, file) = written(&fresh);
    for projection in Projection::ALL {
        let own = fresh.matrix(&Cpu, Parameter::LoraB(1, projection)).expect("numbers").expect("a matrix");
        let name = match projection {
            Projection::Q => "attn_q",
            Projection::K => "attn_k",
            Projection::V => "attn_v",
            Projection::O => "attn_output",
            Projection::Gate => "ffn_gate",
            Projection::Up => "ffn_up",
            Projection::Down => "ffn_down",
        };
        let tensor = file.tensor(&format!("blk.1.{name}.weight.lora_b")).expect("a tensor");
        let theirs = singles(tensor.bytes);
        let (heads, half) = (own.len() / r / 16, 8);
        let turned: Vec<f32> = (0..heads)
            .flat_map(|head| (0..half).flat_map(move |row| [0, 1].map(|part| head * 16 + part * half + row)))
            .flat_map(|row| own[row * r..(row + 1) * r].to_vec())
            .collect();
        let expected = if matches!(projection, Projection::Q | Projection::K) { &turned } else { &own };
        assert_eq!(&theirs, expected, "{name}");
        assert!(own != turned, "{name}: its rows differ");
    }
}

/// Gives every matrix the numbers 0, 1, 2, ….
fn counted(path: &Path) {
    let bytes = std::fs::read(path).expect("read");
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize + 8;
    let (header, numbers) = bytes.split_at(header);
    let count = (0..numbers.len() / 4).flat_map(|index| (index as f32).to_le_bytes());
    std::fs::write(path, [header, &count.collect::<Vec<u8>>()].concat()).expect("written");
}

/// llama.cpp divides by r, whatever the adapter says.
#[test]
fn alpha_of_an_rslora_adapter_gives_its_scale() {
    let options = LoraConfig { use_rslora: true, ..LoraConfig::default() };
    let adapter = Lora::fresh(&Cpu, &tiny(), options, 3).expect("an adapter");
    let (_folder, file) = written(&adapter);
    let alpha: f32 = file.expect("adapter.lora.alpha").expect("a number");
    assert!((alpha / 8.0 - 16.0 / 8f32.sqrt()).abs() < 1e-6, "{alpha}");
}

#[test]
fn a_reward_models_adapter_is_refused() {
    let model = RewardModel::from_folder(Cpu, data("models/tiny-reward"), false).expect("a reward model");
    let adapter = Lora::fresh(&Cpu, model.policy().model.config(), LoraConfig::default(), 1).expect("an adapter");
    let adapter = model.with_adapter(adapter).expect("it fits").into_policy().adapter.expect("an adapter");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("adapter.gguf");
    let error = write_gguf_adapter(&Cpu, &tiny(), &adapter, &path).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Adapter, "{error}");
    assert!(!path.exists());
}

/// What a folder holds is what the file holds, whatever its modules.
#[test]
fn an_edited_adapter_is_written_as_it_is() {
    let folder = edited(|config, _| config["lora_alpha"] = 3.5.into());
    let adapter = Lora::from_folder(&Cpu, &tiny(), folder.path(), 0).expect("an adapter");
    let (_folder, file) = written(&adapter);
    assert_eq!(file.expect::<f32>("adapter.lora.alpha").expect("a number"), 3.5);
}
