//! Files that are wrong in one place, and what is said of them.

use crate::raw::{Raw, array, open, refusal, text};

#[test]
fn what_is_no_gguf_of_a_version_that_is_read() {
    let other = |magic: &[u8; 4], version: u32| refusal(&Raw { magic: *magic, version, ..Raw::new() }.bytes());
    assert_eq!(other(b"\x80\x02}q", 3), "is no GGUF file: it begins with [80, 02, 7d, 71], not with [47, 47, 55, 46]");
    assert_eq!(other(b"tjgg", 3), "is one of ggml's files from before GGUF, which are not read");
    assert_eq!(other(b"GGUF", 1), "is GGUF of version 1, which is not read; 2 and 3 are");
    assert_eq!(other(b"GGUF", 4), "is GGUF of version 4, which is not known; 2 and 3 are read");
    assert_eq!(other(b"GGUF", 0), "is GGUF of version 0, which is not known; 2 and 3 are read");
    assert_eq!(other(b"GGUF", 3 << 24), "is a big-endian GGUF file (version 3), which is not read");
    assert_eq!(refusal(b""), "is cut short: its first word is 4 bytes from 0 on, and the file has 0");
    assert_eq!(refusal(b"GGUF\x03"), "is cut short: its version is 4 bytes from 4 on, and the file has 5");
    for version in [2, 3] {
        let file = open(&Raw { version, ..Raw::new() }.bytes()).expect("an empty file");
        assert_eq!((file.keys().count(), file.tensors().count()), (0, 0));
    }
}

#[test]
fn counts_beyond_the_file() {
    let keys = Raw { told_keys: Some(u64::MAX), ..Raw::new() };
    assert_eq!(
        refusal(&keys.bytes()),
        "the number of keys is 18446744073709551615, but the 0 bytes that follow hold 0 at most"
    );
    let tensors = Raw { told_tensors: Some(1 << 40), ..Raw::new() }.data(1000);
    assert_eq!(
        refusal(&tensors.bytes()),
        "the number of tensors is 1099511627776, but the 1008 bytes that follow hold 31 at most"
    );
    let mut name = Raw::new().key("a", 0, &[1]);
    name.keys[0][..8].copy_from_slice(&(1u64 << 62).to_le_bytes());
    assert_eq!(
        refusal(&name.bytes()),
        "the length of key 0 is 4611686018427387904, but the 6 bytes that follow hold 6 at most"
    );
    let string = Raw::new().key("a", 8, &[255; 8]);
    assert_eq!(
        refusal(&string.bytes()),
        "the length of `a` is 18446744073709551615, but the 0 bytes that follow hold 0 at most"
    );
    for (kind, most) in [(0, 80), (6, 20), (8, 10), (9, 6), (12, 10)] {
        let numbers = Raw::new().key("a", 9, &array(kind, u64::MAX / 8, &[0; 80]));
        assert_eq!(
            refusal(&numbers.bytes()),
            format!(
                "the length of the array `a` is 2305843009213693951, but the 80 bytes that follow hold {most} at most"
            )
        );
    }
}

#[test]
fn keys_and_values() {
    let of = |kind, value: &[u8]| refusal(&Raw::new().key("a", kind, value).bytes());
    assert_eq!(of(13, &[0; 8]), "`a` is of type 13, which is not known; 0 to 12 are");
    assert_eq!(of(7, &[2]), "`a` is [2], which is no bool; 0 and 1 are");
    assert_eq!(of(12, &[0; 7]), "is cut short: `a` is 8 bytes from 37 on, and the file has 44");
    assert!(of(8, &[1, 0, 0, 0, 0, 0, 0, 0, 0xff]).starts_with("`a` is not UTF-8: "));
    assert_eq!(of(9, &array(13, 0, &[])), "the values of `a` is of type 13, which is not known; 0 to 12 are");
    assert_eq!(of(9, &array(7, 3, &[1, 0, 7])), "value 2 of `a` is [7], which is no bool; 0 and 1 are");
    let strings = [text("x"), vec![1, 0, 0, 0, 0, 0, 0, 0, 0xff]].concat();
    assert!(of(9, &array(8, 2, &strings)).starts_with("value 1 of `a` is not UTF-8: "));
    assert_eq!(
        of(9, &array(8, 1, &9u64.to_le_bytes())),
        "the length of value 0 of `a` is 9, but the 0 bytes that follow hold 0 at most"
    );
    let twice = Raw::new().key("a", 0, &[1]).key("b", 0, &[1]).key("a", 0, &[1]);
    assert_eq!(refusal(&twice.bytes()), "key `a` stands twice");
    assert_eq!(refusal(&Raw::new().key("", 0, &[1]).bytes()), "key 0 has 0 bytes; 1 to 65535 are read");
    let long = Raw::new().key(&"k".repeat(65_536), 0, &[1]);
    assert_eq!(refusal(&long.bytes()), "key 0 has 65536 bytes; 1 to 65535 are read");
    // A name that would steer a terminal, or fill it.
    let steering = Raw::new().key(&format!("\u{1b}[2J{}", "x".repeat(500)), 13, &[]);
    let shown = format!("`\\u{{1b}}[2J{}…` is of type 13, which is not known; 0 to 12 are", "x".repeat(96));
    assert_eq!(refusal(&steering.bytes()), shown);
}

