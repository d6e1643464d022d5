// Matrices in codes, and their numbers in f32, which are to the bit those of the programs that define the types: every product
// and sum is rounded as it stands, and none is contracted.

typedef unsigned char u8;
typedef signed char s8;

// Numbers of a row that a thread decodes at once. Each of ggml's groups that share a scale is a multiple.
constexpr u32 RUN = 8;

// As the host lays it out.
struct Codes {
    const u8* codes;
    // Of 4-bit codes: an f32 for each block; with `nested`, a code of `map` for each.
    const u8* absmax;
    const float* nested;
    const float* map;
    u32 columns;
    // Columns of a head whose rows are interleaved, or 0.
    u32 interleaved;
    // Numbers of a block, and scales of a block of scales, as powers of two.
    u32 block, nested_block;
    float offset;
};

__device__ __forceinline__ float half(const u8* at) {
    float number;
    asm("cvt.f32.f16 %0, %1;" : "=f"(number) : "h"(*reinterpret_cast<const u16*>(at)));
    return number;
}

// Eight bytes.
struct Eight {
    u32 words[2];
    __device__ __forceinline__ u32 at(u32 i) const { return words[i / 4] >> (8 * (i % 4)) & 255; }
};

template <u32 BYTES> struct Unit;
template <> struct Unit<2> { typedef u16 type; };
template <> struct Unit<4> { typedef u32 type; };
template <> struct Unit<8> { typedef u64 type; };

// Those from an address on, which is a multiple of ALIGNMENT: 2, 4 or 8.
template <u32 ALIGNMENT> __device__ __forceinline__ Eight eight(const u8* from) {
    typedef typename Unit<ALIGNMENT>::type Part;
    u64 all = 0;
    #pragma unroll
    for (u32 i = 0; i < 8 / ALIGNMENT; i += 1) {
        all |= u64(reinterpret_cast<const Part*>(from)[i]) << (8 * ALIGNMENT * i);
    }
    return {{u32(all), u32(all >> 32)}};
}

// d q + m, and d q - m.
__device__ __forceinline__ float plus(float d, float q, float m) { return __fadd_rn(__fmul_rn(d, q), m); }
__device__ __forceinline__ float minus(float d, float q, float m) { return __fsub_rn(__fmul_rn(d, q), m); }
