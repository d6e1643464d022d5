// Gradients of attention over spans in bf16. With p = exp(s - log-sum-exp) and m = rowsum(dO * O):
// dv = p' dO, ds = p (dO v' - m), dq = ds k scale, dk = ds' q scale.
//
// Scores are computed again, once for dq and once for dk and dv, so that every sum has one owner and one order.

constexpr u32 THREADS = 256;
constexpr u32 ROWS = 128; // queries of a block of the first kernel, keys of one of the second; a warp has 16
constexpr u32 TILE = ALONG; // keys of a tile of the first kernel, queries of one of the second

// `sums`, `means`: [query heads, queries], log-sum-exps in units of ln 2, and rowsum(dO * O).
extern "C" __global__ void __launch_bounds__(THREADS, 1)
queries_backward(const bf16* __restrict__ q, const bf16* __restrict__ k, const bf16* __restrict__ v,
    const bf16* __restrict__ dy, const float* __restrict__ sums, const float* __restrict__ means, bf16* __restrict__ dq,
    const Block* __restrict__ blocks, u32 query_heads, u32 group, u32 queries, u32 before, u32 columns, float scale) {
    const u32 head = blockIdx.x % query_heads;
    const Block block = blocks[blockIdx.x / query_heads];
    const u32 lane = threadIdx.x % WARP;
    const u32 row = threadIdx.x / WARP * 16;
    const u32 first = block.query_start + row;
    const u32 count = block.query_end - block.query_start;
    const u32 q_stride = query_heads * columns, k_stride = query_heads / group * columns;
    const u32 q_tile = shared_address(memory), dy_tile = q_tile + tile_bytes(ROWS);
    const u32 start = block.query_start - before;
    const u64 q_start = u64(start) * q_stride + head * columns;
    const float log2_scale = scale * LOG2_E;
    k += head / group * columns;
    v += head / group * columns;

    auto fetch_tiles = [&](const Tile& tile, u32 to) {
        const u64 start = u64(tile.start) * k_stride;
        fetch<TILE, THREADS>(to, k + start, k_stride, tile.end - tile.start, columns);
        fetch<TILE, THREADS>(to + tile_bytes(TILE), v + start, k_stride, tile.end - tile.start, columns);
        commit_copies();
    };
    Tile next = first_tile(block);
    u32 there = dy_tile + tile_bytes(ROWS), other = there + 2 * tile_bytes(TILE); // where tiles lie
    fetch<ROWS, THREADS>(q_tile, q + q_start, q_stride, count, columns);
    fetch<ROWS, THREADS>(dy_tile, dy + q_start, q_stride, count, columns);
    fetch_tiles(next, there);

    float sum[2], mean[2];
    #pragma unroll
    for (u32 i = 0; i < 2; i += 1) {
        const u32 own = row + 8 * i + lane / 4;
        const u64 at = u64(head) * queries + start + own;
        sum[i] = own < count ? sums[at] : 0.0f;
        mean[i] = own < count ? means[at] : 0.0f;
    }
    float gradient[CHUNKS][4] = {};

    while (is_there(next)) {
        const Tile tile = next;
        const u32 keys = there, values = keys + tile_bytes(TILE);
        await_copies();
        __syncthreads();
        next = next_tile<TILE>(tile, block);
        there = other;
        other = keys;
        if (is_there(next)) fetch_tiles(next, there);
        if (row >= count || (!tile.prefix && tile.start >= first + 16)) continue;

        float s[TILE / 8][4] = {}, d[TILE / 8][4] = {};
        #pragma unroll
        for (u32 step = 0; step < STEPS; step += 1) {
            u32 a[4], e[4];
            left(a, q_tile, row, step);
            left(e, dy_tile, row, step);
            #pragma unroll
            for (u32 n = 0; n < TILE / 16; n += 1) {
                u32 b[4];
                right(b, keys, 16 * n, step);
                multiply(s[2 * n], a, b[0], b[1]);
                multiply(s[2 * n + 1], a, b[2], b[3]);
                right(b, values, 16 * n, step);
                multiply(d[2 * n], e, b[0], b[1]);
                multiply(d[2 * n + 1], e, b[2], b[3]);
            }
        }

        const bool edge = tile.start + TILE > tile.limit(first);
        #pragma unroll
        for (u32 i = 0; i < 4; i += 1) {
            const u32 limit = tile.limit(first + i / 2 * 8 + lane / 4);
            #pragma unroll
            for (u32 n = 0; n < TILE / 8; n += 1) {
                float p = exp2_fast(fmaf(s[n][i], log2_scale, -sum[i / 2]));
                if (edge && tile.start + 8 * n + lane % 4 * 2 + i % 2 >= limit) p = 0.0f;
                s[n][i] = p * (d[n][i] - mean[i / 2]);
            }
        }

        #pragma unroll
        for (u32 step = 0; step < TILE / 16; step += 1) {
            u32 a[4];
            as_left(a, s[2 * step], s[2 * step + 1]);
            #pragma unroll
            for (u32 n = 0; n < STEPS; n += 1) {
                u32 b[4];
                right_across(b, keys, 16 * step, n);
                multiply(gradient[2 * n], a, b[0], b[1]);
                multiply(gradient[2 * n + 1], a, b[2], b[3]);
            }
        }
    }

    if (row >= count) return;
    __syncwarp();
    stage(q_tile, row, gradient, scale, scale);
    deliver<16>(dq + q_start, q_stride, q_tile, row, count, columns);
}

