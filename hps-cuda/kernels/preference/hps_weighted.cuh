// Several preferred responses, each against its own negatives (App. E): L = sum_{a <= k} lambda_a l(s_a, V_a),
// V_a = ln c_a + ln sum_{i in N_a} q_i e^{s_i}, c_a and q taken within N_a: all behind the k-th, or all behind a.

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    const Loss& loss = row.loss;
    if (!IS_PAIR && reads_rewards(loss)) row.take_rewards();
    row.each_place([&](u32 e, u32 i) { slopes(e, i) = 0.0f; });
    Kept terms;
    terms.memory = row.scratch[0];
    float value = 0.0f;
    for (u32 a = 0; a < loss.count; a += 1) {
        const float rank_weight = loss.rank_weights[a];
        const Negatives negatives = negatives_from(row, loss.flag(NEXT_RANKS) ? a + 1 : loss.count, terms);
        const Price priced = price(loss, row.score_of(a), negatives.log_sum);
        value += rank_weight * priced.value;
        const float shared_slope = rank_weight * quotient(priced.other, negatives.sum);
        row.each_place([&](u32 e, u32 i) {
            slopes(e, i) += i == a ? rank_weight * priced.preferred : shared_slope * terms(e, i);
        });
    }
    return value;
}
