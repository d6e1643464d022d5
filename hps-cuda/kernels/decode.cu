// Attention of one query a sequence over cached keys and values in bf16, in parts: o = softmax(q k' scale) v.
//
// Heads of one key/value head, of as many sequences as share the keys, are the 16 rows that tensor cores want. What a
// row's sums are does not depend on the rows beside it.

constexpr u32 KEYS = 64;
constexpr u32 THREADS = 128;

// A warp's 16 rows of queries.
__device__ __forceinline__ void fetch_queries(u32 tile, const bf16* __restrict__ q, const Task& task, u32 rows,
    const u32* list, u32 query_heads, u32 group, u32 key_head, u32 columns) {
    for (u32 item = threadIdx.x; item < rows * CHUNKS; item += THREADS) {
        const u32 row = item / CHUNKS, own = task.row_start + row;
        const bool there = own < task.row_end;
        const u32 query = there ? list[task.list + own / group] : 0;
        const u32 head = key_head * group + (there ? own % group : 0);
        const bf16* from = q + (u64(query) * query_heads + head) * columns;
        fetch_chunk(tile + place(row, item % CHUNKS), from, item % CHUNKS, columns, there);
    }
}

// Keys and values of a tile, side by side.
__device__ __forceinline__ void fetch_keys(u32 tile, const bf16* __restrict__ keys, const bf16* __restrict__ values,
    u32 start, u32 end, u32 stride, u32 columns) {
    fetch<KEYS, THREADS>(tile, keys + u64(start) * stride, stride, end - start, columns);
    fetch<KEYS, THREADS>(tile + tile_bytes(KEYS), values + u64(start) * stride, stride, end - start, columns);
    commit_copies();
}

// Sixteen rows of queries, and what was computed of them.
struct State {
    float o[CHUNKS][4];
    float greatest[2];
    float total[2];
};

// Scores of COUNT x 8 keys become weights, and their sums and the maximum go on.
template <u32 COUNT>
__device__ __forceinline__ void weigh(float (&s)[COUNT][4], State& state, u32 key, u32 end, float scale) {
    if (key + 8 * COUNT > end) {
        #pragma unroll
        for (u32 n = 0; n < COUNT; n += 1) {
            #pragma unroll
            for (u32 i = 0; i < 4; i += 1) {
                if (key + 8 * n + threadIdx.x % 4 * 2 + i % 2 >= end) s[n][i] = -INFINITE;
            }
        }
    }
    #pragma unroll
    for (u32 i = 0; i < 2; i += 1) {
        float most = state.greatest[i];
        #pragma unroll
        for (u32 n = 0; n < COUNT; n += 1) most = fmaxf(most, fmaxf(s[n][2 * i], s[n][2 * i + 1]));
        most = row_max(most);
        const float factor = exp2_fast((state.greatest[i] - most) * scale), offset = most * scale;
        state.greatest[i] = most;
        state.total[i] *= factor;
        #pragma unroll
        for (u32 n = 0; n < COUNT; n += 1) {
            #pragma unroll
            for (u32 j = 2 * i; j < 2 * i + 2; j += 1) {
                s[n][j] = exp2_fast(fmaf(s[n][j], scale, -offset));
                state.total[i] += s[n][j];
            }
        }
        #pragma unroll
        for (u32 chunk = 0; chunk < CHUNKS; chunk += 1) {
            state.o[chunk][2 * i] *= factor;
            state.o[chunk][2 * i + 1] *= factor;
        }
    }
}

__device__ __forceinline__ void clear(State& state) {
    #pragma unroll
    for (u32 chunk = 0; chunk < CHUNKS; chunk += 1) {
        #pragma unroll
        for (u32 i = 0; i < 4; i += 1) state.o[chunk][i] = 0.0f;
    }
    state.greatest[0] = state.greatest[1] = -INFINITE;
    state.total[0] = state.total[1] = 0.0f;
}

