// The preferred response against S drawn negatives: L = l(s_1, ln c - ln S + ln sum_{j drawn} e^{s_j}). A negative that
// was drawn twice counts twice (Eq. 10 for S = 1).

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    const Loss& loss = row.loss;
    float negatives = float(row.drawn_from);
    if (loss.scale == 0.0f && row.drawn_from == 0) negatives = float(row.responses - 1);
    if (loss.flag(MASK_MAX)) {
        row.take_rewards();
        const float retained = hardness_from(row, 1).retained;
        if (row.drawn_from == 0) negatives = retained;
    }
    float log_scale = log_scale_of(loss, negatives);
    const float preferred = row.score_of(0);
    if (row.sample_count == 1) {
        const u32 drawn = row.samples[0];
        const Price priced = price(loss, preferred, row.score_of(drawn) + log_scale);
        row.each_place([&](u32 e, u32 i) {
            slopes(e, i) = i == 0 ? priced.preferred : i == drawn ? priced.other : 0.0f;
        });
        return priced.value;
    }
    LogSum terms = NO_SUM;
    for (u32 k = row.lane; k < row.sample_count; k += TEAM)
        terms = joined(terms, LogSum{row.score_of(row.samples[k]), 1.0f});
    terms = team_all(terms, [](LogSum a, LogSum b) { return joined(a, b); });
    log_scale -= logf(float(row.sample_count));
    const Price priced = price(loss, preferred, log_of(terms) + log_scale);
    row.each_place([&](u32 e, u32 i) { slopes(e, i) = i == 0 ? priced.preferred : 0.0f; });
    for (u32 k = 0; k < row.sample_count; k += 1) {
        const u32 drawn = row.samples[k];
        const float entry = priced.other * quotient(expf(row.score_of(drawn) - terms.m), terms.t);
        if constexpr (IS_LONG) {
            if (row.run > 0 && drawn % TEAM == row.lane) slopes.memory[drawn] += entry;
        } else {
            row.each_place([&](u32 e, u32 i) { slopes(e, i) += i == drawn ? entry : 0.0f; });
        }
    }
    return priced.value;
}
