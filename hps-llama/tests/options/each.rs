//! Every option: another value than the default, by file and by flag, and what it changes.

use crate::given::{by_both, by_file, by_flags};
use hps_llama::train::options::TrainOptions;
use std::collections::BTreeSet;

/// Where an option's effect shows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shows {
    /// In what the trainer or the adapter is asked for.
    Run,
    /// In what the program reads and writes: its tests.
    Program,
}
use Shows::{Program, Run};

/// Name, value in TOML, the same as a flag, and what has to be given with it.
const CASES: &[(&str, &str, &str, &str, Shows)] = &[
    ("task", "'sft'", "sft", "", Run),
    ("preset", "'official-code'", "official-code", "", Run),
    ("model_name_or_path", "'models/tiny'", "models/tiny", "", Program),
    ("adapter_name_or_path", "'adapter'", "adapter", "", Program),
    ("allow_other_base", "true", "true", "", Program),
    ("data", "['a.jsonl', 'b.jsonl']", "a.jsonl|b.jsonl", "", Program),
    ("eval_data", "'a.jsonl'", "a.jsonl", "", Program),
    ("eval_share", "0.1", "0.1", "", Program),
    ("chat", "true", "true", "", Program),
    ("max_length", "1_024", "1024", "", Program),
    ("truncation_mode", "'keep_end'", "keep_end", "", Program),
    ("allow_long_positions", "true", "true", "", Program),
    ("template_date", "'2026-11-30'", "2026-11-30", "", Program),
    ("shuffle", "false", "false", "", Run),
    ("seed", "18446744073709551615", "18446744073709551615", "", Run),
    ("loss_type", "'exo-pl'", "exo-pl", "", Run),
    ("beta", "1", "1", "", Run),
    ("label_smoothing", "0.1", "0.1", "", Run),
    ("margin", "0.5", "0.5", "", Run),
    ("alpha", "0.02", "0.02", "loss_type = 'rdpo-bt'", Run),
    ("temperature", "0.5", "0.5", "loss_type = 'exo-rw'", Run),
    ("likelihood", "1e-1", "1e-1", "", Run),
    ("preference_weight", "0.5", "0.5", "", Run),
    ("gamma", "-2.5", "-2.5", "", Run),
    ("gamma_schedule", "'constant:-inf'", "constant:-inf", "", Run),
    ("estimator", "'expected'", "expected", "", Run),
    ("num_negatives", "8", "8", "loss_type = 'dpo-hps-multi'", Run),
    ("negative_scale", "'count'", "count", "", Run),
    ("tie_policy", "'mask-max'", "mask-max", "", Run),
    ("learning_rate", "3e-4", "3e-4", "", Run),
    ("lr_scheduler_type", "'linear'", "linear", "", Run),
    ("warmup_ratio", "0.1", "0.1", "", Run),
    ("num_train_epochs", "3", "3", "", Run),
    ("per_device_train_batch_size", "4", "4", "", Run),
    ("gradient_accumulation_steps", "16", "16", "", Run),
    ("weight_decay", "0.01", "0.01", "", Run),
    ("max_grad_norm", "inf", "inf", "", Run),
    ("adam_beta1", "0.8", "0.8", "", Run),
    ("adam_beta2", "0.95", "0.95", "", Run),
    ("adam_epsilon", "1e-6", "1e-6", "", Run),
    ("use_peft", "false", "false", "", Run),
    ("lora_r", "0x10", "16", "", Run),
    ("lora_alpha", "32", "32", "", Run),
    ("lora_dropout", "0.05", "0.05", "", Run),
    ("lora_target_modules", "['v_proj', 'o_proj']", "v_proj,o_proj", "", Run),
    ("use_rslora", "true", "true", "", Run),
    ("backend", "'wgpu'", "wgpu", "", Program),
    ("device", "1", "1", "backend = 'wgpu'", Program),
    ("dtype", "'float32'", "float32", "", Program),
    ("load_in_4bit", "true", "true", "", Program),
    ("bnb_4bit_quant_type", "'fp4'", "fp4", "load_in_4bit = true", Program),
    ("bnb_4bit_use_double_quant", "true", "true", "load_in_4bit = true", Program),
    ("load_in_gguf_type", "'q8_0'", "q8_0", "", Program),
    (
        "llm_int8_skip_modules",
        "['down_proj', 'model.layers.0']",
        "down_proj|model.layers.0",
        "load_in_4bit = true",
        Program,
    ),
    ("memory_budget", "'8GiB'", "8GiB", "", Run),
    ("route", "'chunks'", "chunks", "", Run),
    ("activations", "'recompute'", "recompute", "", Run),
    ("chunk_tokens", "512", "512", "", Run),
    ("max_tokens_per_batch", "8_192", "8192", "", Run),
    ("ref_adapter", "'base'", "base", "", Program),
    ("reference_cache_dir", "'cache'", "cache", "", Program),
    ("output_dir", "'out'", "out", "", Program),
    ("overwrite_output_dir", "true", "true", "", Program),
    ("logging_steps", "5", "5", "", Program),
    ("eval_steps", "5", "5", "eval_share = 0.1", Program),
    ("eval_on_start", "false", "false", "", Program),
    ("save_steps", "5", "5", "", Program),
    ("save_minutes", "0.5", "0.5", "", Program),
    ("save_total_limit", "2", "2", "save_steps = 5", Program),
    ("resume_from_checkpoint", "'out/checkpoint-5'", "out/checkpoint-5", "", Program),
    ("report_to", "['tensorboard', 'html']", "tensorboard,html", "", Program),
];

