// How hard a negative is before the weights are normalised: gamma (r_i - r*), at most 0 (Eq. 9). r* is the retained
// negatives' highest reward if gamma >= 0, else their lowest.

struct Hardness {
    anchor: f32,
    // With MASK_MAX, negatives' rewards are below it.
    ceiling: f32,
    retained: f32,
}

// That of the responses from `first` on.
fn hardness_from(first: u32) -> Hardness {
    var found = Hardness(0.0, 0.0, f32(batch.responses - first));
    if (flag(MASK_MAX)) {
        var highest = ABSENT;
        for (var i = begin; i < end; i += stride) {
            highest = max(highest, rewards[base + i]);
        }
        found.ceiling = team_max(vec4<f32>(highest)).x;
    } else if (batch.loss.gamma == 0.0) {
        return found;
    }
    let sign = select(-1.0, 1.0, batch.loss.gamma >= 0.0);
    var anchor = ABSENT;
    var retained = 0.0;
    for (var i = begin; i < end; i += stride) {
        let reward = rewards[base + i];
        if (i >= first && !is_masked(found, reward)) {
            anchor = max(anchor, sign * reward);
            retained += 1.0;
        }
    }
    found.anchor = sign * team_max(vec4<f32>(anchor)).x;
    found.retained = team_sum(vec4<f32>(retained)).x;
    return found;
}

fn is_masked(found: Hardness, reward: f32) -> bool {
    return flag(MASK_MAX) && !(reward < found.ceiling);
}

// ABSENT if response `index` is masked, or out of reach at gamma = +-infinity.
fn hardness(found: Hardness, index: u32) -> f32 {
    if (batch.loss.gamma == 0.0 && !flag(MASK_MAX)) {
        return 0.0;
    }
    let reward = rewards[base + index];
    if (is_masked(found, reward)) {
        return ABSENT;
    }
    let difference = reward - found.anchor;
    if (difference == 0.0 || batch.loss.gamma == 0.0) {
        return 0.0;
    }
    let product = batch.loss.gamma * difference;
    return select(ABSENT, product, came_out_finite(product));
}

// c = a e^b as (a, b).
fn scale_of(retained: f32) -> vec2<f32> {
    let scale = batch.loss.scale;
    if (scale == 0.0) {
        return vec2<f32>(retained, 0.0);
    }
    if (scale == 1.0) {
        return vec2<f32>(1.0, 0.0);
    }
    let bits = bitcast<u32>(scale);
    // Subnormal: 2^-149 of a whole number.
    return vec2<f32>(1.0, select(ln_(scale), ln_(f32(bits)) - 103.27893, bits < 0x00800000u));
}

fn log_scale_of(retained: f32) -> f32 {
    let scale = scale_of(retained);
    return scale.y + ln_(scale.x);
}
