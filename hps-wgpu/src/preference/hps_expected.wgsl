// The single-sample loss, averaged over its draw: L = sum_i q_i l(s_1, s_i + ln c).

const BLOCKED = false;

fn prefer() -> f32 {
    let found = hardness_from(1u);
    let log_scale = log_scale_of(found.retained);
    let preferred = score(0u);
    var weights = 0.0;
    var value = 0.0;
    var slope_1 = 0.0;
    for (var i = begin; i < end; i += stride) {
        let h = hardness(found, i);
        if (i > 0u && h != ABSENT) {
            let weight = decay(h);
            let priced = price(preferred, kept(i) + log_scale);
            weights += weight;
            value += weight * priced.x;
            slope_1 += weight * priced.y;
            keep(i, weight * priced.z);
        } else {
            keep(i, 0.0);
        }
    }
    let sums = team_sum(vec4<f32>(weights, value, slope_1, 0.0));
    for (var i = begin; i < end; i += stride) {
        keep(i, select(kept(i), sums.z, i == 0u) / sums.x);
    }
    return sums.y / sums.x;
}
