// Attention over spans in f32, forward and backward: o = softmax(q k' scale) v. With p = exp(s - log-sum-exp) and
// m = rowsum(dO * O): dv = p' dO, ds = p (dO v' - m), dq = ds k scale, dk = ds' q scale.
//
// 16 x 16 threads: a thread computes the scores of SIDE x SIDE pairs, rows and columns 16 apart, and of a sum over
// pairs SIDE rows of up to two fours of columns, 64 apart. Rows in shared memory are padded by a four, so that the same
// four of neighbouring rows lies in other banks.

constexpr u32 THREADS = 256;
constexpr u32 STRIDE = DIMENSION + 4;
constexpr u32 FOURS = DIMENSION < 64 ? 1 : DIMENSION / 64; // of a thread
typedef Pack<float, 4> Four;

extern __shared__ __align__(16) float memory[];

__device__ __forceinline__ Four& four(float* at) { return *reinterpret_cast<Four*>(at); }
__device__ __forceinline__ const Four& four(const float* at) { return *reinterpret_cast<const Four*>(at); }

// `rows` of ROWS rows that lie `stride` numbers apart; zeros for the others and beyond `columns`.
template <u32 ROWS>
__device__ __forceinline__ void load(float* tile, const float* __restrict__ source, u32 stride, u32 rows, u32 columns) {
    for (u32 item = threadIdx.x; item < ROWS * DIMENSION / 4; item += THREADS) {
        const u32 row = item / (DIMENSION / 4), column = item % (DIMENSION / 4) * 4;
        const float* from = source + u64(row) * stride + column;
        Four numbers = {};
        if (row < rows && columns % 4 == 0) {
            if (column < columns) numbers = four(from);
        } else if (row < rows) {
            for (u32 i = 0; i < 4; i += 1) numbers.at[i] = column + i < columns ? from[i] : 0.0f;
        }
        four(tile + row * STRIDE + column) = numbers;
    }
}

// Products of the rows `y + 16 i` of one tile and the rows `x + 16 j` of another.
template <u32 SIDE>
__device__ __forceinline__ void products(float (&s)[SIDE][SIDE], const float* left, const float* right, u32 y, u32 x) {
    #pragma unroll
    for (u32 i = 0; i < SIDE; i += 1) {
        #pragma unroll
        for (u32 j = 0; j < SIDE; j += 1) s[i][j] = 0.0f;
    }
    #pragma unroll 4
    for (u32 column = 0; column < DIMENSION; column += 4) {
        Four a[SIDE], b[SIDE];
        #pragma unroll
        for (u32 i = 0; i < SIDE; i += 1) {
            a[i] = four(left + (y + 16 * i) * STRIDE + column);
            b[i] = four(right + (x + 16 * i) * STRIDE + column);
        }
        #pragma unroll
        for (u32 lane = 0; lane < 4; lane += 1) {
            #pragma unroll
            for (u32 i = 0; i < SIDE; i += 1) {
                #pragma unroll
                for (u32 j = 0; j < SIDE; j += 1) s[i][j] = fmaf(a[i].at[lane], b[j].at[lane], s[i][j]);
            }
        }
    }
}

// sums += weights tile, of the rows `y + 16 i` of `weights`, which lie `stride` numbers apart.
template <u32 SIDE>
__device__ __forceinline__ void add_weighted(Four (&sums)[SIDE][FOURS], const float* weights, u32 stride,
    const float* tile, u32 y, u32 x) {
    if (x * 4 >= DIMENSION) return;
    #pragma unroll 4
    for (u32 row = 0; row < 16 * SIDE; row += 1) {
        #pragma unroll
        for (u32 part = 0; part < FOURS; part += 1) {
            const Four numbers = four(tile + row * STRIDE + 64 * part + 4 * x);
            #pragma unroll
            for (u32 i = 0; i < SIDE; i += 1) {
                const float weight = weights[(y + 16 * i) * stride + row];
                #pragma unroll
                for (u32 lane = 0; lane < 4; lane += 1) {
                    float& sum = sums[i][part].at[lane];
                    sum = fmaf(weight, numbers.at[lane], sum);
                }
            }
        }
    }
}

