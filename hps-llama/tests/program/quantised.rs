//! Bases in few bits, as people ask for them.

use crate::program::{Folder, hps, metrics, read, root, train};
use crate::random_gguf;
use clap::Parser;
use hps_llama::backend::cpu::Cpu;
use hps_llama::config::{LlamaConfig, RopeScaling};
use hps_llama::model::Llama;
use hps_llama::parameter::{Parameter, Projection};

/// What is asked for and would not be done is refused.
#[test]
fn flags_that_would_be_ignored_are_refused() {
    let folder = Folder::new("");
    let model = crate::program::data("models/tiny").display().to_string();
    let data = folder.argument("rows.jsonl");
    std::fs::write(folder.path("rows.jsonl"), "{\"prompt\": \"a\"}\n").expect("a file");
    let on_model = ["--model_name_or_path", &model, "--data", &data];
    let skipping = ["--llm_int8_skip_modules", "q_proj"];
    let server = ["--endpoint", "http://127.0.0.1:1/v1", "--model", "m", "--data", &data, "--output", "nowhere.jsonl"];
    for (command, flags, says) in [
        ("log-probs", [&on_model[..], &skipping].concat(), "--load_in_4bit"),
        ("log-probs", [&on_model[..], &["--bnb_4bit_use_double_quant"]].concat(), "--load_in_4bit"),
        (
            "log-probs",
            [&on_model[..], &["--load_in_4bit", "--load_in_gguf_type", "q8_0"]].concat(),
            "cannot be used with",
        ),
        ("log-probs", [&on_model[..], &["--load_in_gguf_type", "q4_k"]].concat(), "`q4_k` is not q8_0"),
        ("generate", [&server[..], &["--load_in_4bit"]].concat(), "cannot be used with"),
    ] {
        let ended = hps(&[&[command][..], &flags].concat());
        assert!(ended.code == Some(2) && ended.error.contains(says), "{flags:?}: {}", ended.error);
    }
}

/// `hps train` and `hps log-probs` on the same quantised base: the run starts at its reference, and what it wrote moves it.
#[test]
fn a_run_on_a_quantised_base_is_read_by_the_other_commands() {
    let folder = Folder::new("load_in_4bit = true\nbnb_4bit_use_double_quant = true");
    let out = train(&[&folder.argument("options.toml")]);
    assert!(out.contains("0.6931"), "{out}");
    let (model, adapter) = (crate::program::data("models/tiny").display().to_string(), folder.argument("out"));
    let data = crate::program::data("trl-sigmoid/preferences.jsonl").display().to_string();
    let log_probs = |more: &[&str]| {
        let base = ["log-probs", "--model_name_or_path", &model, "--adapter_name_or_path", &adapter, "--data", &data];
        let ended = hps(&[&base[..], more].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.error);
        ended.out
    };
    let quantised = log_probs(&["--load_in_4bit", "--bnb_4bit_use_double_quant"]);
    assert_ne!(quantised, log_probs(&["--allow_other_base"]), "the base decides");
    let other_scales = log_probs(&["--load_in_4bit", "--allow_other_base"]);
    assert_ne!(quantised, other_scales, "and whether its scales are quantised");

    // On another base than its own an adapter says something else: no command takes it there unasked.
    let data_of = ["--data", &data, "--output_dir", &folder.argument("other")].map(String::from);
    let data_of: Vec<&str> = data_of.iter().map(String::as_str).collect();
    let named = format!("run={adapter}");
    for (command, more) in [
        ("log-probs", vec!["--data", &data, "--adapter_name_or_path", &adapter]),
        ("generate", vec!["--data", &data, "--adapter_name_or_path", &adapter, "--output", "never.jsonl"]),
        ("evaluate", [&data_of[..], &["--adapter_name_or_path", &named]].concat()),
        ("train", [&data_of[..], &["--adapter_name_or_path", &adapter, "--ref_adapter", "base"]].concat()),
        ("train", [&data_of[..], &["--ref_adapter", &adapter]].concat()),
    ] {
        for storage in [&[][..], &["--load_in_4bit"]] {
            let ended = hps(&[&[command, "--model_name_or_path", &model], &more[..], storage].concat());
            let refused =
                ended.error.contains("was trained on its base with its projections quantised to nf4, doubly quantised");
            assert!(ended.code == Some(1) && refused, "{command}: {}", ended.error);
        }
    }
}

