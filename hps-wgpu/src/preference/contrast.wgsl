// The responses above the mean reward against the rest: L = l(U, V), U = ln sum_{r_i > mean} e^{w_i + s_i}, V the same
// over the others, w_i = alpha |r_i - mean|^p.

const BLOCKED = false;

// x^p of x >= 0 within (1 + |p ln x|) 3e-7 of itself; exact for p of 0, 1 and 2.
fn power(x: f32) -> f32 {
    let p = batch.loss.contrast_power;
    if (p == 0.0 || p == 1.0) {
        return select(x, 1.0, p == 0.0);
    }
    if (p == 2.0) {
        return x * x;
    }
    if (x < 1.1754944e-38) {
        return 0.0;
    }
    let logarithm = p * ln_(x);
    refused = refused || logarithm > 88.0;
    return decay(min(logarithm, 0.0)) * exp_(max(logarithm, 0.0));
}

fn prefer() -> f32 {
    var lowest = ABSENT;
    for (var i = begin; i < end; i += stride) {
        lowest = max(lowest, -rewards[base + i]);
    }
    lowest = -team_max(vec4<f32>(lowest)).x;
    // From the lowest, which is then 0 exactly: whatever the rounding, the highest is above the mean.
    var sum = 0.0;
    for (var i = begin; i < end; i += stride) {
        sum += rewards[base + i] - lowest;
    }
    let mean = team_sum(vec4<f32>(sum)).x / f32(batch.responses);

    var above = NONE;
    var below = NONE;
    for (var i = begin; i < end; i += stride) {
        let deviation = rewards[base + i] - lowest - mean;
        let term = batch.loss.contrast_alpha * power(abs(deviation)) + kept(i);
        refused = refused || !came_out_finite(term);
        if (deviation > 0.0) {
            above = with_term(above, term, 0.0);
        } else {
            below = with_term(below, term, 0.0);
        }
        keep(i, term);
    }
    above = team_joined(above);
    below = team_joined(below);
    refused = refused || above.y == 0.0 || below.y == 0.0;
    let priced = price(log_of(above), log_of(below));
    for (var i = begin; i < end; i += stride) {
        let is_above = rewards[base + i] - lowest - mean > 0.0;
        let sums = select(below, above, is_above);
        keep(i, select(priced.z, priced.y, is_above) * (decay(kept(i) - sums.x) / sums.y));
    }
    return priced.x;
}
