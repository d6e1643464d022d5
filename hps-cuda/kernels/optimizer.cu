// The gradients' norm and AdamW, over all arrays at once. A table has a line an array; its first field is the block that
// starts with the array, its second how many numbers the array has, then come addresses. A block has CHUNK numbers of one.

constexpr u32 THREADS = 256;
constexpr u32 CHUNK = 8192;
constexpr u32 STEP = 4 * THREADS;

// The line of this block's array. The threads look at all lines together: one wait for memory instead of a search's many.
template <u32 FIELDS> __device__ __forceinline__ const u64* line(const u64* __restrict__ table, u32 arrays) {
    __shared__ u32 found;
    for (u32 array = threadIdx.x; array < arrays; array += THREADS) {
        const u64 start = table[array * FIELDS];
        const u64 end = array + 1 < arrays ? table[(array + 1) * FIELDS] : gridDim.x;
        if (start <= blockIdx.x && blockIdx.x < end) found = array;
    }
    __syncthreads();
    return table + found * FIELDS;
}

__device__ __forceinline__ double warp_sum(double x) {
    #pragma unroll
    for (u32 step = WARP / 2; step > 0; step /= 2) x += __shfl_xor_sync(ALL, x, step);
    return x;
}

// The sum over a block, in its first thread, in one order. Once a kernel.
template <u32 COUNT> __device__ __forceinline__ double block_total(double x) {
    __shared__ double parts[COUNT / WARP];
    x = warp_sum(x);
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = x;
    __syncthreads();
    if (threadIdx.x >= WARP) return 0.0;
    return warp_sum(threadIdx.x < COUNT / WARP ? parts[threadIdx.x] : 0.0);
}

// parts[block] = the sum of its numbers' squares, in f64: it holds the square of every f32, and 2^24 of them to 2^-53.
extern "C" __global__ void __launch_bounds__(THREADS)
squares(const u64* __restrict__ table, u32 arrays, double* __restrict__ parts) {
    const u64* own = line<3>(table, arrays);
    const u64 offset = (blockIdx.x - own[0]) * CHUNK;
    const u32 count = u32(min(own[1] - offset, u64(CHUNK)));
    const float* __restrict__ numbers = reinterpret_cast<const float*>(own[2]) + offset;
    double sums[4] = {};
    const u32 fours = count / 4 * 4;
    #pragma unroll 4
    for (u32 at = threadIdx.x * 4; at < fours; at += STEP) {
        const Pack<float, 4> pack = take<4>(numbers + at);
        #pragma unroll
        for (u32 j = 0; j < 4; j += 1) sums[j] = fma(double(pack.at[j]), double(pack.at[j]), sums[j]);
    }
    if (fours + threadIdx.x < count) {
        const double last = numbers[fours + threadIdx.x];
        sums[0] = fma(last, last, sums[0]);
    }
    const double total = block_total<THREADS>((sums[0] + sums[1]) + (sums[2] + sums[3]));
    if (threadIdx.x == 0) parts[blockIdx.x] = total;
}

// norm = sqrt of the sum of all parts.
extern "C" __global__ void __launch_bounds__(1024)
root(const double* __restrict__ parts, u32 count, float* __restrict__ norm) {
    double sum = 0.0;
    #pragma unroll 4
    for (u32 part = threadIdx.x; part < count; part += 1024) sum += parts[part];
    sum = block_total<1024>(sum);
    if (threadIdx.x == 0) norm[0] = float(sqrt(sum));
}

struct Update {
    float clip;
    float learning_rate; // over 1 - beta1^step
    float keep;          // 1 - learning rate * weight decay
    float fresh1;        // 1 - beta1
    float decay2;        // beta2
    float fresh2;        // 1 - beta2
    float correction2;   // sqrt(1 - beta2^step)
    float epsilon;
};

// w = w keep - lr m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + epsilon), in torch.optim.AdamW's order.
__device__ __forceinline__ void adapt(float& w, float gradient, float& m, float& v, const Update& update) {
    const float g = gradient * update.clip;
    m = m + (g - m) * update.fresh1;
    v = v * update.decay2 + update.fresh2 * g * g;
    w = w * update.keep - update.learning_rate * (m / (sqrtf(v) / update.correction2 + update.epsilon));
}

// Where the norm is not finite nothing changes. `max_norm` is the bits of an f64, as clipping is formed in f64.
extern "C" __global__ void __launch_bounds__(THREADS)
adamw(
    const u64* __restrict__ table, u32 arrays, const float* __restrict__ norm, u64 max_norm, float learning_rate, float keep,
    float fresh1, float decay2, float fresh2, float correction2, float epsilon
) {
    if (!(fabsf(norm[0]) < INFINITE)) return;
    const float clip = float(fmin(__longlong_as_double(max_norm) / (double(norm[0]) + 1e-6), 1.0));
    const Update update = {clip, learning_rate, keep, fresh1, decay2, fresh2, correction2, epsilon};
    const u64* own = line<6>(table, arrays);
    const u64 offset = (blockIdx.x - own[0]) * CHUNK;
    const u32 count = u32(min(own[1] - offset, u64(CHUNK)));
    float* __restrict__ weight = reinterpret_cast<float*>(own[2]) + offset;
    const float* __restrict__ gradient = reinterpret_cast<const float*>(own[3]) + offset;
    float* __restrict__ first = reinterpret_cast<float*>(own[4]) + offset;
    float* __restrict__ second = reinterpret_cast<float*>(own[5]) + offset;
    const u32 fours = count / 4 * 4;
    for (u32 at = threadIdx.x * 4; at < fours; at += STEP) {
        Pack<float, 4> w = take<4>(weight + at), m = take<4>(first + at), v = take<4>(second + at);
        const Pack<float, 4> g = take<4>(gradient + at);
        #pragma unroll
        for (u32 j = 0; j < 4; j += 1) adapt(w.at[j], g.at[j], m.at[j], v.at[j], update);
        put<4>(weight + at, w);
        put<4>(first + at, m);
        put<4>(second + at, v);
    }
    const u32 last = fours + threadIdx.x;
    if (last < count) adapt(weight[last], gradient[last], first[last], second[last], update);
}
