// Several preferred responses, each against its own negatives (App. E): L = sum_{a <= k} lambda_a l(s_a, V_a),
// V_a = ln c_a + ln sum_{i in N_a} q_i e^{s_i}, c_a and q taken within N_a: all behind the k-th, or all behind a.

const BLOCKED = false;

fn prefer() -> f32 {
    for (var i = begin; i < end; i += stride) {
        keep(i, 0.0);
    }
    var value = 0.0;
    for (var a = 0u; a < batch.loss.count; a += 1u) {
        let first = select(batch.loss.count, a + 1u, flag(NEXT_RANKS));
        let rank_weight = batch.loss.rank_weights[a / 4u][a % 4u];
        let found = hardness_from(first);
        var weights = 0.0;
        var terms = NONE;
        for (var i = begin; i < end; i += stride) {
            let h = hardness(found, i);
            if (i >= first && h != ABSENT) {
                weights += decay(h);
                terms = with_term(terms, h + score(i), 0.0);
            }
        }
        weights = team_sum(vec4<f32>(weights)).x;
        terms = team_joined(terms);
        let scale = scale_of(found.retained);
        let priced = price(score(a), terms.x + scale.y + ln_(terms.y * (scale.x / weights)));
        value += rank_weight * priced.x;
        let shared_slope = rank_weight * priced.z / terms.y;
        for (var i = begin; i < end; i += stride) {
            let h = hardness(found, i);
            if (i >= first && h != ABSENT) {
                keep(i, kept(i) + shared_slope * decay(h + score(i) - terms.x));
            }
            if (i == a) {
                keep(i, kept(i) + rank_weight * priced.y);
            }
        }
    }
    return value;
}
