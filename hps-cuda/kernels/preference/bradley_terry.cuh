// Bradley-Terry: the best response against the worst of the list, L = l(s_1, s_n) (Eq. 3); and SLiC-HF,
// max(0, delta - log pi_1 + log pi_n) - lambda log pi_sft, or with that term inside the maximum (Eq. 16).

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    const Loss& loss = row.loss;
    const u32 last = row.responses - 1;
    float inside = 0.0f, outside = 0.0f;
    if (loss.preference == 6) {
        const float term = loss.supervised * row.supervised;
        (loss.form == 1 ? inside : outside) = term;
    }
    const Price priced = price(loss, row.score_of(0) + inside, row.score_of(last));
    row.each_place([&](u32 e, u32 i) { slopes(e, i) = i == 0 ? priced.preferred : i == last ? priced.other : 0.0f; });
    return priced.value - outside;
}
