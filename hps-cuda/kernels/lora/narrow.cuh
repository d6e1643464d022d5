// What is summed over the columns: low[row, rank] = scale * sum over columns of z[row, column] m[rank, column], for each of
// the matrices that read z.
struct Narrowed {
    const float* m;
    float* low; // [rows, ranks]
    float scale;
    u32 ranks;
};

struct Narrow {
    const number* z;
    Narrowed of[ADAPTERS];
    u32 columns;
    u32 tall; // whether m is [columns, ranks]
    u32 count;
    u32 nothing;
};

struct Narrows {
    Narrow at[2 * ADAPTERS];
};

// Eight ranks of one of the matrices; their number counts through all of them.
struct Eight {
    const float* m; // null behind the last
    float* low;
    float scale;
    u32 ranks;
    u32 first;
};

__device__ __forceinline__ Eight eight_of(const Narrow& job, u32 index) {
    Eight found = {};
    #pragma unroll
    for (u32 at = 0; at < ADAPTERS; at += 1) {
        if (at >= job.count) break;
        const u32 eights = (job.of[at].ranks + RANKS - 1) / RANKS;
        if (index < eights && found.m == nullptr) {
            found = {job.of[at].m, job.of[at].low, job.of[at].scale, job.of[at].ranks, index * RANKS};
        }
        index -= eights; // below 0 it is larger than any number of eights
    }
    return found;
}

#if defined(BF16) && BF16

// On tensor cores. What is trained is f32: three bf16s hold all of its digits, and z is exact, so the sums are as those of
// f32. A block takes sixteen rows, each of its warps every eighth sixteen of the columns, and z is read once for 32 ranks.
constexpr u32 NARROW_THREADS = 256;
constexpr u32 NARROW_WARPS = NARROW_THREADS / WARP;
constexpr u32 EIGHTS = 4;
constexpr u32 ROWS = 16;
constexpr u32 DEPTH = 16;
constexpr u32 PARTS = 3;

// Two numbers as the sum of PARTS words of bf16s, the greatest first.
__device__ __forceinline__ void split(u32 (&words)[PARTS], float low, float high) {
    #pragma unroll
    for (u32 part = 0; part < PARTS; part += 1) {
        words[part] = pair(low, high);
        low -= __uint_as_float(words[part] << 16);
        high -= __uint_as_float(words[part] & 0xffff0000u);
    }
}

// Two neighbours of a row, zeros beyond its end.
__device__ __forceinline__ u32 two(const bf16* row, u32 column, u32 columns, bool there) {
    if (!there || column >= columns) return 0;
    if (columns % 2 == 0) return *reinterpret_cast<const u32*>(row + column);
    return u32(row[column].bits) | (column + 1 < columns ? u32(row[column + 1].bits) << 16 : 0);
}

// Entries of a matrix at a rank, of a column and the next.
__device__ __forceinline__ Pack<float, 2>
two(const Eight& eight, u32 rank, u32 column, u32 columns, u32 tall) {
    if (rank >= eight.ranks || column >= columns) return {0.0f, 0.0f};
    if (!tall && columns % 2 == 0) return take<2>(eight.m + entry(rank, column, eight.ranks, columns, 0));
    const float second = column + 1 < columns ? eight.m[entry(rank, column + 1, eight.ranks, columns, tall)] : 0.0f;
    return {eight.m[entry(rank, column, eight.ranks, columns, tall)], second};
}

extern "C" __global__ void __launch_bounds__(NARROW_THREADS)
narrow_products(Narrows jobs, u32 rows) {
    __shared__ float of_warps[NARROW_WARPS][EIGHTS][ROWS * RANKS];
    const Narrow& job = jobs.at[blockIdx.z];
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const u32 first_row = blockIdx.x * ROWS, row = first_row + lane / 4, columns = job.columns, tall = job.tall;
    Eight eights[EIGHTS];
    u32 count = 0;
    #pragma unroll
    for (u32 at = 0; at < EIGHTS; at += 1) {
        eights[at] = eight_of(job, blockIdx.y * EIGHTS + at);
        count += eights[at].m != nullptr;
    }
    if (count == 0) return;
    const number* z = job.z + u64(row) * columns;
    float sums[EIGHTS][4] = {};
    for (u32 start = warp * DEPTH; start < columns; start += NARROW_WARPS * DEPTH) {
        const u32 column = start + lane % 4 * 2;
        u32 left[4];
        #pragma unroll
        for (u32 i = 0; i < 4; i += 1) {
            left[i] = two(z + u64(i % 2 * 8) * columns, column + i / 2 * 8, columns, row + i % 2 * 8 < rows);
        }
        #pragma unroll
        for (u32 at = 0; at < EIGHTS; at += 1) {
            if (at >= count) break;
            u32 low[PARTS], high[PARTS];
            const Pack<float, 2> first = two(eights[at], eights[at].first + lane / 4, column, columns, tall);
            const Pack<float, 2> second = two(eights[at], eights[at].first + lane / 4, column + 8, columns, tall);
            split(low, first.at[0], first.at[1]);
            split(high, second.at[0], second.at[1]);
            #pragma unroll
            for (u32 part = PARTS; part > 0; part -= 1) multiply(sums[at], left, low[part - 1], high[part - 1]);
        }
    }
    #pragma unroll
    for (u32 at = 0; at < EIGHTS; at += 1) {
        #pragma unroll
        for (u32 i = 0; i < 4; i += 1) {
            of_warps[warp][at][(lane / 4 + i / 2 * 8) * RANKS + lane % 4 * 2 + i % 2] = sums[at][i];
        }
    }
    __syncthreads();
    // The warps' sums, in the warps' order.
    static_assert(NARROW_THREADS == 2 * ROWS * RANKS);
    const u32 own_row = threadIdx.x / RANKS % ROWS;
    #pragma unroll
    for (u32 at = 0; at < EIGHTS; at += 1) {
        if (at % 2 != threadIdx.x / (ROWS * RANKS) || at >= count) continue;
        float sum = 0.0f;
        #pragma unroll
        for (u32 i = 0; i < NARROW_WARPS; i += 1) sum += of_warps[i][at][threadIdx.x % (ROWS * RANKS)];
        const u32 rank = eights[at].first + threadIdx.x % RANKS;
        if (first_row + own_row < rows && rank < eights[at].ranks) {
            eights[at].low[u64(first_row + own_row) * eights[at].ranks + rank] = eights[at].scale * sum;
        }
    }
}

