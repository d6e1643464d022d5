// Exponentials and logarithms of losses. CUDA's own are within 2 units in the last place.

__device__ __forceinline__ bool is_finite(float x) { return fabsf(x) < INFINITE; }

// x/y within 2 units in the last place. Subnormal numbers count as 0, and y is below 2^126.
__device__ __forceinline__ float quotient(float x, float y) {
    float z;
    asm("div.approx.ftz.f32 %0, %1, %2;" : "=f"(z) : "f"(x), "f"(y));
    return z;
}

__device__ __forceinline__ float sigmoid(float x) { return quotient(1.0f, 1.0f + expf(-x)); }

// ln(1 + x) of x >= 0 within 4e-7 of itself: 2 artanh(x/(2 + x)), or from the device's own binary logarithm.
__device__ __forceinline__ float ln_1p(float x) {
    const float s = quotient(x, 2.0f + x);
    const float t = s * s;
    float series = fmaf(t, 0.11111111f, 0.14285715f);
    series = fmaf(t, series, 0.2f);
    series = fmaf(t, series, 0.33333334f);
    const float near = fmaf(s + s, t * series, s + s);
    return x < 0.5f ? near : 0.6931472f * __log2f(1.0f + x);
}

// ln(1 + e^x) and its slope, sigmoid(x), of one exponential.
struct Softplus {
    float value;
    float slope;
};

// With d = e^-|x|, ln(1 + d) = 2 artanh(d/(2 + d)) within 3 units in the last place: its argument is at most 1/3.
__device__ __forceinline__ Softplus softplus(float x) {
    const float decay = expf(-fabsf(x));
    const float share = quotient(1.0f, 1.0f + decay);
    const float s = quotient(decay, 2.0f + decay);
    const float t = s * s;
    float series = fmaf(t, 0.06666667f, 0.07692308f);
    series = fmaf(t, series, 0.09090909f);
    series = fmaf(t, series, 0.11111111f);
    series = fmaf(t, series, 0.14285715f);
    series = fmaf(t, series, 0.2f);
    series = fmaf(t, series, 0.33333334f);
    const float near = fmaf(s + s, t * series, s + s);
    return {fmaxf(x, 0.0f) + near, x < 0.0f ? decay * share : share};
}
