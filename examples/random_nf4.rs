//! Writes a model of random weights in NF4, of Llama-3.1-8B's shape, to see what it takes to train one:
//!
//! ```sh
//! cargo run --release --example random_nf4 -- --output_dir out/random-8b
//! ```
//!
//! The folder is as transformers saves it with bitsandbytes, doubly quantised, with the embedded model's tokenizer; embedding
//! and head are bfloat16. Codes are drawn and scales are all alike: it says nothing, and takes as long as a model that does.

use clap::Parser;
use half::bf16;
use hps_core::Philox;
use hps_llama::blocks::{FourBitType, dynamic_map};
use hps_llama::companions::copy_companions;
use hps_llama::config::LlamaConfig;
use hps_llama::parameter::Parameter;
use serde_json::{Map, Value, json};
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Parser)]
struct Arguments {
    /// Folder for the model.
    #[arg(long = "output_dir")]
    output_dir: PathBuf,
    /// Layers; Llama-3.1-8B has 32.
    #[arg(long, default_value_t = 32)]
    num_hidden_layers: usize,
    /// Features of the residual stream; Llama-3.1-8B has 4,096.
    #[arg(long, default_value_t = 4096)]
    hidden_size: usize,
    /// Features inside the SwiGLU; Llama-3.1-8B has 14,336.
    #[arg(long, default_value_t = 14_336)]
    intermediate_size: usize,
    /// Tokens; Llama-3.1-8B has 128,256.
    #[arg(long, default_value_t = 128_256)]
    vocab_size: usize,
}

/// What a tensor's bytes are.
enum Content {
    /// Any.
    Drawn,
    /// bfloat16 of about 0.02.
    Small,
    /// bfloat16 ones.
    Ones,
    /// These.
    Bytes(Vec<u8>),
}

struct Tensor {
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
    bytes: usize,
    content: Content,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let Arguments { output_dir, num_hidden_layers, hidden_size, intermediate_size, vocab_size } = &arguments;
    std::fs::create_dir_all(output_dir)?;
    let heads = hidden_size / 128;
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "vocab_size": vocab_size,
        "hidden_size": hidden_size, "intermediate_size": intermediate_size, "num_hidden_layers": num_hidden_layers,
        "num_attention_heads": heads, "num_key_value_heads": (heads / 4).max(1), "head_dim": 128, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 131_072, "rope_theta": 500_000.0, "tie_word_embeddings": false, "bos_token_id": 1018,
        "eos_token_id": 1022, "torch_dtype": "bfloat16",
        "quantization_config": {
            "quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": true, "bnb_4bit_compute_dtype": "bfloat16",
        },
    });
    std::fs::write(output_dir.join("config.json"), format!("{config:#}\n"))?;
    copy_companions(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/tiny-llama3")), output_dir)?;
    let config = LlamaConfig::from_folder(output_dir)?;
    let tensors: Vec<Tensor> =
        Parameter::of_model(&config).into_iter().flat_map(|parameter| parts(parameter, &config)).collect();
    let mut out = BufWriter::new(File::create(output_dir.join("model.safetensors"))?);
    write(&mut out, &tensors)?;
    let gigabytes = tensors.iter().map(|tensor| tensor.bytes).sum::<usize>() as f64 / 1e9;
    println!("{}: {gigabytes:.2} GB", output_dir.display());
    Ok(())
}

/// A weight, or what it is made of.
fn parts(parameter: Parameter, config: &LlamaConfig) -> Vec<Tensor> {
    let (rows, columns) = parameter.shape(config, 0);
    let name = parameter.to_string();
    let Parameter::Weight(..) = parameter else {
        let (shape, content) = match parameter.is_gain() {
            true => (vec![columns], Content::Ones),
            false => (vec![rows, columns], Content::Small),
        };
        return vec![Tensor { name, dtype: "BF16", shape, bytes: 2 * rows * columns, content }];
    };
    let blocks = (rows * columns).div_ceil(64);
    let bytes = |suffix: &str, dtype: &'static str, bytes: Vec<u8>| {
        let shape = vec![if dtype == "F32" { bytes.len() / 4 } else { bytes.len() }];
        Tensor { name: format!("{name}{suffix}"), dtype, shape, bytes: bytes.len(), content: Content::Bytes(bytes) }
    };
    let singles = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let state = json!({
        "quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [rows, columns], "nested_blocksize": 256,
        "nested_dtype": "float32", "nested_offset": 0.05,
    });
    let packed = (rows * columns).div_ceil(2);
    vec![
        Tensor { name: name.clone(), dtype: "U8", shape: vec![packed, 1], bytes: packed, content: Content::Drawn },
        // The code of 0: every scale is the offset.
        bytes(".absmax", "U8", vec![127; blocks]),
        bytes(".nested_absmax", "F32", singles(&vec![0.01; blocks.div_ceil(256)])),
        bytes(".nested_quant_map", "F32", singles(dynamic_map())),
        bytes(".quant_map", "F32", singles(FourBitType::Nf4.code_book())),
        bytes(".quant_state.bitsandbytes__nf4", "U8", state.to_string().into_bytes()),
    ]
}

/// As safetensors: the header's length, the header, all bytes.
fn write(out: &mut impl Write, tensors: &[Tensor]) -> std::io::Result<()> {
    let (mut header, mut at) = (Map::new(), 0);
    for Tensor { name, dtype, shape, bytes, .. } in tensors {
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [at, at + bytes]});
        header.insert(name.clone(), entry);
        at += bytes;
    }
    let mut header = Value::Object(header).to_string();
    header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    // A mebibyte of words that is written over and over, from another place each time.
    let philox = Philox::new(0);
    let drawn: Vec<u8> = (0..1 << 17)
        .flat_map(|index| philox.block([index, 0, 0, 0]))
        .take(1 << 18)
        .flat_map(u32::to_le_bytes)
        .collect();
    let small: Vec<u8> = drawn
        .chunks_exact(2)
        .flat_map(|bytes| bf16::from_f32(0.04 * (f32::from(bytes[0]) / 255.0 - 0.5)).to_le_bytes())
        .collect();
    for (number, tensor) in tensors.iter().enumerate() {
        match &tensor.content {
            Content::Bytes(bytes) => out.write_all(bytes)?,
            Content::Ones => out.write_all(&bf16::ONE.to_le_bytes().repeat(tensor.bytes / 2))?,
            Content::Drawn | Content::Small => {
                let from = if matches!(tensor.content, Content::Small) { &small } else { &drawn };
                let turn = 2 * (number * 7919 % (from.len() / 4));
                let mut left = tensor.bytes;
                let mut piece = &from[turn..];
                while left > 0 {
                    let now = left.min(piece.len());
                    out.write_all(&piece[..now])?;
                    left -= now;
                    piece = from;
                }
            }
        }
    }
    out.flush()
}
