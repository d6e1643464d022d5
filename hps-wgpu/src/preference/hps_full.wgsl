// HPS full: L = l(s_1, V), V = ln c + ln sum_{i >= 2} q_i e^{s_i} (Eq. 8), dL/ds_i = dl/dV e^{ln q_i + s_i - V}. With
// gamma = 0 and c = N it is the first choice of Plackett-Luce (Eq. 6).

const BLOCKED = false;

fn prefer() -> f32 {
    let found = hardness_from(1u);
    // With h_i = gamma (r_i - r*): V = ln c - ln sum e^{h_i} + ln sum e^{h_i + s_i}.
    var weights = 0.0;
    var terms = NONE;
    for (var i = begin; i < end; i += stride) {
        let h = hardness(found, i);
        if (i > 0u && h != ABSENT) {
            weights += decay(h);
            terms = with_term(terms, h + kept(i), 0.0);
        }
    }
    weights = team_sum(vec4<f32>(weights)).x;
    terms = team_joined(terms);
    let scale = scale_of(found.retained);
    let priced = price(score(0u), terms.x + scale.y + ln_(terms.y * (scale.x / weights)));
    let shared_slope = priced.z / terms.y;
    for (var i = begin; i < end; i += stride) {
        let h = hardness(found, i);
        let weight = select(decay(h + kept(i) - terms.x), 0.0, h == ABSENT);
        keep(i, select(shared_slope * weight, priced.y, i == 0u));
    }
    return priced.x;
}
