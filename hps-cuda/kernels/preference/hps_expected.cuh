// The single-sample loss, averaged over its draw: L = sum_i q_i l(s_1, s_i + ln c).

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    if (reads_rewards(row.loss)) row.take_rewards();
    const Hardness found = hardness_from(row, 1);
    const float log_scale = log_scale_of(row.loss, found.retained);
    const float preferred = row.score_of(0);
    float weights = 0.0f, value = 0.0f, slope = 0.0f;
    row.each([&](u32 e, u32 i) {
        const float weight = i == 0 ? 0.0f : expf(hardness(row, found, e, i));
        slopes(e, i) = 0.0f;
        if (weight > 0.0f) {
            const Price priced = price(row.loss, preferred, row.score(e, i) + log_scale);
            weights += weight;
            value += weight * priced.value;
            slope += weight * priced.preferred;
            slopes(e, i) = weight * priced.other;
        }
    });
    weights = team_sum(weights);
    slope = team_sum(slope);
    row.each([&](u32 e, u32 i) { slopes(e, i) = quotient(i == 0 ? slope : slopes(e, i), weights); });
    return quotient(team_sum(value), weights);
}
