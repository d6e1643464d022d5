// Rows taken, put, summed and scaled by their numbers. Blocks along x have a row each, those along y share it; a thread
// takes 16 bytes, or one number where rows do not start at multiples of 16 bytes.

template <u32 W> struct Walk {
    u32 first, step;
    __device__ Walk() : first((blockIdx.y * blockDim.x + threadIdx.x) * W), step(gridDim.y * blockDim.x * W) {}
};

template <u32 W>
__device__ __forceinline__ void copy(const number* __restrict__ from, number* __restrict__ to, u32 columns) {
    const Walk<W> walk;
    for (u32 column = walk.first; column < columns; column += walk.step) put<W>(to + column, take<W>(from + column));
}

__device__ __forceinline__ void copy_row(const number* __restrict__ from, number* __restrict__ to, u32 columns) {
    if (columns % WIDTH<number> == 0) copy<WIDTH<number>>(from, to, columns);
    else copy<1>(from, to, columns);
}

// y_i = x[rows_i].
extern "C" __global__ void __launch_bounds__(256)
gather(const number* __restrict__ x, const u32* __restrict__ rows, number* __restrict__ y, u32 columns) {
    copy_row(x + u64(rows[blockIdx.x]) * columns, y + u64(blockIdx.x) * columns, columns);
}

// cache[rows_i] = x_i.
extern "C" __global__ void __launch_bounds__(256)
write(number* __restrict__ cache, const u32* __restrict__ rows, const number* __restrict__ x, u32 columns) {
    copy_row(x + u64(blockIdx.x) * columns, cache + u64(rows[blockIdx.x]) * columns, columns);
}

// dx_r = sum of the dy_i whose row is r. `members` has where each row's list starts, the end of the last one, then the
// lists: numbers i, ascending. They are added in this order; four are on their way at once.
template <u32 W, typename T>
__device__ __forceinline__ void sum(const number* __restrict__ dy, const u32* __restrict__ members, T* __restrict__ dx, u32 columns) {
    constexpr u32 AHEAD = 4;
    const u32* __restrict__ list = members + gridDim.x + 1;
    const u32 start = members[blockIdx.x], end = members[blockIdx.x + 1];
    const Walk<W> walk;
    for (u32 column = walk.first; column < columns; column += walk.step) {
        float sums[W] = {};
        u32 at = start;
        for (; at + AHEAD <= end; at += AHEAD) {
            Pack<number, W> packs[AHEAD];
            #pragma unroll
            for (u32 i = 0; i < AHEAD; i += 1) packs[i] = take<W>(dy + u64(list[at + i]) * columns + column);
            #pragma unroll
            for (u32 i = 0; i < AHEAD; i += 1) {
                #pragma unroll
                for (u32 j = 0; j < W; j += 1) sums[j] += widen(packs[i].at[j]);
            }
        }
        for (; at < end; at += 1) {
            const Pack<number, W> pack = take<W>(dy + u64(list[at]) * columns + column);
            #pragma unroll
            for (u32 j = 0; j < W; j += 1) sums[j] += widen(pack.at[j]);
        }
        Pack<T, W> out;
        #pragma unroll
        for (u32 j = 0; j < W; j += 1) out.at[j] = narrow<T>(sums[j]);
        put<W>(dx + u64(blockIdx.x) * columns + column, out);
    }
}

extern "C" __global__ void __launch_bounds__(256)
gather_backward(const number* __restrict__ dy, const u32* __restrict__ members, number* __restrict__ dx, u32 columns) {
    if (columns % WIDTH<number> == 0) sum<WIDTH<number>>(dy, members, dx, columns);
    else sum<1>(dy, members, dx, columns);
}

// The same in f32: a weight's gradient.
extern "C" __global__ void __launch_bounds__(256)
embed_gradient(const number* __restrict__ dy, const u32* __restrict__ members, float* __restrict__ dx, u32 columns) {
    if (columns % WIDTH<number> == 0) sum<WIDTH<number>>(dy, members, dx, columns);
    else sum<1>(dy, members, dx, columns);
}

// x_t *= c_t.
template <u32 W> __device__ __forceinline__ void scale_by(number* x, float factor, u32 columns) {
    const Walk<W> walk;
    for (u32 column = walk.first; column < columns; column += walk.step) {
        Pack<number, W> pack = take<W>(x + column);
        #pragma unroll
        for (u32 j = 0; j < W; j += 1) pack.at[j] = narrow<number>(widen(pack.at[j]) * factor);
        put<W>(x + column, pack);
    }
}

extern "C" __global__ void __launch_bounds__(256)
scale(number* __restrict__ x, const float* __restrict__ c, u32 columns) {
    const float factor = c[blockIdx.x];
    number* row = x + u64(blockIdx.x) * columns;
    if (columns % WIDTH<number> == 0) scale_by<WIDTH<number>>(row, factor, columns);
    else scale_by<1>(row, factor, columns);
}