/// What a run would refuse its plan refuses.
#[test]
fn plans_refuse_what_cannot_be_quantised_or_trained() {
    let folder = Folder::new("");
    let base = folder.argument("base");
    let model = crate::program::data("models/tiny").display().to_string();
    let ended = hps(&["export", "--model_name_or_path", &model, "--load_in_4bit", "--output_dir", &base]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    for (more, refusal) in [
        (&["--model_name_or_path", &base, "--load_in_4bit"][..], "is stored in nf4 already"),
        (&["--model_name_or_path", &base, "--use_peft", "false"], "is stored in nf4; train an adapter"),
        (&["--load_in_4bit", "--llm_int8_skip_modules", "nope"], "names `nope`"),
    ] {
        let options = folder.argument("options.toml");
        let ended = hps(&[&["train", &options, "--dry_run"], more].concat());
        assert!(ended.code == Some(1) && ended.error.contains(refusal), "{}", ended.error);
    }
}

/// transformers' names: one is another name here, and one means what is not done.
#[test]
fn names_of_transformers_are_taken_or_refused() {
    let folder = Folder::new("load_in_4bit = true\nbnb_4bit_compute_dtype = \"float32\"");
    let out = train(&[&folder.argument("options.toml"), "--dry_run"]);
    assert!(!out.is_empty());
    let flag = train(&[&Folder::new("").argument("options.toml"), "--dry_run", "--bnb_4bit_compute_dtype", "float32"]);
    assert!(!flag.is_empty());
    let twice = Folder::new("dtype = \"float32\"\nbnb_4bit_compute_dtype = \"float32\"");
    let ended = hps(&["train", &twice.argument("options.toml"), "--dry_run"]);
    assert!(ended.code == Some(1) && ended.error.contains("they are one option"), "{}", ended.error);

    let why =
        "is LLM.int8() elsewhere, which computes in whole numbers and is not done here; `load_in_gguf_type = \"q8_0\"`";
    let file = Folder::new("load_in_8bit = true");
    let ended = hps(&["train", &file.argument("options.toml")]);
    assert!(ended.code == Some(1) && ended.error.contains(&format!(":7: `load_in_8bit` {why}")), "{}", ended.error);
    let model = crate::program::data("models/tiny").display().to_string();
    for command in ["train", "log-probs", "generate", "score", "merge"] {
        let ended = hps(&[command, "--model", &model, "--load_in_8bit"]);
        assert!(ended.code == Some(2) && ended.error.contains(why), "{command}: {}", ended.error);
    }
    let help = hps(&["log-probs", "--help"]).out;
    assert!(help.contains("load_in_4bit") && !help.contains("load_in_8bit"), "{help}");
}

/// A base that is quantised once: its folder holds the numbers that `load_in_4bit` makes, to the bit.
#[test]
fn a_base_is_written_in_four_bits_and_read_as_it_is() {
    let rows = crate::program::data("trl-sigmoid/preferences.jsonl").display().to_string();
    let log_probs = |call: &[&str]| {
        let ended = hps(&[&["log-probs", "--data", &rows, "--model"], call].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.error);
        ended.out
    };
    let folder = Folder::new("");
    let cases: [(&str, &[&str]); 4] = [
        ("tiny", &["--load_in_4bit"]),
        ("tiny", &["--load_in_4bit", "--bnb_4bit_use_double_quant", "--llm_int8_skip_modules", "model.layers.1"]),
        ("tiny", &["--load_in_4bit", "--bnb_4bit_quant_type", "fp4", "--bnb_4bit_use_double_quant"]),
        (
            "tiny-tied-scaled",
            &["--load_in_4bit", "--bnb_4bit_use_double_quant", "--llm_int8_skip_modules", "down_proj"],
        ),
    ];
    for (number, (model, flags)) in cases.into_iter().enumerate() {
        let (base, out) = (format!("tests/data/models/{model}"), folder.argument(&format!("quantised-{number}")));
        let ended = hps(&[&["export", "--model", &base, "--output_dir", &out], flags].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.error);
        assert!(ended.out.starts_with(&format!("{out}: projections in ")), "{}", ended.out);
        assert!(!folder.path(&format!("quantised-{number}.partial")).exists());
        assert_eq!(log_probs(&[&out]), log_probs(&[&[base.as_str()], flags].concat()), "{flags:?}");

        // As PyTorch's reader needs it: each tensor at a multiple of its numbers' size.
        let out = folder.path(&format!("quantised-{number}"));
        let file = read(&out.join("model.safetensors"));
        let (_, header) = safetensors::SafeTensors::read_metadata(&file).expect("a header");
        for (name, info) in header.tensors() {
            assert_eq!(info.data_offsets.0 % (info.dtype.bitsize() / 8), 0, "{name}");
        }
        let config: serde_json::Value = serde_json::from_slice(&read(&out.join("config.json"))).expect("JSON");
        let quantised = &config["quantization_config"];
        let double = flags.contains(&"--bnb_4bit_use_double_quant");
        assert_eq!(
            (&quantised["load_in_4bit"], &quantised["bnb_4bit_use_double_quant"]),
            (&true.into(), &double.into())
        );
        let skipped = quantised["llm_int8_skip_modules"].as_array().expect("a list");
        assert!(skipped.contains(&"lm_head".into()), "{skipped:?}");
        assert_eq!(
            skipped.contains(&"model.layers.1.mlp.down_proj".into()),
            flags.contains(&"--llm_int8_skip_modules")
        );
        assert!(out.join("tokenizer.json").exists());
    }
    let base = "tests/data/models/tiny";
    let refused = |flags: &[&str]| hps(&[&["export", "--model", base], flags].concat());
    let out = folder.argument("eight");
    let ended = refused(&["--output_dir", &out, "--load_in_gguf_type", "q8_0"]);
    assert!(
        ended.code == Some(1) && ended.error.contains("a folder holds four bits (`load_in_4bit`), not q8_0"),
        "{}",
        ended.error
    );
    assert!(!folder.path("eight").exists());
    let again = refused(&["--output_dir", &folder.argument("quantised-0"), "--load_in_4bit"]);
    assert!(again.code == Some(1) && again.error.contains("is not empty; an export writes into a folder of its own"));
    for (flags, says) in [
        (&["--output_dir", &out][..], "--load_in_4bit"),
        (&[][..], "--gguf_adapter"),
        (&["--gguf_adapter", &out][..], "--adapter_name_or_path"),
        (&["--gguf_adapter", &out, "--adapter", &out, "--load_in_4bit"][..], "cannot be used with"),
        (&["--output_dir", &out, "--adapter", &out, "--load_in_4bit"][..], "cannot be used with"),
    ] {
        let ended = refused(flags);
        assert!(ended.code == Some(2) && ended.error.contains(says), "{flags:?}: {}", ended.error);
    }
}

/// The file of `examples/random_gguf`, but small: Llama 3.1's frequencies, numbers of the size that a model has, and a run.
#[test]
fn a_gguf_file_of_random_weights_is_trained_on() {
    let folder = Folder::new("");
    let file = folder.argument("random.gguf");
    let tokenizer = root().join("assets/tiny-llama3").display().to_string();
    let sizes = ["--num-hidden-layers=2", "--hidden-size=256", "--intermediate-size=512", "--vocab-size=1500"];
    let given = ["random_gguf", "--output", &file, "--tokenizer", &tokenizer].into_iter().chain(sizes);
    let bytes = random_gguf::write(&random_gguf::Arguments::parse_from(given)).expect("written");
    assert!(std::fs::metadata(&file).expect("a file").len() as usize > bytes);

    let scaling = LlamaConfig::from_folder(&file).expect("a Llama").rope.scaling;
    let expected = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    };
    assert_eq!(scaling, expected);
    let model = Llama::from_folder(Cpu, &file, false).expect("a model");
    for parameter in [Parameter::Embedding, Parameter::Weight(1, Projection::K), Parameter::Weight(0, Projection::Down)]
    {
        let numbers = model.weight(parameter).expect("numbers");
        let mean = numbers.iter().map(|number| f64::from(*number)).sum::<f64>() / numbers.len() as f64;
        let squares = numbers.iter().map(|number| (f64::from(*number) - mean).powi(2)).sum::<f64>();
        let deviation = (squares / numbers.len() as f64).sqrt();
        assert!(mean.abs() < 1e-3 && (deviation - 0.02).abs() < 1e-3, "{parameter}: {mean} ± {deviation}");
    }

    let out = train(&[&folder.argument("options.toml"), "--model_name_or_path", &file]);
    assert!(out.contains("q4_k") || out.contains("GGUF"), "{out}");
    let lines = metrics(&folder.out("metrics.jsonl"));
    let loss = |line: &serde_json::Value| line["loss"].as_f64().expect("a loss");
    let updates: Vec<f64> = lines.iter().filter(|line| line["loss"].is_number()).map(loss).collect();
    assert!((updates[0] - 2f64.ln()).abs() < 1e-6 && updates.iter().all(|loss| loss.is_finite()), "{updates:?}");
    let adapter = read(&folder.path("out/adapter_model.safetensors"));
    let adapter = safetensors::SafeTensors::deserialize(&adapter).expect("safetensors");
    let moved = |(name, tensor): &(&str, safetensors::tensor::TensorView<'_>)| {
        name.contains("lora_B") && tensor.data().iter().any(|byte| *byte != 0)
    };
    assert_eq!(adapter.iter().filter(moved).count(), 4, "two blocks, queries and values");
}
