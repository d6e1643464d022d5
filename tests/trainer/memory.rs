//! The plan that a memory budget makes: which route, which chunks, what is kept, and what it says.

use crate::run::config;
use hps_llama::config::LlamaConfig;
use hps_llama::model::Activations;
use hps_llama::train::{ActivationPolicy, Bytes, ListShape, Memory, Plan, Route, TrainConfig};

const MIB: u64 = 1 << 20;
/// Weights, gradients and moments.
const STATE: u64 = 20 * MIB;

fn model() -> LlamaConfig {
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": 2000, "hidden_size": 256, "intermediate_size": 704,
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0,
    });
    LlamaConfig::from_json(&config.to_string(), "test").expect("a config")
}

fn memory(change: impl Fn(&mut TrainConfig)) -> Memory {
    let mut config = config("dpo-pl");
    change(&mut config);
    Memory::new(&model(), STATE, false, &config)
}

fn list(prompt: usize, responses: usize) -> ListShape {
    ListShape { prompt, responses: vec![64; responses] }
}

fn plan(memory: &Memory, list: ListShape) -> Plan {
    memory.plan(&[list]).expect("a plan").swap_remove(0)
}

fn within(budget: u64, list: ListShape) -> Plan {
    plan(&memory(|config| config.memory_budget = Some(budget)), list)
}

/// `d` 256, `q` 256, `kv` 128, `h` 4, `f` 704: 4d + 2q + 2kv + h + 2f = 3204 numbers a token and block, 4d + 4f = 3840
/// moving, a head's 64; 640 tokens; 128 scored: 4d each and 2000 logits.
#[test]
fn one_pass_is_the_equation() {
    let numbers = 640 * (4 * 3204 + 3840 + 64) + 128 * (4 * 256 + 2000);
    assert_eq!(plan(&memory(|_| ()), list(512, 2)).bytes, STATE + 4 * numbers);
}

/// After a prompt of 512: 4 blocks of 3204 and dK, dV (256); then a chunk of 128 beside keys, values and both gradients.
#[test]
fn chunks_are_the_equation() {
    let prompt = 512 * (4 * (3204 + 256) + 64);
    let chunk = 128 * (4 * 3204 + 3840 + 64) + 4 * 128 * (512 + 128) + 128 * (4 * 256 + 2000);
    let plan = plan(&memory(|config| config.route = Route::Chunks), list(512, 100));
    assert_eq!((plan.chunk_tokens, plan.bytes), (Some(128), STATE + 4 * (prompt + chunk)));
}

#[test]
fn without_a_budget_all_goes_in_one_pass() {
    let lists = [list(512, 2), list(9, 100), list(512, 20)];
    let plans = memory(|_| ()).plan(&lists).expect("a plan");
    assert_eq!(plans.len(), 1);
    assert_eq!((plans[0].lists.clone(), plans[0].chunk_tokens, plans[0].activations), (0..3, None, Activations::Keep));
}

#[test]
fn a_smaller_budget_takes_the_next_cheapest_way() {
    let ways = |responses: usize| {
        let mut ways: Vec<(bool, Activations)> = Vec::new();
        for budget in (STATE / MIB..1000).rev().map(|budget| budget * MIB) {
            let memory = memory(|config| config.memory_budget = Some(budget));
            let Ok(plans) = memory.plan(&[list(512, responses)]) else { break };
            assert!(plans[0].bytes <= budget, "{}", plans[0]);
            let way = (plans[0].chunk_tokens.is_some(), plans[0].activations);
            if ways.last() != Some(&way) {
                ways.push(way);
            }
        }
        ways
    };
    use Activations::{Keep, Recompute};
    assert_eq!(ways(100), [(false, Keep), (true, Keep), (true, Recompute)]);
    assert_eq!(ways(2)[..2], [(false, Keep), (false, Recompute)], "a pair recomputes before it is cut");
}

/// The chunk is the largest that fits: one response more would not.
#[test]
fn a_chunk_fills_the_budget() {
    let chosen = within(100 * MIB, list(512, 100));
    let tokens = chosen.chunk_tokens.expect("chunks");
    assert!((64..6400).contains(&tokens), "{chosen}");
    let larger = |config: &mut TrainConfig| {
        config.route = Route::Chunks;
        config.chunk_tokens = Some(tokens + 1);
    };
    assert!(plan(&memory(larger), list(512, 100)).bytes > 100 * MIB);
}