// Keys that many sequences see. A block takes 64 rows past them, a warp 16.
extern "C" __global__ void __launch_bounds__(THREADS)
decode_shared(const bf16* __restrict__ q, const bf16* __restrict__ keys, const bf16* __restrict__ values,
    const Task* __restrict__ tasks, const u32* __restrict__ list, const u32* __restrict__ parts_of,
    float* __restrict__ partial, Summary* __restrict__ summaries, u32 query_heads, u32 group, u32 columns,
    float scale) {
    constexpr u32 ROWS = 16 * THREADS / WARP;
    const u32 key_heads = query_heads / group, key_head = blockIdx.x % key_heads, stride = key_heads * columns;
    const Task task = tasks[blockIdx.x / key_heads];
    const u32 lane = threadIdx.x % WARP, row = threadIdx.x / WARP * 16;
    const u32 rows = task.row_end - task.row_start, tiles = (task.key_end - task.key_start + KEYS - 1) / KEYS;
    const u32 q_tile = shared_address(memory);
    auto tile_of = [&](u32 index) { return q_tile + tile_bytes(ROWS) + index % 2 * 2 * tile_bytes(KEYS); };
    auto fetch_tile = [&](u32 index) {
        const u32 start = task.key_start + index * KEYS;
        const u32 head = key_head * columns;
        fetch_keys(tile_of(index), keys + head, values + head, start, task.key_end, stride, columns);
    };
    fetch_queries(q_tile, q, task, ROWS, list, query_heads, group, key_head, columns);
    fetch_tile(0);

    State state;
    clear(state);
    for (u32 index = 0; index < tiles; index += 1) {
        await_copies();
        __syncthreads();
        if (index + 1 < tiles) fetch_tile(index + 1);
        if (row >= rows) continue;
        const u32 tile = tile_of(index);
        float s[KEYS / 8][4] = {};
        #pragma unroll
        for (u32 step = 0; step < STEPS; step += 1) {
            u32 a[4];
            left(a, q_tile, row, step);
            #pragma unroll
            for (u32 n = 0; n < KEYS / 16; n += 1) {
                u32 b[4];
                right(b, tile, 16 * n, step);
                multiply(s[2 * n], a, b[0], b[1]);
                multiply(s[2 * n + 1], a, b[2], b[3]);
            }
        }
        weigh(s, state, task.key_start + index * KEYS, task.key_end, scale);
        #pragma unroll
        for (u32 step = 0; step < KEYS / 16; step += 1) {
            u32 a[4];
            as_left(a, s[2 * step], s[2 * step + 1]);
            #pragma unroll
            for (u32 n = 0; n < STEPS; n += 1) {
                u32 b[4];
                right_across(b, tile + tile_bytes(KEYS), 16 * step, n);
                multiply(state.o[2 * n], a, b[0], b[1]);
                multiply(state.o[2 * n + 1], a, b[2], b[3]);
            }
        }
    }

    #pragma unroll
    for (u32 i = 0; i < 2; i += 1) {
        const float total = row_sum(state.total[i]);
        const u32 own = row + 8 * i + lane / 4;
        if (own >= rows) continue;
        const u64 part = row_of(task, task.row_start + own, list, parts_of, query_heads, group, key_head).part;
        if (lane % 4 == 0) summaries[part] = {state.greatest[i] * scale, total};
        float* to = partial + part * DIMENSION + lane % 4 * 2;
        #pragma unroll
        for (u32 chunk = 0; chunk < CHUNKS; chunk += 1) {
            *reinterpret_cast<Pack<float, 2>*>(to + chunk * CHUNK) = {state.o[chunk][2 * i], state.o[chunk][2 * i + 1]};
        }
    }
}

