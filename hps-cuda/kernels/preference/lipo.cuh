// LiPO-lambda: L = sum_{psi_i > psi_j} |2^psi_i - 2^psi_j| |1/D(tau_i) - 1/D(tau_j)| softplus(s_j - s_i),
// D(t) = log(1 + t), tau_i the rank of response i by the scores or the rewards, 1 the highest, ties by index (Eq. 17). O(n^2).

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    // Everybody's scores and discounts, for all threads of the team.
    __shared__ float shown[2][IS_LONG ? 1 : BLOCK * HELD];
    const u32 first = threadIdx.x / TEAM * TEAM * HELD;
    float* scores = IS_LONG ? row.scratch[0] : shown[0] + first;
    float* discounts = IS_LONG ? row.scratch[1] : shown[1] + first;
    const Loss& loss = row.loss;
    const float* rewards = row.rewards;
    const u32 n = row.responses;
    row.each([&](u32 e, u32 i) { scores[i] = row.score(e, i); });
    team_wait();

    const float numerator = loss.flag(BASE_2) ? 0.6931472f : 1.0f;
    float pairs = 0.0f;
    // A loop for each: through a pointer to either, the compiler reads `scores` like `rewards`, as if nobody wrote them.
    const auto rank_by = [&](const float* ranked) {
        row.each([&](u32, u32 i) {
            const float own = ranked[i];
            float rank = 1.0f;
            for (u32 j = 0; j < n; j += 1) {
                const float other = ranked[j];
                rank += other > own || (other == own && j < i) ? 1.0f : 0.0f;
                pairs += rewards[i] > rewards[j] ? 1.0f : 0.0f;
            }
            discounts[i] = quotient(numerator, log1pf(rank));
        });
    };
    if (loss.form == 1) rank_by(rewards);
    else rank_by(scores);
    const float factor = loss.flag(MEAN) ? quotient(1.0f, fmaxf(team_sum(pairs), 1.0f)) : 1.0f;
    team_wait();
    float value = 0.0f;
    row.each([&](u32 e, u32 i) {
        const float s = row.score(e, i), reward = rewards[i], gain = exp2f(reward), discount = discounts[i];
        float lost = 0.0f, slope = 0.0f;
        for (u32 j = 0; j < n; j += 1) {
            const float other = rewards[j];
            if (other == reward) continue;
            const float weight = factor * fabsf(gain - exp2f(other)) * fabsf(discount - discounts[j]);
            const Softplus wrong = softplus(reward > other ? scores[j] - s : s - scores[j]);
            if (reward > other) {
                lost += weight * wrong.value;
                slope -= weight * wrong.slope;
            } else {
                slope += weight * wrong.slope;
            }
        }
        value += lost;
        slopes(e, i) = slope;
    });
    return team_sum(value);
}
