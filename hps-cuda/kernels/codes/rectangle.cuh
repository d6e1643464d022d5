// A rectangle of a matrix in codes becomes numbers.

constexpr u32 THREADS = 256;

// Where a row is stored: heads may have their rows in the order 0, d/2, 1, d/2 + 1, ...
__device__ __forceinline__ u32 place_of(u32 row, u32 dimension) {
    if (dimension == 0) return row;
    const u32 within = row % dimension, middle = dimension / 2;
    return row - within + within % middle * 2 + within / middle;
}

// out[i, j] = the number in row rows[i], or first_row + i where `rows` is null, and column first_column + j; both first_column
// and, but for numbers of any length, `width` are multiples of RUN. A thread takes RUN numbers of a row.
extern "C" __global__ void __launch_bounds__(THREADS)
numbers(const Codes matrix, const u32* __restrict__ rows, u32 first_row, u32 first_column, u32 count, u32 width,
        number* __restrict__ out) {
#if CODES >= 12
    if (threadIdx.x < 16) book()[threadIdx.x] = BOOK[threadIdx.x];
    __syncthreads();
#endif
    const u32 runs = (width + RUN - 1) / RUN, run = blockIdx.x * THREADS + threadIdx.x;
    const u32 row = run / runs, column = run % runs * RUN;
    if (row >= count) return;
    const u32 stored = place_of(rows == nullptr ? first_row + row : rows[row], matrix.interleaved);
    const u64 at = u64(stored) * matrix.columns + first_column + column;
    number* to = out + u64(row) * width + column;
#if CODES <= 1 || CODES >= 12
    // Rows of any length: runs begin anywhere within a block and a byte.
    if (width % RUN != 0 || matrix.columns % RUN != 0) {
        for (u32 i = 0; i < RUN && column + i < width; i += 1) to[i] = narrow<number>(number_at(matrix, at + i));
        return;
    }
#endif
    float decoded[RUN];
    run_at(matrix, at, decoded);
    Pack<number, RUN> pack;
    #pragma unroll
    for (u32 i = 0; i < RUN; i += 1) pack.at[i] = narrow<number>(decoded[i]);
    put<RUN>(to, pack);
}
