//! Options written as TOML read back to the same.

use crate::given::by_file;
use hps_llama::train::options::TrainOptions;

/// Files that between them set every option that is written.
const FILES: &[&str] = &[
    "",
    "preset = 'paper'",
    "preset = 'official-code'",
    "loss_type = 'simpo-hps'\nmargin = 0.5\nnegative_scale = 'count'\ngamma = -inf\nestimator = 'expected'\nlikelihood = 0.1",
    "loss_type = 'rdpo-hps-full'\nalpha = 0.05\nnegative_scale = 2.5\npreference_weight = 3\ntie_policy = 'keep'",
    "loss_type = 'nca-k'\ntemperature = 0.5\nbeta = 1e-3",
    "use_peft = false\nseed = 18446744073709551615\nshuffle = false\nmax_grad_norm = inf\nadam_epsilon = 1e-30",
    "adapter_name_or_path = 'an \"odd\"\\\\ name\\n'\ndata = ['a', \"b c\"]\neval_data = ['d']\neval_steps = 3",
    "lora_r = 4\nlora_target_modules = 'all-linear'\nuse_rslora = true\nlora_dropout = 0.1\neval_share = 0.25",
    "model_name_or_path = 'm'\noutput_dir = 'ö'\nsave_steps = 7\nsave_total_limit = 2\nreport_to = ['tensorboard', 'html']",
    "backend = 'wgpu'\ndevice = 'an \"odd\" GPU'\ndtype = 'bfloat16'",
    "task = 'sft'\npreset = 'official-code'",
    "task = 'reward'\npreset = 'official-code'\nloss_type = 'dpo-pl'",
    "task = 'reward'\ntruncation_mode = 'keep_start'\nmax_length = 7\nwarmup_ratio = 0.03\nlogging_steps = 10",
];

#[test]
fn written_options_read_back() {
    for toml in FILES {
        let mut options = by_file(toml).expect("options");
        let written = options.to_toml();
        let read = by_file(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
        // What the preset set stands there by itself.
        options.preset = None;
        options.learning_rate = options.learning_rate.or(Some(options.config().expect("a run").learning_rate));
        assert_eq!(read, options, "{written}");
        assert_eq!(read.to_toml(), written);
    }
}

/// How a run was begun is not written: from the same file another run begins afresh.
#[test]
fn how_a_run_begins_is_not_written() {
    let options = by_file("overwrite_output_dir = true\nresume_from_checkpoint = 'out/checkpoint-5'").expect("options");
    assert_eq!(options.to_toml(), TrainOptions::default().to_toml());
}
