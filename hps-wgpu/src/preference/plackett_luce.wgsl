// Plackett-Luce, or its first K choices: L = sum_{j <= K} [D_j - s_j], D_j = ln(e^{s_j} + e^{delta + S_{j+1}}),
// S_j = ln sum_{k >= j} e^{s_k}; s best first (Eqs. 4 and 5).
//
// dL/ds_k = [k <= K] (e^{s_k - D_k} - 1) + e^{s_k + delta + P_k}, P_k = ln sum_{j < k, j <= K} e^{-D_j}. One sweep from
// the back, one from the front; each lane's run first waits for what lies beside it.

const BLOCKED = true;

fn prefer() -> f32 {
    let last = batch.responses - 1u;
    let choices = select(last, min(batch.loss.count, last), batch.loss.preference == 1u);
    // Only differences matter, and small numbers keep more digits.
    let origin = score(0u);

    var own = NONE;
    for (var i = end; i > begin; i -= 1u) {
        own = with_term(own, kept(i - 1u) - origin, 0.0);
    }
    var behind = joined_beside(own, true);
    var chosen = NONE;
    var value = 0.0;
    for (var next = end; next > begin; next -= 1u) {
        let i = next - 1u;
        let s = kept(i) - origin;
        if (i < choices) {
            let lag = batch.loss.margin + (behind.x - s) + ln_(behind.y);
            let short = softplus(lag);
            value += short;
            // D_j, and its own share in the gradient: e^{s_k - D_k} - 1 without the difference.
            scratch[base + i] = s + short;
            keep(i, -sigmoid(lag));
            chosen = with_term(chosen, -(s + short), 0.0);
        } else {
            keep(i, 0.0);
        }
        behind = with_term(behind, s, 0.0);
    }

    var before = joined_beside(chosen, false);
    for (var i = begin; i < end; i += 1u) {
        if (before.y > 0.0) {
            let s = score(i) - origin;
            keep(i, kept(i) + exp_(s + batch.loss.margin + before.x) * before.y);
        }
        if (i < choices) {
            before = with_term(before, -scratch[base + i], 0.0);
        }
    }
    return team_sum(vec4<f32>(value)).x;
}
