// Attention over spans in bf16, forward: o = softmax(q k' scale) v, and its log-sum-exp.
//
// A block takes 128 queries of one segment and a head past tiles of 48 or 64 keys; a warp has 32 of the queries, so
// that a fragment of keys or values is read once for two products. Scores live in registers; the maximum so far and the
// sum of weights are kept row by row. There are two tiles at a time: one is on its way while the other is computed with.

constexpr u32 QUERIES = 128;
constexpr u32 KEYS = DIMENSION == 128 ? 48 : 64; // as many as there are registers for their scores
constexpr u32 THREADS = 128;
constexpr u32 ROWS = QUERIES / (THREADS / WARP);
constexpr u32 HALVES = ROWS / 16;

extern "C" __global__ void __launch_bounds__(THREADS, 2)
forward(const bf16* __restrict__ q, const bf16* __restrict__ k, const bf16* __restrict__ v, bf16* __restrict__ out,
    float* __restrict__ sums, const Block* __restrict__ blocks, u32 query_heads, u32 group, u32 before, u32 columns,
    float scale) {
    const u32 head = blockIdx.x % query_heads;
    const Block block = blocks[blockIdx.x / query_heads];
    const u32 lane = threadIdx.x % WARP;
    const u32 row = threadIdx.x / WARP * ROWS; // the warp's first
    const u32 count = block.query_end - block.query_start;
    const u32 end = row < count ? block.query_start + row + ROWS : 0; // behind the warp's tokens; 0 without any
    const u32 first = end - ROWS;
    const u32 q_stride = query_heads * columns, k_stride = query_heads / group * columns;
    const u32 q_tile = shared_address(memory), k_tile = q_tile + tile_bytes(QUERIES);
    const u64 q_start = u64(block.query_start - before) * q_stride + head * columns;
    const u32 k_head = head / group * columns;

    auto fetch_tiles = [&](const Tile& tile, u32 to) {
        const u64 start = u64(tile.start) * k_stride + k_head;
        fetch<KEYS, THREADS>(to, k + start, k_stride, tile.end - tile.start, columns);
        fetch<KEYS, THREADS>(to + tile_bytes(KEYS), v + start, k_stride, tile.end - tile.start, columns);
        commit_copies();
    };
    Tile next = first_tile(block);
    u32 turn = 0; // where the next tiles lie
    fetch<QUERIES, THREADS>(q_tile, q + q_start, q_stride, count, columns);
    fetch_tiles(next, k_tile);

    float o[HALVES][CHUNKS][4] = {};
    float greatest[HALVES][2], total[HALVES][2] = {};
    #pragma unroll
    for (u32 half = 0; half < HALVES; half += 1) greatest[half][0] = greatest[half][1] = -INFINITE;

    while (is_there(next)) {
        const Tile tile = next;
        const u32 keys = k_tile + turn, values = keys + tile_bytes(KEYS);
        await_copies();
        __syncthreads();
        next = next_tile<KEYS>(tile, block);
        turn = 2 * tile_bytes(KEYS) - turn;
        if (is_there(next)) fetch_tiles(next, k_tile + turn);
        // What none of the warp's queries sees.
        if ((tile.prefix ? 0 : tile.start) >= end) continue;

        float s[HALVES][KEYS / 8][4] = {};
        #pragma unroll
        for (u32 step = 0; step < STEPS; step += 1) {
            u32 a[HALVES][4];
            #pragma unroll
            for (u32 half = 0; half < HALVES; half += 1) left(a[half], q_tile, row + 16 * half, step);
            #pragma unroll
            for (u32 n = 0; n < KEYS / 16; n += 1) {
                u32 b[4];
                right(b, keys, 16 * n, step);
                #pragma unroll
                for (u32 half = 0; half < HALVES; half += 1) {
                    multiply(s[half][2 * n], a[half], b[0], b[1]);
                    multiply(s[half][2 * n + 1], a[half], b[2], b[3]);
                }
            }
        }

        if (tile.start + KEYS > tile.limit(first)) {
            #pragma unroll
            for (u32 half = 0; half < HALVES; half += 1) {
                #pragma unroll
                for (u32 i = 0; i < 4; i += 1) {
                    const u32 limit = tile.limit(first + 16 * half + i / 2 * 8 + lane / 4);
                    #pragma unroll
                    for (u32 n = 0; n < KEYS / 8; n += 1) {
                        if (tile.start + 8 * n + lane % 4 * 2 + i % 2 >= limit) s[half][n][i] = -INFINITE;
                    }
                }
            }
        }

        // Every query sees the first key of its first tile: from there on its maximum is a number.
        #pragma unroll
        for (u32 half = 0; half < HALVES; half += 1) {
            float factor[2];
            #pragma unroll
            for (u32 i = 0; i < 2; i += 1) {
                float most = greatest[half][i];
                #pragma unroll
                for (u32 n = 0; n < KEYS / 8; n += 1) {
                    most = fmaxf(most, fmaxf(s[half][n][2 * i], s[half][n][2 * i + 1]));
                }
                most = row_max(most);
                factor[i] = exp2_fast((greatest[half][i] - most) * scale);
                greatest[half][i] = most;
                const float offset = most * scale;
                float sum = 0.0f;
                #pragma unroll
                for (u32 n = 0; n < KEYS / 8; n += 1) {
                    #pragma unroll
                    for (u32 j = 2 * i; j < 2 * i + 2; j += 1) {
                        s[half][n][j] = exp2_fast(fmaf(s[half][n][j], scale, -offset));
                        sum += s[half][n][j];
                    }
                }
                total[half][i] = total[half][i] * factor[i] + sum;
            }
            if (__any_sync(ALL, factor[0] != 1.0f || factor[1] != 1.0f)) {
                #pragma unroll
                for (u32 chunk = 0; chunk < CHUNKS; chunk += 1) {
                    #pragma unroll
                    for (u32 i = 0; i < 4; i += 1) o[half][chunk][i] *= factor[i / 2];
                }
            }
        }

        #pragma unroll
        for (u32 step = 0; step < KEYS / 16; step += 1) {
            u32 a[HALVES][4];
            #pragma unroll
            for (u32 half = 0; half < HALVES; half += 1) as_left(a[half], s[half][2 * step], s[half][2 * step + 1]);
            #pragma unroll
            for (u32 n = 0; n < STEPS; n += 1) {
                u32 b[4];
                right_across(b, values, 16 * step, n);
                #pragma unroll
                for (u32 half = 0; half < HALVES; half += 1) {
                    multiply(o[half][2 * n], a[half], b[0], b[1]);
                    multiply(o[half][2 * n + 1], a[half], b[2], b[3]);
                }
            }
        }
    }

    // The output leaves through the warp's own rows of the queries' tile.
    if (row >= count) return;
    #pragma unroll
    for (u32 half = 0; half < HALVES; half += 1) {
        #pragma unroll
        for (u32 i = 0; i < 2; i += 1) {
            total[half][i] = row_sum(total[half][i]);
            const u32 own = row + 16 * half + 8 * i + lane / 4;
            if (lane % 4 == 0 && own < count) {
                const float sum = (greatest[half][i] * scale + log2_fast(total[half][i])) * LN_2;
                sums[u64(block.query_start - before + own) * query_heads + head] = sum;
            }
        }
        stage(q_tile, row + 16 * half, o[half], 1.0f / total[half][0], 1.0f / total[half][1]);
    }
    deliver<ROWS>(out + q_start, q_stride, q_tile, row, count, columns);
}
