//! Options out of their ranges are refused by name.

use crate::lists::fours;
use crate::policy::fresh;
use crate::run::config;
use hps_llama::ErrorKind;
use hps_llama::train::{AdamWConfig, TrainConfig, Trainer};

type Change = fn(&mut TrainConfig);

/// Asserts that each change is refused by the option's name.
fn assert_refused(changes: &[(&str, Change)]) {
    for (number, (name, change)) in changes.iter().enumerate() {
        let mut config = config("dpo-hps-full");
        change(&mut config);
        let error = Trainer::new(fresh(0.0), fours(2), config).err();
        let error = error.unwrap_or_else(|| panic!("{number}: `{name}` was taken"));
        assert_eq!(error.kind(), ErrorKind::Option, "{error}");
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
}

#[test]
fn counts_and_rates_are_checked() {
    assert_refused(&[
        ("learning_rate", |config| config.learning_rate = 0.0),
        ("learning_rate", |config| config.learning_rate = -1e-3),
        ("learning_rate", |config| config.learning_rate = f64::NAN),
        ("learning_rate", |config| config.learning_rate = f64::INFINITY),
        ("warmup_ratio", |config| config.warmup_ratio = 2.0),
        ("warmup_ratio", |config| config.warmup_ratio = -0.1),
        ("warmup_ratio", |config| config.warmup_ratio = f64::NAN),
        ("num_train_epochs", |config| config.num_train_epochs = 0),
        ("per_device_train_batch_size", |config| config.per_device_train_batch_size = 0),
        ("gradient_accumulation_steps", |config| config.gradient_accumulation_steps = 0),
        ("chunk_tokens", |config| config.chunk_tokens = Some(0)),
        ("max_tokens_per_batch", |config| config.max_tokens_per_batch = Some(0)),
    ]);
}

#[test]
fn the_optimisers_constants_are_checked() {
    assert_refused(&[
        ("adam_beta1", |config| config.adamw.adam_beta1 = 1.0),
        ("adam_beta1", |config| config.adamw.adam_beta1 = -0.1),
        ("adam_beta1", |config| config.adamw.adam_beta1 = f64::NAN),
        ("adam_beta2", |config| config.adamw.adam_beta2 = 1.0),
        ("adam_beta2", |config| config.adamw.adam_beta2 = f64::NAN),
        ("adam_epsilon", |config| config.adamw.adam_epsilon = 0.0),
        ("adam_epsilon", |config| config.adamw.adam_epsilon = f64::NAN),
        ("weight_decay", |config| config.adamw.weight_decay = -0.1),
        ("weight_decay", |config| config.adamw.weight_decay = f64::NAN),
        ("max_grad_norm", |config| config.adamw.max_grad_norm = 0.0),
        ("max_grad_norm", |config| config.adamw.max_grad_norm = f64::NAN),
    ]);
}

/// An infinite decay makes weights infinite, an infinite ε freezes them.
#[test]
fn infinite_constants_are_refused() {
    assert_refused(&[
        ("weight_decay", |config| config.adamw.weight_decay = f64::INFINITY),
        ("adam_epsilon", |config| config.adamw.adam_epsilon = f64::INFINITY),
    ]);
}

#[test]
fn an_infinite_norm_is_no_clipping() {
    let adamw = AdamWConfig { max_grad_norm: f64::INFINITY, ..AdamWConfig::default() };
    assert!(Trainer::new(fresh(0.0), fours(2), TrainConfig { adamw, ..config("dpo-bt") }).is_ok());
}

#[test]
fn a_batch_larger_than_the_data_is_one_step() {
    let sizes = TrainConfig { per_device_train_batch_size: 1000, ..config("dpo-bt") };
    let trainer = Trainer::new(fresh(0.0), fours(2), sizes).expect("as many as there are");
    assert_eq!(trainer.total_steps(), 1);
}
