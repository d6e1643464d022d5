// Exponentials and logarithms of losses. CUDA's own are within 2 units in the last place.

__device__ __forceinline__ bool is_finite(float x) { return fabsf(x) < INFINITE; }

// A quotient within 2 units in the last place; the divisor is below 2^126.
__device__ __forceinline__ float quotient(float x, float y) { return __fdividef(x, y); }

__device__ __forceinline__ float sigmoid(float x) { return quotient(1.0f, 1.0f + expf(-x)); }

// ln(1 + e^x) and its slope, sigmoid(x), of one exponential.
struct Softplus {
    float value;
    float slope;
};

__device__ __forceinline__ Softplus softplus(float x) {
    const float decay = expf(-fabsf(x));
    const float share = quotient(1.0f, 1.0f + decay);
    return {fmaxf(x, 0.0f) + log1pf(decay), x < 0.0f ? decay * share : share};
}
