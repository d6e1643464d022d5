// ggml's blocks of 256 numbers, which hold scales of scales: (d s) q - (e t), and (d s) q. Codes lie in planes: 32 bytes hold
// the lowest bits of 32 numbers in a row, the next bits are those of the next 32.
#if CODES >= 7 && CODES <= 11

constexpr u32 BLOCKS[5] = {84, 110, 144, 176, 210};
constexpr u32 BLOCK = BLOCKS[CODES - 7];

// What every block's address, and that of its codes, is a multiple of.
constexpr u32 ALIGNMENT = BLOCK % 8 == 0 ? 8 : BLOCK % 4 == 0 ? 4 : 2;

// Scale and minimum, in six bits each, of a plane: the first four of each lie whole, with the upper two bits of the others
// above them; the lower four bits of those are nibbles.
__device__ __forceinline__ void scale_and_minimum(const u8* bytes, u32 plane, u32& scale, u32& minimum) {
    const u32 i = plane % 4;
    if (plane < 4) {
        scale = bytes[i] & 63;
        minimum = bytes[i + 4] & 63;
    } else {
        scale = (bytes[i + 8] & 15) | bytes[i] >> 6 << 4;
        minimum = bytes[i + 8] >> 4 | bytes[i + 4] >> 6 << 4;
    }
}

// A scale of six bits of sixteen: nibbles in the first eight bytes, the upper two bits in planes in the last four.
__device__ __forceinline__ u32 six_bit_scale(const u8* bytes, u32 i) {
    return (bytes[i % 8] >> (4 * (i / 8)) & 15) | (bytes[8 + i % 4] >> (2 * (i / 4)) & 3) << 4;
}

__device__ __forceinline__ void run_at(const Codes& matrix, u64 at, float (&out)[RUN]) {
    const u8* block = matrix.codes + at / 256 * BLOCK;
    const u32 plane = u32(at) % 256 / 32, first = u32(at) % 32;
    // Of those scales that hold for sixteen numbers.
    const u32 group = 2 * plane + first / 16;
#if CODES == 7
    const u32 scales = block[group];
    const float scale = __fmul_rn(half(block + 80), float(scales & 15));
    const float minimum = __fmul_rn(half(block + 82), float(scales >> 4));
    const Eight codes = eight<ALIGNMENT>(block + 16 + 32 * (plane / 4) + first);
    const u32 shift = 2 * (plane % 4);
    #pragma unroll
    for (u32 i = 0; i < RUN; i += 1) out[i] = minus(scale, float(codes.at(i) >> shift & 3), minimum);
#elif CODES == 8
    const float scale = __fmul_rn(half(block + 108), float(int(six_bit_scale(block + 96, group)) - 32));
    const Eight thirds = eight<ALIGNMENT>(block + first);
    const Eight codes = eight<ALIGNMENT>(block + 32 + 32 * (plane / 4) + first);
    const u32 shift = 2 * (plane % 4);
    #pragma unroll
    for (u32 i = 0; i < RUN; i += 1) {
        // 0 to 3 with the third bit, -4 to -1 without.
        const u32 code = (codes.at(i) >> shift & 3) | (thirds.at(i) >> plane & 1) << 2;
        out[i] = __fmul_rn(scale, float(int(code) - 4));
    }
#elif CODES == 9 || CODES == 10
    constexpr bool HAS_FIFTHS = CODES == 10;
    u32 of_scale, of_minimum;
    scale_and_minimum(block + 4, plane, of_scale, of_minimum);
    const float scale = __fmul_rn(half(block), float(of_scale));
    const float minimum = __fmul_rn(half(block + 2), float(of_minimum));
    const Eight codes = eight<ALIGNMENT>(block + (HAS_FIFTHS ? 48 : 16) + 32 * (plane / 2) + first);
    const Eight fifths = HAS_FIFTHS ? eight<ALIGNMENT>(block + 16 + first) : Eight{};
    const u32 shift = 4 * (plane % 2);
    #pragma unroll
    for (u32 i = 0; i < RUN; i += 1) {
        const u32 code = (codes.at(i) >> shift & 15) | (fifths.at(i) >> plane & 1) << 4;
        out[i] = minus(scale, float(code), minimum);
    }
#else
    const float scale = __fmul_rn(half(block + 208), float(s8(block[192 + group])));
    // Halves of 128 numbers; the low nibbles of two planes lie side by side, those of the other two above them.
    const u32 upper_half = plane / 4, of_half = plane % 4;
    const Eight lower = eight<ALIGNMENT>(block + 64 * upper_half + 32 * (of_half % 2) + first);
    const Eight upper = eight<ALIGNMENT>(block + 128 + 32 * upper_half + first);
    #pragma unroll
    for (u32 i = 0; i < RUN; i += 1) {
        const u32 code = (lower.at(i) >> (4 * (of_half / 2)) & 15) | (upper.at(i) >> (2 * of_half) & 3) << 4;
        out[i] = __fmul_rn(scale, float(int(code) - 32));
    }
#endif
}

#endif
