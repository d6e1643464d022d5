// L = lambda L_preference - nu log pi_1 / l_1 and dL/dlog pi_i of every prompt. A row with a number that is not finite,
// in or out, gets NaN for its value and its whole gradient.
extern "C" __global__ void __launch_bounds__(BLOCK, 1) loss(
    const __grid_constant__ Loss loss,
    const float* __restrict__ policy,
    const float* __restrict__ origins,
    const float* __restrict__ measures,
    const float* __restrict__ rewards,
    const float* __restrict__ supervised,
    const float* __restrict__ preferred_lengths,
    const u32* __restrict__ drawn_from,
    const u32* __restrict__ samples,
    float* scratch,
    float* __restrict__ values,
    float* __restrict__ gradient,
    u32 prompts,
    u32 responses_given,
    u32 sample_count,
    u32 are_ratios,
    u32 width
) {
    const u32 number = blockIdx.x * (BLOCK / TEAM) + threadIdx.x / TEAM;
    const bool is_here = number < prompts;
    // A warp stays whole: teams behind the last prompt compute it again and write nothing.
    const u32 prompt = is_here ? number : prompts - 1;
    const u32 responses = IS_PAIR ? 2 : responses_given;
    const u64 base = u64(prompt) * responses;
    const u64 numbers = u64(prompts) * responses;

    Row row = {loss, policy + base, origins + base, measures + base, rewards + base};
    row.samples = samples + u64(prompt) * sample_count;
    row.sample_count = sample_count;
    row.drawn_from = drawn_from != nullptr ? drawn_from[prompt] : 0;
    row.supervised = supervised != nullptr ? supervised[prompt] : 0.0f;
    row.responses = responses;
    row.lane = threadIdx.x % TEAM;
    row.run = is_here ? (responses + TEAM - 1) / TEAM : 0;
    row.width = width;
    const bool reads_ratios = are_ratios != 0 && loss.reads_reference();
    row.weight_of_policy = reads_ratios ? 0.0f : 1.0f;
    row.sign_of_origin = reads_ratios ? 1.0f : -1.0f;
    row.doubt = 0.0f;
    Kept slopes = {};
    if constexpr (IS_LONG) {
        row.scratch[0] = scratch + base;
        row.scratch[1] = scratch + numbers + base;
        slopes.memory = gradient + base;
    }
    row.take_scores();
    const float preference = prefer(row, slopes);

    float value = loss.preference_weight * preference;
    float share = 0.0f;
    if (loss.likelihood != 0.0f) {
        share = quotient(loss.likelihood, preferred_lengths[prompt]);
        value -= share * row.policy[0];
    }
    row.doubt_unless_finite(value);
    row.to_log_probs(slopes, loss.preference_weight);
    row.each_place([&](u32 e, u32 i) {
        if (i == 0) slopes(e, i) -= share;
        row.doubt_unless_finite(slopes(e, i));
    });

    bool is_refused;
    if constexpr (TEAM == 1) is_refused = !(row.doubt == 0.0f);
    else if constexpr (WARPS > 1) is_refused = !(team_sum(row.doubt) == 0.0f);
    else is_refused = (__ballot_sync(ALL, !(row.doubt == 0.0f)) & team_mask()) != 0;
    const float nan = __uint_as_float(0x7fc00000);
    if constexpr (IS_LONG) {
        if (is_refused) row.each([&](u32 e, u32 i) { slopes(e, i) = nan; });
    } else if (is_here) {
        row.each_place([&](u32 e, u32) { slopes.at[e] = is_refused ? nan : slopes.at[e]; });
        row.write(gradient + base, slopes.at);
    }
    if (is_here && row.lane == 0) values[prompt] = is_refused ? nan : value;
}
