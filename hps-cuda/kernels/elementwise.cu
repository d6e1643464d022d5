// Operations number by number.

// x += scale y. A thread takes 16 bytes.
extern "C" __global__ void __launch_bounds__(256)
add_scaled(number* __restrict__ x, const number* __restrict__ y, float scale, u64 count) {
    constexpr u32 W = WIDTH<number>;
    const u64 first = (u64(blockIdx.x) * blockDim.x + threadIdx.x) * W;
    if (first + W <= count) {
        Wide<number> a = *reinterpret_cast<const Wide<number>*>(x + first);
        const Wide<number> b = *reinterpret_cast<const Wide<number>*>(y + first);
        #pragma unroll
        for (u32 i = 0; i < W; i += 1) a.at[i] = narrow<number>(widen(a.at[i]) + scale * widen(b.at[i]));
        *reinterpret_cast<Wide<number>*>(x + first) = a;
        return;
    }
    for (u64 i = first; i < count; i += 1) x[i] = narrow<number>(widen(x[i]) + scale * widen(y[i]));
}

// y = x, rounded. A thread takes four numbers.
extern "C" __global__ void __launch_bounds__(256)
narrow_all(const float* __restrict__ x, number* __restrict__ y, u64 count) {
    const u64 first = (u64(blockIdx.x) * blockDim.x + threadIdx.x) * 4;
    for (u64 i = first; i < min(first + 4, count); i += 1) y[i] = narrow<number>(x[i]);
}

extern "C" __global__ void __launch_bounds__(256)
widen_all(const number* __restrict__ x, float* __restrict__ y, u64 count) {
    const u64 first = (u64(blockIdx.x) * blockDim.x + threadIdx.x) * 4;
    for (u64 i = first; i < min(first + 4, count); i += 1) y[i] = widen(x[i]);
}
