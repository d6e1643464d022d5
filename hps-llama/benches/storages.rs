//! What decoding costs: a LoRA step on the CPU on a base in each storage, over one whose matrices are f32 in memory.
//!
//! `cargo bench -p hps-llama --bench storages` takes 8 blocks of 512 features (1,536 in the feed-forward network, rows of
//! whole blocks for every type) with random codes; with `HPS_SMOLLM2_GGUF`, the file that it names instead, decoded or quantised
//! anew. Two pairs of 175 + 175 tokens; steps are taken in turn, A B A B, and the figures are medians and medians of ratios
//! of steps that follow each other.

use half::f16;
use hps_llama::backend::Precision;
use hps_llama::backend::cpu::Cpu;
use hps_llama::blocks::{BlockType, FourBitType};
use hps_llama::gguf::{NewTensor, TensorType, Value, write_gguf};
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, ModelFolder, ModelSource, Policy};
use hps_llama::pack::Group;
use hps_llama::quantisation::{Quantisation, QuantisedType};
use hps_llama::train::{ActivationPolicy, Example, Route, TrainConfig, Trainer};
use std::borrow::Cow;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

const STEPS: usize = 7;
const PAIRS: u32 = 2;
const TOKENS: usize = 175;
const BLOCKS: u32 = 8;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A base, and the seconds of its steps.
struct Line {
    title: String,
    megabytes: f64,
    trainer: Trainer<Cpu>,
    seconds: Vec<f64>,
}

fn main() -> Outcome<()> {
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    if let Some(file) = std::env::var_os("HPS_SMOLLM2_GGUF") {
        let file = Path::new(&file);
        let mut lines = of_one_base(file, folder.path())?;
        lines.push(line("the file", file.into())?);
        return measure("SmolLM2-135M", lines);
    }
    let singles = folder.path().join("f32.gguf");
    write(&singles, TensorType::F32)?;
    let mut lines = of_one_base(&singles, folder.path())?;
    for block in BlockType::ALL {
        let path = folder.path().join(format!("{block}.gguf"));
        write(&path, TensorType::Blocks(block))?;
        lines.push(line(&format!("{block} file"), path.as_path().into())?);
    }
    measure("8 blocks of 512 features", lines)
}

/// A base in memory as f32, which is what the others are compared with; mapped in f32 and bfloat16; and quantised as it is
/// loaded.
fn of_one_base(file: &Path, scratch: &Path) -> Outcome<Vec<Line>> {
    let name = file.file_stem().ok_or("a file's name")?;
    let [singles, halves] = ["f32", "bf16"].map(|kind| scratch.join(name).join(kind));
    [&singles, &halves].into_iter().try_for_each(std::fs::create_dir_all)?;
    let model = Llama::from_folder(Cpu, file, false)?;
    model.save(&singles, Precision::F32)?;
    model.save(&halves, Precision::BF16)?;
    let mut lines = vec![line("f32 in memory", singles.as_path().into())?];
    lines[0].trainer = trainer(Llama::from_folder(Cpu, singles.as_path(), true)?)?;
    lines.push(line("f32, mapped", singles.as_path().into())?);
    lines.push(line("bfloat16, mapped", halves.as_path().into())?);
    let four_bit = |kind, double| QuantisedType::FourBit { kind, double };
    for kind in [
        QuantisedType::Q8_0,
        four_bit(FourBitType::Nf4, false),
        four_bit(FourBitType::Nf4, true),
        four_bit(FourBitType::Fp4, false),
    ] {
        let quantisation = Some(Quantisation { kind, skip_modules: Vec::new() });
        lines.push(line(&format!("{kind}"), ModelSource { path: halves.clone(), quantisation })?);
    }
    Ok(lines)
}

fn line(title: &str, source: ModelSource) -> Outcome<Line> {
    let sizes = ModelFolder::open(&source.path)?.stored_sizes(source.quantisation.as_ref())?;
    let megabytes = sizes.iter().map(|size| size.bytes).sum::<u64>() as f64 / 1e6;
    let trainer = trainer(Llama::from_folder(Cpu, source, false)?)?;
    Ok(Line { title: title.to_string(), megabytes, trainer, seconds: Vec::new() })
}

/// A run with a fresh adapter on queries and values.
fn trainer(model: Llama<Cpu>) -> Outcome<Trainer<Cpu>> {
    let vocabulary = model.config().vocab_size;
    let tokens = |row: u32, segment: usize| {
        let token = |index: usize| ((row as usize * 104_729 + segment * 7919 + index * 31) % vocabulary) as u32;
        (0..TOKENS).map(token).collect::<Vec<u32>>()
    };
    let rows = (0..PAIRS).map(|row| {
        let group = Group { row, prompt: tokens(row, 0), responses: vec![tokens(row, 1), tokens(row, 2)] };
        Example { place: format!("bench:{}", row + 1), group, rewards: vec![1.0, 0.0] }
    });
    let config = TrainConfig {
        loss: "dpo-bt".parse()?,
        num_train_epochs: STEPS as u32 + 1,
        per_device_train_batch_size: PAIRS as usize,
        gradient_accumulation_steps: 1,
        route: Route::Keep,
        activations: ActivationPolicy::Keep,
        ..TrainConfig::default()
    };
    let adapter = Some(Lora::fresh(&Cpu, model.config(), LoraConfig::default(), 0)?);
    Ok(Trainer::new(Policy { model, adapter }, rows.collect::<Vec<_>>(), config)?)
}

