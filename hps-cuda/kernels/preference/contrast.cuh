// The responses above the mean reward against the rest: L = l(U, V), U = ln sum_{r_i > mean} e^{w_i + s_i}, V the same
// over the others, w_i = alpha |r_i - mean|^p.

__device__ __forceinline__ float power(float x, float p) {
    if (p == 0.0f) return 1.0f;
    if (p == 1.0f) return x;
    if (p == 2.0f) return x * x;
    return powf(x, p);
}

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    const Loss& loss = row.loss;
    row.take_rewards();
    float lowest = -INFINITE;
    row.each([&](u32 e, u32 i) { lowest = fmaxf(lowest, -row.reward(e, i)); });
    lowest = -team_max(lowest);
    // From the lowest, which is then 0 exactly: whatever the rounding, the highest is above the mean.
    float sum = 0.0f;
    row.each([&](u32 e, u32 i) { sum += row.reward(e, i) - lowest; });
    const float mean = quotient(team_sum(sum), float(row.responses));

    float highest_above = -INFINITE, highest_below = -INFINITE;
    row.each([&](u32 e, u32 i) {
        const float deviation = row.reward(e, i) - lowest - mean;
        const float term = loss.contrast_alpha * power(fabsf(deviation), loss.contrast_power) + row.score(e, i);
        row.doubt_unless_finite(term);
        (deviation > 0.0f ? highest_above : highest_below) =
            fmaxf(deviation > 0.0f ? highest_above : highest_below, term);
        slopes(e, i) = term;
    });
    highest_above = team_max(highest_above);
    highest_below = team_max(highest_below);
    float above = 0.0f, below = 0.0f;
    row.each([&](u32 e, u32 i) {
        const bool is_above = row.reward(e, i) - lowest - mean > 0.0f;
        const float term = expf(slopes(e, i) - (is_above ? highest_above : highest_below));
        above += is_above ? term : 0.0f;
        below += is_above ? 0.0f : term;
        slopes(e, i) = term;
    });
    above = team_sum(above);
    below = team_sum(below);
    if (above == 0.0f || below == 0.0f) row.refuse();
    const Price priced = price(loss, highest_above + logf(above), highest_below + logf(below));
    const float slope_above = quotient(priced.preferred, above), slope_below = quotient(priced.other, below);
    row.each([&](u32 e, u32 i) {
        slopes(e, i) *= row.reward(e, i) - lowest - mean > 0.0f ? slope_above : slope_below;
    });
    return priced.value;
}
