//! What is refused, in what words.

use crate::given::{by_both, by_file, by_flags, refusal};
use hps_llama::ErrorKind;
use hps_llama::train::options::TrainOptions;
use std::path::Path;

/// A file and the whole of what is said of it.
const FILES: &[(&str, &str)] = &[
    ("seed = 1\n\nlearning_rat = 1", "train.toml:3: unknown key `learning_rat`; did you mean `learning_rate`?"),
    (
        "load_in_8bit = true",
        "train.toml:1: `load_in_8bit` is LLM.int8() elsewhere, which computes in whole numbers and is not done here; \
         `load_in_gguf_type = \"q8_0\"` stores 8.5 bits a number",
    ),
    (
        "dtype = 'float32'\nbnb_4bit_compute_dtype = 'float32'",
        "train.toml:2: `bnb_4bit_compute_dtype` is given, and so is `dtype` by another name; they are one option",
    ),
    ("lr = 1", "train.toml:1: unknown key `lr`; did you mean `learning_rate`?"),
    ("seed = 1\nseed = 2", "train.toml:2: not TOML: duplicate key"),
    ("[lora]\nr = 8", "train.toml:1: unknown key `lora`; did you mean `lora_r`?"),
    ("beta = 'high'", "train.toml:1: `beta` is \"high\"; it takes a number"),
    ("\nbeta = '0.1'", "train.toml:2: `beta` is \"0.1\"; it takes a number"),
    ("beta = nan", "train.toml:1: `beta` is nan; it takes a number"),
    ("learning_rate = true", "train.toml:1: `learning_rate` is true; it takes a number"),
    ("learning_rate = 0", "train.toml:1: `learning_rate` is 0; it is greater than 0"),
    ("learning_rate = inf", "train.toml:1: `learning_rate` is inf; it is greater than 0"),
    ("learning_rate = 1e999", "train.toml:1: `learning_rate` is 1e999; it takes a number"),
    ("warmup_ratio = 1.5", "train.toml:1: `warmup_ratio` is 1.5; it lies in [0, 1]"),
    ("weight_decay = -0.1", "train.toml:1: `weight_decay` is -0.1; it is at least 0"),
    ("max_grad_norm = 0", "train.toml:1: `max_grad_norm` is 0; it is greater than 0"),
    ("adam_beta2 = 1", "train.toml:1: `adam_beta2` is 1; it lies in [0, 1)"),
    ("adam_epsilon = 0.0", "train.toml:1: `adam_epsilon` is 0.0; it is greater than 0"),
    ("num_train_epochs = 0", "train.toml:1: `num_train_epochs` is 0; it is at least 1"),
    ("num_train_epochs = 1.5", "train.toml:1: `num_train_epochs` is 1.5; it takes a whole number from 0 to 4294967295"),
    ("seed = -1", "train.toml:1: `seed` is -1; it takes a whole number from 0 to 18446744073709551615"),
    ("max_length = 0", "train.toml:1: `max_length` is 0; it is at least 1"),
    ("lora_r = 0", "train.toml:1: `lora_r` is 0; it is at least 1"),
    ("lora_alpha = inf", "train.toml:1: `lora_alpha` is inf; it is finite"),
    ("lora_dropout = 1.0", "train.toml:1: `lora_dropout` is 1.0; it lies in [0, 1)"),
    (
        "lora_target_modules = ['q_proj', 'qproj']",
        "train.toml:1: `lora_target_modules` is [\"q_proj\", \"qproj\"]; it takes q_proj, k_proj, v_proj, o_proj, \
         gate_proj, up_proj, down_proj or all-linear, or a list of them",
    ),
    ("shuffle = 1", "train.toml:1: `shuffle` is 1; it takes true or false"),
    ("data = 3", "train.toml:1: `data` is 3; it takes a path, or a list of them"),
    ("output_dir = ''", "train.toml:1: `output_dir` is \"\"; it takes a path"),
    ("output_dir = 2026-11-25", "train.toml:1: `output_dir` is a date; it takes a path"),
    ("seed = { a = 1 }", "train.toml:1: `seed` is a table; it takes a whole number from 0 to 18446744073709551615"),
    ("task = 'dpo'", "train.toml:1: `task` is \"dpo\"; it takes preference, sft or reward"),
    ("preset = 'papers'", "train.toml:1: `preset` is \"papers\"; it takes paper or official-code"),
    (
        "lr_scheduler_type = 'cos'",
        "train.toml:1: `lr_scheduler_type` is \"cos\"; it takes cosine, linear or constant_with_warmup",
    ),
    ("backend = 'gpu'", "train.toml:1: `backend` is \"gpu\"; it takes cpu, cuda or wgpu"),
    ("dtype = 'float16'", "train.toml:1: `dtype` is \"float16\"; it takes auto, float32 or bfloat16"),
    ("backend = 'cpu'\ndevice = 0", "train.toml:2: `device` is 0, but `backend` cpu has no devices to choose from"),
    ("dtype = 'bfloat16'", "train.toml:1: `dtype` is bfloat16, but `backend` cpu computes in float32"),
    ("eval_share = 0.9", "train.toml:1: `eval_share` is 0.9; it lies in (0, 0.5]"),
    (
        "report_to = 'wandb'",
        "train.toml:1: `report_to` is \"wandb\"; it takes none, tensorboard, html or all, or a list of them",
    ),
    (
        "loss_type = 'dpo-hpss'",
        "train.toml:1: `loss_type` is `dpo-hpss`, and no loss has this name; did you mean `dpo-hps`?",
    ),
    (
        "loss_type = 'sigmoid'",
        "train.toml:1: `loss_type` is `sigmoid`, and no loss has this name; did you mean `dpo-bt`?",
    ),
    ("loss_type = 'hps'", "train.toml:1: `loss_type` is `hps`, and no loss has this name; did you mean `dpo-hps`?"),
    ("loss_type = 'dpo'", "train.toml:1: `loss_type` is `dpo`, and no loss has this name; did you mean `dpo-bt`?"),
    ("loss_type = 'zzz'", "train.toml:1: `loss_type` is `zzz`, and no loss has this name"),
    ("loss_type = 1", "train.toml:1: `loss_type` is 1; it takes the name of a loss"),
    (
        "seed = 1\nbeta = 0.1\nloss_type = 'slic'",
        "train.toml:2: `beta` is 0.1 with `loss_type` slic: unsupported: the loss has no beta",
    ),
    ("beta = -1", "train.toml:1: `beta` is -1.0 with `loss_type` dpo-hps: beta = -1 is outside (0, inf)"),
    (
        "loss_type = 'dpo-bt'\ngamma_schedule = 'continuous'",
        "train.toml:2: `gamma_schedule` is \"continuous\" with `loss_type` dpo-bt: unsupported: only hps weighs its negatives",
    ),
    (
        "loss_type = 'dpo-pl'\nestimator = 'full'",
        "train.toml:2: `estimator` is full with `loss_type` dpo-pl, which has no such form",
    ),
    (
        "negative_scale = 0",
        "train.toml:1: `negative_scale` is 0.0 with `loss_type` dpo-hps: negative scale = 0 is outside (0, inf)",
    ),
    (
        "gamma = 1\ngamma_schedule = 'continuous'",
        "train.toml:1: `gamma` and `gamma_schedule` are both given; `gamma` is the constant one",
    ),
    (
        "use_peft = false\nlora_r = 4",
        "train.toml:2: `lora_r` is given, but `use_peft` is false: all weights are trained",
    ),
    (
        "use_peft = false\nadapter_name_or_path = 'a'",
        "train.toml:2: `adapter_name_or_path` is given, but `use_peft` is false: all weights are trained",
    ),
    (
        "adapter_name_or_path = 'a'\nlora_alpha = 8",
        "train.toml:2: `lora_alpha` is given, but the adapter in a has its own",
    ),
    (
        "eval_data = 'a'\neval_share = 0.1",
        "train.toml:2: `eval_share` and `eval_data` are both given; one of them is read",
    ),
    (
        "eval_steps = 5",
        "train.toml:1: `eval_steps` is given, but neither `eval_data` nor `eval_share` says on which rows",
    ),
];

