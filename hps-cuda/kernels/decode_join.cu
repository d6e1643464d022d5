// Attention over a cache from its parts: o = sum of o_i exp(m_i - m) / sum of l_i exp(m_i - m), in the parts' order.

__device__ __forceinline__ float power(float x) {
#if BF16
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return expf(x);
#endif
}

// A block for a query. The parts of query i are [parts_of[i], parts_of[i + 1]); without any the output is zero.
extern "C" __global__ void __launch_bounds__(256)
join(const float* __restrict__ partial, const Summary* __restrict__ summaries, const u32* __restrict__ parts_of,
    number* __restrict__ out, u32 query_heads, u32 columns) {
    const u32 query = blockIdx.x, first = parts_of[query], end = parts_of[query + 1];
    for (u32 item = threadIdx.x; item < query_heads * columns; item += blockDim.x) {
        const u32 head = item / columns, column = item % columns;
        float most = -INFINITE, total = 0.0f, sum = 0.0f;
        for (u32 part = first; part < end; part += 1) {
            most = fmaxf(most, summaries[u64(part) * query_heads + head].greatest);
        }
        for (u32 part = first; part < end; part += 1) {
            const u64 at = u64(part) * query_heads + head;
            const Summary summary = summaries[at];
            const float factor = power(summary.greatest - most);
            total += factor * summary.total;
            sum += factor * partial[at * DIMENSION + column];
        }
        out[u64(query) * query_heads * columns + item] = narrow<number>(first < end ? sum / total : 0.0f);
    }
}
