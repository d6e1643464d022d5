//! f16 as blocks hold it, two bytes, little-endian, to f32, without a branch: a scale is read for every 32 numbers.

/// The f16 of two bytes. Exact.
#[inline(always)]
pub(super) fn single(bytes: [u8; 2]) -> f32 {
    let bits = u32::from(u16::from_le_bytes(bytes));
    let sign = (bits & 0x8000) << 16;
    // Exponent and fraction at an f32's place are the number times 2⁻¹¹², subnormal ones included.
    let scaled = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    // Infinities and NaN have all ones in the exponent, here as there.
    let special = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(scaled.to_bits() | special | sign)
}

#[cfg(test)]
mod tests {
    use super::single;

    #[test]
    fn every_half_is_the_same_single() {
        for bits in 0..=u16::MAX {
            let expected = half::f16::from_bits(bits).to_f32();
            let number = single(bits.to_le_bytes());
            assert_eq!(number.is_nan(), expected.is_nan(), "{bits:#06x}");
            assert!(number.is_nan() || number.to_bits() == expected.to_bits(), "{bits:#06x}: {number} for {expected}");
        }
    }
}
