// Root-mean-square norm: y = x r gain, r = 1 / sqrt(mean(x^2) + epsilon) of the row. A block computes a row.
//
// A thread takes the vectors of W numbers at threadIdx.x, threadIdx.x + blockDim.x, ... It keeps the first KEPT of them in
// registers between the row's sum and the results, so that all of a row up to KEPT W blockDim.x is read from memory once.

constexpr u32 MOST = 512; // threads
constexpr u32 KEPT = 2;

// Sums over a block of whole warps, in every thread, in one order. Once a kernel.
template <u32 COUNT> __device__ __forceinline__ void block_sums(float (&sums)[COUNT]) {
    __shared__ float parts[COUNT][MOST / WARP];
    #pragma unroll
    for (u32 i = 0; i < COUNT; i += 1) sums[i] = warp_sum(sums[i]);
    if (blockDim.x == WARP) return;
    const u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    #pragma unroll
    for (u32 i = 0; i < COUNT; i += 1) if (lane == 0) parts[i][warp] = sums[i];
    __syncthreads();
    #pragma unroll
    for (u32 i = 0; i < COUNT; i += 1) sums[i] = warp_sum(lane < blockDim.x / WARP ? parts[i][lane] : 0.0f);
}

__device__ __forceinline__ float reciprocal_root(float squares, u32 columns, float epsilon) {
    return 1.0f / sqrtf(squares / float(columns) + epsilon);
}

template <u32 W> __device__ __forceinline__ void add_squares(float& sum, const Pack<number, W>& x) {
    #pragma unroll
    for (u32 j = 0; j < W; j += 1) sum += widen(x.at[j]) * widen(x.at[j]);
}

template <u32 W> __device__ __forceinline__ Pack<number, W> scaled(const Pack<number, W>& x, float r, const Pack<float, W>& gain) {
    Pack<number, W> y;
    #pragma unroll
    for (u32 j = 0; j < W; j += 1) y.at[j] = narrow<number>(widen(x.at[j]) * r * gain.at[j]);
    return y;
}

template <u32 W>
__device__ __forceinline__ void forward_row(
    const number* __restrict__ x, const float* __restrict__ gain, number* __restrict__ y, u32 columns, float epsilon
) {
    const u32 first = threadIdx.x * W, step = blockDim.x * W;
    Pack<number, W> kept[KEPT];
    float squares[1] = {0.0f};
    #pragma unroll
    for (u32 k = 0; k < KEPT; k += 1) if (first + k * step < columns) kept[k] = take<W>(x + first + k * step);
    #pragma unroll
    for (u32 k = 0; k < KEPT; k += 1) if (first + k * step < columns) add_squares<W>(squares[0], kept[k]);
    for (u32 at = first + KEPT * step; at < columns; at += step) add_squares<W>(squares[0], take<W>(x + at));
    block_sums(squares);
    const float r = reciprocal_root(squares[0], columns, epsilon);
    #pragma unroll
    for (u32 k = 0; k < KEPT; k += 1) {
        const u32 at = first + k * step;
        if (at < columns) put<W>(y + at, scaled<W>(kept[k], r, take<W>(gain + at)));
    }
    for (u32 at = first + KEPT * step; at < columns; at += step) {
        put<W>(y + at, scaled<W>(take<W>(x + at), r, take<W>(gain + at)));
    }
}

extern "C" __global__ void __launch_bounds__(MOST)
forward(const number* __restrict__ x, const float* __restrict__ gain, number* __restrict__ y, u32 columns, float epsilon) {
    const u64 row = u64(blockIdx.x) * columns;
    if (columns % WIDTH<number> == 0) forward_row<WIDTH<number>>(x + row, gain, y + row, columns, epsilon);
    else forward_row<1>(x + row, gain, y + row, columns, epsilon);
}

// The sums of x^2 and of dy gain x.
template <u32 W>
__device__ __forceinline__ void add_products(
    float (&sums)[2], const Pack<number, W>& x, const Pack<number, W>& dy, const Pack<float, W>& gain
) {
    #pragma unroll
    for (u32 j = 0; j < W; j += 1) {
        sums[0] += widen(x.at[j]) * widen(x.at[j]);
        sums[1] += widen(dy.at[j]) * gain.at[j] * widen(x.at[j]);
    }
}

// onto + dx, dx = r (gain dy - x along), along = r^2 mean(gain dy x).
template <u32 W>
__device__ __forceinline__ Pack<number, W> gradient(
    const Pack<number, W>& x, const Pack<number, W>& dy, const Pack<float, W>& gain, float r, float along,
    const Pack<number, W>& onto
) {
    Pack<number, W> dx;
    #pragma unroll
    for (u32 j = 0; j < W; j += 1) {
        const float own = r * (widen(dy.at[j]) * gain.at[j] - widen(x.at[j]) * along);
        dx.at[j] = narrow<number>(widen(onto.at[j]) + own);
    }
    return dx;
}

template <u32 W> __device__ __forceinline__ Pack<number, W> zeros() {
    Pack<number, W> zeros;
    #pragma unroll
    for (u32 j = 0; j < W; j += 1) zeros.at[j] = narrow<number>(0.0f);
    return zeros;
}