// Writes a row's fours, each number times `factor`.
__device__ __forceinline__ void put(float* row, const Four (&sums)[FOURS], float factor, u32 x, u32 columns) {
    if (x * 4 >= DIMENSION) return;
    #pragma unroll
    for (u32 part = 0; part < FOURS; part += 1) {
        #pragma unroll
        for (u32 lane = 0; lane < 4; lane += 1) {
            const u32 column = 64 * part + 4 * x + lane;
            if (column < columns) row[column] = sums[part].at[lane] * factor;
        }
    }
}

// Over the sixteen threads that share rows.
__device__ __forceinline__ float row_max(float number) {
    #pragma unroll
    for (u32 step = 8; step > 0; step /= 2) number = fmaxf(number, __shfl_xor_sync(ALL, number, step));
    return number;
}

__device__ __forceinline__ float row_sum(float number) {
    #pragma unroll
    for (u32 step = 8; step > 0; step /= 2) number += __shfl_xor_sync(ALL, number, step);
    return number;
}

// `blocks`: of 64 queries at most.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
forward(const float* __restrict__ q, const float* __restrict__ k, const float* __restrict__ v, float* __restrict__ out,
    float* __restrict__ log_sum_exp, const Block* __restrict__ blocks, u32 query_heads, u32 group, u32 before,
    u32 columns, float scale) {
    constexpr u32 SIDE = 4, ROWS = 16 * SIDE, WEIGHTS = ROWS + 4;
    const u32 head = blockIdx.x % query_heads, x = threadIdx.x % 16, y = threadIdx.x / 16;
    const Block block = blocks[blockIdx.x / query_heads];
    const u32 first = block.query_start, count = block.query_end - first;
    const u32 q_stride = query_heads * columns, k_stride = query_heads / group * columns;
    const u64 q_start = u64(first - before) * q_stride + head * columns;
    float* queries = memory;
    float* held = queries + ROWS * STRIDE; // keys, then values
    float* weights = held + ROWS * STRIDE;
    k += head / group * columns;
    v += head / group * columns;

    load<ROWS>(queries, q + q_start, q_stride, count, columns);
    Four o[SIDE][FOURS] = {};
    float greatest[SIDE], total[SIDE] = {};
    #pragma unroll
    for (u32 i = 0; i < SIDE; i += 1) greatest[i] = -INFINITE;

    for (Tile tile = first_tile(block); is_there(tile); tile = next_tile<ROWS>(tile, block)) {
        const u64 start = u64(tile.start) * k_stride;
        __syncthreads();
        load<ROWS>(held, k + start, k_stride, tile.end - tile.start, columns);
        __syncthreads();
        float s[SIDE][SIDE];
        products(s, queries, held, y, x);
        // Every query sees the first key of its first tile: from there on its maximum is a number.
        #pragma unroll
        for (u32 i = 0; i < SIDE; i += 1) {
            const u32 limit = tile.limit(first + y + 16 * i);
            float most = greatest[i];
            #pragma unroll
            for (u32 j = 0; j < SIDE; j += 1) {
                s[i][j] = tile.start + x + 16 * j < limit ? s[i][j] * scale : -INFINITE;
                most = fmaxf(most, s[i][j]);
            }
            most = row_max(most);
            const float factor = expf(greatest[i] - most);
            greatest[i] = most;
            total[i] *= factor;
            #pragma unroll
            for (u32 j = 0; j < SIDE; j += 1) {
                const float weight = expf(s[i][j] - most);
                total[i] += weight;
                weights[(y + 16 * i) * WEIGHTS + x + 16 * j] = weight;
            }
            #pragma unroll
            for (u32 part = 0; part < FOURS; part += 1) {
                #pragma unroll
                for (u32 lane = 0; lane < 4; lane += 1) o[i][part].at[lane] *= factor;
            }
        }
        __syncthreads();
        load<ROWS>(held, v + start, k_stride, tile.end - tile.start, columns);
        __syncthreads();
        add_weighted(o, weights, WEIGHTS, held, y, x);
    }

    #pragma unroll
    for (u32 i = 0; i < SIDE; i += 1) {
        total[i] = row_sum(total[i]);
        const u32 own = y + 16 * i;
        if (own >= count) continue;
        if (x == 0) log_sum_exp[u64(first - before + own) * query_heads + head] = greatest[i] + logf(total[i]);
        put(out + q_start + u64(own) * q_stride, o[i], 1.0f / total[i], x, columns);
    }
}

