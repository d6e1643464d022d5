// SPPO's squares towards win rates: L = c sum_i (s_i - (P_i - 1/2)/beta)^2. In a ranking P_i = (n-i)/(n-1); estimated
// from the rewards P_i = 1/n sum_k sigmoid(r_i - r_k), with k = i, in O(n^2).

__device__ __forceinline__ float win_rate(const Row& row, u32 i) {
    if (row.loss.preference != 5) {
        const float last = float(row.responses - 1);
        return quotient(last - float(i), last);
    }
    const float own = row.rewards[i];
    float wins = 0.0f;
    for (u32 k = 0; k < row.responses; k += 1) wins += sigmoid(own - row.rewards[k]);
    return quotient(wins, float(row.responses));
}

__device__ __forceinline__ float prefer(Row& row, Kept& slopes) {
    const float factor = row.loss.flag(MEAN) ? quotient(1.0f, float(row.responses)) : 1.0f;
    float sum = 0.0f;
    row.each([&](u32 e, u32 i) {
        const float rest = row.score(e, i) - (win_rate(row, i) - 0.5f) * (2.0f * row.loss.target);
        sum += rest * rest;
        slopes(e, i) = 2.0f * factor * rest;
    });
    return factor * team_sum(sum);
}
