// bitsandbytes' codes, two a byte, the first in the high nibble: book[q] a. The scale a holds for a block of numbers, row by
// row and across rows: an f32, or map[s] b + offset.
#if CODES >= 12

// nf4, CODES 12: quantiles of the normal distribution; fp4, CODES 13: sign, two bits of exponent, one of fraction.
__device__ const float BOOK[16] = {
#if CODES == 12
    -1.0f, -0.6961928f, -0.52507305f, -0.3949175f, -0.28444138f, -0.18477343f, -0.091050036f, 0.0f,
    0.0795803f, 0.1609302f, 0.2461123f, 0.33791524f, 0.44070983f, 0.562617f, 0.72295684f, 1.0f,
#else
    0.0f, 0.0625f / 12.0f, 8.0f / 12.0f, 1.0f, 4.0f / 12.0f, 0.5f, 2.0f / 12.0f, 0.25f,
    0.0f, -0.0625f / 12.0f, -8.0f / 12.0f, -1.0f, -4.0f / 12.0f, -0.5f, -2.0f / 12.0f, -0.25f,
#endif
};

// Where any sixteen lanes read different numbers of it at once.
__device__ __forceinline__ float* book() {
    __shared__ float numbers[16];
    return numbers;
}

__device__ __forceinline__ float scale_at(const Codes& matrix, u64 at) {
    const u64 block = at >> matrix.block;
    if (matrix.nested == nullptr) return reinterpret_cast<const float*>(matrix.absmax)[block];
    return plus(matrix.map[matrix.absmax[block]], matrix.nested[block >> matrix.nested_block], matrix.offset);
}

__device__ __forceinline__ float number_at(const Codes& matrix, u64 at) {
    const u32 code = matrix.codes[at / 2] >> (at % 2 == 0 ? 4 : 0) & 15;
    return __fmul_rn(book()[code], scale_at(matrix, at));
}

__device__ __forceinline__ void run_at(const Codes& matrix, u64 at, float (&out)[RUN]) {
    const float scale = scale_at(matrix, at);
    const u32 codes = *reinterpret_cast<const u32*>(matrix.codes + at / 2);
    #pragma unroll
    for (u32 i = 0; i < RUN; i += 1) {
        const u32 code = codes >> (8 * (i / 2) + (i % 2 == 0 ? 4 : 0)) & 15;
        out[i] = __fmul_rn(book()[code], scale);
    }
}

#endif
