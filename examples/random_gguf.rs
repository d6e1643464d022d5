//! Writes a GGUF file of random weights in Q4_K, of Llama-3.1-8B's shape, to see what it takes to train on one:
//!
//! ```sh
//! cargo run --release --example random_gguf -- --output out/random-8b.gguf
//! ```
//!
//! Blocks of codes are drawn and their scales are all alike, so that numbers have a standard deviation of 0.02; embedding and
//! head are Q6_K, gains are ones. The tokenizer is the embedded model's, filled up with tokens that no text has. It says
//! nothing, and takes as long as a model that does.

use clap::Parser;
use half::f16;
use hps_core::Philox;
use hps_llama::blocks::BlockType;
use hps_llama::gguf::{Array, GgufWriter, PlannedTensor, TensorType, Value};
use serde_json::Value as Json;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Features of a head.
const HEAD: usize = 128;
/// Bytes that are drawn, and written over and over.
const DRAWN: usize = 1 << 20;
/// ggml's types of a token.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;

/// The file, and the sizes of the model in it.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// The file.
    #[arg(long)]
    output: PathBuf,
    /// Folder whose tokenizer it gets; the embedded model's has Llama 3's form.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/tiny-llama3"))]
    tokenizer: PathBuf,
    /// Layers; Llama-3.1-8B has 32.
    #[arg(long, default_value_t = 32)]
    num_hidden_layers: usize,
    /// Features of the residual stream, a multiple of 256; Llama-3.1-8B has 4,096.
    #[arg(long, default_value_t = 4096)]
    hidden_size: usize,
    /// Features inside the SwiGLU, a multiple of 256; Llama-3.1-8B has 14,336.
    #[arg(long, default_value_t = 14_336)]
    intermediate_size: usize,
    /// Tokens; Llama-3.1-8B has 128,256.
    #[arg(long, default_value_t = 128_256)]
    vocab_size: usize,
}

/// Name, type, dimensions: the innermost first.
type Tensor = (String, TensorType, Vec<usize>);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let bytes = write(&arguments)?;
    println!("{}: {:.2} GB", arguments.output.display(), bytes as f64 / 1e9);
    Ok(())
}

/// Writes the file, a part at a time; returns the bytes of its tensors.
pub fn write(arguments: &Arguments) -> Result<usize, Box<dyn Error>> {
    let tensors = tensors(arguments);
    let planned: Vec<PlannedTensor<'_>> =
        tensors.iter().map(|(name, kind, dimensions)| PlannedTensor { name, kind: *kind, dimensions }).collect();
    let tokenizer = Tokenizer::read(&arguments.tokenizer, arguments.vocab_size)?;
    let mut file = GgufWriter::begin(&arguments.output, &metadata(arguments, &tokenizer), &planned)?;
    let philox = Philox::new(0);
    let drawn: Vec<u8> =
        (0..DRAWN as u32 / 16).flat_map(|index| philox.block([index, 0, 0, 0])).flat_map(u32::to_le_bytes).collect();
    let mut total = 0;
    for (number, (name, kind, dimensions)) in tensors.iter().enumerate() {
        let numbers: usize = dimensions.iter().product();
        total += kind.bytes_of(numbers).expect("whole blocks");
        let TensorType::Blocks(block) = kind else {
            let numbers = if name == "rope_freqs.weight" { rope_factors() } else { vec![1.0; numbers] };
            file.write(&numbers.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>())?;
            continue;
        };
        let blocks = blocks(*block, &drawn);
        let size = block.bytes_of(block.numbers()).expect("a block");
        // From another block on each time.
        let mut piece = &blocks[number * 7919 % (blocks.len() / size) * size..];
        let mut left = numbers / block.numbers() * size;
        while left > 0 {
            let now = left.min(piece.len());
            file.write(&piece[..now])?;
            left -= now;
            piece = &blocks;
        }
    }
    file.finish()?;
    Ok(total)
}

