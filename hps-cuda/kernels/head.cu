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

// Writes values = log p and, unless it is null, slope. Where `coefficients` is null, c is 1 and the target's slope is
// 0, for `begin` to have its part. Destroys the logits.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
log_prob(float* logits, const u32* targets, float* values, number* slope, const float* coefficients, u32 words) {
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
    if (threadIdx.x == 0) {
        values[blockIdx.x] = x >= others.greatest ? -log1pf(rest) : (x - greatest) - logf(own + rest);
    }
    if (slope == nullptr) return;
    slope += start;
    const float share = (coefficients == nullptr ? 1.0f : coefficients[blockIdx.x]) / (own + rest);
    if (wide) {
        soften<4>(row, slope, words, greatest, share);
    } else {
        soften<1>(row, slope, words, greatest, share);
    }
    if (coefficients == nullptr) return;
    __syncthreads();
    if (threadIdx.x == 0) slope[target] = narrow<number>(rest * share);
}

// unit = (1 - p) W[y], p being e^value. A block takes a row.
extern "C" __global__ void __launch_bounds__(THREADS)
begin(const float* __restrict__ values, const u32* __restrict__ targets, const number* __restrict__ head,
      number* __restrict__ unit, u32 features) {
    const float share = -expm1f(values[blockIdx.x]);
    const number* word = head + u64(targets[blockIdx.x]) * features;
    unit += u64(blockIdx.x) * features;
    for (u32 at = threadIdx.x; at < features; at += THREADS) unit[at] = narrow<number>(share * widen(word[at]));
}