#[test]
fn arrays_in_arrays() {
    let nested = |depth| (1..depth).fold(array(0, 1, &[7]), |inner, _| array(9, 1, &inner));
    let file = open(&Raw::new().key("a", 9, &nested(4)).key("b", 4, &[5, 0, 0, 0]).bytes()).expect("four deep");
    assert_eq!(file.expect::<u32>("b").expect("behind it"), 5);
    let deeper = "value 0 of value 0 of value 0 of value 0 of `a` is of arrays in arrays, more than 4 deep";
    assert_eq!(refusal(&Raw::new().key("a", 9, &nested(5)).bytes()), deeper);
    assert_eq!(refusal(&Raw::new().key("a", 9, &nested(10_000)).bytes()), deeper);
}

#[test]
fn the_alignment() {
    let with = |kind, value: &[u8]| Raw::new().key("general.alignment", kind, value);
    for alignment in [0, 24, 33] {
        assert_eq!(
            refusal(&with(4, &u32::to_le_bytes(alignment)).bytes()),
            format!("`general.alignment` is {alignment} (u32) but has to be a power of two, as u32")
        );
    }
    assert_eq!(
        refusal(&with(10, &64u64.to_le_bytes()).bytes()),
        "`general.alignment` is 64 (u64) but has to be a power of two, as u32"
    );
    let wide = Raw { alignment: 4096, ..with(4, &4096u32.to_le_bytes()) };
    let wide = wide.tensor("a", &[1], 0, 0).tensor("b", &[1], 0, 4096).data(4100);
    assert_eq!(open(&wide.bytes()).expect("wide").tensor("b").expect("b").bytes, [0; 4]);
    // The alignment alone puts the first tensor behind the file's end.
    let far = with(4, &(1u32 << 31).to_le_bytes()).tensor("a", &[1], 0, 0).data(64);
    assert_eq!(
        refusal(&far.bytes()),
        format!(
            "is cut short: tensor `a` is 4 bytes at offset 0 from 2147483648, and the file has {}",
            far.bytes().len()
        )
    );
}

#[test]
fn tensors_and_their_types() {
    let of = |dimensions: &[u64], kind| refusal(&Raw::new().tensor("a", dimensions, kind, 0).data(4096).bytes());
    let read = "which is not read; f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k are";
    assert_eq!(of(&[256], 20), format!("tensor `a` is iq4_nl (ggml's type 20), {read}"));
    assert_eq!(of(&[256], 39), format!("tensor `a` is mxfp4 (ggml's type 39), {read}"));
    assert_eq!(of(&[256], 77), format!("tensor `a` is a type that is not known (ggml's type 77), {read}"));
    assert_eq!(of(&[576, 2], 12), "tensor `a` has rows of 576 numbers; q4_k needs multiples of 256");
    assert_eq!(of(&[16, 2], 8), "tensor `a` has rows of 16 numbers; q8_0 needs multiples of 32");
    assert_eq!(of(&[], 0), "tensor `a` has 0 dimensions; 1 to 4 are read");
    assert_eq!(of(&[1; 5], 0), "tensor `a` has 5 dimensions; 1 to 4 are read");
    assert_eq!(of(&[3, 0], 0), "tensor `a` has no numbers: its dimensions are [3, 0]");
    assert_eq!(
        of(&[1 << 32, 1 << 32], 0),
        "tensor `a` of [4294967296, 4294967296] numbers at offset 0 is larger than any file"
    );
    // 2⁶² numbers can be counted, their bytes cannot.
    assert_eq!(of(&[1 << 62], 0), "tensor `a` of [4611686018427387904] numbers at offset 0 is larger than any file");
    let of = |raw: Raw| refusal(&raw.bytes());
    assert_eq!(of(Raw::new().tensor("", &[1], 0, 0).data(32)), "the name of tensor 0 has 0 bytes; 1 to 65535 are read");
    let twice = Raw::new().tensor("a", &[1], 0, 0).tensor("a", &[1], 0, 32).data(64);
    assert_eq!(of(twice), "tensor `a` stands twice");
}

#[test]
fn places_of_tensors() {
    let two = |first: u64, second: u64| Raw::new().tensor("a", &[9], 0, first).tensor("b", &[9], 0, second).data(100);
    assert!(open(&two(0, 64).bytes()).is_ok());
    assert!(open(&two(64, 0).bytes()).is_ok(), "in any order");
    let overlap = |first, second| format!("tensors `{first}` (bytes 96 to 132) and `{second}` (from 128) overlap");
    assert_eq!(refusal(&two(0, 32).bytes()), overlap("a", "b"));
    assert_eq!(refusal(&two(32, 0).bytes()), overlap("b", "a"));
    assert_eq!(refusal(&two(0, 40).bytes()), "tensor `b` is at offset 40, no multiple of the alignment, 32");
    assert_eq!(
        refusal(&two(0, 96).bytes()),
        "is cut short: tensor `b` is 36 bytes at offset 96 from 96, and the file has 196"
    );
    assert_eq!(
        refusal(&two(0, u64::MAX - 31).bytes()),
        "is cut short: tensor `b` is 36 bytes at offset 18446744073709551584 from 96, and the file has 196"
    );
}