// Keys that one sequence sees. A block takes 16 rows past them, each warp a quarter of every tile.
extern "C" __global__ void __launch_bounds__(THREADS)
decode_own(const bf16* __restrict__ q, const bf16* __restrict__ keys, const bf16* __restrict__ values,
    const Task* __restrict__ tasks, const u32* __restrict__ list, const u32* __restrict__ parts_of,
    float* __restrict__ partial, Summary* __restrict__ summaries, u32 query_heads, u32 group, u32 columns,
    float scale) {
    constexpr u32 ROWS = 16, WARPS = THREADS / WARP, OWN = KEYS / WARPS;
    __shared__ Summary of_warps[WARPS][ROWS];
    const u32 key_heads = query_heads / group, key_head = blockIdx.x % key_heads, stride = key_heads * columns;
    const Task task = tasks[blockIdx.x / key_heads];
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const u32 rows = task.row_end - task.row_start, tiles = (task.key_end - task.key_start + KEYS - 1) / KEYS;
    const u32 q_tile = shared_address(memory);
    auto tile_of = [&](u32 index) { return q_tile + tile_bytes(ROWS) + index % 2 * 2 * tile_bytes(KEYS); };
    auto fetch_tile = [&](u32 index) {
        const u32 start = task.key_start + index * KEYS;
        const u32 head = key_head * columns;
        fetch_keys(tile_of(index), keys + head, values + head, start, task.key_end, stride, columns);
    };
    fetch_queries(q_tile, q, task, ROWS, list, query_heads, group, key_head, columns);
    fetch_tile(0);

    State state;
    clear(state);
    for (u32 index = 0; index < tiles; index += 1) {
        await_copies();
        __syncthreads();
        if (index + 1 < tiles) fetch_tile(index + 1);
        const u32 tile = tile_of(index), key = task.key_start + index * KEYS + warp * OWN;
        if (key >= task.key_end) continue;
        float s[OWN / 8][4] = {};
        #pragma unroll
        for (u32 step = 0; step < STEPS; step += 1) {
            u32 a[4], b[4];
            left(a, q_tile, 0, step);
            right(b, tile, warp * OWN, step);
            multiply(s[0], a, b[0], b[1]);
            multiply(s[1], a, b[2], b[3]);
        }
        weigh(s, state, key, task.key_end, scale);
        u32 a[4];
        as_left(a, s[0], s[1]);
        #pragma unroll
        for (u32 n = 0; n < STEPS; n += 1) {
            u32 b[4];
            right_across(b, tile + tile_bytes(KEYS), warp * OWN, n);
            multiply(state.o[2 * n], a, b[0], b[1]);
            multiply(state.o[2 * n + 1], a, b[2], b[3]);
        }
    }

    // The warps' sums, in the warps' order; where keys and values were.
    __syncthreads();
    float* sums = reinterpret_cast<float*>(memory + tile_bytes(ROWS));
    #pragma unroll
    for (u32 i = 0; i < 2; i += 1) {
        const float total = row_sum(state.total[i]);
        const u32 own = 8 * i + lane / 4;
        if (lane % 4 == 0) of_warps[warp][own] = {state.greatest[i] * scale, total};
        float* to = sums + (warp * ROWS + own) * DIMENSION + lane % 4 * 2;
        #pragma unroll
        for (u32 chunk = 0; chunk < CHUNKS; chunk += 1) {
            *reinterpret_cast<Pack<float, 2>*>(to + chunk * CHUNK) = {state.o[chunk][2 * i], state.o[chunk][2 * i + 1]};
        }
    }
    __syncthreads();
    for (u32 item = threadIdx.x; item < rows * DIMENSION; item += THREADS) {
        const u32 own = item / DIMENSION, column = item % DIMENSION;
        const u64 part = row_of(task, task.row_start + own, list, parts_of, query_heads, group, key_head).part;
        float most = -INFINITE, total = 0.0f, sum = 0.0f;
        #pragma unroll
        for (u32 i = 0; i < WARPS; i += 1) most = fmaxf(most, of_warps[i][own].greatest);
        #pragma unroll
        for (u32 i = 0; i < WARPS; i += 1) {
            const float factor = exp2_fast(of_warps[i][own].greatest - most);
            total += factor * of_warps[i][own].total;
            sum += factor * sums[(i * ROWS + own) * DIMENSION + column];
        }
        partial[part * DIMENSION + column] = sum;
        if (column == 0) summaries[part] = {most, total};
    }
}
