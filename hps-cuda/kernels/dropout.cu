// x mask / (1 - rate). Entry (row, column) is kept when word `column % 4` of Philox4x32-10 at the counter
// [column / 4, position, segment, data row] is `threshold` at least. Blocks along x have a row each; a thread draws for
// 16 bytes.

struct Words { u32 at[4]; };

__device__ __forceinline__ Words philox(Words c, u32 key0, u32 key1) {
    #pragma unroll
    for (u32 round = 0; round < 10; round += 1) {
        c = {
            __umulhi(0xCD9E8D57u, c.at[2]) ^ c.at[1] ^ key0,
            0xCD9E8D57u * c.at[2],
            __umulhi(0xD2511F53u, c.at[0]) ^ c.at[3] ^ key1,
            0xD2511F53u * c.at[0],
        };
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return c;
}

extern "C" __global__ void __launch_bounds__(256)
dropout(
    const number* __restrict__ x, number* __restrict__ y, const u32* __restrict__ identities, u32 columns, u32 threshold,
    float scale, u32 key0, u32 key1
) {
    constexpr u32 W = WIDTH<number>;
    const u64 row = blockIdx.x;
    const u32 data_row = identities[3 * row], segment = identities[3 * row + 1], position = identities[3 * row + 2];
    const number* from = x + row * columns;
    number* to = y + row * columns;
    const bool whole = columns % W == 0;
    const u32 step = gridDim.y * blockDim.x * W;
    for (u32 first = (blockIdx.y * blockDim.x + threadIdx.x) * W; first < columns; first += step) {
        Wide<number> pack;
        if (whole) {
            pack = take<W>(from + first);
        } else {
            #pragma unroll
            for (u32 j = 0; j < W; j += 1) pack.at[j] = narrow<number>(0.0f);
            #pragma unroll
            for (u32 j = 0; j < W; j += 1) if (first + j < columns) pack.at[j] = from[first + j];
        }
        #pragma unroll
        for (u32 four = 0; four < W; four += 4) {
            const Words words = philox({(first + four) / 4, position, segment, data_row}, key0, key1);
            #pragma unroll
            for (u32 j = 0; j < 4; j += 1) {
                number& entry = pack.at[four + j];
                entry = narrow<number>(words.at[j] >= threshold ? widen(entry) * scale : 0.0f);
            }
        }
        if (whole) {
            put<W>(to + first, pack);
        } else {
            #pragma unroll
            for (u32 j = 0; j < W; j += 1) if (first + j < columns) to[first + j] = pack.at[j];
        }
    }
}
