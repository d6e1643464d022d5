//! `hps bench` measures something; how much is the machine's affair.

use crate::program::{Folder, hps, read};
use serde_json::Value;

#[test]
fn figures_are_told_and_written() {
    let folder = Folder::new("");
    let ended = hps(&["bench", "--shape", "tiny", "--steps", "2", "--json", &folder.argument("bench.json")]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let figures: Value = serde_json::from_slice(&read(&folder.path("bench.json"))).expect("JSON");
    for name in [
        "tokens_per_second",
        "matmul_2048_gflops",
        "executed_gflop",
        "executed_over_matmul",
        "hps_over_bt_n100",
        "pl_over_bt_n100",
        "pl_over_bt_n20",
        "separate_over_shared_n2",
        "separate_over_shared_n8",
        "run_hps_over_bt",
    ] {
        assert!(figures[name].as_f64().is_some_and(|figure| figure > 0.0 && figure.is_finite()), "{name}: {figures}");
        assert!(ended.out.contains(name), "{}", ended.out);
    }
    // Counted from shapes: 4 prompts of 24 tokens, each once, with 2 responses of 24, whose last tokens are not computed.
    // Per token and block 4 · (64 · 64 · 2 + 64 · 32 · 2 + 3 · 64 · 176), so 280 tokens in 2 blocks make 0.103 GFLOP;
    // the head 4 · 192 · 512 · 64 makes 0.025.
    let executed = figures["executed_gflop"].as_f64().expect("a number");
    assert!(executed > 0.128 && executed < 0.16, "{executed}");
}

#[test]
fn parts_are_measured_by_themselves() {
    let ended = hps(&["bench", "--shape", "tiny", "--steps", "1", "--parts", "sharing"]);
    assert!(ended.out.contains("separate_over_shared_n8") && !ended.out.contains("matmul"), "{}", ended.out);
}

/// With Llama 3's vocabulary, 512 features and 4,096 response tokens: the logits would be 2.1 GB.
#[cfg(target_os = "linux")]
#[test]
fn the_fused_head_holds_less_than_200_mb_beyond_its_weight() {
    let ended = hps(&["bench", "--shape", "d512", "--peak_of", "head"]);
    let bytes: u64 = ended.out.trim().parse().expect("bytes");
    // A unit gradient of 8 MB at the least.
    assert!((8_000_000..200_000_000).contains(&bytes), "{bytes}");
}
