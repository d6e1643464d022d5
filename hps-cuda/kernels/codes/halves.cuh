// Numbers of 16 bits: f16, CODES 0, and bfloat16, CODES 1.
#if CODES <= 1

__device__ __forceinline__ float number_at(const Codes& matrix, u64 at) {
    const u8* from = matrix.codes + 2 * at;
#if CODES == 0
    return half(from);
#else
    return widen(*reinterpret_cast<const bf16*>(from));
#endif
}

__device__ __forceinline__ void run_at(const Codes& matrix, u64 at, float (&out)[RUN]) {
    const Pack<u16, RUN> pack = take<RUN>(reinterpret_cast<const u16*>(matrix.codes) + at);
    #pragma unroll
    for (u32 i = 0; i < RUN; i += 1) {
#if CODES == 0
        out[i] = half(reinterpret_cast<const u8*>(&pack.at[i]));
#else
        out[i] = widen(bf16{pack.at[i]});
#endif
    }
}

#endif