#[test]
fn files_are_refused_with_line_and_key() {
    for (toml, expected) in FILES {
        assert_eq!(refusal(by_file(toml)), *expected, "{toml}");
    }
}

#[test]
fn the_first_mistake_is_told() {
    assert!(refusal(by_file("zzz = 1\naaa = 1")).starts_with("train.toml:1: unknown key `zzz`"));
}

#[test]
fn what_is_not_toml_is_placed() {
    let cases =
        [("beta = 0.1\nseed = ", "train.toml:2: not TOML: "), ("beta = 1\nbeta = 2", "train.toml:2: not TOML: ")];
    for (toml, beginning) in cases {
        let message = refusal(by_file(toml));
        assert!(message.starts_with(beginning), "{message}");
    }
}

#[test]
fn flags_are_refused_by_name() {
    let cases = [
        (("learning_rat", "1"), "command line: unknown flag `learning_rat`; did you mean `learning_rate`?"),
        (("learning_rate", "fast"), "command line: `learning_rate` is fast; it takes a number"),
        (("seed", "-1"), "command line: `seed` is -1; it takes a whole number from 0 to 18446744073709551615"),
        (("data", ""), "command line: `data` is \"\"; it takes a path, or a list of them"),
    ];
    for (flag, expected) in cases {
        assert_eq!(refusal(by_flags(&[flag])), expected);
    }
    // A flag is at fault where a flag makes the contradiction.
    let message = refusal(by_both("loss_type = 'dpo-bt'", &[("gamma", "1")]));
    assert_eq!(
        message,
        "command line: `gamma` is 1.0 with `loss_type` dpo-bt: unsupported: only hps weighs its negatives"
    );
}

