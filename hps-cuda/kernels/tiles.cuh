// Tiles of bf16 in shared memory, as tensor cores take them.
//
// A row of a tile is DIMENSION numbers in chunks of 16 bytes, and beyond the columns there are, zeros. Chunks are
// swizzled: one column's chunks of eight rows lie in all 32 banks, so that ldmatrix reads them at once.

constexpr u32 CHUNK = 8;
constexpr u32 CHUNKS = DIMENSION / CHUNK;
constexpr u32 STEPS = DIMENSION / 16; // of a product along the columns
constexpr float LOG2_E = 1.4426950408889634f;
constexpr float LN_2 = 0.6931471805599453f;

// Tiles start at multiples of their rows' bytes, so that a chunk's number stands in bits of its address alone.
extern __shared__ __align__(256) unsigned char memory[];

constexpr u32 tile_bytes(u32 rows) { return rows * DIMENSION * 2; }

__device__ __forceinline__ u32 shared_address(const void* pointer) { return u32(__cvta_generic_to_shared(pointer)); }

constexpr u32 ROW_BYTES = DIMENSION * 2;

// What a row's chunks are swizzled by.
__device__ __forceinline__ u32 swizzle(u32 row) {
    constexpr u32 PERIOD = CHUNKS < 8 ? CHUNKS : 8;
    return row / (8 / PERIOD) % PERIOD;
}

// Where a chunk lies in its tile, in bytes.
__device__ __forceinline__ u32 place(u32 row, u32 chunk) { return row * ROW_BYTES + (chunk ^ swizzle(row)) * 16; }

// BYTES from global memory without waiting; zeros if not `there`.
template <u32 BYTES> __device__ __forceinline__ void copy_async(u32 to, const void* from, bool there) {
    const u32 size = there ? BYTES : 0;
    if constexpr (BYTES == 16) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(to), "l"(from), "r"(size) : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
            :: "r"(to), "l"(from), "n"(BYTES), "r"(size) : "memory");
    }
}

__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
__device__ __forceinline__ void await_copies() { asm volatile("cp.async.wait_group 0;" ::: "memory"); }

__device__ __forceinline__ void store_shared(u32 address, u32 word) {
    asm volatile("st.shared.u32 [%0], %1;" :: "r"(address), "r"(word) : "memory");
}

__device__ __forceinline__ void store_shared(u32 address, const u32 (&words)[4]) {
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};"
        :: "r"(address), "r"(words[0]), "r"(words[1]), "r"(words[2]), "r"(words[3]) : "memory");
}

__device__ __forceinline__ void load_shared(u32 (&words)[4], u32 address) {
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3]) : "r"(address) : "memory");
}

// A chunk of a row, zeros beyond `columns`; where rows do not start at a multiple of 16 bytes.
__device__ __forceinline__ void load_ragged(u32 (&words)[4], const bf16* row, u32 chunk, u32 columns, bool there) {
    #pragma unroll
    for (u32 i = 0; i < 4; i += 1) {
        const u32 column = chunk * CHUNK + 2 * i;
        const u32 low = there && column < columns ? row[column].bits : 0;
        const u32 high = there && column + 1 < columns ? row[column + 1].bits : 0;
        words[i] = low | high << 16;
    }
}

// Asks for a chunk of a row, which is there after `await_copies` and a barrier.
__device__ __forceinline__ void fetch_chunk(u32 to, const bf16* row, u32 chunk, u32 columns, bool there) {
    if (columns % CHUNK == 0) {
        copy_async<16>(to, row + chunk * CHUNK, there && chunk * CHUNK < columns);
    } else {
        u32 words[4];
        load_ragged(words, row, chunk, columns, there);
        store_shared(to, words);
    }
}

// Asks for `rows` of ROWS rows that lie `stride` numbers apart; the others are zeros.
template <u32 ROWS, u32 THREADS>
__device__ __forceinline__ void fetch(u32 tile, const bf16* __restrict__ source, u32 stride, u32 rows, u32 columns) {
    constexpr u32 AT_ONCE = THREADS / CHUNKS;
    const u32 first = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS;
    const bf16* from = source + u64(first) * stride;
    if (columns % CHUNK == 0) {
        const bool has = chunk * CHUNK < columns;
        from += chunk * CHUNK;
        #pragma unroll
        for (u32 row = 0; row < ROWS; row += AT_ONCE) {
            if (ROWS % AT_ONCE != 0 && first + row >= ROWS) break;
            copy_async<16>(tile + place(first + row, chunk), from, has && first + row < rows);
            from += AT_ONCE * stride;
        }
        return;
    }
    #pragma unroll 1
    for (u32 row = first; row < ROWS; row += AT_ONCE) {
        fetch_chunk(tile + place(row, chunk), from, chunk, columns, row < rows);
        from += AT_ONCE * stride;
    }
}

