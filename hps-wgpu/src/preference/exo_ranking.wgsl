// EXO over a ranking: L = sum_{j < n} K_j, K_j = KL(softmax(s_j, ..., s_n) || (1 - eps, eps/(n-j), ...)).
//
// With D_j = ln sum_{k >= j} e^{s_k}, p_j = e^{s_j - D_j} and the entropy H_j of stage j's softmax,
// K_j = -H_j - p_j ln(1 - eps) - (1 - p_j) ln(eps/(n-j)); H_j = ln t - u/t of the sums (m, t, u) over s_j, ..., s_n.
//
// dL/ds_k = sum_{j <= k, j < n} e^{s_k - D_j} (s_k - D_j - ln t_{k|j} - K_j): the sum over j < k is one over terms
// x = -D_j, c = -ln t_{k|j} - K_j.

const BLOCKED = true;

fn log_other(index: u32) -> f32 {
    return ln_(batch.loss.label_smoothing) - ln_(f32(batch.responses - 1u - index));
}

fn prefer() -> f32 {
    let last = batch.responses - 1u;
    let log_first = ln_1p(-batch.loss.label_smoothing);
    let origin = score(0u);
    let row = 2u * base;

    var own = NONE;
    for (var i = end; i > begin; i -= 1u) {
        own = with_term(own, kept(i - 1u) - origin, 0.0);
    }
    var behind = joined_beside(own, true);
    var stages = NONE;
    var value = 0.0;
    for (var next = end; next > begin; next -= 1u) {
        let i = next - 1u;
        let s = kept(i) - origin;
        let here = with_term(behind, s, 0.0);
        if (i < last) {
            let lag = log_of(behind) - s;
            let share = sigmoid(-lag);
            let log_share = -softplus(lag);
            let other = log_other(i);
            let entropy = ln_(here.y) - here.z / here.y;
            let divergence = -entropy - share * log_first - sigmoid(lag) * other;
            value += divergence;
            keep(i, share * (log_share - log_first - divergence));
            scratch[row + 2u * i] = log_of(here);
            scratch[row + 2u * i + 1u] = -other - divergence;
            stages = joined(stages, vec4<f32>(-log_of(here), 1.0, -other - divergence, 0.0));
        } else {
            keep(i, 0.0);
        }
        behind = here;
    }

    var before = joined_beside(stages, false);
    for (var i = begin; i < end; i += 1u) {
        if (before.y > 0.0) {
            let above = score(i) - origin + before.x;
            keep(i, kept(i) + exp_(above) * (before.z + above * before.y));
        }
        if (i < last) {
            before = with_term(before, -scratch[row + 2u * i], scratch[row + 2u * i + 1u]);
        }
    }
    return team_sum(vec4<f32>(value)).x;
}