/// The number of responses does not enter; nor does it where the chunk is chosen without a budget.
#[test]
fn chunks_do_not_grow_with_the_list() {
    let chunks = memory(|config| config.route = Route::Chunks);
    let [hundred, thousand] = [100, 1000].map(|responses| plan(&chunks, list(512, responses)).bytes);
    assert_eq!(hundred, thousand);
    let pair = plan(&memory(|_| ()), list(512, 2)).bytes;
    assert!(hundred as f64 <= 1.3 * pair as f64, "{hundred} against {pair}");
}

/// Prompts are taken together as long as they fit, and cut only one that does not fit alone.
#[test]
fn a_micro_batch_is_cut_at_prompts_first() {
    let lists = [list(512, 2), list(512, 2), list(512, 2), list(512, 100), list(512, 2)];
    let plans = memory(|config| config.memory_budget = Some(120 * MIB)).plan(&lists).expect("plans");
    let ways: Vec<_> = plans.iter().map(|plan| (plan.lists.clone(), plan.chunk_tokens.is_some())).collect();
    assert_eq!(ways, [(0..2, false), (2..3, false), (3..4, true), (4..5, false)]);
}

/// Prompts are packed up to it, a longer list goes in chunks that keep to it, and what cannot is refused.
#[test]
fn passes_keep_to_the_greatest_number_of_tokens() {
    let most = |tokens: usize| memory(|config| config.max_tokens_per_batch = Some(tokens));
    let lists = [list(100, 2), list(100, 2), list(100, 2), list(100, 20), list(100, 2)];
    let plans = most(500).plan(&lists).expect("plans");
    let ways: Vec<_> = plans.iter().map(|plan| (plan.lists.clone(), plan.chunk_tokens)).collect();
    assert_eq!(ways, [(0..2, None), (2..3, None), (3..4, Some(128)), (4..5, None)]);
    assert_eq!(most(100).plan(&[list(100, 20)]).expect("a plan")[0].chunk_tokens, Some(100));
    for (tokens, refused) in [(99, list(100, 2)), (63, list(10, 2))] {
        let error = most(tokens).plan(&[refused]).expect_err("too many tokens").to_string();
        assert!(
            error.contains(&format!("`max_tokens_per_batch` is {tokens}")) && error.contains("up to 64"),
            "{error}"
        );
    }
}

#[test]
fn options_force_the_way() {
    let forced = |route, activations| {
        plan(&memory(|config| (config.route, config.activations) = (route, activations)), list(512, 20))
    };
    assert_eq!(forced(Route::Keep, ActivationPolicy::Recompute).activations, Activations::Recompute);
    let chunks = forced(Route::Chunks, ActivationPolicy::Recompute);
    assert_eq!((chunks.chunk_tokens, chunks.activations), (Some(128), Activations::Recompute));

    let kept = memory(|config| {
        (config.route, config.memory_budget) = (Route::Keep, Some(100 * MIB));
        config.activations = ActivationPolicy::Keep;
    });
    let error = kept.plan(&[list(512, 100)]).expect_err("a budget that one pass does not fit");
    let text = error.to_string();
    for part in ["`memory_budget` is 100 MiB", "100 responses of up to 64", "`route` keep and `activations` keep"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_plan_says_what_it_is_and_why() {
    let text = within(100 * MIB, list(512, 100)).to_string();
    let (start, rest) = text.split_once(" in two passes, in chunks of ").expect("the plan's sentence");
    assert!(start.starts_with("about ") && start.ends_with(" MiB of 100 MiB: a list of 100 responses"), "{text}");
    assert!(rest.ends_with(" tokens, activations kept (one pass, all kept: 494 MiB)"), "{text}");
    let plans = memory(|_| ()).plan(&[list(512, 2), list(9, 3)]).expect("a plan");
    let end = ": 2 lists of at most 3 responses in one pass, activations kept";
    assert!(plans[0].to_string().ends_with(end), "{}", plans[0]);
}

#[test]
fn amounts_of_memory_are_read() {
    for (text, bytes) in [("8GiB", 8 << 30), ("1.5 MiB", 3 << 19), ("2GB", 2_000_000_000), ("7", 7), (" 3 KB ", 3000)] {
        assert_eq!(text.parse::<Bytes>().expect("an amount"), Bytes(bytes), "{text}");
    }
    for text in ["", "GiB", "-1GiB", "0", "8 Gib", "NaN", "inf", "1e40"] {
        let error = text.parse::<Bytes>().expect_err(text);
        assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
    }
    for (bytes, text) in [(12, "12 B"), (1536, "1.5 KiB"), (8 << 30, "8.0 GiB"), (210 << 20, "210 MiB")] {
        assert_eq!(Bytes(bytes).to_string(), text);
    }
}