/// As llama.cpp's converter names and orders them.
fn tensors(arguments: &Arguments) -> Vec<Tensor> {
    let Arguments { num_hidden_layers, hidden_size, intermediate_size, vocab_size, .. } = *arguments;
    let (codes, wide) = (TensorType::Blocks(BlockType::Q4K), TensorType::Blocks(BlockType::Q6K));
    let keys = key_heads(hidden_size) * HEAD;
    let of_a_block = |block: usize| {
        let gain = |name: &str| (format!("blk.{block}.{name}.weight"), TensorType::F32, vec![hidden_size]);
        let matrix = |name: &str, rows, columns| (format!("blk.{block}.{name}.weight"), codes, vec![columns, rows]);
        [
            gain("attn_norm"),
            matrix("attn_q", hidden_size, hidden_size),
            matrix("attn_k", keys, hidden_size),
            matrix("attn_v", keys, hidden_size),
            matrix("attn_output", hidden_size, hidden_size),
            gain("ffn_norm"),
            matrix("ffn_gate", intermediate_size, hidden_size),
            matrix("ffn_up", intermediate_size, hidden_size),
            matrix("ffn_down", hidden_size, intermediate_size),
        ]
    };
    let named = |name: &str, kind, dimensions: &[usize]| (name.to_string(), kind, dimensions.to_vec());
    let mut tensors = vec![
        named("rope_freqs.weight", TensorType::F32, &[HEAD / 2]),
        named("token_embd.weight", wide, &[hidden_size, vocab_size]),
    ];
    tensors.extend((0..num_hidden_layers).flat_map(of_a_block));
    tensors.push(named("output_norm.weight", TensorType::F32, &[hidden_size]));
    tensors.push(named("output.weight", wide, &[hidden_size, vocab_size]));
    tensors
}

fn key_heads(hidden_size: usize) -> usize {
    (hidden_size / HEAD / 4).max(1)
}

/// Blocks whose codes are as drawn, and whose scales make of them numbers around 0 with a standard deviation of 0.02.
fn blocks(kind: BlockType, drawn: &[u8]) -> Vec<u8> {
    let half = |number: f32| f16::from_f32(number).to_le_bytes();
    match kind {
        // `d · 32 · q − m · 60`, q = 0 … 15: scales and offsets of six bits, all alike, as `get_scale_min_k4` has them.
        BlockType::Q4K => {
            let unit = 0.02 / 4.61;
            let heads = [half(unit / 32.0), half(unit * 7.5 / 60.0)].concat();
            let (scale, offset) = (32u8, 60u8);
            let lower = [scale | (scale >> 4) << 6, offset | (offset >> 4) << 6];
            let upper = (scale & 15) | (offset & 15) << 4;
            let scales = [[lower[0]; 4], [lower[1]; 4], [upper; 4]].concat();
            drawn.chunks_exact(128).flat_map(|codes| [&heads[..], &scales, codes].concat()).collect()
        }
        // `d · 16 · (q − 32)`, q = 0 … 63.
        _ => {
            let end = [&[16u8; 16][..], &half(0.02 / 18.5 / 16.0)].concat();
            drawn.chunks_exact(192).flat_map(|codes| [codes, &end].concat()).collect()
        }
    }
}

