// log p_y = x_y - ln Σ_v e^{x_v} of a row of logits x, and its slope c ([v = y] - p_v). A block takes a row.

constexpr u32 THREADS = 512;

// slope = -e^{x - greatest} share, by COUNT numbers. It may lie where the logits do.
template <u32 COUNT>
__device__ __forceinline__ void soften(const float* row, number* slope, u32 words, float greatest, float share) {
    const u32 packs = words / COUNT;
    constexpr u32 STEP = THREADS * AT_ONCE / COUNT;
    // Backwards: the end of the row was read last and is the likeliest to be in the cache yet.
    for (u32 step = (packs + STEP - 1) / STEP; step > 0; step -= 1) {
        const u32 at = (step - 1) * STEP + threadIdx.x;
        Pack<float, COUNT> x[AT_ONCE / COUNT];
        read_packs<THREADS, COUNT>(x, row, at, packs);
        #pragma unroll
        for (u32 i = 0; i < AT_ONCE / COUNT; i += 1) {
            const u32 pack = at + i * THREADS;
            if (pack >= packs) break;
            Pack<number, COUNT> y;
            #pragma unroll
            for (u32 j = 0; j < COUNT; j += 1) y.at[j] = narrow<number>(-expf(x[i].at[j] - greatest) * share);
            reinterpret_cast<Pack<number, COUNT>*>(slope)[pack] = y;
        }
    }
}

// What a row's slope is relative to: its unit gradient is share (sum W[y] + slope W).
struct __align__(8) Fraction {
    float sum;   // of e^{x_v - reference}, the target left out
    float share; // 1 / (the sum with the target)
};

// A logit so far above the target's that e^{x - x_y} might not be finite in a sum: the target's probability is e^-60.
constexpr float FAR = 60.0f;

// The sum of e^{x - reference} and the greatest number, and, unless it is null, slope = -e^{x - reference}, reading the row
// once. In every thread of a block, in one order.
template <u32 COUNT>
__device__ __forceinline__ Exponentials spread(const float* row, number* slope, u32 words, float reference) {
    const u32 packs = words / COUNT;
    float greatest = LOWEST, sum = 0.0f;
    for (u32 at = threadIdx.x; at < packs; at += THREADS * AT_ONCE / COUNT) {
        Pack<float, COUNT> x[AT_ONCE / COUNT];
        read_packs<THREADS, COUNT>(x, row, at, packs);
        float part = 0.0f;
        #pragma unroll
        for (u32 i = 0; i < AT_ONCE / COUNT; i += 1) {
            Pack<number, COUNT> y;
            #pragma unroll
            for (u32 j = 0; j < COUNT; j += 1) {
                greatest = fmaxf(greatest, x[i].at[j]);
                const float e = expf(x[i].at[j] - reference);
                part += e;
                y.at[j] = narrow<number>(-e);
            }
            const u32 pack = at + i * THREADS;
            if (slope != nullptr && pack < packs) reinterpret_cast<Pack<number, COUNT>*>(slope)[pack] = y;
        }
        sum += part;
    }
    return Exponentials{block_max<THREADS>(greatest), block_sum<THREADS>(sum)};
}

// The target x has left the row. In f32 the slope lies where the logits do, so what it is relative to is found first; in
// bf16 it is the target, unless that is far below. Also log p of the target: the same bits with a slope or without.
template <u32 COUNT>
__device__ __forceinline__ Fraction slope_of(const float* row, number* slope, u32 words, float x, float& value) {
#if defined(BF16) && BF16
    const Exponentials near = spread<COUNT>(row, slope, words, x);
    if (near.greatest - x <= FAR) {
        value = -log1pf(near.sum);
        return {near.sum, 1.0f / (1.0f + near.sum)};
    }
#endif
    const Exponentials others = exponentials<THREADS, COUNT>(row, words);
    const float reference = fmaxf(others.greatest, x);
    if (slope != nullptr) soften<COUNT>(row, slope, words, reference, 1.0f);
    const float sum = others.sum * expf(others.greatest - reference), all = expf(x - reference) + sum;
    value = x >= others.greatest ? -log1pf(sum) : (x - reference) - logf(all);
    return {sum, 1.0f / all};
}

// Writes values = log p and, unless they are null, the slope and the `fractions` it is relative to, 0 for the target, whose
// part `finish` has. Destroys the logits.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
log_prob(float* logits, const u32* targets, float* values, number* slope, Fraction* fractions, u32 words) {
    const u64 start = u64(blockIdx.x) * words;
    float* row = logits + start;
    const u32 target = targets[blockIdx.x];
    const float x = row[target];
    __syncthreads();
    if (threadIdx.x == 0) row[target] = -INFINITE;
    __syncthreads();
    if (slope != nullptr) slope += start;
    float value;
    const Fraction fraction =
        words % 4 == 0 ? slope_of<4>(row, slope, words, x, value) : slope_of<1>(row, slope, words, x, value);
    if (threadIdx.x > 0) return;
    values[blockIdx.x] = value;
    if (fractions != nullptr) fractions[blockIdx.x] = fraction;
}

// Writes slope = c ([v = y] - p_v). Destroys the logits.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
loss_slope(float* logits, const u32* targets, number* slope, const float* coefficients, u32 words) {
    const u64 start = u64(blockIdx.x) * words;
    float* row = logits + start;
    const u32 target = targets[blockIdx.x];
    const float x = row[target];
    // The target leaves the row. With the others' sum s = Σ_{v≠y} e^{x_v - x_y}, log p = -ln(1 + s) and 1 - p = s / (1
    // + s) keep all their digits where p is nearly 1 and the sum over all words would have lost s.
    __syncthreads();
    if (threadIdx.x == 0) row[target] = -INFINITE;
    __syncthreads();
    // Whole packs, or number by number where rows do not begin at a multiple of 16 bytes.
    const bool wide = words % 4 == 0;
    const Exponentials others = wide ? exponentials<THREADS, 4>(row, words) : exponentials<THREADS, 1>(row, words);
    const float greatest = fmaxf(others.greatest, x);
    const float rest = others.sum * expf(others.greatest - greatest);
    const float own = expf(x - greatest);
    slope += start;
    const float share = coefficients[blockIdx.x] / (own + rest);
    if (wide) {
        soften<4>(row, slope, words, greatest, share);
    } else {
        soften<1>(row, slope, words, greatest, share);
    }
    __syncthreads();
    if (threadIdx.x == 0) slope[target] = narrow<number>(rest * share);
}

// unit = share (sum W[y] + unit), which was slope W. A block takes a row. Without `targets` the rows of `head` are W[y].
extern "C" __global__ void __launch_bounds__(THREADS)
finish(const Fraction* __restrict__ fractions, const u32* __restrict__ targets, const number* __restrict__ head,
       number* __restrict__ unit, u32 features) {
    const Fraction fraction = fractions[blockIdx.x];
    const number* word = head + u64(targets == nullptr ? blockIdx.x : targets[blockIdx.x]) * features;
    unit += u64(blockIdx.x) * features;
    for (u32 at = threadIdx.x; at < features; at += THREADS) {
        unit[at] = narrow<number>(fraction.share * (fraction.sum * widen(word[at]) + widen(unit[at])));
    }
}
