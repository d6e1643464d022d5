//! ggml's block types against gguf-py.

use crate::reference::{assert_same_bits, assert_same_bytes, bytes, ranges, reader, singles};
use hps_llama::blocks::{BlockType, quantise_q8_0};
use hps_llama::{ErrorKind, Result};

#[test]
fn decoding_equals_gguf_py() {
    for block in BlockType::ALL {
        let (stored, expected) = (bytes(&format!("{block}.blocks")), singles(&format!("{block}.numbers")));
        assert_eq!(block.bytes_of(expected.len()), Some(stored.len()), "{block}");
        assert!(expected.iter().any(|number| *number != 0.0), "{block}");
        let mut decoded = vec![f32::NAN; expected.len()];
        block.decode(stored, 0, &mut decoded);
        assert_same_bits(block.name(), &decoded, &expected);
    }
}

#[test]
fn any_range_is_that_part_of_the_whole() {
    for block in BlockType::ALL {
        let count = 4 * block.numbers();
        let (stored, expected) = (bytes(&format!("{block}.blocks")), singles(&format!("{block}.numbers")));
        let stored = &stored[..4 * block.bytes()];
        for (first, length) in ranges(count, block.numbers()) {
            let mut decoded = vec![f32::NAN; length];
            block.decode(stored, first, &mut decoded);
            assert_same_bits(&format!("{block} from {first}"), &decoded, &expected[first..first + length]);
        }
    }
}

/// What a reader looks at instead of every number.
#[test]
fn scales_say_whether_numbers_are_finite() {
    for kind in BlockType::ALL {
        let stored = bytes(&format!("{kind}.blocks"));
        let decoded = |block: &[u8]| {
            let mut numbers = vec![0.0f32; kind.numbers()];
            kind.decode(block, 0, &mut numbers);
            numbers
        };
        let is_finite = |block: &[u8], at: usize| u16::from_le_bytes([block[at], block[at + 1]]) & 0x7c00 != 0x7c00;
        for block in stored.chunks_exact(kind.bytes()).take(200) {
            let scales = kind.scale_places().iter().all(|at| is_finite(block, *at));
            assert_eq!(decoded(block).iter().all(|number| number.is_finite()), scales, "{kind}");
            for at in kind.scale_places() {
                for wrong in [0x7c00u16, 0xfc00, 0x7e01] {
                    let mut block = block.to_vec();
                    block[*at..at + 2].copy_from_slice(&wrong.to_le_bytes());
                    assert!(decoded(&block).iter().all(|number| !number.is_finite()), "{kind}: {wrong:x} at {at}");
                }
            }
        }
    }
}

#[test]
fn names_and_sizes_are_those_of_gguf() {
    // `GGML_QUANT_SIZES` of gguf-py.
    let sizes = [
        ("q4_0", 32, 18),
        ("q4_1", 32, 20),
        ("q5_0", 32, 22),
        ("q5_1", 32, 24),
        ("q8_0", 32, 34),
        ("q2_k", 256, 84),
        ("q3_k", 256, 110),
        ("q4_k", 256, 144),
        ("q5_k", 256, 176),
        ("q6_k", 256, 210),
    ];
    assert_eq!(BlockType::ALL.map(|block| (block.name(), block.numbers(), block.bytes())), sizes);
    for block in BlockType::ALL {
        assert_eq!(BlockType::named(&block.name().to_uppercase()), Some(block));
        assert_eq!(block.bytes_of(3 * block.numbers()), Some(3 * block.bytes()));
        assert_eq!(block.bytes_of(3 * block.numbers() + 1), None);
    }
    assert_eq!(BlockType::Q8_0.bytes_of(usize::MAX - 31), None, "more than can be counted");
    assert_eq!(BlockType::named("iq4_nl"), None);
}

#[test]
#[should_panic(expected = "blocks up to the last number")]
fn numbers_behind_the_last_block_are_a_fault() {
    BlockType::Q8_0.decode(&[0; 34], 1, &mut [0.0; 32]);
}

#[test]
#[should_panic(expected = "35 bytes are no whole blocks of 34")]
fn bytes_that_are_no_whole_blocks_are_a_fault() {
    BlockType::Q8_0.decode(&[0; 35], 0, &mut [0.0; 32]);
}

#[test]
fn quantising_to_q8_0_equals_gguf_py() -> Result<()> {
    let numbers = singles("q8_0.quantised_of");
    let quantised = quantise_q8_0(numbers.len(), reader(&numbers))?;
    assert_same_bytes("q8_0", &quantised, bytes("q8_0.quantised"));
    // In chunks that several threads take.
    let many = numbers.repeat(40);
    assert_same_bytes("q8_0", &quantise_q8_0(many.len(), reader(&many))?, &bytes("q8_0.quantised").repeat(40));
    Ok(())
}

/// Where `1 / d` is infinite, gguf-py multiplies zeros by it.
#[test]
fn numbers_too_small_for_a_scale_become_zeros() -> Result<()> {
    for smallest in [1e-45, 1e-40, 3e-37] {
        let mut numbers = [0.0; 32];
        numbers[3] = smallest;
        assert_eq!(quantise_q8_0(32, reader(&numbers))?, [0; 34], "{smallest}");
    }
    Ok(())
}

#[test]
fn what_q8_0_does_not_hold_is_refused_with_its_place() {
    let mut numbers = vec![1.0; 32 * 1000];
    for (at, wrong) in [(31_999, 8.33e6), (20_001, f32::NEG_INFINITY), (8_199, f32::NAN), (40, -1e30)] {
        numbers[at] = wrong;
        let error = quantise_q8_0(numbers.len(), reader(&numbers)).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::NonFinite);
        assert!(error.to_string().starts_with(&format!("number {at} is {wrong};")), "{error}");
    }
    // The largest scale that rounds to a finite f16.
    let largest = 127.0 * 65_519.0;
    assert!(quantise_q8_0(32, |_, out| out.fill(largest)).is_ok());
    let error = quantise_q8_0(33, |_, out| out.fill(0.0)).expect_err("refused");
    assert_eq!(error.to_string(), "33 numbers are no whole blocks of 32, which q8_0 needs");
}
