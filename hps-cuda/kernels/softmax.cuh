// What the head and sampling need of a row of logits x: max_v x_v and Σ_v e^{x_v - max}.

// The lowest number: less than any logit but -inf, whose e^{x - LOWEST} is still 0 and not that of a NaN.
constexpr float LOWEST = -3.402823466e38f;

// Numbers that a thread has under way at once, so that enough bytes are.
constexpr u32 AT_ONCE = 8;

// COUNT numbers of a row at each of AT_ONCE / COUNT places, THREADS packs apart; -inf beyond the row's end.
template <u32 THREADS, u32 COUNT>
__device__ __forceinline__ void
read_packs(Pack<float, COUNT> (&x)[AT_ONCE / COUNT], const float* row, u32 at, u32 packs) {
    #pragma unroll
    for (u32 i = 0; i < AT_ONCE / COUNT; i += 1) {
        const u32 pack = at + i * THREADS;
        if (pack < packs) {
            x[i] = reinterpret_cast<const Pack<float, COUNT>*>(row)[pack];
        } else {
            #pragma unroll
            for (u32 j = 0; j < COUNT; j += 1) x[i].at[j] = -INFINITE;
        }
    }
}

struct Exponentials {
    float greatest; // LOWEST of nothing
    float sum;      // NaN if a number is NaN or +inf, 0 if all are -inf
};

// In one sweep: a thread's sum is rescaled where a greater number turns up. In every thread of a block, in one order.
template <u32 THREADS, u32 COUNT>
__device__ __forceinline__ Exponentials exponentials(const float* row, u32 words) {
    const u32 packs = words / COUNT;
    float greatest = LOWEST;
    float sum = 0.0f;
    for (u32 at = threadIdx.x; at < packs; at += THREADS * AT_ONCE / COUNT) {
        Pack<float, COUNT> x[AT_ONCE / COUNT];
        read_packs<THREADS, COUNT>(x, row, at, packs);
        float top = greatest;
        #pragma unroll
        for (u32 i = 0; i < AT_ONCE; i += 1) top = fmaxf(top, x[i / COUNT].at[i % COUNT]);
        if (top > greatest) {
            sum *= expf(greatest - top);
            greatest = top;
        }
        // A batch by itself, so that a vocabulary of a million words loses no more than a small one.
        float part = 0.0f;
        #pragma unroll
        for (u32 i = 0; i < AT_ONCE; i += 1) part += expf(x[i / COUNT].at[i % COUNT] - greatest);
        sum += part;
    }
    const float all = block_max<THREADS>(greatest);
    return Exponentials{all, block_sum<THREADS>(sum * expf(greatest - all))};
}
