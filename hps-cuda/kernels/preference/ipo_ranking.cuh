// IPO over a ranking: L = sum_{j < n} 1/(n-j) sum_{k > j} (s_j - s_k - t)^2, t = 1/(2 beta).
//
// sum_{k > j} (x - s_k)^2 = (n-j) (x - m_j)^2 + V_j with the mean m_j of what follows and its sum of squares about it;
// and dL/ds_k = [k < n] 2 (s_k - t - m_k) - sum_{j < k} w_j (s_j - t - s_k), w_j = 2/(n-j), which is the weight of
// those before times the distance from their mean. Both are sums (weight, mean, squares about the mean), which do not
// cancel.

struct Moments {
    float weight, mean, squares;
};

__device__ __forceinline__ Moments joined(Moments a, Moments b) {
    if (a.weight == 0.0f) return b;
    if (b.weight == 0.0f) return a;
    const float weight = a.weight + b.weight;
    const float step = b.mean - a.mean;
    const float share = quotient(b.weight, weight);
    return {weight, a.mean + step * share, a.squares + b.squares + step * step * (a.weight * share)};
}

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    const auto join = [](Moments a, Moments b) { return joined(a, b); };
    constexpr Moments NONE = {0.0f, 0.0f, 0.0f};
    const u32 last = row.responses - 1;
    const float target = row.loss.target;
    const float origin = row.score_of(0);
    const auto weighted = [&](u32 i, float s) { return Moments{quotient(2.0f, float(last - i)), s, 0.0f}; };

    Moments own = NONE, own_weighted = NONE;
    row.each_from_the_back([&](u32 e, u32 i) {
        const float s = row.score(e, i) - origin;
        own = joined(Moments{1.0f, s, 0.0f}, own);
        if (i < last) own_weighted = joined(weighted(i, s), own_weighted);
    });
    Moments behind = team_behind(own, NONE, join);
    Moments before = team_before(own_weighted, NONE, join);
    float value = 0.0f;
    row.each_from_the_back([&](u32 e, u32 i) {
        const float s = row.score(e, i) - origin;
        float slope = 0.0f;
        if (i < last) {
            const float rest = s - target - behind.mean;
            value += rest * rest + quotient(behind.squares, behind.weight);
            slope = 2.0f * rest;
        }
        slopes(e, i) = slope;
        behind = joined(Moments{1.0f, s, 0.0f}, behind);
    });
    row.each([&](u32 e, u32 i) {
        const float s = row.score(e, i) - origin;
        slopes(e, i) -= before.weight * (before.mean - target - s);
        if (i < last) before = joined(before, weighted(i, s));
    });
    return team_sum(value);
}
