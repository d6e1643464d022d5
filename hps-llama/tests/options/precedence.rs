//! Defaults, then the preset, then the file, then flags.

use crate::given::{by_both, by_file, by_flags};
use hps_core::{GammaSchedule, Loss};
use hps_llama::backend::Dtype;
use hps_llama::train::options::{Preset, TrainOptions};

#[test]
fn flags_override_the_file_and_the_file_a_preset() {
    let toml = "preset = 'official-code'\nbeta = 0.5\nlearning_rate = 1e-3\n";
    let options = by_both(toml, &[("learning_rate", "1e-2"), ("seed", "3")]).expect("options");
    let expected = {
        let mut expected = TrainOptions::preset(Preset::OfficialCode);
        (expected.beta, expected.learning_rate, expected.seed) = (Some(0.5), Some(1e-2), 3);
        expected
    };
    assert_eq!(options, expected);
}

#[test]
fn a_flag_may_change_the_files_preset() {
    let options = by_both("preset = 'official-code'\nlora_r = 4", &[("preset", "paper")]).expect("options");
    assert_eq!((options.beta, options.label_smoothing, options.lora_r), (Some(0.1), None, 4));
    // And bring one, under what the file says.
    let options = by_both("beta = 0.5", &[("preset", "paper")]).expect("options");
    assert_eq!((options.preset, options.beta), (Some(Preset::Paper), Some(0.5)));
}

/// `gamma` and `gamma_schedule` are two ways to say one thing: the later one counts.
#[test]
fn the_later_gamma_counts() {
    let gamma = |options: TrainOptions| options.config().expect("a run").gamma_schedule;
    let constant = by_both("gamma_schedule = 'continuous'", &[("gamma", "2")]).expect("options");
    assert_eq!(gamma(constant), GammaSchedule::Constant(2.0));
    let course = by_both("gamma = 2", &[("gamma_schedule", "continuous")]).expect("options");
    assert_eq!(gamma(course), GammaSchedule::Continuous);
    let over_preset = by_file("preset = 'official-code'\ngamma = inf").expect("options");
    assert_eq!(gamma(over_preset), GammaSchedule::Constant(f64::INFINITY));
}

/// The estimator takes the place of the name's own.
#[test]
fn the_estimator_is_the_names_other_half() {
    let named = |name: &str| name.parse::<Loss>().expect("a loss");
    let cases = [
        ("dpo-hps", "full", "dpo-hps-full"),
        ("dpo-hps-full", "single", "dpo-hps"),
        ("exo-hps", "expected", "exo-hps-expected"),
        ("dpo-hps-weighted", "full", "dpo-hps-full"),
    ];
    for (loss, estimator, expected) in cases {
        let options = by_flags(&[("loss_type", loss), ("estimator", estimator)]).expect("options");
        assert_eq!(options.loss().expect("a loss"), named(expected), "{loss} {estimator}");
    }
}

/// transformers' name of `dtype`, in files and as a flag, which overrides the file's whatever it is called there.
#[test]
fn another_name_of_an_option_is_the_option() {
    let options = by_file("backend = 'cuda'\nbnb_4bit_compute_dtype = 'bfloat16'").expect("options");
    assert_eq!(options.dtype, Dtype::BFloat16);
    let options = by_both("backend = 'cuda'\ndtype = 'bfloat16'", &[("bnb_4bit_compute_dtype", "float32")]);
    assert_eq!(options.expect("options").dtype, Dtype::Float32);
}
