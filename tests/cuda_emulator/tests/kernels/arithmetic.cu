// Scalar arithmetic of every sort, each kernel a plain map over its inputs.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

extern "C" __global__ void add(const float* a, const float* b, float* out, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) out[i] = a[i] + b[i];
}

// One function of the mathematics library a row of `out`.
extern "C" __global__ void functions(const float* x, float* out, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    float v = x[i], s, c;
    sincosf(v, &s, &c);
    out[0 * count + i] = s;
    out[1 * count + i] = c;
    out[2 * count + i] = expf(v);
    out[3 * count + i] = logf(fabsf(v));
    out[4 * count + i] = log1pf(fabsf(v));
    out[5 * count + i] = expm1f(v);
    out[6 * count + i] = powf(fabsf(v), 1.3f);
    out[7 * count + i] = erff(v);
    out[8 * count + i] = tanhf(v);
    out[9 * count + i] = sqrtf(fabsf(v));
    out[10 * count + i] = rsqrtf(fabsf(v));
    out[11 * count + i] = 1.0f / v;
    out[12 * count + i] = v / 3.7f;
    out[13 * count + i] = floorf(v) + ceilf(v) + rintf(v) + truncf(v);
    out[14 * count + i] = fmodf(v, 2.5f);
    out[15 * count + i] = __expf(v * 0.001f) + __logf(fabsf(v));
}

extern "C" __global__ void doubles(const double* x, double* out, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    double v = x[i];
    out[0 * count + i] = exp(v * 0.01);
    out[1 * count + i] = log(fabs(v));
    out[2 * count + i] = sqrt(fabs(v)) / (v + 0.5);
    out[3 * count + i] = sin(v);
    out[4 * count + i] = fma(v, v, -1.0) + (double)(float)v + (double)(long long)v + (double)(int)v;
    out[5 * count + i] = fmin(v, 1.0) + fmax(v, 2.0);
}

extern "C" __global__ void halves(const __nv_bfloat162* a, const __nv_bfloat162* b, __nv_bfloat162* out,
                                  const __half2* ha, __half2* hout, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    out[0 * count + i] = __hadd2(a[i], b[i]);
    out[1 * count + i] = __hmul2(a[i], b[i]);
    out[2 * count + i] = __hfma2(a[i], b[i], a[i]);
    out[3 * count + i] = __hmax2(a[i], b[i]);
    out[4 * count + i] = __hmin2(a[i], b[i]);
    out[5 * count + i] = __hsub2(a[i], __hneg2(b[i]));
    float2 wide = __bfloat1622float2(a[i]);
    out[6 * count + i] = __floats2bfloat162_rn(wide.x * 1.7f, wide.y * 0.3f);
    hout[0 * count + i] = __hfma2(ha[i], ha[i], ha[i]);
    float2 h = __half22float2(ha[i]);
    hout[1 * count + i] = __floats2half2_rn(h.x * 1.7f, h.y * 1e-5f);
    hout[2 * count + i] = __hadd2(ha[i], __hmul2(ha[i], ha[i]));
}

extern "C" __global__ void integers(const unsigned long long* x, unsigned long long* out, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    unsigned long long a = x[i], b = x[(i + 1) % count];
    long long sa = (long long)a, sb = (long long)b;
    unsigned int lo = (unsigned int)a, hi = (unsigned int)(b >> 32);
    out[0 * count + i] = __umul64hi(a, b);
    out[1 * count + i] = (unsigned long long)__mul64hi(sa, sb);
    out[2 * count + i] = a / (b | 1) + a % (hi | 1);
    out[3 * count + i] = (unsigned long long)(sa / (sb | 1)) + (unsigned long long)((int)lo % ((int)hi | 1));
    out[4 * count + i] = __popcll(a) + __clz((int)lo) + __ffs((int)hi) + __brev(lo) + __clzll(sa);
    out[5 * count + i] = __byte_perm(lo, hi, 0x5140) + __funnelshift_l(lo, hi, 7) + __funnelshift_r(lo, hi, 9);
    out[6 * count + i] = (a << (hi & 63)) ^ (unsigned long long)(sa >> (lo & 63)) ^ (unsigned long long)((int)lo >> 3);
    out[7 * count + i] = (unsigned long long)(unsigned char)lo + (unsigned long long)(long long)(short)hi
        + __umulhi(lo, hi) + (unsigned long long)__mulhi((int)lo, (int)hi);
    out[8 * count + i] = min(lo, hi) + max((int)lo, (int)hi) + abs((int)lo) + min(a, b) + (unsigned long long)max(sa, sb);
    out[9 * count + i] = (unsigned long long)__float2int_rn((float)lo * 1e-3f) + (unsigned long long)(float)hi
        + (unsigned long long)__dp4a((int)lo, (int)hi, 5);
}

// Philox 4x32, ten rounds.
extern "C" __global__ void philox(unsigned long long seed, uint4* out, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    unsigned int k0 = (unsigned int)seed, k1 = (unsigned int)(seed >> 32);
    uint4 c = make_uint4(i, 0, 0, 0);
    #pragma unroll 1
    for (int round = 0; round < 10; round++) {
        unsigned int hi0 = __umulhi(0xD2511F53u, c.x), lo0 = 0xD2511F53u * c.x;
        unsigned int hi1 = __umulhi(0xCD9E8D57u, c.z), lo1 = 0xCD9E8D57u * c.z;
        c = make_uint4(hi1 ^ c.y ^ k0, lo1, hi0 ^ c.w ^ k1, lo0);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[i] = c;
}

struct Shape { int rows; short columns; float scale; double offset; };
__constant__ float TABLE[4] = {1.0f, 2.0f, 4.0f, 8.0f};
__device__ unsigned int TALLY = 5;

__device__ __noinline__ float called(float x, Shape shape, int* depth) {
    if (x < 1.0f) return x * shape.scale;
    *depth += 1;
    return x + (float)shape.offset;
}

extern "C" __global__ void structure(const float* x, float* out, Shape shape) {
    int depth = 0, i = threadIdx.x;
    float y = called(x[i], shape, &depth);
    out[i] = y + TABLE[i % 4] + depth * shape.rows + shape.columns;
    atomicAdd(&TALLY, 1u);
}

extern "C" __global__ void chosen(const int* x, int* out, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    int v = x[i], y = 0;
    switch (v % 9) {
        case 0: y = v * 3; break;
        case 1: y = v ^ 0x55; break;
        case 2: y = v - 7; out[i] = 1; break;
        case 3: y = __popc(v); break;
        case 4: for (int k = 0; k < v; k++) { if (k * k > v) break; y += k; } break;
        case 5: y = v << 2; break;
        case 6: y = v / 5; break;
        case 7: while (v != 1 && y < 1000) { v = v % 2 ? 3 * v + 1 : v / 2; y++; } break;
        default: y = -v;
    }
    out[i] = y;
}
