// The list against a soft target from its rewards, w = softmax(r / T), with p = softmax(s).
//
// logistic: -sum_i w_i ln p_i | EXO: sum_i p_i (ln p_i - ln w_i) | NCA: sum_i [w_i softplus(-s_i) + softplus(s_i)/n]

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    const Loss& loss = row.loss;
    row.take_rewards();
    float highest = -INFINITE, best = -INFINITE;
    row.each([&](u32 e, u32 i) {
        highest = fmaxf(highest, row.reward(e, i));
        best = fmaxf(best, row.score(e, i));
    });
    highest = team_max(highest);
    best = team_max(best);
    float weights = 0.0f, scores = 0.0f;
    row.each([&](u32 e, u32 i) {
        weights += expf(quotient(row.reward(e, i) - highest, loss.temperature));
        scores += expf(row.score(e, i) - best);
    });
    const float log_weights = logf(team_sum(weights));
    const float log_normaliser = best + logf(team_sum(scores));

    const float per_response = quotient(1.0f, float(row.responses));
    float sum = 0.0f;
    row.each([&](u32 e, u32 i) {
        const float s = row.score(e, i);
        const float log_target = quotient(row.reward(e, i) - highest, loss.temperature) - log_weights;
        const float log_share = s - log_normaliser;
        if (loss.pair == EXO) {
            // A weight of 0 is infinitely far away as a target of the reverse divergence.
            row.doubt_unless_finite(log_target);
            sum += expf(log_share) * (log_share - log_target);
            slopes(e, i) = log_share - log_target;
        } else if (loss.pair == NCA) {
            const float share = expf(log_target);
            const Softplus up = softplus(s), down = softplus(-s);
            sum += share * down.value + per_response * up.value;
            slopes(e, i) = per_response * up.slope - share * down.slope;
        } else {
            const float share = expf(log_target);
            sum -= share * log_share;
            slopes(e, i) = expf(log_share) - share;
        }
    });
    const float value = team_sum(sum);
    if (loss.pair == EXO) {
        row.each([&](u32 e, u32 i) {
            slopes(e, i) = expf(row.score(e, i) - log_normaliser) * (slopes(e, i) - value);
        });
    }
    return value;
}
