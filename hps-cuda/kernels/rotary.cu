// Rotary position embedding: in every head, the pair (x_i, x_(i + h)), h = dimension / 2, turns by position * f_i.

// (cos, sin) of an angle, correctly rounded but for ties. The angle is that many quarter turns and the rest of one,
// |rest| <= pi / 4, in f64: pi / 2 in two parts leaves no error that f32 would show below 2^31; then Taylor's
// polynomials.
__device__ __forceinline__ float2 turn(float angle) {
    const double quarters = rint(double(angle) * 0.63661977236758134);
    double rest = fma(quarters, -1.5707963267948966, double(angle));
    rest = fma(quarters, -6.123233995736766e-17, rest);
    const double t = rest * rest;
    double sine = -1.0 / 39916800.0;
    sine = fma(sine, t, 1.0 / 362880.0);
    sine = fma(sine, t, -1.0 / 5040.0);
    sine = fma(sine, t, 1.0 / 120.0);
    sine = fma(sine, t, -1.0 / 6.0);
    sine = fma(sine * t, rest, rest);
    double cosine = 1.0 / 479001600.0;
    cosine = fma(cosine, t, -1.0 / 3628800.0);
    cosine = fma(cosine, t, 1.0 / 40320.0);
    cosine = fma(cosine, t, -1.0 / 720.0);
    cosine = fma(cosine, t, 1.0 / 24.0);
    cosine = fma(cosine, t, -0.5);
    cosine = fma(cosine, t, 1.0);
    const long long quarter = (long long)quarters;
    const float a = float(quarter & 1 ? sine : cosine), b = float(quarter & 1 ? cosine : sine);
    return make_float2((quarter + 1) & 2 ? -a : a, quarter & 2 ? -b : b);
}

// Row t: the cosines of its angles, then the sines. The angle is formed in f32. A block computes a row.
extern "C" __global__ void __launch_bounds__(256)
rotation(
    const u32* __restrict__ positions, const float* __restrict__ frequencies, float* __restrict__ angles, u32 half
) {
    const float position = float(positions[blockIdx.x]);
    float* row = angles + u64(blockIdx.x) * 2 * half;
    for (u32 i = threadIdx.x; i < half; i += blockDim.x) {
        const float2 turned = turn(position * frequencies[i]);
        row[i] = turned.x;
        row[half + i] = turned.y;
    }
}

// A block turns the heads of a row, in their place. A thread reads the angles of W pairs once for all its heads.
template <u32 W>
__device__ __forceinline__ void rotate_row(
    number* __restrict__ x, const float* __restrict__ angles, u32 heads, u32 half, float sign
) {
    const u32 lanes = min(half / W, blockDim.x), together = blockDim.x / lanes;
    if (threadIdx.x >= lanes * together) return;
    for (u32 pair = threadIdx.x % lanes * W; pair < half; pair += lanes * W) {
        const Pack<float, W> cosines = take<W>(angles + pair), sines = take<W>(angles + half + pair);
        for (u32 head = threadIdx.x / lanes; head < heads; head += together) {
            number* first = x + u64(head) * 2 * half + pair;
            Pack<number, W> a = take<W>(first), b = take<W>(first + half);
            #pragma unroll
            for (u32 j = 0; j < W; j += 1) {
                const float cosine = cosines.at[j], sine = sign * sines.at[j];
                const float p = widen(a.at[j]), q = widen(b.at[j]);
                a.at[j] = narrow<number>(p * cosine - q * sine);
                b.at[j] = narrow<number>(q * cosine + p * sine);
            }
            put<W>(first, a);
            put<W>(first + half, b);
        }
    }
}

// sign = -1 turns back. The grid's y counts arrays: one, or two of as many rows.
extern "C" __global__ void __launch_bounds__(256)
rotate(
    number* __restrict__ first, u32 heads_of_first, number* __restrict__ second, u32 heads_of_second,
    const float* __restrict__ angles, u32 half, float sign
) {
    const u32 heads = blockIdx.y == 0 ? heads_of_first : heads_of_second;
    number* row = (blockIdx.y == 0 ? first : second) + u64(blockIdx.x) * heads * 2 * half;
    const float* of_row = angles + u64(blockIdx.x) * 2 * half;
    if (half % WIDTH<number> == 0) rotate_row<WIDTH<number>>(row, of_row, heads, half, sign);
    else rotate_row<1>(row, of_row, heads, half, sign);
}
