//! The mixed texts of `data/gguf_model/make.py`, and digests of their tokens.

use hps_llama::Digest;
use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines whose tokens have one digest.
const BLOCK: usize = 500;

/// A file of `tests/data/gguf_model`.
pub fn data(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/gguf_model")).join(name)
}

/// A file of JSON there.
pub fn json(name: &str) -> Value {
    serde_json::from_slice(&fs::read(data(name)).expect("a file of data")).expect("JSON")
}

/// What lines are made of.
#[derive(Deserialize)]
struct Pieces {
    kinds: Vec<Vec<String>>,
    ranges: Vec<(u32, u32)>,
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % count as u64) as usize
    }
}

/// The first so many lines of a seed.
pub fn lines(seed: u64, count: u64) -> Vec<String> {
    let pieces: Pieces = serde_json::from_value(json("pieces.json")).expect("pieces");
    let line = |number: u64| {
        let mut random = Random((seed << 32) + number);
        let mut text = String::new();
        for _ in 0..1 + random.below(30) {
            if random.below(5) == 0 {
                let (first, last) = pieces.ranges[random.below(pieces.ranges.len())];
                let letter = first + random.below((last - first + 1) as usize) as u32;
                text.push(char::from_u32(letter).expect("a character"));
            } else {
                let kind = &pieces.kinds[random.below(pieces.kinds.len())];
                text += &kind[random.below(kind.len())];
            }
        }
        text
    };
    (0..count).map(line).collect()
}

/// SHA-256 of each block of lines: for each line its number of tokens and their ids, as u32.
pub fn digests(ids: &[Vec<u32>]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ids");
    let digest = |block: &[Vec<u32>]| {
        let words = block.iter().flat_map(|line| std::iter::once(line.len() as u32).chain(line.iter().copied()));
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        fs::write(&path, bytes).expect("a file");
        Digest::of_file(&path).expect("a digest").to_string()
    };
    ids.chunks(BLOCK).map(digest).collect()
}

/// The digests that Python computed.
pub fn expected(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).expect("digests")
}
