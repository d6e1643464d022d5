//! A good file cut and changed at random: never a panic, and what is still read lies in the file.

use crate::raw::{Raw, array, file, open, text};
use hps_llama::gguf::Gguf;
use proptest::prelude::*;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

/// Values of several types, tensors of two.
fn good() -> Raw {
    let tokens = ["a", "bc", "", "def"].map(text).concat();
    Raw::new()
        .key("general.architecture", 8, &text("llama"))
        .key("general.alignment", 4, &32u32.to_le_bytes())
        .key("tokenizer.ggml.tokens", 9, &array(8, 4, &tokens))
        .key("tokenizer.ggml.scores", 9, &array(6, 3, &[0; 12]))
        .key("x.nested", 9, &array(9, 1, &array(7, 2, &[0, 1])))
        .tensor("blk.0.attn_q.weight", &[32, 2], 8, 0)
        .tensor("blk.0.attn_norm.weight", &[5], 0, 96)
        .data(128)
}

/// Reads all that there is.
fn read_all(file: &Gguf, length: usize) {
    for key in file.keys() {
        let value = file.value(key).expect("a value");
        assert!(!value.to_string().is_empty());
        let _ = (file.get::<u32>(key), file.get::<f32>(key), file.get::<&str>(key), file.get::<Vec<&str>>(key));
    }
    for tensor in file.tensors() {
        assert!(tensor.bytes.len() <= length);
        assert_eq!(tensor.kind.bytes_of(tensor.rows() * tensor.columns()), Some(tensor.bytes.len()));
        assert!(file.tensor(tensor.name).is_some());
    }
}

#[test]
fn every_cut_is_seen() {
    let whole = good().bytes();
    read_all(&open(&whole).expect("a good file"), whole.len());
    // The last tensor ends 12 bytes before the file does.
    let needed = whole.len() - 12;
    let (_folder, path) = file(&whole[..needed]);
    assert!(Gguf::open(&path).is_ok());
    for length in 0..needed {
        std::fs::write(&path, &whole[..length]).expect("written");
        let error = Gguf::open(&path).expect_err("a cut file").to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        assert!(error.contains("cut short") || error.contains(" at most"), "cut at {length}: {error}");
    }
}

#[test]
fn every_flipped_bit_is_an_error_or_read() {
    let bytes = good().bytes();
    let (_folder, path) = file(&bytes);
    // In place: thousands of new files take seconds.
    let mut stored = File::options().write(true).open(&path).expect("the file");
    let put = |file: &mut File, at: usize, byte: u8| {
        file.seek(SeekFrom::Start(at as u64)).and_then(|_| file.write_all(&[byte])).expect("written");
    };
    let mut read = 0;
    for bit in 0..8 * (bytes.len() - 128) {
        let flipped = bytes[bit / 8] ^ 1 << (bit % 8);
        put(&mut stored, bit / 8, flipped);
        if let Ok(file) = Gguf::open(&path) {
            read_all(&file, bytes.len());
            read += 1;
        }
        put(&mut stored, bit / 8, bytes[bit / 8]);
    }
    // Of scores and letters, say.
    assert!(read > 100, "{read} were read");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Numbers that stand for lengths, counts and offsets are overwritten with such as overflow.
    #[test]
    fn overwritten_fields_are_an_error_or_read(
        changes in prop::collection::vec((any::<prop::sample::Index>(), edge()), 1..4),
    ) {
        let mut bytes = good().bytes();
        for (place, number) in changes {
            let place = place.index(bytes.len() - 8);
            bytes[place..place + 8].copy_from_slice(&number.to_le_bytes());
        }
        if let Ok(file) = open(&bytes) {
            read_all(&file, bytes.len());
        }
    }

    #[test]
    fn any_bytes_behind_the_first_are_an_error_or_read(rest in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = [&b"GGUF\x03\0\0\0"[..], &[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], &rest].concat();
        if let Ok(file) = open(&bytes) {
            read_all(&file, bytes.len());
        }
    }
}

fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(u64::MAX),
        Just(i64::MAX as u64),
        Just(1 << 63),
        Just(u64::from(u32::MAX)),
        (0u32..64).prop_map(|bit| 1 << bit),
        (0u32..64).prop_map(|bit| u64::MAX - (1 << bit)),
        0u64..300,
        any::<u64>(),
    ]
}
