// EXO over a ranking: L = sum_{j < n} K_j, K_j = KL(softmax(s_j, ..., s_n) || (1 - eps, eps/(n-j), ...)).
//
// With D_j = ln sum_{k >= j} e^{s_k}, p_j = e^{s_j - D_j} and the entropy H_j of stage j's softmax,
// K_j = -H_j - p_j ln(1 - eps) - (1 - p_j) ln(eps/(n-j)); H_j = ln t - u/t of the sums (m, t, u) over s_j, ..., s_n.
//
// dL/ds_k = sum_{j <= k, j < n} e^{s_k - D_j} (s_k - D_j - ln t_{k|j} - K_j): the sum over j < k is one over terms
// x = -D_j, c = -ln t_{k|j} - K_j.

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    const auto join = [](LogMoments a, LogMoments b) { return joined(a, b); };
    const u32 last = row.responses - 1;
    const float log_first = log1pf(-row.loss.label_smoothing), log_others = logf(row.loss.label_smoothing);
    Kept normalisers, offsets;
    normalisers.memory = row.scratch[0];
    offsets.memory = row.scratch[1];

    LogMoments own = NO_MOMENTS;
    row.each_from_the_back([&](u32 e, u32 i) { own = joined(LogMoments{row.score(e, i), 1.0f, 0.0f}, own); });
    LogMoments behind = team_behind(own, NO_MOMENTS, join);
    LogMoments stages = NO_MOMENTS;
    float value = 0.0f;
    row.each_from_the_back([&](u32 e, u32 i) {
        const float s = row.score(e, i);
        const LogMoments here = joined(LogMoments{s, 1.0f, 0.0f}, behind);
        slopes(e, i) = 0.0f;
        if (i < last) {
            const float lag = log_of(behind) - s;
            const Softplus under = softplus(lag), over = softplus(-lag);
            const float log_other = log_others - logf(float(last - i));
            const float entropy = logf(here.t) - quotient(here.u, here.t);
            const float divergence = -entropy - over.slope * log_first - under.slope * log_other;
            value += divergence;
            slopes(e, i) = over.slope * (-under.value - log_first - divergence);
            normalisers(e, i) = log_of(here);
            offsets(e, i) = -log_other - divergence;
            stages = joined(LogMoments{-log_of(here), 1.0f, -log_other - divergence}, stages);
        }
        behind = here;
    });

    LogMoments before = team_before(stages, NO_MOMENTS, join);
    row.each([&](u32 e, u32 i) {
        if (before.t > 0.0f) {
            const float above = row.score(e, i) + before.m;
            slopes(e, i) += expf(above) * (before.u + above * before.t);
        }
        if (i < last) before = joined(before, LogMoments{-normalisers(e, i), 1.0f, offsets(e, i)});
    });
    return team_sum(value);
}