// Queries and keys of tiles of the two backward kernels.
constexpr u32 SIDE = 2;
constexpr u32 ROWS = 16 * SIDE;
constexpr u32 PAIRS = ROWS + 4; // a row of weights

// `sums`, `means`: [query heads, queries], log-sum-exps and rowsum(dO * O).
extern "C" __global__ void __launch_bounds__(THREADS, 1)
queries_backward(const float* __restrict__ q, const float* __restrict__ k, const float* __restrict__ v,
    const float* __restrict__ dy, const float* __restrict__ sums, const float* __restrict__ means,
    float* __restrict__ dq, const Block* __restrict__ blocks, u32 query_heads, u32 group, u32 queries, u32 before,
    u32 columns, float scale) {
    const u32 head = blockIdx.x % query_heads, x = threadIdx.x % 16, y = threadIdx.x / 16;
    const Block block = blocks[blockIdx.x / query_heads];
    const u32 first = block.query_start, count = block.query_end - first;
    const u32 q_stride = query_heads * columns, k_stride = query_heads / group * columns;
    const u64 q_start = u64(first - before) * q_stride + head * columns;
    float* questions = memory;
    float* answers = questions + ROWS * STRIDE;
    float* keys = answers + ROWS * STRIDE;
    float* values = keys + ROWS * STRIDE;
    float* weights = values + ROWS * STRIDE;
    k += head / group * columns;
    v += head / group * columns;

    load<ROWS>(questions, q + q_start, q_stride, count, columns);
    load<ROWS>(answers, dy + q_start, q_stride, count, columns);
    float sum[SIDE], mean[SIDE];
    #pragma unroll
    for (u32 i = 0; i < SIDE; i += 1) {
        const u32 own = y + 16 * i;
        const u64 at = u64(head) * queries + (first - before) + own;
        sum[i] = own < count ? sums[at] : 0.0f;
        mean[i] = own < count ? means[at] : 0.0f;
    }
    Four gradient[SIDE][FOURS] = {};

    for (Tile tile = first_tile(block); is_there(tile); tile = next_tile<ROWS>(tile, block)) {
        const u64 start = u64(tile.start) * k_stride;
        __syncthreads();
        load<ROWS>(keys, k + start, k_stride, tile.end - tile.start, columns);
        load<ROWS>(values, v + start, k_stride, tile.end - tile.start, columns);
        __syncthreads();
        float s[SIDE][SIDE], d[SIDE][SIDE];
        products(s, questions, keys, y, x);
        products(d, answers, values, y, x);
        #pragma unroll
        for (u32 i = 0; i < SIDE; i += 1) {
            const u32 limit = tile.limit(first + y + 16 * i);
            #pragma unroll
            for (u32 j = 0; j < SIDE; j += 1) {
                const bool seen = tile.start + x + 16 * j < limit;
                const float weight = seen ? expf(s[i][j] * scale - sum[i]) : 0.0f;
                weights[(y + 16 * i) * PAIRS + x + 16 * j] = weight * (d[i][j] - mean[i]);
            }
        }
        __syncthreads();
        add_weighted(gradient, weights, PAIRS, keys, y, x);
    }

    #pragma unroll
    for (u32 i = 0; i < SIDE; i += 1) {
        const u32 own = y + 16 * i;
        if (own < count) put(dq + q_start + u64(own) * q_stride, gradient[i], scale, x, columns);
    }
}

