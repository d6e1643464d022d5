// The narrow products of low-rank adapters, summed in f32: l = x A^T, d = dy B, y += s l B^T, dA += s d^T x,
// dB += s dy^T l. Several adapters' at once: those of layers that read one input. Eight of the rank at a time, so that
// what a thread sums lies in registers.

constexpr u32 ADAPTERS = 3;
constexpr u32 RANKS = 8;

// Columns that a lane takes at once.
constexpr u32 COLUMNS = 4;

__device__ __forceinline__ void load(float (&to)[COLUMNS], const number* from, u32 count, bool aligned) {
    if (aligned && count >= COLUMNS) {
        const Pack<number, COLUMNS> pack = take<COLUMNS>(from);
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

// y[row, column] += sum over ranks of scale low[row, rank] m[rank, column].
struct Widened {
    number* y;
    const float* low;
    const float* m;
    float scale;
    u32 columns;
    u32 ranks;
    u32 tall; // whether m is [columns, ranks]
};

struct Widens {
    Widened at[ADAPTERS];
};

// By comparisons: an index that changes would have all of them copied to memory first.
__device__ __forceinline__ Widened term_of(const Widens& terms, u32 index) {
    Widened term = terms.at[0];
    #pragma unroll
    for (u32 at = 1; at < ADAPTERS; at += 1) if (index == at) term = terms.at[at];
    return term;
}

constexpr u32 WIDEN_THREADS = 128;

#if defined(BF16) && BF16

// On tensor cores, in three parts of either factor: what is left out is below f32's last digit. A warp takes 32 columns of
// sixteen rows at a time, and walks down; a lane has eight neighbouring columns of two rows, as the columns of the products
// are dealt out so.
constexpr u32 WALK = 64;
constexpr u32 ACROSS = WIDEN_THREADS;
constexpr u32 OWN = 8;

// Of the right factor, the rank and the next of a column.
__device__ __forceinline__ Pack<float, 2> two(const Widened& term, u32 rank, u32 column) {
    const u32 ranks = term.ranks, columns = term.columns;
    if (rank >= ranks || column >= columns) return {0.0f, 0.0f};
    if (term.tall && ranks % 2 == 0) return take<2>(term.m + u64(column) * ranks + rank);
    const float second = rank + 1 < ranks ? term.m[entry(rank + 1, column, ranks, columns, term.tall)] : 0.0f;
    return {term.m[entry(rank, column, ranks, columns, term.tall)], second};
}

// Of the left one, of a row.
__device__ __forceinline__ void two_of_row(u32 (&words)[PARTS], const Widened& term, u32 row, u32 rows, u32 rank) {
    Pack<float, 2> both = {0.0f, 0.0f};
    const float* from = term.low + u64(row) * term.ranks + rank;
    if (row < rows && rank < term.ranks) {
        if (term.ranks % 2 == 0) both = take<2>(from);
        else both = {from[0], rank + 1 < term.ranks ? from[1] : 0.0f};
    }
    split(words, term.scale * both.at[0], term.scale * both.at[1]);
}

// In one rounding. The grid's z counts terms; or all of the `count` there are add to the same y, and it is 1.
extern "C" __global__ void __launch_bounds__(WIDEN_THREADS)
widen_onto(Widens terms, u32 rows, u32 count) {
    const Widened first_term = term_of(terms, blockIdx.z);
    const u32 columns = first_term.columns, lane = threadIdx.x % WARP;
    const u32 first_column = blockIdx.x * ACROSS + threadIdx.x / WARP * 32, own = first_column + lane % 4 * OWN;
    if (first_column >= columns) return;
    const bool whole = columns % OWN == 0;
    const u32 end = min(rows, (blockIdx.y + 1) * WALK);
    for (u32 first_row = blockIdx.y * WALK; first_row < end; first_row += DEPTH) {
        float sums[4][4];
        #pragma unroll
        for (u32 half = 0; half < 2; half += 1) {
            const u32 row = first_row + lane / 4 + 8 * half;
            const number* from = first_term.y + u64(row) * columns + own;
            Pack<number, OWN> pack = {};
            if (row < rows && own < columns) {
                if (whole) {
                    pack = take<OWN>(from);
                } else {
                    #pragma unroll
                    for (u32 i = 0; i < OWN; i += 1) if (own + i < columns) pack.at[i] = from[i];
                }
            }
            #pragma unroll
            for (u32 i = 0; i < OWN; i += 1) sums[i / 2][2 * half + i % 2] = widen(pack.at[i]);
        }
        for (u32 at = blockIdx.z; at < blockIdx.z + count; at += 1) {
            const Widened term = term_of(terms, at);
            for (u32 start = 0; start < term.ranks; start += DEPTH) {
                const u32 rank = start + lane % 4 * 2;
                u32 left[PARTS][4], words[PARTS];
                #pragma unroll
                for (u32 i = 0; i < 4; i += 1) {
                    two_of_row(words, term, first_row + lane / 4 + i % 2 * 8, rows, rank + i / 2 * 8);
                    #pragma unroll
                    for (u32 part = 0; part < PARTS; part += 1) left[part][i] = words[part];
                }
                #pragma unroll
                for (u32 tile = 0; tile < 4; tile += 1) {
                    const u32 column = first_column + lane / 8 * OWN + tile * 2 + lane / 4 % 2;
                    const Pack<float, 2> first = two(term, rank, column), second = two(term, rank + 8, column);
                    u32 low[PARTS], high[PARTS];
                    split(low, first.at[0], first.at[1]);
                    split(high, second.at[0], second.at[1]);
                    // The smallest products first.
                    #pragma unroll
                    for (u32 sum = PARTS; sum > 0; sum -= 1) {
                        #pragma unroll
                        for (u32 part = 0; part < sum; part += 1) {
                            multiply(sums[tile], left[part], low[sum - 1 - part], high[sum - 1 - part]);
                        }
                    }
                }
            }
        }
        #pragma unroll
        for (u32 half = 0; half < 2; half += 1) {
            const u32 row = first_row + lane / 4 + 8 * half;
            if (row >= rows || own >= columns) continue;
            number* to = first_term.y + u64(row) * columns + own;
            Pack<number, OWN> pack;
            #pragma unroll
            for (u32 i = 0; i < OWN; i += 1) pack.at[i] = narrow<number>(sums[i / 2][2 * half + i % 2]);
            if (whole) {
                put<OWN>(to, pack);
            } else {
                #pragma unroll
                for (u32 i = 0; i < OWN; i += 1) if (own + i < columns) to[i] = pack.at[i];
            }
        }
    }
}

#else

constexpr u32 WALK = 16;
constexpr u32 ACROSS = WIDEN_THREADS * COLUMNS;

// Eight ranks' factors of a lane's columns. A tall matrix comes through shared memory: a lane's own columns of it are 128
// bytes apart from its neighbour's.
__device__ __forceinline__ void factors_of(
    float (&factors)[RANKS][COLUMNS], float (&staged)[RANKS][ACROSS + COLUMNS], const Widened& term, u32 start
) {
    const u32 first = blockIdx.x * ACROSS, own = threadIdx.x * COLUMNS, columns = term.columns, ranks = term.ranks;
    if (term.tall) {
        constexpr u32 FOURS = RANKS / 4;
        __syncthreads();
        #pragma unroll 4
        for (u32 at = threadIdx.x; at < ACROSS * FOURS; at += WIDEN_THREADS) {
            const u32 column = at / FOURS, rank = at % FOURS * 4;
            const u32 count = first + column < columns && start + rank < ranks ? ranks - start - rank : 0;
            const float* from = term.m + u64(first + column) * ranks + start + rank;
            Pack<float, 4> four = {};
            if (count >= 4 && ranks % 4 == 0) {
                four = take<4>(from);
            } else {
                #pragma unroll
                for (u32 i = 0; i < 4; i += 1) four.at[i] = i < count ? from[i] : 0.0f;
            }
            #pragma unroll
            for (u32 i = 0; i < 4; i += 1) staged[rank + i][column] = four.at[i];
        }
        __syncthreads();
    }
    const u32 count = first + own < columns ? columns - first - own : 0;
    #pragma unroll
    for (u32 rank = 0; rank < RANKS; rank += 1) {
        Pack<float, COLUMNS> four = {};
        if (term.tall) {
            four = take<COLUMNS>(&staged[rank][own]);
        } else if (start + rank < ranks) {
            const float* from = term.m + u64(start + rank) * columns + first + own;
            if (count >= COLUMNS && columns % COLUMNS == 0) {
                four = take<COLUMNS>(from);
            } else {
                #pragma unroll
                for (u32 i = 0; i < COLUMNS; i += 1) four.at[i] = i < count ? from[i] : 0.0f;
            }
        }
        #pragma unroll
        for (u32 i = 0; i < COLUMNS; i += 1) factors[rank][i] = term.scale * four.at[i];
    }
}

// In one rounding. A lane holds its columns' factors of eight ranks and walks down sixteen rows; more ranks are more walks.
// The grid's z counts terms; or all of the `count` there are add to the same y, and it is 1.
extern "C" __global__ void __launch_bounds__(WIDEN_THREADS)
widen_onto(Widens terms, u32 rows, u32 count) {
    __shared__ __align__(16) float staged[RANKS][ACROSS + COLUMNS];
    const Widened first_term = term_of(terms, blockIdx.z);
    const u32 column = blockIdx.x * ACROSS + threadIdx.x * COLUMNS;
    const u32 first_row = blockIdx.y * WALK;
    const u32 columns = first_term.columns;
    if (blockIdx.x * ACROSS >= columns) return;
    const u32 own = column < columns ? columns - column : 0;
    const bool aligned = columns % COLUMNS == 0;
    number* y = first_term.y + u64(first_row) * columns + column;
    float sums[WALK][COLUMNS];
    #pragma unroll
    for (u32 row = 0; row < WALK; row += 1) {
        load(sums[row], y + u64(row) * columns, first_row + row < rows ? own : 0, aligned);
    }
    for (u32 at = blockIdx.z; at < blockIdx.z + count; at += 1) {
        const Widened term = term_of(terms, at);
        const u32 ranks = term.ranks;
        for (u32 start = 0; start < ranks; start += RANKS) {
            float factors[RANKS][COLUMNS];
            factors_of(factors, staged, term, start);
            #pragma unroll
            for (u32 row = 0; row < WALK; row += 1) {
                const float* low = term.low + u64(first_row + row) * ranks + start;
                const u32 there = first_row + row < rows ? ranks - start : 0;
                #pragma unroll
                for (u32 rank = 0; rank < RANKS; rank += 4) {
                    Pack<float, 4> four = {};
                    if (there >= rank + 4 && ranks % 4 == 0) {
                        four = take<4>(low + rank);
                    } else {
                        #pragma unroll
                        for (u32 i = 0; i < 4; i += 1) four.at[i] = rank + i < there ? low[rank + i] : 0.0f;
                    }
                    #pragma unroll
                    for (u32 j = 0; j < 4; j += 1) {
                        #pragma unroll
                        for (u32 i = 0; i < COLUMNS; i += 1) sums[row][i] += four.at[j] * factors[rank + j][i];
                    }
                }
            }
        }
    }
    #pragma unroll
    for (u32 row = 0; row < WALK; row += 1) {
        if (first_row + row >= rows) return;
        number* to = y + u64(row) * columns;
        if (aligned && own >= COLUMNS) {
            Pack<number, COLUMNS> pack;
            #pragma unroll
            for (u32 i = 0; i < COLUMNS; i += 1) pack.at[i] = narrow<number>(sums[row][i]);
            put<COLUMNS>(to, pack);
        } else {
            #pragma unroll
            for (u32 i = 0; i < COLUMNS; i += 1) if (i < own) to[i] = narrow<number>(sums[row][i]);
        }
    }
}

#endif

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