#else

constexpr u32 WARPS = 4;
constexpr u32 ROWS = 4;
constexpr u32 TILE = 2 * WARP * COLUMNS;

// A warp takes four rows, a block sixteen; its matrix is staged tile by tile in shared memory. The grid's y counts eights
// of the ranks.
extern "C" __global__ void __launch_bounds__(WARPS * WARP)
narrow_products(Narrows jobs, u32 rows) {
    // Rows are four words apart in the banks, so that neither layout's writes meet in one.
    __shared__ __align__(16) float tile[RANKS][TILE + COLUMNS];
    const Narrow& job = jobs.at[blockIdx.z];
    const Eight eight = eight_of(job, blockIdx.y);
    if (eight.m == nullptr) return;
    const number* z = job.z;
    const u32 columns = job.columns, tall = job.tall, ranks = eight.ranks, first_rank = eight.first;
    const u32 lane = threadIdx.x % WARP;
    const u32 first_row = (blockIdx.x * WARPS + threadIdx.x / WARP) * ROWS;
    const bool aligned = columns % COLUMNS == 0;
    float sums[ROWS][RANKS] = {};
    for (u32 start = 0; start < columns; start += TILE) {
        __syncthreads();
        for (u32 at = threadIdx.x; at < RANKS * TILE; at += WARPS * WARP) {
            // Neighbouring threads read neighbouring numbers in either layout.
            const u32 rank = tall ? at % RANKS : at / TILE;
            const u32 column = tall ? at / RANKS : at % TILE;
            const bool inside = first_rank + rank < ranks && start + column < columns;
            const u64 from = entry(first_rank + rank, start + column, ranks, columns, tall);
            tile[rank][column] = inside ? eight.m[from] : 0.0f;
        }
        __syncthreads();
        #pragma unroll
        for (u32 half = 0; half < 2; half += 1) {
            const u32 within = half * WARP * COLUMNS + lane * COLUMNS;
            const u32 column = start + within;
            const u32 count = column < columns ? columns - column : 0;
            float inputs[ROWS][COLUMNS];
            #pragma unroll
            for (u32 row = 0; row < ROWS; row += 1) {
                const u32 present = first_row + row < rows ? count : 0;
                load(inputs[row], z + u64(first_row + row) * columns + column, present, aligned);
            }
            #pragma unroll
            for (u32 rank = 0; rank < RANKS; rank += 1) {
                const Pack<float, COLUMNS> factors = take<COLUMNS>(&tile[rank][within]);
                #pragma unroll
                for (u32 row = 0; row < ROWS; row += 1) {
                    #pragma unroll
                    for (u32 i = 0; i < COLUMNS; i += 1) sums[row][rank] += inputs[row][i] * factors.at[i];
                }
            }
        }
    }
    // A lane keeps a sum of its own, so that they leave together.
    static_assert(ROWS * RANKS == WARP);
    float own = 0.0f;
    #pragma unroll
    for (u32 row = 0; row < ROWS; row += 1) {
        #pragma unroll
        for (u32 rank = 0; rank < RANKS; rank += 1) {
            const float sum = warp_sum(sums[row][rank]);
            if (lane == row * RANKS + rank) own = sum;
        }
    }
    const u32 row = first_row + lane / RANKS;
    const u32 rank = first_rank + lane % RANKS;
    if (row < rows && rank < ranks) eight.low[u64(row) * ranks + rank] = eight.scale * own;
}

#endif