// `walk`: tiles of queries, twice their number, plus one where a query does not see all of a block's keys. `partial`:
// sums of parts, [slots, key/value heads, dk and dv, keys, DIMENSION]. Keys are the rows of scores.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
keys_backward(const float* __restrict__ q, const float* __restrict__ k, const float* __restrict__ v,
    const float* __restrict__ dy, const float* __restrict__ sums, const float* __restrict__ means,
    const Span* __restrict__ spans, const Part* __restrict__ parts, const u32* __restrict__ walk,
    float* __restrict__ dk, float* __restrict__ dv, float* __restrict__ partial, u32 query_heads, u32 group,
    u32 queries, u32 before, u32 columns, float scale) {
    const u32 key_heads = query_heads / group, key_head = blockIdx.x % key_heads;
    const u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    const Part part = parts[blockIdx.x / key_heads];
    const u32 count = part.key_end - part.key_start;
    const u32 q_stride = query_heads * columns, k_stride = key_heads * columns;
    const u64 k_start = u64(part.key_start) * k_stride + key_head * columns;
    float* keys = memory;
    float* values = keys + ROWS * STRIDE;
    float* questions = values + ROWS * STRIDE;
    float* answers = questions + ROWS * STRIDE;
    float* weights = answers + ROWS * STRIDE;
    float* scores = weights + ROWS * PAIRS; // their gradients

    load<ROWS>(keys, k + k_start, k_stride, count, columns);
    load<ROWS>(values, v + k_start, k_stride, count, columns);
    Four gradient_k[SIDE][FOURS] = {}, gradient_v[SIDE][FOURS] = {};

    for (u32 head = key_head * group; head < (key_head + 1) * group; head += 1) {
        for (u32 index = part.walk_start; index < part.walk_end; index += 1) {
            const u32 start = walk[index] / 2 * ROWS;
            const bool edge = walk[index] % 2 == 1;
            const u64 from = u64(start) * q_stride + head * columns;
            __syncthreads();
            load<ROWS>(questions, q + from, q_stride, min(ROWS, queries - start), columns);
            load<ROWS>(answers, dy + from, q_stride, min(ROWS, queries - start), columns);
            __syncthreads();
            float s[SIDE][SIDE], d[SIDE][SIDE];
            products(s, keys, questions, y, x);
            products(d, values, answers, y, x);
            #pragma unroll
            for (u32 j = 0; j < SIDE; j += 1) {
                const u32 own = start + x + 16 * j; // a query's row
                const bool there = own < queries;
                const u64 at = u64(head) * queries + own;
                const float sum = there ? sums[at] : 0.0f, mean = there ? means[at] : 0.0f;
                const Span span = edge && there ? spans[before + own] : Span {};
                #pragma unroll
                for (u32 i = 0; i < SIDE; i += 1) {
                    const bool seen = there && (!edge || sees(span, before + own, part.key_start + y + 16 * i));
                    const float weight = seen ? expf(s[i][j] * scale - sum) : 0.0f;
                    weights[(y + 16 * i) * PAIRS + x + 16 * j] = weight;
                    scores[(y + 16 * i) * PAIRS + x + 16 * j] = weight * (d[i][j] - mean);
                }
            }
            __syncthreads();
            add_weighted(gradient_v, weights, PAIRS, answers, y, x);
            add_weighted(gradient_k, scores, PAIRS, questions, y, x);
        }
    }

    #pragma unroll
    for (u32 i = 0; i < SIDE; i += 1) {
        const u32 own = y + 16 * i;
        if (part.slot != ALONE) {
            float* at = partial + (u64(part.slot) * key_heads + key_head) * 2 * ROWS * DIMENSION + own * DIMENSION;
            put(at, gradient_k[i], scale, x, DIMENSION);
            put(at + ROWS * DIMENSION, gradient_v[i], 1.0f, x, DIMENSION);
        } else if (own < count) {
            put(dk + k_start + u64(own) * k_stride, gradient_k[i], scale, x, columns);
            put(dv + k_start + u64(own) * k_stride, gradient_v[i], 1.0f, x, columns);
        }
    }
}
