//! Replays what the fuzz targets found once, and a small corpus, without a fuzzer.

#[path = "../../fuzz/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let mut count = 0;
    for folder in ["regressions", "corpus"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(folder).join(target);
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let data = fs::read(&path).unwrap();
            println!("{}", path.display());
            run(&data);
            count += 1;
        }
    }
    assert!(count > 0, "no inputs are kept for {target}");
}

#[test]
fn losses() {
    replay("losses", bodies::losses::run);
}

#[test]
fn names() {
    replay("names", bodies::names::run);
}

#[test]
fn sampler() {
    replay("sampler", bodies::sampler::run);
}
