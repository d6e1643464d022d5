// What every kernel starts with. NVRTC gets no headers, so the few types and sums that are needed stand here.

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// The upper half of a float.
struct __align__(2) bf16 { u16 bits; };

// The numbers of an array: float, or bf16 if the source is compiled with BF16.
#if defined(BF16) && BF16
typedef bf16 number;
#else
typedef float number;
#endif

constexpr float INFINITE = __builtin_bit_cast(float, 0x7f800000u);
constexpr u32 WARP = 32;
constexpr u32 ALL = 0xffffffffu;

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(bf16 x) { return __uint_as_float(u32(x.bits) << 16); }

// To the nearest, ties to even.
template <typename T> __device__ __forceinline__ T narrow(float x);
template <> __device__ __forceinline__ float narrow<float>(float x) { return x; }
template <> __device__ __forceinline__ bf16 narrow<bf16>(float x) {
    bf16 y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

// Two floats as a word of bf16s, `low` in the lower half.
__device__ __forceinline__ u32 pair(float low, float high) {
    u32 word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}

// COUNT numbers that are read or written at once; their address is a multiple of their size.
template <typename T, u32 COUNT> struct __align__(sizeof(T) * COUNT) Pack { T at[COUNT]; };

// Numbers of 16 bytes.
template <typename T> constexpr u32 WIDTH = 16 / sizeof(T);
template <typename T> using Wide = Pack<T, WIDTH<T>>;

__device__ __forceinline__ float warp_sum(float x) {
    #pragma unroll
    for (u32 step = WARP / 2; step > 0; step /= 2) x += __shfl_xor_sync(ALL, x, step);
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
    #pragma unroll
    for (u32 step = WARP / 2; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(ALL, x, step));
    return x;
}

// The sum over a block of THREADS threads, in every thread, in one order. May be called again at once.
template <u32 THREADS> __device__ __forceinline__ float block_sum(float x) {
    constexpr u32 WARPS = THREADS / WARP;
    __shared__ float parts[WARPS];
    x = warp_sum(x);
    __syncthreads();
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = x;
    __syncthreads();
    x = 0.0f;
    #pragma unroll
    for (u32 warp = 0; warp < WARPS; warp += 1) x += parts[warp];
    return x;
}

template <u32 THREADS> __device__ __forceinline__ float block_max(float x) {
    constexpr u32 WARPS = THREADS / WARP;
    __shared__ float parts[WARPS];
    x = warp_max(x);
    __syncthreads();
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = x;
    __syncthreads();
    x = parts[0];
    #pragma unroll
    for (u32 warp = 1; warp < WARPS; warp += 1) x = fmaxf(x, parts[warp]);
    return x;
}
