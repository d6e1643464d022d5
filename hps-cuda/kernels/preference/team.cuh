// What the TEAM threads of a prompt know together: sums and maxima, the same in all of them, and what lies before or
// behind each; in an order that TEAM alone decides. A team is a part of a warp, or a block.

constexpr u32 LANES = TEAM < WARP ? TEAM : WARP;
constexpr u32 WARPS = TEAM / LANES;
// A team that is longer than a warp is a block, so that it may wait for itself wherever it goes.
constexpr u32 BLOCK = TEAM <= WARP ? 128 : TEAM;

// This thread's team within its warp.
__device__ __forceinline__ u32 team_mask() {
    if constexpr (LANES == WARP) return ALL;
    return ((1u << (LANES % WARP)) - 1) << (threadIdx.x % WARP / LANES * LANES);
}

__device__ __forceinline__ void team_wait() {
    if constexpr (WARPS > 1) __syncthreads();
    else __syncwarp();
}

// Words of any structure from another lane. Every thread that `mask` names is there.
template <typename T, typename Move> __device__ __forceinline__ T moved(T x, Move move) {
    static_assert(sizeof(T) % 4 == 0, "shuffles move words");
    u32* words = reinterpret_cast<u32*>(&x);
    #pragma unroll
    for (u32 word = 0; word < sizeof(T) / 4; word += 1) words[word] = move(words[word]);
    return x;
}

// One of each warp, for the others.
template <typename T> __device__ __forceinline__ T* of_warps() {
    __shared__ T held[WARPS];
    return held;
}

// All joined. The threads of a warp see the two sides of `join` in either order: it must not matter to the last bit.
template <typename T, typename Join> __device__ __forceinline__ T team_all(T own, Join join, u32 mask = ALL) {
    #pragma unroll
    for (u32 step = 1; step < LANES; step *= 2)
        own = join(own, moved(own, [=](u32 word) { return __shfl_xor_sync(mask, word, step); }));
    if constexpr (WARPS > 1) {
        T* held = of_warps<T>();
        __syncthreads();
        if (threadIdx.x % WARP == 0) held[threadIdx.x / WARP] = own;
        __syncthreads();
        own = held[0];
        #pragma unroll
        for (u32 warp = 1; warp < WARPS; warp += 1) own = join(own, held[warp]);
    }
    return own;
}

__device__ __forceinline__ float team_sum(float own) {
    return team_all(own, [](float a, float b) { return a + b; });
}

__device__ __forceinline__ float team_max(float own) {
    return team_all(own, [](float a, float b) { return fmaxf(a, b); });
}

// Joined over the threads before this one: `join(earlier, later)`, of which `none` changes nothing.
template <typename T, typename Join>
__device__ __forceinline__ T team_before(T own, T none, Join join, u32 mask = ALL) {
    if constexpr (TEAM == 1) return none;
    const u32 lane = threadIdx.x % LANES;
    T through = own;
    #pragma unroll
    for (u32 step = 1; step < LANES; step *= 2) {
        const T earlier = moved(through, [=](u32 word) { return __shfl_up_sync(mask, word, step, LANES); });
        if (lane >= step) through = join(earlier, through);
    }
    T before = moved(through, [=](u32 word) { return __shfl_up_sync(mask, word, 1, LANES); });
    if (lane == 0) before = none;
    if constexpr (WARPS > 1) {
        T* held = of_warps<T>();
        const u32 warp = threadIdx.x / WARP;
        __syncthreads();
        if (lane == LANES - 1) held[warp] = through;
        __syncthreads();
        T earlier = none;
        for (u32 other = 0; other < warp; other += 1) earlier = join(earlier, held[other]);
        before = join(earlier, before);
    }
    return before;
}

// Joined over the threads behind this one.
template <typename T, typename Join>
__device__ __forceinline__ T team_behind(T own, T none, Join join, u32 mask = ALL) {
    if constexpr (TEAM == 1) return none;
    const u32 lane = threadIdx.x % LANES;
    T through = own;
    #pragma unroll
    for (u32 step = 1; step < LANES; step *= 2) {
        const T later = moved(through, [=](u32 word) { return __shfl_down_sync(mask, word, step, LANES); });
        if (lane + step < LANES) through = join(through, later);
    }
    T behind = moved(through, [=](u32 word) { return __shfl_down_sync(mask, word, 1, LANES); });
    if (lane == LANES - 1) behind = none;
    if constexpr (WARPS > 1) {
        T* held = of_warps<T>();
        const u32 warp = threadIdx.x / WARP;
        __syncthreads();
        if (lane == 0) held[warp] = through;
        __syncthreads();
        T later = none;
        for (u32 other = WARPS - 1; other > warp; other -= 1) later = join(held[other], later);
        behind = join(behind, later);
    }
    return behind;
}
