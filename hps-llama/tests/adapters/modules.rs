//! Which modules an adapter is on, and its matrices.

use crate::{data, edited, json, read, refused, tiny};
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::Lora;
use hps_llama::parameter::{Parameter, Projection};
use hps_llama::weights::OwnedTensor;
use serde_json::{Value, json};
use tempfile::TempDir;

const MATRICES: &str = "adapter_model.safetensors";
const FIRST: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";

/// Of block 1 the queries alone, of the others queries and values.
fn without_v_of_1(rules: impl FnOnce(&mut Value)) -> TempDir {
    edited(|config, tensors| {
        tensors.retain(|tensor| !tensor.name.contains("layers.1.self_attn.v_proj"));
        rules(config);
    })
}

fn paths() -> Value {
    let paths = [(0, "q"), (0, "v"), (1, "q"), (2, "q"), (2, "v")];
    json!(paths.map(|(block, name)| format!("model.layers.{block}.self_attn.{name}_proj")))
}

#[test]
fn modules_follow_from_the_matrices() {
    let rules: [fn(&mut Value); 4] = [
        |config| config["target_modules"] = r".*(\.q_proj|\b[02].self_attn.v_proj)".into(),
        |config| config["target_modules"] = paths(),
        |config| config["exclude_modules"] = json!(["layers.1.self_attn.v_proj", "lm_head"]),
        |config| config["exclude_modules"] = ".*1.self_attn.v_proj".into(),
    ];
    for rules in rules {
        let adapter = read(&without_v_of_1(rules)).expect("an adapter");
        assert_eq!(adapter.parameters().count(), 2 * 5);
        assert!(adapter.parameters().all(|parameter| parameter != Parameter::LoraA(1, Projection::V)));
        assert_eq!(json!(adapter.target_modules(&tiny())), paths());
        assert_eq!(adapter.config().target_modules, [Projection::Q, Projection::V]);
    }
    let folder = edited(|config, tensors| {
        tensors.retain(|tensor| tensor.name.contains("layers.2."));
        config["layers_to_transform"] = json!([2]);
        config["layers_pattern"] = "layers".into();
    });
    assert_eq!(read(&folder).expect("an adapter").parameters().count(), 2 * 2);
    let adapter = Lora::from_folder(&Cpu, &tiny(), data("adapters/regex-targets"), 0).expect("an adapter");
    assert_eq!(adapter.target_modules(&tiny()), ["q_proj", "v_proj"]);
}

/// PEFT and this read the same of what is written, to the bit.
#[test]
fn an_adapter_on_some_modules_is_written_as_such() {
    let (folder, model) = (without_v_of_1(|config| config["target_modules"] = paths()), tiny());
    let (adapter, saved) = (read(&folder).expect("an adapter"), tempfile::tempdir().expect("a folder"));
    adapter.save(&Cpu, &model, saved.path(), "tiny").expect("saved");
    assert_eq!(json(&saved.path().join("adapter_config.json"))["target_modules"], paths());
    let again = read(&saved).expect("an adapter");
    assert_eq!(again.digest(&Cpu).expect("a digest"), adapter.digest(&Cpu).expect("a digest"));
    let bytes = |folder: &TempDir| std::fs::read(folder.path().join(MATRICES)).expect("read");
    assert!(bytes(&saved) == bytes(&folder), "other bytes");
}