/// What a run is asked to do.
fn run(options: &TrainOptions) -> String {
    format!("{:?} {:?}", options.config().expect("a run"), options.lora())
}

#[test]
fn every_option_is_tried() {
    let tried: BTreeSet<&str> = CASES.iter().map(|case| case.0).collect();
    let known: BTreeSet<&str> = TrainOptions::table().iter().map(|option| option.name).collect();
    assert_eq!((tried.len(), tried), (CASES.len(), known));
}

#[test]
fn a_flag_says_what_the_file_says() {
    for (name, toml, flag, with, _) in CASES {
        let by_file = by_file(&format!("{with}\n{name} = {toml}\n")).unwrap_or_else(|error| panic!("{error}"));
        let by_flag = by_both(with, &[(name, flag)]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(by_file, by_flag, "{name}");
    }
}

#[test]
fn every_option_has_an_effect() {
    for (name, toml, _, with, shows) in CASES {
        let (before, after) =
            (by_file(with).expect("options"), by_file(&format!("{with}\n{name} = {toml}")).expect("options"));
        assert_ne!(before.value(name), after.value(name), "{name}");
        assert_eq!(*shows == Run, run(&before) != run(&after), "{name}: {}", run(&after));
        // And on nothing else of the options; a preset is there to.
        let others = TrainOptions::table().into_iter().filter(|option| option.name != *name && *name != "preset");
        for other in others {
            assert_eq!(before.value(other.name), after.value(other.name), "{name} changes {}", other.name);
        }
    }
}

#[test]
fn defaults_are_the_trainers() {
    use hps_llama::lora::LoraConfig;
    use hps_llama::train::TrainConfig;
    let options = by_flags(&[]).expect("nothing is wrong with nothing");
    assert_eq!(options, TrainOptions::default());
    // The library's default is the paper's setting, the program's is made for fewer rows.
    let fewer_rows = TrainConfig { learning_rate: 1e-4, gradient_accumulation_steps: 1, ..TrainConfig::default() };
    assert_eq!(options.config().expect("a run"), fewer_rows);
    assert_eq!(options.lora(), Some(LoraConfig::default()));
}

/// The rate that is taken where none is given.
#[test]
fn rates_are_by_what_is_trained() {
    for (task, adapter, all_weights) in [("preference", 1e-4, 5e-7), ("reward", 5e-4, 2e-5), ("sft", 2e-4, 2e-5)] {
        for (use_peft, expected) in [("true", adapter), ("false", all_weights)] {
            let options = by_flags(&[("task", task), ("use_peft", use_peft)]).expect("options");
            assert_eq!(options.config().expect("a run").learning_rate, expected, "{task}, {use_peft}");
            assert!(options.to_toml().contains(&format!("= {expected:?}\n")), "{}", options.to_toml());
            let paper = by_flags(&[("task", task), ("use_peft", use_peft), ("preset", "paper")]).expect("options");
            assert_eq!(paper.config().expect("a run").learning_rate, 5e-7, "{task}, {use_peft}");
        }
    }
}
