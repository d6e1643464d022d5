//! Replays what the fuzz targets of the readers found once, and a small corpus, without a fuzzer.

#[path = "../../fuzz/readers/mod.rs"]
mod readers;

use std::fs;
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let mut count = 0;
    for folder in ["regressions", "corpus"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(folder).join(target);
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            let data = fs::read(&path).expect("an input");
            println!("{}", path.display());
            run(&data);
            count += 1;
        }
    }
    assert!(count > 0, "no inputs are kept for {target}");
}

#[test]
fn rows() {
    replay("rows", readers::rows::run);
}

#[test]
fn config() {
    replay("config", readers::config::run);
}

#[test]
fn chat() {
    replay("chat", readers::chat::run);
}

#[test]
fn adapter() {
    replay("adapter", readers::adapter::run);
}

#[test]
fn weights() {
    replay("weights", readers::weights::run);
}

#[test]
fn gguf() {
    replay("gguf", readers::gguf::run);
}
