// ggml's blocks of 32 numbers: d q, and d q + m. d and m are f16, first in a block; then, where codes have five bits, a word
// of the fifth ones; then nibbles, the low ones of 16 bytes before the high ones, or signed bytes.
#if CODES >= 2 && CODES <= 6

constexpr bool HAS_MINIMUM = CODES == 3 || CODES == 5;
constexpr bool HAS_FIFTHS = CODES == 4 || CODES == 5;
constexpr bool IS_BYTES = CODES == 6;

constexpr u32 FIFTHS_AT = HAS_MINIMUM ? 4 : 2;
constexpr u32 CODES_AT = FIFTHS_AT + (HAS_FIFTHS ? 4 : 0);
constexpr u32 BLOCK = CODES_AT + (IS_BYTES ? 32 : 16);

// What every block's address, and that of its codes, is a multiple of.
constexpr u32 ALIGNMENT = BLOCK % 8 == 0 ? 8 : BLOCK % 4 == 0 ? 4 : 2;

// What stands for zero.
constexpr int ZERO = CODES == 2 ? 8 : CODES == 4 ? 16 : 0;

__device__ __forceinline__ void run_at(const Codes& matrix, u64 at, float (&out)[RUN]) {
    const u8* block = matrix.codes + at / 32 * BLOCK;
    const u32 first = u32(at) % 32;
    const float d = half(block);
    const float m = HAS_MINIMUM ? half(block + 2) : 0.0f;
    const Eight codes = eight<ALIGNMENT>(block + CODES_AT + (IS_BYTES ? first : first % 16));
    u32 fifths = 0;
    if (HAS_FIFTHS) {
        const u16* from = reinterpret_cast<const u16*>(block + FIFTHS_AT);
        fifths = (u32(from[0]) | u32(from[1]) << 16) >> first;
    }
    #pragma unroll
    for (u32 i = 0; i < RUN; i += 1) {
        int code = int(codes.at(i));
        if (IS_BYTES) code = s8(code);
        else code = (code >> (first / 16 * 4) & 15) - ZERO;
        if (HAS_FIFTHS) code += int(fifths >> i & 1) << 4;
        out[i] = HAS_MINIMUM ? plus(d, float(code), m) : __fmul_rn(d, float(code));
    }
}

#endif
