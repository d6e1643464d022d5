// How hard a negative is before the weights are normalised: gamma (r_i - r*), at most 0 (Eq. 9). r* is the retained
// negatives' highest reward if gamma >= 0, else their lowest.

struct Hardness {
    float anchor;
    // With MASK_MAX, negatives' rewards are below it.
    float ceiling;
    float retained;
};

__device__ __forceinline__ bool reads_rewards(const Loss& loss) { return loss.gamma != 0.0f || loss.flag(MASK_MAX); }

// That of the responses from `first` on.
__device__ __forceinline__ Hardness hardness_from(const Row& row, u32 first) {
    const Loss& loss = row.loss;
    Hardness found = {0.0f, INFINITE, float(row.responses - first)};
    if (!reads_rewards(loss)) return found;
    const float sign = loss.gamma >= 0.0f ? 1.0f : -1.0f;
    float anchor = -INFINITE;
    if (loss.flag(MASK_MAX)) {
        float highest = -INFINITE, retained = 0.0f;
        row.each([&](u32 e, u32 i) { highest = fmaxf(highest, row.reward(e, i)); });
        found.ceiling = team_max(highest);
        row.each([&](u32 e, u32 i) {
            if (i < first || !(row.reward(e, i) < found.ceiling)) return;
            anchor = fmaxf(anchor, sign * row.reward(e, i));
            retained += 1.0f;
        });
        found.retained = team_sum(retained);
    } else {
        row.each_place([&](u32 e, u32 i) {
            anchor = fmaxf(anchor, row.is_behind(first, i) ? sign * row.reward(e, i) : -INFINITE);
        });
    }
    found.anchor = sign * team_max(anchor);
    return found;
}

// Of a reward; minus infinity if it is masked, or out of reach at gamma = +-infinity.
__device__ __forceinline__ float hardness(const Loss& loss, const Hardness& found, float reward) {
    if (!(reward < found.ceiling)) return -INFINITE;
    const float difference = reward - found.anchor;
    // Not above 0, but for an infinite gamma's 0.
    return difference == 0.0f || loss.gamma == 0.0f ? 0.0f : loss.gamma * difference;
}

// Of a response that this thread owns.
__device__ __forceinline__ float hardness(const Row& row, const Hardness& found, u32 e, u32 i) {
    return reads_rewards(row.loss) ? hardness(row.loss, found, row.reward(e, i)) : 0.0f;
}

// ln c, with 0 in the descriptor for their number.
__device__ __forceinline__ float log_scale_of(const Loss& loss, float retained) {
    return loss.scale == 1.0f ? 0.0f : logf(loss.scale == 0.0f ? retained : loss.scale);
}

// ln sum_{i >= first} q_i e^{s_i} + ln c, and e^{h_i + s_i - max} of each response, 0 of what is no negative.
struct Negatives {
    float log_sum;
    float sum;
};

__device__ __forceinline__ Negatives negatives_from(Row& row, u32 first, Kept& terms) {
    if constexpr (IS_PAIR) {
        // The only one, whatever its reward.
        terms.at[0] = 0.0f;
        terms.at[HELD - 1] = 1.0f;
        return {row.score_of(1) + log_scale_of(row.loss, 1.0f), 1.0f};
    }
    const Hardness found = hardness_from(row, first);
    // With h_i = gamma (r_i - r*): ln c - ln sum e^{h_i} + ln sum e^{h_i + s_i}.
    float weights = 0.0f, highest = -INFINITE;
    if (reads_rewards(row.loss)) {
        row.each_place([&](u32 e, u32 i) {
            const float h = row.is_behind(first, i) ? hardness(row.loss, found, row.reward(e, i)) : -INFINITE;
            weights += expf(h);
            terms(e, i) = h + row.score(e, i);
        });
    } else {
        row.each_place([&](u32 e, u32 i) { terms(e, i) = row.is_behind(first, i) ? row.score(e, i) : -INFINITE; });
    }
    row.each_place([&](u32 e, u32 i) { highest = fmaxf(highest, terms(e, i)); });
    highest = team_max(highest);
    weights = reads_rewards(row.loss) ? team_sum(weights) : found.retained;
    float sum = 0.0f;
    row.each_place([&](u32 e, u32 i) {
        terms(e, i) = expf(terms(e, i) - highest);
        sum += terms(e, i);
    });
    sum = team_sum(sum);
    // A scale may be as small as f32 has numbers: it is not multiplied by anything.
    const float scale = row.loss.scale;
    const float log_scale = scale == 0.0f || scale == 1.0f ? 0.0f : logf(scale);
    const float factor = scale == 0.0f ? found.retained : 1.0f;
    return {highest + log_scale + logf(sum * quotient(factor, weights)), sum};
}
