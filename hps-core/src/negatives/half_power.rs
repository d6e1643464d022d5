//! `2^−x` for `x` in [0, 1), in integers: what every device computes alike.
//!
//! `2^31 · 2^−x ≈ T[k] − (T[k] − T[k+1]) · f`, `x = (k + f)/256`, `T[k] = round(2^31 · 2^(−k/256))`.
//! The chord lies above the curve by at most `(ln 2 / 256)² / 8 < 9.2e-7` of it.

/// `T`, 257 entries from 2^31 down to 2^30.
pub(crate) const TABLE: [u32; 257] = table();

/// `2^31 · 2^(−fraction / 2^24)`; bits of `fraction` above the 24th are ignored.
pub(crate) fn half_power(fraction: u32) -> u32 {
    let index = ((fraction >> 16) & 0xFF) as usize;
    TABLE[index] - high_product(TABLE[index] - TABLE[index + 1], fraction << 16)
}

/// The upper half of a product of two words.
pub(crate) fn high_product(a: u32, b: u32) -> u32 {
    ((u64::from(a) * u64::from(b)) >> 32) as u32
}

/// `2^64 · 2^(−2^−b)` for `b` = 1 to 8, rounded down: a table entry is a product of these.
const ROOTS: [u64; 8] = [
    0xB504_F333_F9DE_6484,
    0xD744_FCCA_D69D_6AF4,
    0xEAC0_C6E7_DD24_392E,
    0xF525_7D15_2486_CC2C,
    0xFA83_B2DB_722A_033A,
    0xFD3E_0C0C_F486_C174,
    0xFE9E_115C_7B8F_884B,
    0xFF4E_CB59_511E_C8A5,
];

const fn table() -> [u32; 257] {
    let mut table = [1 << 30; 257];
    let mut index = 0;
    while index < 256 {
        let mut power = u64::MAX;
        let mut bit = 0;
        while bit < 8 {
            if (index >> (7 - bit)) & 1 == 1 {
                power = ((power as u128 * ROOTS[bit] as u128) >> 64) as u64;
            }
            bit += 1;
        }
        table[index] = (((power >> 32) + 1) >> 1) as u32;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_the_nearest_integer() {
        for (index, &entry) in TABLE.iter().enumerate() {
            assert_eq!(f64::from(entry), libm::round(libm::exp2(31.0 - index as f64 / 256.0)), "entry {index}");
        }
    }

    /// The bound of the module's opening, plus one unit of rounding at the smallest value, 2^30.
    #[test]
    fn the_chord_is_above_the_curve_and_close() {
        let mut worst = 0.0_f64;
        for fraction in (0..1 << 24).step_by(251) {
            let exact = libm::exp2(31.0 - f64::from(fraction) / 16_777_216.0);
            let error = f64::from(half_power(fraction)) / exact - 1.0;
            let unit = 1.0 / f64::from(1 << 30);
            assert!(error > -unit && error < 9.2e-7 + unit, "{fraction}: {error:e}");
            worst = worst.max(error);
        }
        // The bound is no looser than it says.
        assert!(worst > 9.0e-7, "{worst:e}");
        assert_eq!(half_power(5 << 24), 1 << 31);
    }
}
