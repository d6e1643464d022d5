//! A range of numbers of a run of blocks, whatever a block is.

/// The `N` bytes of a block from `at` on.
#[inline(always)]
pub(super) fn part<const N: usize>(block: &[u8], at: usize) -> &[u8; N] {
    block[at..].first_chunk().expect("a field of a block")
}

/// Decodes the numbers `first .. first + out.len()`: whole blocks into their place, those at both ends by way of a copy.
///
/// # Panics
/// `bytes` is not whole blocks, or ends before the last number.
#[inline(always)]
pub(super) fn decode_blocks<const BYTES: usize, const NUMBERS: usize>(
    bytes: &[u8],
    first: usize,
    out: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; NUMBERS]),
) {
    let (blocks, rest) = bytes.as_chunks::<BYTES>();
    assert!(rest.is_empty(), "{} bytes are no whole blocks of {BYTES}", bytes.len());
    let end = first.checked_add(out.len()).expect("a range of numbers");
    let blocks = blocks.get(first / NUMBERS..end.div_ceil(NUMBERS)).expect("blocks up to the last number");
    let inside = first % NUMBERS;
    let head = if inside == 0 { 0 } else { out.len().min(NUMBERS - inside) };
    let (head, out) = out.split_at_mut(head);
    let mut copy = [0.0; NUMBERS];
    let mut blocks = blocks.iter();
    if !head.is_empty()
        && let Some(block) = blocks.next()
    {
        decode(block, &mut copy);
        head.copy_from_slice(&copy[inside..inside + head.len()]);
    }
    let (whole, tail) = out.as_chunks_mut::<NUMBERS>();
    for (out, block) in whole.iter_mut().zip(&mut blocks) {
        decode(block, out);
    }
    if !tail.is_empty()
        && let Some(block) = blocks.next()
    {
        decode(block, &mut copy);
        tail.copy_from_slice(&copy[..tail.len()]);
    }
}