template <u32 W, bool ONTO>
__device__ __forceinline__ void backward_row(
    const number* __restrict__ dy, const number* __restrict__ x, const float* __restrict__ gain,
    const number* __restrict__ onto, number* __restrict__ dx, u32 columns, float epsilon
) {
    const u32 first = threadIdx.x * W, step = blockDim.x * W;
    Pack<number, W> kept[KEPT], kept_dy[KEPT], kept_onto[KEPT];
    float sums[2] = {0.0f, 0.0f};
    #pragma unroll
    for (u32 k = 0; k < KEPT; k += 1) {
        const u32 at = first + k * step;
        if (at < columns) {
            kept[k] = take<W>(x + at);
            kept_dy[k] = take<W>(dy + at);
            kept_onto[k] = ONTO ? take<W>(onto + at) : zeros<W>();
        }
    }
    #pragma unroll
    for (u32 k = 0; k < KEPT; k += 1) {
        const u32 at = first + k * step;
        if (at < columns) add_products<W>(sums, kept[k], kept_dy[k], take<W>(gain + at));
    }
    for (u32 at = first + KEPT * step; at < columns; at += step) {
        add_products<W>(sums, take<W>(x + at), take<W>(dy + at), take<W>(gain + at));
    }
    block_sums(sums);
    const float r = reciprocal_root(sums[0], columns, epsilon);
    const float along = sums[1] * r * r / float(columns);
    #pragma unroll
    for (u32 k = 0; k < KEPT; k += 1) {
        const u32 at = first + k * step;
        if (at < columns) put<W>(dx + at, gradient<W>(kept[k], kept_dy[k], take<W>(gain + at), r, along, kept_onto[k]));
    }
    for (u32 at = first + KEPT * step; at < columns; at += step) {
        const Pack<number, W> under = ONTO ? take<W>(onto + at) : zeros<W>();
        put<W>(dx + at, gradient<W>(take<W>(x + at), take<W>(dy + at), take<W>(gain + at), r, along, under));
    }
}

template <bool ONTO>
__device__ __forceinline__ void backward_of(
    const number* dy, const number* x, const float* gain, const number* onto, number* dx, u32 columns, float epsilon
) {
    const u64 row = u64(blockIdx.x) * columns;
    if (columns % WIDTH<number> == 0) {
        backward_row<WIDTH<number>, ONTO>(dy + row, x + row, gain, onto + row, dx + row, columns, epsilon);
    } else {
        backward_row<1, ONTO>(dy + row, x + row, gain, onto + row, dx + row, columns, epsilon);
    }
}

extern "C" __global__ void __launch_bounds__(MOST)
backward(
    const number* __restrict__ dy, const number* __restrict__ x, const float* __restrict__ gain, number* __restrict__ dx,
    u32 columns, float epsilon
) {
    backward_of<false>(dy, x, gain, x, dx, columns, epsilon);
}

extern "C" __global__ void __launch_bounds__(MOST)
backward_onto(
    const number* __restrict__ dy, const number* __restrict__ x, const float* __restrict__ gain,
    const number* __restrict__ onto, number* __restrict__ dx, u32 columns, float epsilon
) {
    backward_of<true>(dy, x, gain, onto, dx, columns, epsilon);
}

// roots[row] = r.
template <u32 W> __device__ __forceinline__ float squares_of(const number* __restrict__ x, u32 columns) {
    float squares[1] = {0.0f};
    for (u32 at = threadIdx.x * W; at < columns; at += blockDim.x * W) add_squares<W>(squares[0], take<W>(x + at));
    block_sums(squares);
    return squares[0];
}

extern "C" __global__ void __launch_bounds__(MOST)
reciprocal_roots(const number* __restrict__ x, float* __restrict__ roots, u32 columns, float epsilon) {
    const number* row = x + u64(blockIdx.x) * columns;
    const bool aligned = columns % WIDTH<number> == 0;
    const float squares = aligned ? squares_of<WIDTH<number>>(row, columns) : squares_of<1>(row, columns);
    if (threadIdx.x == 0) roots[blockIdx.x] = reciprocal_root(squares, columns, epsilon);
}

// parts[block along x] = the sum of dy x r over its `share` rows, column by column.
template <u32 W>
__device__ __forceinline__ void gain_part(
    const number* __restrict__ dy, const number* __restrict__ x, const float* __restrict__ roots,
    float* __restrict__ parts, u32 rows, u32 columns, u32 share
) {
    const u32 start = blockIdx.x * share, end = min(start + share, rows);
    const u32 step = gridDim.y * blockDim.x * W;
    for (u32 column = (blockIdx.y * blockDim.x + threadIdx.x) * W; column < columns; column += step) {
        float sums[W] = {};
        #pragma unroll 4
        for (u32 row = start; row < end; row += 1) {
            const u64 at = u64(row) * columns + column;
            const Pack<number, W> a = take<W>(dy + at), b = take<W>(x + at);
            const float r = roots[row];
            #pragma unroll
            for (u32 j = 0; j < W; j += 1) sums[j] += widen(a.at[j]) * widen(b.at[j]) * r;
        }
        Pack<float, W> out;
        #pragma unroll
        for (u32 j = 0; j < W; j += 1) out.at[j] = sums[j];
        put<W>(parts + u64(blockIdx.x) * columns + column, out);
    }
}

extern "C" __global__ void __launch_bounds__(256, 4)
gain_parts(
    const number* __restrict__ dy, const number* __restrict__ x, const float* __restrict__ roots,
    float* __restrict__ parts, u32 rows, u32 columns, u32 share
) {
    if (columns % WIDTH<number> == 0) gain_part<WIDTH<number>>(dy, x, roots, parts, rows, columns, share);
    else gain_part<1>(dy, x, roots, parts, rows, columns, share);
}

// d gain = the sum of the parts. A thread computes a column.
extern "C" __global__ void __launch_bounds__(256)
gain_gradient(const float* __restrict__ parts, float* __restrict__ d_gain, u32 count, u32 columns) {
    const u32 column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    float sum = 0.0f;
    #pragma unroll 8
    for (u32 part = 0; part < count; part += 1) sum += parts[u64(part) * columns + column];
    d_gain[column] = sum;
}