// Fragments: 16 x 16 numbers of a tile, as mma takes them; the names say of which operand.
//
// `left`: rows of the left one. `right`: rows of the tile are the right one's columns. `right_across`: rows of the tile
// are the right one's rows. A right one's words are those of two products, eight columns each.
//
// `row` is a multiple of 16 and `step` counts 16 columns.
__device__ __forceinline__ u32 fragment(u32 tile, u32 lane_row, u32 lane_chunk, u32 row, u32 step) {
    return ((tile + place(lane_row, lane_chunk)) ^ (step * 32)) + row * ROW_BYTES;
}

__device__ __forceinline__ void left(u32 (&words)[4], u32 tile, u32 row, u32 step) {
    const u32 lane = threadIdx.x % WARP;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
        : "r"(fragment(tile, lane % 16, lane / 16, row, step)));
}

__device__ __forceinline__ void right(u32 (&words)[4], u32 tile, u32 row, u32 step) {
    const u32 lane = threadIdx.x % WARP;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
        : "r"(fragment(tile, lane % 8 + lane / 16 * 8, lane / 8 % 2, row, step)));
}

__device__ __forceinline__ void right_across(u32 (&words)[4], u32 tile, u32 row, u32 step) {
    const u32 lane = threadIdx.x % WARP;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
        : "r"(fragment(tile, lane % 16, lane / 16, row, step)));
}

// Two neighbouring sums, rounded, as the left operand of the next product.
__device__ __forceinline__ void as_left(u32 (&words)[4], const float (&a)[4], const float (&b)[4]) {
    words[0] = pair(a[0], a[1]);
    words[1] = pair(a[2], a[3]);
    words[2] = pair(b[0], b[1]);
    words[3] = pair(b[2], b[3]);
}

__device__ __forceinline__ float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ float log2_fast(float x) {
    float y;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Over the four threads that hold a row.
__device__ __forceinline__ float row_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(ALL, x, 1));
    return fmaxf(x, __shfl_xor_sync(ALL, x, 2));
}

__device__ __forceinline__ float row_sum(float x) {
    x += __shfl_xor_sync(ALL, x, 1);
    return x + __shfl_xor_sync(ALL, x, 2);
}

// Rounds a warp's 16 rows of sums into the rows of `tile` from `row` on.
__device__ __forceinline__ void stage(u32 tile, u32 row, const float (&sums)[CHUNKS][4], float low, float high) {
    const u32 lane = threadIdx.x % WARP;
    #pragma unroll
    for (u32 chunk = 0; chunk < CHUNKS; chunk += 1) {
        const u32 own = row + lane / 4;
        store_shared(tile + place(own, chunk) + lane % 4 * 4, pair(sums[chunk][0] * low, sums[chunk][1] * low));
        store_shared(tile + place(own + 8, chunk) + lane % 4 * 4, pair(sums[chunk][2] * high, sums[chunk][3] * high));
    }
}

// A warp writes those of ROWS rows of `tile` from `row` on that are among the first `rows`; `to` is the place of row 0.
template <u32 ROWS>
__device__ __forceinline__ void deliver(bf16* __restrict__ to, u32 stride, u32 tile, u32 row, u32 rows, u32 columns) {
    __syncwarp();
    #pragma unroll 4
    for (u32 item = threadIdx.x % WARP; item < ROWS * CHUNKS; item += WARP) {
        const u32 own = row + item / CHUNKS, chunk = item % CHUNKS;
        if (own >= rows || chunk * CHUNK >= columns) continue;
        u32 words[4];
        load_shared(words, tile + place(own, chunk));
        bf16* at = to + u64(own) * stride + chunk * CHUNK;
        if (columns % CHUNK == 0) {
            *reinterpret_cast<Pack<u32, 4>*>(at) = {words[0], words[1], words[2], words[3]};
            continue;
        }
        #pragma unroll
        for (u32 i = 0; i < CHUNK; i += 1) {
            if (chunk * CHUNK + i < columns) at[i].bits = u16(words[i / 2] >> 16 * (i % 2));
        }
    }
}
