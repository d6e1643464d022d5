// NCA over a ranking: L = sum_{j < n} softplus(-s_j) + sum_k c_k softplus(s_k), c_k = sum_{j <= min(k, n-1)} 1/(n-j+1);
// dL/ds_k = c_k sigmoid(s_k) - [k < n] sigmoid(-s_k).

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    const u32 last = row.responses - 1;
    const auto stage = [&](u32 i) { return i < last ? quotient(1.0f, float(row.responses - i)) : 0.0f; };
    float own = 0.0f;
    row.each([&](u32, u32 i) { own += stage(i); });
    float share = team_before(own, 0.0f, [](float a, float b) { return a + b; });
    float value = 0.0f;
    row.each([&](u32 e, u32 i) {
        const Softplus up = softplus(row.score(e, i)), down = softplus(-row.score(e, i));
        share += stage(i);
        value += share * up.value;
        float slope = share * up.slope;
        if (i < last) {
            value += down.value;
            slope -= down.slope;
        }
        slopes(e, i) = slope;
    });
    return team_sum(value);
}
