// Operations number by number. A thread takes 16 bytes of each array, and what is left of the last 16 one by one.

struct Span {
    u64 first, last;
    bool whole;
    __device__ Span(u32 width, u64 count) {
        first = (u64(blockIdx.x) * blockDim.x + threadIdx.x) * width;
        last = min(first + width, count);
        whole = first + width <= count;
    }
};

// x += scale y.
extern "C" __global__ void __launch_bounds__(256)
add_scaled(number* __restrict__ x, const number* __restrict__ y, float scale, u64 count) {
    constexpr u32 W = WIDTH<number>;
    const Span span(W, count);
    if (span.whole) {
        Wide<number> a = take<W>(x + span.first);
        const Wide<number> b = take<W>(y + span.first);
        #pragma unroll
        for (u32 i = 0; i < W; i += 1) a.at[i] = narrow<number>(widen(a.at[i]) + scale * widen(b.at[i]));
        put<W>(x + span.first, a);
        return;
    }
    for (u64 i = span.first; i < span.last; i += 1) x[i] = narrow<number>(widen(x[i]) + scale * widen(y[i]));
}

// y = x, in the other type. A thread takes four numbers: 16 bytes on one side.
template <typename From, typename To>
__device__ __forceinline__ void convert(const From* __restrict__ x, To* __restrict__ y, u64 count) {
    const Span span(4, count);
    if (span.whole) {
        const Pack<From, 4> from = take<4>(x + span.first);
        Pack<To, 4> to;
        #pragma unroll
        for (u32 i = 0; i < 4; i += 1) to.at[i] = narrow<To>(widen(from.at[i]));
        put<4>(y + span.first, to);
        return;
    }
    for (u64 i = span.first; i < span.last; i += 1) y[i] = narrow<To>(widen(x[i]));
}

extern "C" __global__ void __launch_bounds__(256)
narrow_all(const float* __restrict__ x, number* __restrict__ y, u64 count) { convert(x, y, count); }

extern "C" __global__ void __launch_bounds__(256)
widen_all(const number* __restrict__ x, float* __restrict__ y, u64 count) { convert(x, y, count); }

// 1 / (1 + e^-x). Where results are rounded to eight bits, the hardware's own exponential and reciprocal have enough:
// they are wrong by 1e-5 where x = -80 and by less elsewhere.
__device__ __forceinline__ float sigmoid(float x) {
#if defined(BF16) && BF16
    return __fdividef(1.0f, 1.0f + __expf(-x));
#else
    return 1.0f / (1.0f + expf(-x));
#endif
}

// silu(gate) up, silu(g) = g sigmoid(g).
__device__ __forceinline__ number activated(number gate, number up) {
    return narrow<number>(widen(gate) * sigmoid(widen(gate)) * widen(up));
}

extern "C" __global__ void __launch_bounds__(256)
swiglu(const number* __restrict__ gate, const number* __restrict__ up, number* __restrict__ y, u64 count) {
    constexpr u32 W = WIDTH<number>;
    const Span span(W, count);
    if (span.whole) {
        const Wide<number> a = take<W>(gate + span.first), b = take<W>(up + span.first);
        Wide<number> out;
        #pragma unroll
        for (u32 i = 0; i < W; i += 1) out.at[i] = activated(a.at[i], b.at[i]);
        put<W>(y + span.first, out);
        return;
    }
    for (u64 i = span.first; i < span.last; i += 1) y[i] = activated(gate[i], up[i]);
}

// d gate = dy up s (1 + g (1 - s)), d up = dy g s, s = sigmoid(g).
__device__ __forceinline__ void activated_backward(number dy_, number gate_, number up_, number& d_gate, number& d_up) {
    const float dy = widen(dy_), gate = widen(gate_), up = widen(up_), open = sigmoid(gate);
    d_gate = narrow<number>(dy * up * open * (1.0f + gate * (1.0f - open)));
    d_up = narrow<number>(dy * gate * open);
}

extern "C" __global__ void __launch_bounds__(256)
swiglu_backward(
    const number* __restrict__ dy, const number* __restrict__ gate, const number* __restrict__ up,
    number* __restrict__ d_gate, number* __restrict__ d_up, u64 count
) {
    constexpr u32 W = WIDTH<number>;
    const Span span(W, count);
    if (span.whole) {
        const Wide<number> a = take<W>(dy + span.first), b = take<W>(gate + span.first), c = take<W>(up + span.first);
        Wide<number> of_gate, of_up;
        #pragma unroll
        for (u32 i = 0; i < W; i += 1) activated_backward(a.at[i], b.at[i], c.at[i], of_gate.at[i], of_up.at[i]);
        put<W>(d_gate + span.first, of_gate);
        put<W>(d_up + span.first, of_up);
        return;
    }
    for (u64 i = span.first; i < span.last; i += 1) activated_backward(dy[i], gate[i], up[i], d_gate[i], d_up[i]);
}
