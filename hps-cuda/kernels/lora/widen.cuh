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

