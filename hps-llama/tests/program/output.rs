//! Whose folder a run may write into.

use crate::program::{Folder, refused, train};

#[test]
fn a_folder_that_holds_a_run_is_refused() {
    let folder = Folder::new("loss_type = 'dpo-bt'\nnum_train_epochs = 1");
    let (path, out) = (folder.argument("options.toml"), folder.argument("out"));
    train(&[&path]);
    let before = folder.out("adapter_model.safetensors");
    let message = refused(&[&path, "--seed", "1"]);
    let expected = format!(
        "{out}: holds a run already (`adapter_model.safetensors`); `resume_from_checkpoint` resumes it, `overwrite_output_dir` replaces it"
    );
    assert_eq!((message, folder.out("adapter_model.safetensors")), (expected, before.clone()));

    train(&[&path, "--seed", "1", "--overwrite_output_dir"]);
    assert_ne!(folder.out("adapter_model.safetensors"), before);
    // In place of the adapter a model: nothing of the adapter stays.
    train(&[&path, "--use_peft", "false", "--overwrite_output_dir", "true"]);
    assert!(!folder.path("out/adapter_model.safetensors").exists() && folder.path("out/model.safetensors").exists());
}

/// Nobody's model is taken for a run.
#[test]
fn models_are_not_replaced() {
    let folder = Folder::new("");
    let path = folder.argument("options.toml");
    let model = folder.path("model");
    std::fs::create_dir(&model).expect("a folder");
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
        std::fs::copy(crate::program::data("models/tiny").join(name), model.join(name)).expect("a copy");
    }
    let model = model.display().to_string();
    let message = refused(&[&path, "--output_dir", &model, "--overwrite_output_dir"]);
    let expected =
        format!("{model}: holds `model.safetensors` but no `train.toml`, so no run of `hps train` to replace");
    assert_eq!(message, expected);
    let message = refused(&[&path, "--output_dir", &model, "--model_name_or_path", &model, "--overwrite_output_dir"]);
    assert_eq!(message, format!("{model}: is what is read, {model}; the output needs a folder of its own"));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = Folder::new("");
    let (path, below) = (folder.argument("options.toml"), folder.argument("options.toml/out"));
    let message = refused(&[&path, "--output_dir", &below]);
    assert!(message.starts_with(&format!("{below}: cannot be made: ")), "{message}");
}