fn measure(title: &str, mut lines: Vec<Line>) -> Outcome<()> {
    // Reference log-probs, and memory that the first step asks for.
    for line in &mut lines {
        line.trainer.step()?.ok_or("no step was taken")?;
    }
    for _ in 0..STEPS {
        for Line { trainer, seconds, .. } in &mut lines {
            let start = Instant::now();
            trainer.step()?.ok_or("no step was taken")?;
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    println!("\n{title}: {PAIRS} pairs of {TOKENS} + {TOKENS} tokens, {} threads", rayon::current_num_threads());
    println!("{:<24} {:>8} {:>12} {:>10}", "", "MB", "ms a step", "over f32");
    let baseline = lines[0].seconds.clone();
    for Line { title, megabytes, mut seconds, .. } in lines {
        let mut ratios: Vec<f64> = seconds.iter().zip(&baseline).map(|(own, other)| own / other).collect();
        ratios.sort_by(f64::total_cmp);
        seconds.sort_by(f64::total_cmp);
        println!("{title:<24} {megabytes:>8.0} {:>12.1} {:>10.3}", 1e3 * seconds[STEPS / 2], ratios[STEPS / 2]);
    }
    Ok(())
}

/// A GGUF file of random matrices.
fn write(path: &Path, kind: TensorType) -> Outcome<()> {
    let metadata = [
        ("general.architecture", Value::String("llama")),
        ("llama.vocab_size", Value::U32(32_000)),
        ("llama.embedding_length", Value::U32(512)),
        ("llama.feed_forward_length", Value::U32(1536)),
        ("llama.block_count", Value::U32(BLOCKS)),
        ("llama.attention.head_count", Value::U32(8)),
        ("llama.attention.head_count_kv", Value::U32(4)),
        ("llama.context_length", Value::U32(8192)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.freq_base", Value::F32(500_000.0)),
        ("llama.rope.dimension_count", Value::U32(64)),
    ];
    let mut tensors = Vec::new();
    let mut names = vec![("token_embd".to_string(), [512, 32_000]), ("output".to_string(), [512, 32_000])];
    for block in 0..BLOCKS {
        for (name, shape) in [
            ("attn_q", [512, 512]),
            ("attn_k", [512, 256]),
            ("attn_v", [512, 256]),
            ("attn_output", [512, 512]),
            ("ffn_gate", [512, 1536]),
            ("ffn_up", [512, 1536]),
            ("ffn_down", [1536, 512]),
        ] {
            names.push((format!("blk.{block}.{name}"), shape));
        }
        names.extend(["attn_norm", "ffn_norm"].map(|name| (format!("blk.{block}.{name}"), [512, 0])));
    }
    names.push(("output_norm".to_string(), [512, 0]));
    let names: Vec<(String, [usize; 2])> = names.into_iter().map(|(name, shape)| (name + ".weight", shape)).collect();
    for (name, shape) in &names {
        let [columns, rows] = *shape;
        tensors.push(match rows {
            0 => NewTensor {
                name,
                kind: TensorType::F32,
                dimensions: &shape[..1],
                bytes: Cow::Owned([0, 0, 0x80, 0x3f].repeat(columns)),
            },
            _ => NewTensor { name, kind, dimensions: shape, bytes: Cow::Owned(numbers(kind, rows * columns)) },
        });
    }
    Ok(write_gguf(path, &metadata, &tensors)?)
}

/// Numbers of about 0.02, or codes that stand for such.
fn numbers(kind: TensorType, count: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut drawn = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let TensorType::Blocks(block) = kind else {
        return (0..count).flat_map(|_| ((f32::from(drawn()) - 127.5) / 127.5 * 0.03).to_le_bytes()).collect();
    };
    let mut bytes: Vec<u8> = (0..count / block.numbers() * block.bytes()).map(|_| drawn()).collect();
    // How large codes are, with those of the scales of parts.
    let largest = match block {
        BlockType::Q4_0 => 8.0,
        BlockType::Q4_1 | BlockType::Q5_0 => 16.0,
        BlockType::Q5_1 => 32.0,
        BlockType::Q2K => 45.0,
        BlockType::Q8_0 | BlockType::Q3K => 128.0,
        BlockType::Q4K | BlockType::Q5K => 1000.0,
        BlockType::Q6K => 4096.0,
    };
    for bytes in bytes.chunks_exact_mut(block.bytes()) {
        for place in block.scale_places() {
            bytes[*place..place + 2].copy_from_slice(&f16::from_f32(0.03 / largest).to_le_bytes());
        }
    }
    bytes
}
