//! What the other programs made.

use safetensors::SafeTensors;
use std::sync::LazyLock;

static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/blocks/blocks.safetensors")).expect("the values")
});

/// A tensor's bytes.
pub fn bytes(name: &str) -> &'static [u8] {
    let tensors = SafeTensors::deserialize(&FILE).expect("tensors");
    tensors.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}")).data()
}

/// A tensor's f32.
pub fn singles(name: &str) -> Vec<f32> {
    bytes(name).as_chunks::<4>().0.iter().map(|single| f32::from_le_bytes(*single)).collect()
}

/// A tensor's bf16, widened.
pub fn bfloats(name: &str) -> Vec<f32> {
    bytes(name).as_chunks::<2>().0.iter().map(|[low, high]| f32::from_le_bytes([0, 0, *low, *high])).collect()
}

/// Compares to the bit, and shows the first that differs.
#[track_caller]
pub fn assert_same_bits(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let differs = found.iter().zip(expected).position(|(found, expected)| found.to_bits() != expected.to_bits());
    if let Some(at) = differs {
        let count =
            found.iter().zip(expected).filter(|(found, expected)| found.to_bits() != expected.to_bits()).count();
        panic!("{what}: {} for {} at {at}; {count} of {} differ", found[at], expected[at], found.len());
    }
}

/// Compares bytes, and shows the first that differs.
#[track_caller]
pub fn assert_same_bytes(what: &str, found: &[u8], expected: &[u8]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    if let Some(at) = found.iter().zip(expected).position(|(found, expected)| found != expected) {
        let count = found.iter().zip(expected).filter(|(found, expected)| found != expected).count();
        panic!("{what}: {:#04x} for {:#04x} at {at}; {count} of {} differ", found[at], expected[at], found.len());
    }
}

/// Gives numbers from an index on.
pub fn reader(numbers: &[f32]) -> impl Fn(usize, &mut [f32]) + Sync {
    |first, out| out.copy_from_slice(&numbers[first..first + out.len()])
}

/// Ranges of `numbers` numbers: all short ones about every border of `block`, and long ones.
pub fn ranges(numbers: usize, block: usize) -> Vec<(usize, usize)> {
    let near = |place: usize| [place.saturating_sub(2), place.saturating_sub(1), place, place + 1, place + 7];
    let mut ends: Vec<usize> = (0..=numbers / block).flat_map(|place| near(place * block)).collect();
    ends.extend(near(numbers));
    ends.retain(|end| *end <= numbers);
    ends.sort_unstable();
    ends.dedup();
    let from = |(at, first): (usize, &usize)| ends[at..].iter().map(|end| (*first, end - first)).collect::<Vec<_>>();
    ends.iter().enumerate().flat_map(from).collect()
}
