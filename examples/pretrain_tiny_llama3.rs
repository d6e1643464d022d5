//! Trains the tiny Llama 3 in `assets/tiny-llama3` from nothing, on the toy world's language, good and bad alike.
//!
//! `cargo run --release --example pretrain_tiny_llama3 -- --output_dir out/tiny-llama3`
//!
//! All parameters are trained on all tokens with this project's own full-parameter backward. The seed, the world and the
//! recipe are fixed, so the folder it writes is the one that ships.

mod toy_world;

use clap::Parser;
use hps_llama::backend::cpu::Cpu;
use hps_llama::backend::{Backend, Precision};
use hps_llama::chat::Chat;
use hps_llama::config::LlamaConfig;
use hps_llama::data::{Message, Prompt, Response};
use hps_llama::model::{Activations, Gradients, Llama, Policy};
use hps_llama::pack::{Group, Packed};
use hps_llama::train::{AdamW, AdamWConfig, Schedule, SchedulerType};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use toy_world::corpus::{self, Document};
use toy_world::{World, tokenizer};

/// The world's seed; the fine-tuning example draws its prompts from the same world.
const WORLD: u64 = 1;

#[derive(Parser)]
struct Options {
    /// Where the model folder is written.
    #[arg(long = "output_dir", default_value = "out/tiny-llama3")]
    output_dir: PathBuf,
    /// Updates.
    #[arg(long = "max_steps", default_value_t = 600)]
    max_steps: u64,
    /// Documents an update.
    #[arg(long = "per_device_train_batch_size", default_value_t = 64)]
    batch_size: usize,
    /// The greatest learning rate.
    #[arg(long = "learning_rate", default_value_t = 3e-3)]
    learning_rate: f64,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let world = World::new(WORLD);
    std::fs::create_dir_all(&options.output_dir)?;
    write_text_files(&world, &options.output_dir)?;
    let chat = Chat::from_folder(&options.output_dir)?;

    let model = Llama::random(Cpu, config(&chat)?, 0.02, 0)?;
    let mut policy = Policy { model, adapter: None };
    let adamw = AdamWConfig { adam_beta2: 0.95, weight_decay: 0.01, ..AdamWConfig::default() };
    let mut optimizer = AdamW::new(&policy, adamw)?;
    let schedule = Schedule {
        scheduler: SchedulerType::Cosine,
        learning_rate: options.learning_rate,
        warmup_steps: options.max_steps / 20,
        total_steps: options.max_steps,
    };

    let bar = ProgressBar::new(options.max_steps);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} [{elapsed}<{eta}]")?);
    let mut documents = corpus::documents(&world, None).zip(0..);
    let mut seen = 0;
    for step in 0..options.max_steps {
        let groups = documents
            .by_ref()
            .take(options.batch_size)
            .map(|(document, row)| group(&chat, &document, row))
            .collect::<Result<Vec<_>, _>>()?;
        let batch = policy.model.batch(&Packed::shared(&groups))?;
        let pass = policy.forward(&batch, step, Activations::Keep)?;
        let log_probs = Cpu.download(pass.log_probs())?;
        let loss = -log_probs.iter().map(|number| f64::from(*number)).sum::<f64>() / log_probs.len() as f64;
        let coefficients = vec![-1.0 / log_probs.len() as f32; log_probs.len()];
        let mut gradients = Gradients::zeros(&policy)?;
        policy.backward(&batch, pass, &coefficients, &mut gradients)?;
        optimizer.update(&mut policy, &gradients, schedule.at(step))?;
        seen += log_probs.len();
        let rate = seen as f64 / bar.elapsed().as_secs_f64();
        bar.set_message(format!("loss {loss:.4} nats/token, {rate:.0} tokens/s"));
        bar.inc(1);
        if step % 50 == 49 || step + 1 == options.max_steps {
            bar.suspend(|| println!("step {}: loss {loss:.4} nats/token, {seen} tokens", step + 1));
        }
    }
    bar.finish();
    policy.model.save(&options.output_dir, Precision::BF16)?;
    println!("wrote {}", options.output_dir.display());
    Ok(())
}

/// Tokenizer and chat template, in the files of a Hugging Face folder.
fn write_text_files(world: &World, folder: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let texts = corpus::documents(world, None).take(20_000).flat_map(|document| document.texts().collect::<Vec<_>>());
    let json = tokenizer::train_tokenizer(texts, tokenizer::VOCABULARY).map_err(|error| error.to_string())?;
    std::fs::write(folder.join("tokenizer.json"), json)?;
    std::fs::write(folder.join("tokenizer_config.json"), tokenizer::TOKENIZER_CONFIG)?;
    std::fs::write(folder.join("chat_template.jinja"), tokenizer::CHAT_TEMPLATE)?;
    Ok(())
}

/// A million parameters in Llama 3's shape: grouped queries, untied head, rotary base 500,000.
fn config(chat: &Chat) -> Result<LlamaConfig, Box<dyn Error>> {
    let id = |token: &str| chat.tokenizer().id(token).ok_or(format!("the tokenizer lacks {token}"));
    let json = serde_json::json!({
        "model_type": "llama",
        "vocab_size": tokenizer::VOCABULARY,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500_000.0,
        "tie_word_embeddings": false,
        "bos_token_id": id("<|begin_of_text|>")?,
        "eos_token_id": [id("<|end_of_text|>")?, id("<|eot_id|>")?],
    });
    Ok(LlamaConfig::from_json(&json.to_string(), "the tiny Llama's config")?)
}

/// A document as one response to its first token: every later token is scored.
fn group(chat: &Chat, document: &Document, row: u32) -> Result<Group, hps_llama::Error> {
    let messages =
        document.prompt.messages().iter().map(|message| Message::new(message.role, message.content.as_str())).collect();
    let (mut tokens, response) = chat.row(&Prompt::Messages(messages), &Response::Text(document.response.clone()))?;
    tokens.extend(response);
    let rest = tokens.split_off(1);
    Ok(Group { row, prompt: tokens, responses: vec![rest] })
}
