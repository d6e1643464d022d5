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

