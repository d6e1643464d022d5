// Plackett-Luce, or its first K choices: L = sum_{j <= K} [D_j - s_j], D_j = ln(e^{s_j} + e^{delta + S_{j+1}}),
// S_j = ln sum_{k >= j} e^{s_k}; s best first (Eqs. 4 and 5).
//
// dL/ds_k = [k <= K] (e^{s_k - D_k} - 1) + e^{s_k + delta + P_k}, P_k = ln sum_{j < k, j <= K} e^{-D_j}. One sweep from
// the back, one from the front; each thread's run first waits for what lies beside it.

// Exponents up to which one scale serves all scores of a list: (e^36 1024)^2 is below what a float holds.
constexpr float NEAR = 36.0f;

// With e_k = e^{s_k - max s}, c = e^delta and plain sums T_j = sum_{k > j} e_k, q_j = 1/(e_j + c T_j):
// L = sum ln(1 + c T_j/e_j), dL/ds_k = c e_k sum_{j < k} q_j - c T_k q_k.
__device__ __forceinline__ float of_one_scale(Row& row, Kept& slopes, u32 choices, float highest, u32 mask) {
    const auto add = [](float a, float b) { return a + b; };
    const float widening = expf(row.loss.margin);
    Kept terms, shares;
    terms.memory = row.scratch[0];
    shares.memory = row.scratch[1];
    float own = 0.0f;
    row.each_place_from_the_back([&](u32 e, u32 i) {
        terms(e, i) = expf(row.score(e, i) - highest);
        own += terms(e, i);
    });
    float behind = team_behind(own, 0.0f, add, mask);
    float value = 0.0f, chosen = 0.0f, odds = 0.0f;
    row.each_place_from_the_back([&](u32 e, u32 i) {
        const float term = terms(e, i);
        const float rest = i < choices ? widening * behind : 0.0f;
        const float share = i < choices ? quotient(1.0f, term + rest) : 0.0f;
        slopes(e, i) = -rest * share;
        shares(e, i) = share;
        chosen += share;
        behind += term;
        // One logarithm for two: (1 + a)(1 + b) = 1 + (a + b + a b), of which nothing cancels.
        const float next = i < choices ? quotient(rest, term) : 0.0f;
        odds = fmaf(odds, next, odds + next);
        if (IS_LONG || e % 2 == 0) {
            value += ln_1p(odds);
            odds = 0.0f;
        }
    });
    float before = team_before(chosen, 0.0f, add, mask);
    row.each_place([&](u32 e, u32 i) {
        slopes(e, i) += widening * terms(e, i) * before;
        before += shares(e, i);
    });
    return value;
}

__device__ __forceinline__ float of_many_scales(Row& row, Kept& slopes, u32 choices, u32 mask) {
    const auto join = [](LogSum a, LogSum b) { return joined(a, b); };
    const float margin = row.loss.margin;
    Kept stages;
    stages.memory = row.scratch[0];
    LogSum own = NO_SUM;
    row.each_from_the_back([&](u32 e, u32 i) { own = joined(LogSum{row.score(e, i), 1.0f}, own); });
    LogSum behind = team_behind(own, NO_SUM, join, mask);
    LogSum chosen = NO_SUM;
    float value = 0.0f;
    row.each_from_the_back([&](u32 e, u32 i) {
        const float s = row.score(e, i);
        slopes(e, i) = 0.0f;
        if (i < choices) {
            const Softplus lag = softplus(margin + (behind.m - s) + logf(behind.t));
            value += lag.value;
            // D_j, and its own share in the gradient: e^{s_k - D_k} - 1 without the difference.
            stages(e, i) = s + lag.value;
            slopes(e, i) = -lag.slope;
            chosen = joined(LogSum{-(s + lag.value), 1.0f}, chosen);
        }
        behind = joined(LogSum{s, 1.0f}, behind);
    });
    LogSum before = team_before(chosen, NO_SUM, join, mask);
    row.each([&](u32 e, u32 i) {
        if (before.t > 0.0f) slopes(e, i) += expf(row.score(e, i) + margin + before.m) * before.t;
        if (i < choices) before = joined(before, LogSum{-stages(e, i), 1.0f});
    });
    return value;
}

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    if constexpr (IS_PAIR) {
        const Softplus lag = softplus(row.loss.margin + row.score_of(1) - row.score_of(0));
        slopes.at[0] = -lag.slope;
        slopes.at[HELD - 1] = lag.slope;
        return lag.value;
    }
    const u32 last = row.responses - 1;
    const u32 choices = row.loss.preference == 1 ? min(row.loss.count, last) : last;
    float highest = -INFINITE, lowest = -INFINITE;
    row.each_place([&](u32 e, u32 i) {
        highest = fmaxf(highest, row.score(e, i));
        lowest = fmaxf(lowest, row.holds(i) ? -row.score(e, i) : -INFINITE);
    });
    highest = team_max(highest);
    lowest = -team_max(lowest);
    const float value = highest - lowest + fabsf(row.loss.margin) <= NEAR
        ? of_one_scale(row, slopes, choices, highest, team_mask())
        : of_many_scales(row, slopes, choices, team_mask());
    return team_sum(value);
}