#[test]
fn a_reward_model_has_no_supervised_response() {
    let message = refusal(by_file("loss_type = 'slic'\ntask = 'reward'"));
    assert!(message.starts_with("train.toml:1: `loss_type` is slic with `task` reward: "), "{message}");
}

#[test]
fn a_number_of_draws_is_for_a_loss_that_draws_several() {
    let options = by_file("estimator = 'multi'\nnum_negatives = 2");
    assert_eq!(options.and_then(|options| options.config()).expect("it trains").num_negatives, 2);
    for loss in ["dpo-hps", "dpo-hps-full", "dpo-bt"] {
        let message = refusal(by_file(&format!("loss_type = '{loss}'\nnum_negatives = 2")));
        let expected = format!(
            "train.toml:2: `num_negatives` is 2 with `loss_type` {loss}: the loss does not draw several negatives"
        );
        assert!(message.starts_with(&expected), "{message}");
    }
    for (number, range) in [("0", "at least 1"), ("1000000000000", "at most 65536")] {
        let message = refusal(by_file(&format!("loss_type = 'dpo-hps-multi'\nnum_negatives = {number}")));
        assert!(message.contains(range), "{message}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = TrainOptions::read(Some(Path::new("nowhere/train.toml")), &[]).expect_err("there is none");
    assert_eq!((error.kind(), error.place()), (ErrorKind::Io, Some("nowhere/train.toml")));
}

#[test]
fn what_a_run_needs_is_asked_for() {
    let options = TrainOptions::default();
    let said = [options.model().map(drop), options.files().map(drop), options.output().map(drop)];
    let said = said.map(|result| result.expect_err("it is missing").to_string());
    let expected = ["model_name_or_path", "data", "output_dir"]
        .map(|name| format!("`{name}` is missing; it is given in the file or as `--{name}`"));
    assert_eq!(said, expected);
}
