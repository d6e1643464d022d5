// What is summed over the rows: sum[rank, column] += scale * sum over rows of low[row, rank] z[row, column], or
// sum[column, rank] if it is tall. Of dA = d^T x, and of dB = dy^T l.
struct Gradient {
    const number* z;
    const float* low;
    float* parts; // [parts, ranks, columns]
    float* sum;
    float scale;
    u32 columns;
    u32 ranks;
    u32 tall;
};

struct Gradients {
    Gradient at[2 * ADAPTERS];
};

constexpr u32 SUMMERS = 8;

// The grid's y counts parts, its z gradients, each as often as there are passes over the most ranks.
#if defined(BF16) && BF16

// On tensor cores, two eights of ranks at once; z is exact and the other factor in three parts. A warp takes sixteen rows
// of a part in turn with the others, and 64 columns; a lane reads four neighbouring columns of four rows, as the rows of the
// products are dealt out so.
constexpr u32 AT_ONCE = 2;
constexpr u32 BANDS = 2;
constexpr u32 BAND = 32;

// Four neighbours of a row, zeros beyond its end.
__device__ __forceinline__ Pack<bf16, 4> four(const bf16* z, u32 row, u32 end, u32 column, u32 columns) {
    Pack<bf16, 4> pack = {};
    if (row >= end || column >= columns) return pack;
    const bf16* from = z + u64(row) * columns + column;
    if (columns % 4 == 0) return take<4>(from);
    #pragma unroll
    for (u32 i = 0; i < 4; i += 1) if (column + i < columns) pack.at[i] = from[i];
    return pack;
}

extern "C" __global__ void __launch_bounds__(SUMMERS * WARP)
gradient_parts(Gradients jobs, u32 rows, u32 part_rows, u32 passes) {
    __shared__ float sums_of[SUMMERS / 2][AT_ONCE * BANDS * 2 * 4][WARP];
    const Gradient& job = jobs.at[blockIdx.z / passes];
    const u32 first_rank = blockIdx.z % passes * AT_ONCE * RANKS, first_column = blockIdx.x * BANDS * BAND;
    const u32 columns = job.columns, ranks = job.ranks, part = blockIdx.y;
    if (first_rank >= ranks || first_column >= columns) return;
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    float sums[AT_ONCE][BANDS][2][4] = {};
    const u32 end = min(rows, (part + 1) * part_rows);
    for (u32 start = part * part_rows + warp * DEPTH; start < end; start += SUMMERS * DEPTH) {
        // The rows of a lane's numbers: two and their neighbours.
        const u32 row = start + lane % 4 * 2;
        u32 low[AT_ONCE][PARTS], high[AT_ONCE][PARTS];
        #pragma unroll
        for (u32 eight = 0; eight < AT_ONCE; eight += 1) {
            const u32 rank = first_rank + eight * RANKS + lane / 4;
            float factors[4];
            #pragma unroll
            for (u32 i = 0; i < 4; i += 1) {
                const u32 own = row + i / 2 * 8 + i % 2;
                factors[i] = own < end && rank < ranks ? job.low[u64(own) * ranks + rank] : 0.0f;
            }
            split(low[eight], factors[0], factors[1]);
            split(high[eight], factors[2], factors[3]);
        }
        #pragma unroll
        for (u32 band = 0; band < BANDS; band += 1) {
            const u32 column = first_column + band * BAND + lane / 4 * 4;
            Pack<bf16, 4> inputs[4];
            #pragma unroll
            for (u32 i = 0; i < 4; i += 1) inputs[i] = four(job.z, row + i / 2 * 8 + i % 2, end, column, columns);
            #pragma unroll
            for (u32 tile = 0; tile < 2; tile += 1) {
                u32 left[4];
                #pragma unroll
                for (u32 i = 0; i < 4; i += 1) {
                    const u32 at = 2 * tile + i % 2, pair_of = i / 2 * 2;
                    left[i] = u32(inputs[pair_of].at[at].bits) | u32(inputs[pair_of + 1].at[at].bits) << 16;
                }
                #pragma unroll
                for (u32 eight = 0; eight < AT_ONCE; eight += 1) {
                    #pragma unroll
                    for (u32 of = PARTS; of > 0; of -= 1) {
                        multiply(sums[eight][band][tile], left, low[eight][of - 1], high[eight][of - 1]);
                    }
                }
            }
        }
    }
    // Halves of the warps add to the other half, in pairs that do not depend on anything.
    #pragma unroll
    for (u32 half = SUMMERS / 2; half > 0; half /= 2) {
        __syncthreads();
        #pragma unroll
        for (u32 at = 0; at < AT_ONCE * BANDS * 2 * 4; at += 1) {
            const float own = sums[at / (BANDS * 8)][at / 8 % BANDS][at / 4 % 2][at % 4];
            if (warp >= half && warp < 2 * half) sums_of[warp - half][at][lane] = own;
        }
        __syncthreads();
        #pragma unroll
        for (u32 at = 0; at < AT_ONCE * BANDS * 2 * 4; at += 1) {
            if (warp < half) sums[at / (BANDS * 8)][at / 8 % BANDS][at / 4 % 2][at % 4] += sums_of[warp][at][lane];
        }
    }
    if (warp > 0) return;
    #pragma unroll
    for (u32 eight = 0; eight < AT_ONCE; eight += 1) {
        #pragma unroll
        for (u32 i = 0; i < 2; i += 1) {
            const u32 rank = first_rank + eight * RANKS + lane % 4 * 2 + i;
            if (rank >= ranks) continue;
            float* to = job.parts + (u64(part) * ranks + rank) * columns;
            #pragma unroll
            for (u32 band = 0; band < BANDS; band += 1) {
                const u32 column = first_column + band * BAND + lane / 4 * 4;
                #pragma unroll
                for (u32 at = 0; at < 4; at += 1) {
                    if (column + at < columns) to[column + at] = sums[eight][band][at / 2][at % 2 * 2 + i];
                }
            }
        }
    }
}