/// Llama 3.1's: what its angles are divided by.
fn rope_factors() -> Vec<f32> {
    let (factor, low, high, positions) = (8.0f64, 1.0, 4.0, 8192.0);
    let divisor = |pair: usize| {
        let wavelength = std::f64::consts::TAU * 500_000f64.powf(2.0 * pair as f64 / HEAD as f64);
        let smooth = ((positions / wavelength - low) / (high - low)).clamp(0.0, 1.0);
        (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
    };
    (0..HEAD / 2).map(divisor).collect()
}

/// The embedded model's, with unused tokens between those of texts and those of templates.
struct Tokenizer {
    tokens: Vec<String>,
    types: Vec<i32>,
    merges: Vec<String>,
    template: String,
}

impl Tokenizer {
    fn read(folder: &Path, vocab_size: usize) -> Result<Tokenizer, Box<dyn Error>> {
        let text = |value: &Json| value.as_str().unwrap_or_default().to_string();
        let json: Json = serde_json::from_slice(&std::fs::read(folder.join("tokenizer.json"))?)?;
        let vocabulary = json["model"]["vocab"].as_object().ok_or("no vocabulary")?;
        let mut of_texts: Vec<(u64, &String)> =
            vocabulary.iter().map(|(token, id)| (id.as_u64().unwrap_or_default(), token)).collect();
        of_texts.sort();
        let added: Vec<String> = json["added_tokens"]
            .as_array()
            .ok_or("no added tokens")?
            .iter()
            .map(|token| text(&token["content"]))
            .collect();
        let unused =
            vocab_size.checked_sub(of_texts.len() + added.len()).ok_or("fewer tokens than the tokenizer has")?;
        let types = [(NORMAL, of_texts.len()), (UNUSED, unused), (CONTROL, added.len())];
        let merges = json["model"]["merges"].as_array().ok_or("no merges")?.iter();
        Ok(Tokenizer {
            tokens: of_texts
                .into_iter()
                .map(|(_, token)| token.clone())
                .chain((0..unused).map(|number| format!("<unused {number}>")))
                .chain(added)
                .collect(),
            types: types.into_iter().flat_map(|(kind, count)| std::iter::repeat_n(kind, count)).collect(),
            merges: merges.map(|pair| format!("{} {}", text(&pair[0]), text(&pair[1]))).collect(),
            template: std::fs::read_to_string(folder.join("chat_template.jinja"))?,
        })
    }

    fn id(&self, token: &str) -> Value<'static> {
        Value::U32(self.tokens.iter().position(|other| other == token).unwrap_or_default() as u32)
    }

    fn strings(texts: &[String]) -> Value<'static> {
        Value::Array(Array::of_strings(texts.iter().map(String::as_str)))
    }
}

fn metadata<'a>(arguments: &Arguments, tokenizer: &'a Tokenizer) -> Vec<(&'static str, Value<'a>)> {
    let Arguments { num_hidden_layers, hidden_size, intermediate_size, vocab_size, .. } = *arguments;
    let size = |number: usize| Value::U32(number as u32);
    vec![
        ("general.architecture", Value::String("llama")),
        ("general.type", Value::String("model")),
        ("general.name", Value::String("random weights")),
        ("llama.block_count", size(num_hidden_layers)),
        ("llama.context_length", size(131_072)),
        ("llama.embedding_length", size(hidden_size)),
        ("llama.feed_forward_length", size(intermediate_size)),
        ("llama.attention.head_count", size(hidden_size / HEAD)),
        ("llama.attention.head_count_kv", size(key_heads(hidden_size))),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.freq_base", Value::F32(500_000.0)),
        ("llama.rope.dimension_count", size(HEAD)),
        ("llama.vocab_size", size(vocab_size)),
        ("tokenizer.ggml.model", Value::String("gpt2")),
        ("tokenizer.ggml.pre", Value::String("llama-bpe")),
        ("tokenizer.ggml.tokens", Tokenizer::strings(&tokenizer.tokens)),
        ("tokenizer.ggml.token_type", Value::Array(Array::of_i32(&tokenizer.types))),
        ("tokenizer.ggml.merges", Tokenizer::strings(&tokenizer.merges)),
        ("tokenizer.ggml.bos_token_id", tokenizer.id("<|begin_of_text|>")),
        ("tokenizer.ggml.eos_token_id", tokenizer.id("<|eot_id|>")),
        ("tokenizer.chat_template", Value::String(&tokenizer.template)),
    ]
}
