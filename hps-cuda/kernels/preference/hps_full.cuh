// HPS full: L = l(s_1, V), V = ln c + ln sum_{i >= 2} q_i e^{s_i} (Eq. 8), dL/ds_i = dl/dV e^{ln q_i + s_i - V}. With
// gamma = 0 and c = N it is the first choice of Plackett-Luce (Eq. 6).

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    if (!IS_PAIR && reads_rewards(row.loss)) row.take_rewards();
    const float preferred = row.score_of(0);
    const Negatives negatives = negatives_from(row, 1, slopes);
    const Price priced = price(row.loss, preferred, negatives.log_sum);
    const float shared_slope = quotient(priced.other, negatives.sum);
    row.each_place([&](u32 e, u32 i) { slopes(e, i) = i == 0 ? priced.preferred : shared_slope * slopes(e, i); });
    return priced.value;
}