#[test]
fn what_the_rules_have_is_there_and_nothing_else() {
    let missing = "`base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight` is missing";
    assert_eq!(refused(&without_v_of_1(|_| ()), MATRICES), missing);
    let unselected = |name: &str, path: &str| {
        format!("`{name}` is there, but the rules of adapter_config.json do not select `{path}`")
    };
    assert_eq!(
        refused(&without_v_of_1(|config| config["layers_to_transform"] = json!([0, 1])), MATRICES),
        unselected("base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight", "model.layers.2.self_attn.q_proj")
    );
    // A string is an expression for the whole path, of which none is "q_proj".
    let rules = [
        ("exclude_modules", json!(["q_proj"])),
        ("exclude_modules", json!(".*layers.0.*")),
        ("exclude_modules", json!(r"model\.layers\.\d\.self_attn\.q_proj")),
        ("target_modules", json!(".*k_proj")),
        ("target_modules", json!("q_proj")),
        ("target_modules", json!("")),
    ];
    for (option, value) in rules {
        let folder = edited(|config, _| config[option] = value.clone());
        assert_eq!(refused(&folder, MATRICES), unselected(FIRST, "model.layers.0.self_attn.q_proj"), "{value}");
    }
    for (value, missing) in
        [("all-linear", "layers.0.self_attn.k_proj"), (r".*\.[qvo]_proj", "layers.0.self_attn.o_proj")]
    {
        let message = refused(&edited(|config, _| config["target_modules"] = value.into()), MATRICES);
        assert_eq!(message, format!("`base_model.model.model.{missing}.lora_A.weight` is missing"));
    }
    for (matrix, other) in [("lora_A", "lora_B"), ("lora_B", "lora_A")] {
        let folder = edited(|_, tensors| {
            tensors.retain(|tensor| tensor.name != FIRST.replace("lora_A", matrix));
        });
        assert_eq!(refused(&folder, MATRICES), format!("`{}` is missing", FIRST.replace("lora_A", matrix)), "{other}");
    }
    let folder = edited(|_, tensors| tensors.clear());
    assert_eq!(refused(&folder, MATRICES), "holds no matrices of an adapter");
    let message =
        refused(&edited(|config, _| config["target_modules"] = json!(["q_proj", "lm_head"])), "adapter_config.json");
    assert!(message.starts_with("`target_modules` names \"lm_head\"; the projections are q_proj, "), "{message}");
}

/// What PEFT cannot read, or would read in another way, and what it would adapt beside the projections.
#[test]
fn expressions_that_say_something_else_are_refused() {
    for (option, value, message) in [
        ("target_modules", "((", "`target_modules` is \"((\", which is no regular expression: "),
        ("target_modules", "q)|(.*v_proj", "`target_modules` is \"q)|(.*v_proj\", which is no regular expression: "),
        ("exclude_modules", "[", "`exclude_modules` is \"[\", which is no regular expression: "),
        (
            "target_modules",
            r"\p{L}*",
            r#"`target_modules` is "\\p{L}*"; "\\p" in a regular expression is not read here"#,
        ),
        ("target_modules", "[[a]q]", "`target_modules` is \"[[a]q]\"; \"[\" in a regular expression is not read here"),
        ("target_modules", ".*", "`target_modules` selects `lm_head`, which has no adapter here"),
        (
            "target_modules",
            ".*(q|v|embed).*",
            "`target_modules` selects `model.embed_tokens`, which has no adapter here",
        ),
    ] {
        let refused = refused(&edited(|config, _| config[option] = value.into()), "adapter_config.json");
        assert!(refused.starts_with(message), "{refused}");
    }
    let folder = edited(|config, _| {
        config["target_modules"] = r".*\.(q|v)_proj".into();
        config["layers_to_transform"] = json!([0, 1, 2]);
    });
    let message = "`layers_to_transform` goes with a list of `target_modules`, and that is a string";
    assert_eq!(refused(&folder, "adapter_config.json"), message);
}

/// Magnitudes of DoRA, an embedding's matrices, a matrix of no block: nothing passes unread.
#[test]
fn unknown_tensors_are_refused() {
    for name in [
        "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
        "base_model.model.model.embed_tokens.lora_embedding_A",
        "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight",
        "base_model.model.lm_head.weight",
    ] {
        let folder = edited(|_, tensors| {
            tensors.push(OwnedTensor { name: name.into(), shape: vec![8, 64], data: vec![0.0; 8 * 64] });
        });
        let message = refused(&folder, MATRICES);
        assert_eq!(message, format!("`{name}` has no place in this model, and would be left unread"));
    }
}

#[test]
fn numbers_that_are_not_finite_are_blamed_on_their_matrix() {
    for (number, what) in [(f32::NAN, "a NaN"), (f32::NEG_INFINITY, "an infinite number (-inf)")] {
        let folder = edited(|_, tensors| tensors[0].data[64 * 3 + 5] = number);
        assert_eq!(refused(&folder, MATRICES), format!("`{FIRST}` has {what} at [3, 5]"));
    }
}

#[test]
fn matrices_in_pickled_form_are_named() {
    let folder = edited(|_, _| ());
    std::fs::rename(folder.path().join(MATRICES), folder.path().join("adapter_model.bin")).expect("renamed");
    let expected = "is not there, only adapter_model.bin, which is not read here; PEFT writes it as safetensors";
    assert_eq!(refused(&folder, MATRICES), expected);
}
