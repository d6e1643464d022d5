//! `e^x` for f32, branch-free so that loops over it vectorise.

/// `e^x` within 2 units in the last place for `x` in `[-87, 88]`; arguments outside are clamped to that range.
///
/// `x = n ln 2 + r` with `n` rounded by adding and subtracting 1.5·2²³, `e^r` by its Taylor polynomial of degree 7 on
/// `|r| ≤ ln 2 / 2` (remainder below 2⁻²⁸), `2ⁿ` by its exponent bits.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let tail = 1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0))));
    let polynomial = 1.0 + (r + r * r * (0.5 + r * tail));
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    polynomial * f32::from_bits(exponent)
}

/// `1 / (1 + e^(−x))`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Replaces scores by `e^(score − shift)` and returns their sum, in a fixed order.
///
/// Blocks are summed in f32 lanes and added up in f64: a vocabulary of a million words loses no more than a small one.
pub(super) fn exp_shifted(scores: &mut [f32], shift: f32) -> f32 {
    const LANES: usize = 16;
    const BLOCK: usize = 1024;
    let mut total = 0.0f64;
    for block in scores.chunks_mut(BLOCK) {
        let mut lanes = [0.0f32; LANES];
        let (body, rest) = block.as_chunks_mut::<LANES>();
        for chunk in body {
            for (lane, score) in lanes.iter_mut().zip(chunk) {
                *score = exp(*score - shift);
                *lane += *score;
            }
        }
        for (lane, score) in lanes.iter_mut().zip(rest) {
            *score = exp(*score - shift);
            *lane += *score;
        }
        total += f64::from(lanes.iter().sum::<f32>());
    }
    total as f32
}

/// The largest number; `−∞` of none. NaN is ignored here and shows in the sum.
pub(super) fn maximum(numbers: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (body, rest) = numbers.as_chunks::<LANES>();
    for chunk in body {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = if *number > *lane { *number } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::exp;

    /// Units in the last place between `exp` and the f64 value, over the whole range.
    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0f64;
        for step in 0..=1_750_000 {
            let x = -87.0 + step as f32 * 1e-4;
            let exact = f64::from(x).exp();
            let unit = f64::from((exact as f32).next_up()) - f64::from(exact as f32);
            worst = worst.max((f64::from(exp(x)) - exact).abs() / unit);
        }
        assert!(worst < 2.0, "{worst} units in the last place");
    }

    #[test]
    fn nan_stays_nan() {
        assert!(exp(f32::NAN).is_nan());
    }
}