// What comes with a tile of queries.
struct Beside {
    float sums[TILE];
    float means[TILE];
    Span spans[TILE];
};

// `walk`: tiles of queries, twice their number, plus one where a query does not see all of a block's keys. `partial`:
// sums of parts, [slots, key/value heads, dk and dv, keys, DIMENSION]. Scores are computed with keys as rows: then they
// are the left operand of both sums as they are.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
keys_backward(const bf16* __restrict__ q, const bf16* __restrict__ k, const bf16* __restrict__ v,
    const bf16* __restrict__ dy, const float* __restrict__ sums, const float* __restrict__ means,
    const Span* __restrict__ spans, const Part* __restrict__ parts, const u32* __restrict__ walk, bf16* __restrict__ dk,
    bf16* __restrict__ dv, float* __restrict__ partial, u32 query_heads, u32 group, u32 queries, u32 before,
    u32 columns, float scale) {
    __shared__ Beside beside[2];
    const u32 key_heads = query_heads / group, key_head = blockIdx.x % key_heads;
    const Part part = parts[blockIdx.x / key_heads];
    const u32 lane = threadIdx.x % WARP;
    const u32 row = threadIdx.x / WARP * 16;
    const u32 first = part.key_start + row;
    const u32 count = part.key_end - part.key_start;
    const u32 q_stride = query_heads * columns, k_stride = key_heads * columns;
    const u32 k_tile = shared_address(memory), v_tile = k_tile + tile_bytes(ROWS);
    const u64 k_start = u64(part.key_start) * k_stride + key_head * columns;
    const u32 tiles = part.walk_end - part.walk_start, steps = tiles * group;
    const float log2_scale = scale * LOG2_E;

    auto tiles_of = [&](u32 index) { return v_tile + tile_bytes(ROWS) + index % 2 * 2 * tile_bytes(TILE); };
    auto fetch_tiles = [&](u32 index, u32 tile, u32 head) {
        const u32 start = tile * TILE, there = min(TILE, queries - start);
        const u64 from = u64(start) * q_stride + head * columns;
        fetch<TILE, THREADS>(tiles_of(index), q + from, q_stride, there, columns);
        fetch<TILE, THREADS>(tiles_of(index) + tile_bytes(TILE), dy + from, q_stride, there, columns);
        const u32 own = threadIdx.x % TILE, at = own < there ? start + own : start;
        Beside& next = beside[index % 2];
        if (threadIdx.x < TILE) {
            copy_async<4>(shared_address(&next.sums[own]), sums + u64(head) * queries + at, own < there);
        } else if (threadIdx.x < 2 * TILE) {
            copy_async<4>(shared_address(&next.means[own]), means + u64(head) * queries + at, own < there);
        } else if (threadIdx.x < 3 * TILE) {
            copy_async<16>(shared_address(&next.spans[own]), spans + before + at, own < there);
        }
        commit_copies();
    };
    fetch<ROWS, THREADS>(k_tile, k + k_start, k_stride, count, columns);
    fetch<ROWS, THREADS>(v_tile, v + k_start, k_stride, count, columns);
    commit_copies(); // Nobody waits for what is not committed, and keys that no query sees have no step.
    u32 now = 0;
    if (steps > 0) {
        now = walk[part.walk_start];
        fetch_tiles(0, now / 2, key_head * group);
    }

    float gradient_k[CHUNKS][4] = {}, gradient_v[CHUNKS][4] = {};
    u32 ahead = 0, head = key_head * group; // of the next step

    for (u32 index = 0; index < steps; index += 1) {
        await_copies();
        __syncthreads();
        const u32 tile = now / 2;
        const bool edge = now % 2 == 1;
        if (index + 1 < steps) {
            ahead += 1;
            if (ahead == tiles) {
                ahead = 0;
                head += 1;
            }
            now = walk[part.walk_start + ahead];
            fetch_tiles(index + 1, now / 2, head);
        }
        if (row >= count) continue;
        const u32 questions = tiles_of(index), answers = questions + tile_bytes(TILE);
        const Beside& by = beside[index % 2];
        const u32 token = before + tile * TILE;
        if (edge) {
            // Whether any query sees any of the warp's keys.
            bool any = false;
            #pragma unroll
            for (u32 own = lane; own < TILE; own += WARP) {
                const Span span = by.spans[own];
                any |= span.prefix_start < first + 16 && first < span.prefix_end;
                any |= span.self_start < first + 16 && first <= token + own;
            }
            if (!__any_sync(ALL, any)) continue;
        }

        float s[TILE / 8][4] = {};
        #pragma unroll 4 // more of it takes more registers than there are
        for (u32 step = 0; step < STEPS; step += 1) {
            u32 a[4];
            left(a, k_tile, row, step);
            #pragma unroll
            for (u32 n = 0; n < TILE / 16; n += 1) {
                u32 b[4];
                right(b, questions, 16 * n, step);
                multiply(s[2 * n], a, b[0], b[1]);
                multiply(s[2 * n + 1], a, b[2], b[3]);
            }
        }
        #pragma unroll
        for (u32 n = 0; n < TILE / 8; n += 1) {
            #pragma unroll
            for (u32 i = 0; i < 4; i += 1) {
                const u32 own = 8 * n + lane % 4 * 2 + i % 2;
                s[n][i] = exp2_fast(fmaf(s[n][i], log2_scale, -by.sums[own]));
            }
        }
        if (edge) {
            #pragma unroll
            for (u32 n = 0; n < TILE / 8; n += 1) {
                #pragma unroll
                for (u32 j = 0; j < 2; j += 1) {
                    const u32 own = 8 * n + lane % 4 * 2 + j;
                    const Span span = by.spans[own];
                    if (!sees(span, token + own, first + lane / 4)) s[n][j] = 0.0f;
                    if (!sees(span, token + own, first + lane / 4 + 8)) s[n][j + 2] = 0.0f;
                }
            }
        }
        #pragma unroll
        for (u32 step = 0; step < TILE / 16; step += 1) {
            u32 a[4];
            as_left(a, s[2 * step], s[2 * step + 1]);
            #pragma unroll
            for (u32 n = 0; n < STEPS; n += 1) {
                u32 b[4];
                right_across(b, answers, 16 * step, n);
                multiply(gradient_v[2 * n], a, b[0], b[1]);
                multiply(gradient_v[2 * n + 1], a, b[2], b[3]);
            }
        }

        float d[TILE / 8][4] = {};
        #pragma unroll 4
        for (u32 step = 0; step < STEPS; step += 1) {
            u32 a[4];
            left(a, v_tile, row, step);
            #pragma unroll
            for (u32 n = 0; n < TILE / 16; n += 1) {
                u32 b[4];
                right(b, answers, 16 * n, step);
                multiply(d[2 * n], a, b[0], b[1]);
                multiply(d[2 * n + 1], a, b[2], b[3]);
            }
        }
        #pragma unroll
        for (u32 step = 0; step < TILE / 16; step += 1) {
            #pragma unroll
            for (u32 n = 2 * step; n < 2 * step + 2; n += 1) {
                #pragma unroll
                for (u32 i = 0; i < 4; i += 1) s[n][i] *= d[n][i] - by.means[8 * n + lane % 4 * 2 + i % 2];
            }
            u32 a[4];
            as_left(a, s[2 * step], s[2 * step + 1]);
            #pragma unroll
            for (u32 n = 0; n < STEPS; n += 1) {
                u32 b[4];
                right_across(b, questions, 16 * step, n);
                multiply(gradient_k[2 * n], a, b[0], b[1]);
                multiply(gradient_k[2 * n + 1], a, b[2], b[3]);
            }
        }
    }

    if (part.slot != ALONE) {
        float* at = partial + (u64(part.slot) * key_heads + key_head) * 2 * ROWS * DIMENSION;
        #pragma unroll
        for (u32 chunk = 0; chunk < CHUNKS; chunk += 1) {
            #pragma unroll
            for (u32 i = 0; i < 2; i += 1) {
                const u32 own = row + 8 * i + lane / 4;
                float* to = at + own * DIMENSION + chunk * CHUNK + lane % 4 * 2;
                const float* of_k = gradient_k[chunk] + 2 * i;
                const float* of_v = gradient_v[chunk] + 2 * i;
                *reinterpret_cast<Pack<float, 2>*>(to) = {of_k[0] * scale, of_k[1] * scale};
                *reinterpret_cast<Pack<float, 2>*>(to + ROWS * DIMENSION) = {of_v[0], of_v[1]};
            }
        }
        return;
    }
    // The gradients leave through the warp's own rows of the keys' and values' tiles.
    await_copies();
    __syncthreads();
    if (row >= count) return;
    stage(k_tile, row, gradient_k, scale, scale);
    stage(v_tile, row, gradient_v, 1.0f, 1.0f);
    deliver<16>(dk + k_start, k_stride, k_tile, row, count, columns);
    deliver<16>(dv + k_start, k_stride, v_tile, row, count, columns);
}
