//! Results are the same bits from run to run and for any number of threads.
//!
//! The number of threads is fixed when a process starts, so the test starts itself again as children.

use hps_llama::backend::cpu::Cpu;
use hps_llama::backend::{Backend, Bytes, Encoding, Precision, StoredTensor};
use hps_llama::config::LlamaConfig;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::pack::Group;
use hps_llama::parameter::Projection;
use hps_llama::train::{Example, TrainConfig, Trainer};
use std::fmt::Write;
use std::ops::Range;
use std::process::Command;

const CHILD: &str = "HPS_DETERMINISM_CHILD";

/// A shape large enough for every matrix product to be cut among threads.
fn model() -> Llama<Cpu> {
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": 3001, "hidden_size": 256, "intermediate_size": 704,
        "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 2,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0,
    });
    let config = LlamaConfig::from_json(&config.to_string(), "test").expect("a config");
    Llama::random(Cpu, config, 0.05, 7).expect("a model")
}

fn examples() -> Vec<Example> {
    let token = |row: u32, response: u32, index: u32| (row * 7919 + response * 104_729 + index * 31) % 3001;
    let tokens = |row, response, length| (0..length).map(|index| token(row, response, index)).collect();
    (0..6)
        .map(|row| Example {
            place: format!("test:{row}"),
            group: Group {
                row,
                prompt: tokens(row, 0, 70 + row),
                responses: (1..5).map(|response| tokens(row, response, 20 + 13 * response)).collect(),
            },
            rewards: vec![3.0, 2.5, 1.0, -1.0],
        })
        .collect()
}

/// Trains and writes every trained number and log as hexadecimal bits.
fn fingerprint(loss: &str, adapter: Option<LoraConfig>) -> String {
    let model = model();
    let adapter = adapter.map(|config| Lora::fresh(&Cpu, model.config(), config, 3).expect("an adapter"));
    let config = TrainConfig {
        loss: loss.parse().expect("a loss"),
        learning_rate: 1e-3,
        num_train_epochs: 1,
        per_device_train_batch_size: 3,
        gradient_accumulation_steps: 1,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(Policy { model, adapter }, examples(), config).expect("a trainer");
    let mut bits = 0xcbf2_9ce4_8422_2325u64;
    let mut text = String::new();
    while let Some(log) = trainer.step().expect("a step") {
        write!(text, "{:016x} {:016x} ", log.loss.to_bits(), log.grad_norm.to_bits()).expect("a string grows");
    }
    let policy = trainer.into_policy();
    for parameter in policy.trained().keys() {
        let numbers = match &policy.adapter {
            Some(adapter) => adapter.matrix(&Cpu, *parameter).expect("numbers").expect("a matrix"),
            None => policy.model.weight(*parameter).expect("numbers"),
        };
        // FNV-1a over the numbers' bits.
        for number in numbers {
            bits = (bits ^ u64::from(number.to_bits())).wrapping_mul(0x100_0000_01b3);
        }
    }
    write!(text, "{bits:016x}").expect("a string grows");
    text
}

#[test]
fn bits_do_not_depend_on_threads_or_runs() {
    if std::env::var_os(CHILD).is_some() {
        let lora = LoraConfig { lora_dropout: 0.2, target_modules: Projection::ALL.to_vec(), ..LoraConfig::default() };
        println!("\nlora {}", fingerprint("dpo-hps-full", Some(lora)));
        println!("full {}", fingerprint("dpo-hps", None));
        return;
    }
    let child = |threads: &str| {
        let output = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "bits_do_not_depend_on_threads_or_runs", "--nocapture"])
            .env(CHILD, "1")
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .expect("the test starts itself");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with("lora ") || line.starts_with("full "))
            .map(Into::into)
            .collect();
        assert_eq!(lines.len(), 2, "{text}");
        lines
    };
    let one = child("1");
    assert_eq!(one, child("2"), "one thread against two");
    assert_eq!(one, child("3"), "one thread against three");
    assert_eq!(one, child("1"), "run against run");
}

/// A row of `x Wᵀ` is the same bits in any product it is in: pieces of any length, one row or many.
#[test]
fn a_row_of_a_product_does_not_depend_on_the_others() {
    let random = |count: usize, word: u32| -> Vec<f32> {
        let philox = hps_core::Philox::new(5);
        (0..count).map(|index| philox.block([index as u32, word, 0, 0])[0] as f32 / 2f32.powi(32) - 0.5).collect()
    };
    // Adapters of few ranks, odd widths that leave short pieces, a head.
    for (inputs, outputs) in [(512, 1), (176, 2), (512, 8), (8, 512), (64, 33), (1408, 512), (512, 1409), (512, 8193)] {
        let bytes: Vec<u8> = random(inputs * outputs, 1).into_iter().flat_map(f32::to_le_bytes).collect();
        let bytes = Bytes::Shared(bytes.into());
        let stored = StoredTensor::new(Encoding::Numbers(Precision::F32), [outputs, inputs], bytes).expect("a tensor");
        let numbers = random(inputs * 700, 2);
        // Its numbers in memory, as of what is trained, and its bytes as they are stored.
        for trained in [true, false] {
            let weight = Cpu.upload_weight(&stored, trained).expect("uploaded");
            let product = |rows: Range<usize>| {
                let x = Cpu.upload(&numbers[rows.start * inputs..rows.end * inputs], inputs).expect("uploaded");
                Cpu.download(&Cpu.linear(&x, &weight).expect("a product")).expect("numbers")
            };
            let whole = product(0..700);
            for rows in [0..1, 0..2, 3..6, 0..13, 1..32, 5..105, 0..129, 64..321, 0..641] {
                let expected = &whole[rows.start * outputs..rows.end * outputs];
                assert!(product(rows.clone()) == expected, "rows {rows:?} of [700, {inputs}] by [{outputs}, {inputs}]");
            }
        }
    }
}