#else

// parts[part, rank, column] = sum over the part's rows of low[row, rank] z[row, column]. The warps of a block take every
// eighth row of a part, and their sums are added in order.
extern "C" __global__ void __launch_bounds__(SUMMERS * WARP)
gradient_parts(Gradients jobs, u32 rows, u32 part_rows, u32 passes) {
    __shared__ float sums_of[SUMMERS / 2][RANKS][WARP * COLUMNS];
    const Gradient& job = jobs.at[blockIdx.z / passes];
    const u32 first_rank = blockIdx.z % passes * RANKS, first_column = blockIdx.x * WARP * COLUMNS;
    const u32 columns = job.columns, ranks = job.ranks, part = blockIdx.y;
    if (first_rank >= ranks || first_column >= columns) return;
    const u32 lane = threadIdx.x % WARP;
    const u32 warp = threadIdx.x / WARP;
    const u32 column = first_column + lane * COLUMNS;
    const u32 count = column < columns ? columns - column : 0;
    const bool aligned = columns % COLUMNS == 0;
    float sums[RANKS][COLUMNS] = {};
    const u32 end = min(rows, (part + 1) * part_rows);
    for (u32 row = part * part_rows + warp; row < end; row += SUMMERS) {
        float inputs[COLUMNS];
        load(inputs, job.z + u64(row) * columns + column, count, aligned);
        #pragma unroll
        for (u32 rank = 0; rank < RANKS; rank += 1) {
            const float factor = first_rank + rank < ranks ? job.low[u64(row) * ranks + first_rank + rank] : 0.0f;
            #pragma unroll
            for (u32 i = 0; i < COLUMNS; i += 1) sums[rank][i] += factor * inputs[i];
        }
    }
    // Halves of the warps add to the other half, in pairs that do not depend on anything.
    #pragma unroll
    for (u32 half = SUMMERS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (warp >= half && warp < 2 * half) {
            #pragma unroll
            for (u32 rank = 0; rank < RANKS; rank += 1) {
                #pragma unroll
                for (u32 i = 0; i < COLUMNS; i += 1) sums_of[warp - half][rank][i * WARP + lane] = sums[rank][i];
            }
        }
        __syncthreads();
        if (warp < half) {
            #pragma unroll
            for (u32 rank = 0; rank < RANKS; rank += 1) {
                #pragma unroll
                for (u32 i = 0; i < COLUMNS; i += 1) sums[rank][i] += sums_of[warp][rank][i * WARP + lane];
            }
        }
    }
    if (warp > 0) return;
    #pragma unroll
    for (u32 rank = 0; rank < RANKS; rank += 1) {
        if (first_rank + rank >= ranks) return;
        #pragma unroll
        for (u32 i = 0; i < COLUMNS; i += 1) {
            if (i < count) job.parts[(u64(part) * ranks + first_rank + rank) * columns + column + i] = sums[rank][i];
        }
    }
}

#endif

// The sum of the parts, in order. The grid's y counts gradients.
extern "C" __global__ void __launch_bounds__(256)
gradient_sums(Gradients jobs, u32 parts) {
    const Gradient& job = jobs.at[blockIdx.y];
    const u64 numbers = u64(job.ranks) * job.columns;
    // Neighbours read neighbouring parts; the scattered writes are the fewer.
    const u64 at = u64(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= numbers) return;
    float sum = 0.0f;
    for (u32 part = 0; part < parts; part += 1) sum += job.parts[part * numbers + at];
    const u64 to = job.tall ? at % job.columns * job.ranks + at / job.columns : at;
    job.sum[to] += job.scale * sum;
}
