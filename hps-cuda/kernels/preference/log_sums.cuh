// Sums of exponentials relative to the largest, where scores are too far apart for one scale: (m, t), t = sum of
// e^(x - m), and u = sum of e^(x - m) (x - m + c) over terms (x, c). All that is added up has one sign where c has, and no
// exponent is above 0.

struct LogSum {
    float m, t;
};

struct LogMoments {
    float m, t, u;
};

constexpr LogSum NO_SUM = {-INFINITE, 0.0f};
constexpr LogMoments NO_MOMENTS = {-INFINITE, 0.0f, 0.0f};

__device__ __forceinline__ LogSum joined(LogSum a, LogSum b) {
    const bool a_is_larger = a.m >= b.m;
    const LogSum larger = a_is_larger ? a : b, smaller = a_is_larger ? b : a;
    if (smaller.t == 0.0f) return larger;
    return {larger.m, larger.t + expf(smaller.m - larger.m) * smaller.t};
}

__device__ __forceinline__ LogMoments joined(LogMoments a, LogMoments b) {
    const bool a_is_larger = a.m >= b.m;
    const LogMoments larger = a_is_larger ? a : b, smaller = a_is_larger ? b : a;
    if (smaller.t == 0.0f) return larger;
    const float drop = smaller.m - larger.m;
    const float share = expf(drop);
    return {larger.m, larger.t + share * smaller.t, larger.u + share * (smaller.u + drop * smaller.t)};
}

template <typename Sums> __device__ __forceinline__ float log_of(Sums sums) { return sums.m + logf(sums.t); }
