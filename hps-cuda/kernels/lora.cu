// The narrow products of a low-rank adapter, summed in f32: l = x A^T, d = dy B, y += s l B^T, dA += s d^T x,
// dB += s dy^T l. Eight of the rank at a time, so that what a thread sums lies in registers.

constexpr u32 RANKS = 8;

// Columns that a lane takes at once.
constexpr u32 COLUMNS = 4;

__device__ __forceinline__ void load(float (&to)[COLUMNS], const number* from, u32 count, bool aligned) {
    if (aligned && count >= COLUMNS) {
        const Pack<number, COLUMNS> pack = *reinterpret_cast<const Pack<number, COLUMNS>*>(from);
        #pragma unroll
        for (u32 i = 0; i < COLUMNS; i += 1) to[i] = widen(pack.at[i]);
        return;
    }
    #pragma unroll
    for (u32 i = 0; i < COLUMNS; i += 1) to[i] = i < count ? widen(from[i]) : 0.0f;
}

// An entry of a matrix [rank, columns], or [columns, rank] if `tall`.
__device__ __forceinline__ u64 entry(u32 rank, u32 column, u32 ranks, u32 columns, u32 tall) {
    return tall ? u64(column) * ranks + rank : u64(rank) * columns + column;
}

// What is summed over the columns.
constexpr u32 WARPS = 4;
constexpr u32 ROWS = 4;
constexpr u32 TILE = 2 * WARP * COLUMNS;

// low[row, rank] = scale * sum over columns of z[row, column] m[rank, column]. A warp takes four rows, a block sixteen; its
// matrix is staged tile by tile in shared memory. The grid's y counts eights of the rank.
__device__ __forceinline__ void along(
    const number* __restrict__ z, const float* __restrict__ m, float* __restrict__ low, float scale, u32 rows,
    u32 columns, u32 ranks, u32 tall) {
    // Rows are four words apart in the banks, so that neither layout's writes meet in one.
    __shared__ __align__(16) float tile[RANKS][TILE + COLUMNS];
    const u32 lane = threadIdx.x % WARP;
    const u32 first_row = (blockIdx.x * WARPS + threadIdx.x / WARP) * ROWS;
    const u32 first_rank = blockIdx.y * RANKS;
    const bool aligned = columns % COLUMNS == 0;
    float sums[ROWS][RANKS] = {};
    for (u32 start = 0; start < columns; start += TILE) {
        __syncthreads();
        for (u32 at = threadIdx.x; at < RANKS * TILE; at += WARPS * WARP) {
            // Neighbouring threads read neighbouring numbers in either layout.
            const u32 rank = tall ? at % RANKS : at / TILE;
            const u32 column = tall ? at / RANKS : at % TILE;
            const bool inside = first_rank + rank < ranks && start + column < columns;
            tile[rank][column] = inside ? m[entry(first_rank + rank, start + column, ranks, columns, tall)] : 0.0f;
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
                const Pack<float, COLUMNS> factors =
                    *reinterpret_cast<const Pack<float, COLUMNS>*>(&tile[rank][within]);
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
    if (row < rows && rank < ranks) low[u64(row) * ranks + rank] = scale * own;
}

// One product, or two at once: l = x A^T by the blocks of z = 0, d = scale dy B by those of z = 1.
extern "C" __global__ void __launch_bounds__(128)
narrow_products(
    const number* __restrict__ x, const float* __restrict__ a, float* __restrict__ low, u32 in, const number* __restrict__ dy,
    const float* __restrict__ b, float* __restrict__ d_low, u32 out, float scale, u32 rows, u32 ranks, u32 from) {
    if (blockIdx.z + from == 0) along(x, a, low, 1.0f, rows, in, ranks, 0);
    else along(dy, b, d_low, scale, rows, out, ranks, 1);
}

// y[row, column] += sum over ranks of scale low[row, rank] m[rank, column], in one rounding. A lane holds its columns' factors
// of eight ranks and walks down sixteen rows; more ranks are more walks.
constexpr u32 WALK = 16;

extern "C" __global__ void __launch_bounds__(128)
widen_onto(
    number* __restrict__ y, const float* __restrict__ low, const float* __restrict__ m, float scale, u32 rows, u32 columns,
    u32 ranks, u32 tall) {
    const u32 column = (blockIdx.x * blockDim.x + threadIdx.x) * COLUMNS;
    const u32 first_row = blockIdx.y * WALK;
    if (column >= columns) return;
    const u32 count = columns - column;
    const bool aligned = columns % COLUMNS == 0;
    float sums[WALK][COLUMNS];
    #pragma unroll
    for (u32 row = 0; row < WALK; row += 1) {
        load(sums[row], y + u64(first_row + row) * columns + column, first_row + row < rows ? count : 0, aligned);
    }
    for (u32 start = 0; start < ranks; start += RANKS) {
        float factors[RANKS][COLUMNS];
        #pragma unroll
        for (u32 rank = 0; rank < RANKS; rank += 1) {
            #pragma unroll
            for (u32 i = 0; i < COLUMNS; i += 1) {
                const bool inside = start + rank < ranks && i < count;
                factors[rank][i] = inside ? scale * m[entry(start + rank, column + i, ranks, columns, tall)] : 0.0f;
            }
        }
        #pragma unroll
        for (u32 row = 0; row < WALK; row += 1) {
            #pragma unroll
            for (u32 rank = 0; rank < RANKS; rank += 1) {
                const bool inside = first_row + row < rows && start + rank < ranks;
                const float number_of_low = inside ? low[u64(first_row + row) * ranks + start + rank] : 0.0f;
                #pragma unroll
                for (u32 i = 0; i < COLUMNS; i += 1) sums[row][i] += number_of_low * factors[rank][i];
            }
        }
    }
    #pragma unroll
    for (u32 row = 0; row < WALK; row += 1) {
        if (first_row + row >= rows) return;
        number* to = y + u64(first_row + row) * columns + column;
        if (aligned) {
            Pack<number, COLUMNS> pack;
            #pragma unroll
            for (u32 i = 0; i < COLUMNS; i += 1) pack.at[i] = narrow<number>(sums[row][i]);
            *reinterpret_cast<Pack<number, COLUMNS>*>(to) = pack;
        } else {
            #pragma unroll
            for (u32 i = 0; i < COLUMNS; i += 1) if (i < count) to[i] = narrow<number>(sums[row][i]);
        }
    }
}

// What is summed over the rows.
constexpr u32 SUMMERS = 8;

// parts[part, rank, column] = sum over the part's rows of low[row, rank] z[row, column]. The warps of a block take every
// eighth row of a part, and their sums are added in order.
__device__ __forceinline__ void across(
    const number* __restrict__ z, const float* __restrict__ low, float* __restrict__ parts, u32 rows, u32 columns, u32 ranks,
    u32 part_rows, u32 first_column, u32 part, u32 first_rank) {
    __shared__ float sums_of[SUMMERS / 2][RANKS][WARP * COLUMNS];
    const u32 lane = threadIdx.x % WARP;
    const u32 warp = threadIdx.x / WARP;
    const u32 column = first_column + lane * COLUMNS;
    const u32 count = column < columns ? columns - column : 0;
    const bool aligned = columns % COLUMNS == 0;
    float sums[RANKS][COLUMNS] = {};
    const u32 end = min(rows, (part + 1) * part_rows);
    for (u32 row = part * part_rows + warp; row < end; row += SUMMERS) {
        float inputs[COLUMNS];
        load(inputs, z + u64(row) * columns + column, count, aligned);
        #pragma unroll
        for (u32 rank = 0; rank < RANKS; rank += 1) {
            const float factor = first_rank + rank < ranks ? low[u64(row) * ranks + first_rank + rank] : 0.0f;
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
            if (i < count) parts[(u64(part) * ranks + first_rank + rank) * columns + column + i] = sums[rank][i];
        }
    }
}

// Both gradients' parts: of dA = d^T x by the first `of_a` blocks of x, of dB = dy^T l by the others.
extern "C" __global__ void __launch_bounds__(256)
gradient_parts(
    const number* __restrict__ x, const float* __restrict__ d_low, float* __restrict__ a_parts, u32 in,
    const number* __restrict__ dy, const float* __restrict__ low, float* __restrict__ b_parts, u32 out, u32 rows, u32 ranks,
    u32 part_rows, u32 of_a) {
    const bool first = blockIdx.x < of_a;
    const u32 column = (first ? blockIdx.x : blockIdx.x - of_a) * WARP * COLUMNS;
    across(
        first ? x : dy, first ? d_low : low, first ? a_parts : b_parts, rows, first ? in : out, ranks, part_rows, column,
        blockIdx.y, blockIdx.z * RANKS);
}

// a[rank, column] += sum of its parts, and b[column, rank] += scale times the sum of its, in order.
extern "C" __global__ void __launch_bounds__(256)
gradient_sums(
    float* __restrict__ a, const float* __restrict__ a_parts, u32 in, float* __restrict__ b,
    const float* __restrict__ b_parts, u32 out, float scale, u32 ranks, u32 parts) {
    const u64 of_a = u64(ranks) * in;
    const u64 of_b = u64(ranks) * out;
    const u64 at = u64(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at < of_a) {
        float sum = 0.0f;
        for (u32 part = 0; part < parts; part += 1) sum += a_parts[part * of_a + at];
        a[at] += sum;
    } else if (at - of_a < of_b) {
        // Neighbours read neighbouring parts; the scattered writes are the fewer.
        const u64 entry_of_b = at - of_a;
        const u64 rank = entry_of_b / out;
        const u64 column = entry_of_b % out;
        float sum = 0.0f;
        for (u32 part = 0; part < parts; part += 1) sum += b_parts[part * of_b + entry_of_b];
        b[column * ranks + rank] += scale * sum;
    }
}
