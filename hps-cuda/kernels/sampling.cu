// A token drawn from a row of logits x: the first, by id, at which the cumulative weight of the kept tokens passes
// `uniform` of all their weight, the weight being e^{(x - max) / temperature}. A block takes a row.
//
// Tokens are ordered by logit, the highest first, equals by id; the order is that of u32 keys. Weights are summed as
// integers: these sums have no order, so histograms may be filled by atomics, and what one sweep finds the next finds
// too.

constexpr u32 THREADS = 1024;
constexpr u32 WARPS = THREADS / WARP;

// The key is found from the top, 11 bits at a time.
constexpr u32 DIGIT = 11;
constexpr u32 BINS = 1u << DIGIT;

// Ascending keys for ascending numbers; both zeros alike.
__device__ __forceinline__ u32 key_of(float logit) {
    const u32 bits = __float_as_uint(logit + 0.0f);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float logit_of(u32 key) { return __uint_as_float(key >> 31 ? key & 0x7fffffffu : ~key); }

// What is kept: keys above `key`, and of those equal to it the `equals` first.
struct Cut { u32 key, equals; };

// What a token weighs: e^{(x - greatest) / temperature} in units of 1 / scale. All of a row weigh less than 2^63.
struct Weight {
    float greatest, inverse, scale;

    __device__ __forceinline__ u64 operator()(float logit) const {
        return u64(expf((logit - greatest) * inverse) * scale);
    }
};

// What items weigh together: those of a weight of their own, and those that are all alike.
struct Share { u64 weight; u32 alike; };

// The item at which the cumulative weight passes a threshold, and how much of the threshold falls to it.
struct Place { u32 item; u64 left; };

// Of `items` items, `of(item)` being the share of one, the first at which the cumulative weight exceeds
// `threshold(weight of all)`, which must be less than the weight of all. Of those alike, the first `equals` have
// `weight_alike`, the others nothing. Each warp adds up a 32nd of what is left, so a vocabulary takes four rounds, of
// which only the first is long.
template <typename Of, typename Threshold>
__device__ __forceinline__ Place passed(u32 items, u32 equals, u64 weight_alike, Of of, Threshold threshold) {
    __shared__ Share shares[WARPS];
    const u32 warp = threadIdx.x / WARP;
    u32 first = 0;
    u32 last = items;
    u64 left = 0;
    while (true) {
        const u32 span = (last - first + WARPS - 1) / WARPS;
        const u32 end = min(first + (warp + 1) * span, last);
        Share share = {0, 0};
        #pragma unroll 4
        for (u32 item = first + warp * span + threadIdx.x % WARP; item < end; item += WARP) {
            const Share one = of(item);
            share.weight += one.weight;
            share.alike += one.alike;
        }
        #pragma unroll
        for (u32 step = WARP / 2; step > 0; step /= 2) {
            share.weight += __shfl_xor_sync(ALL, share.weight, step);
            share.alike += __shfl_xor_sync(ALL, share.alike, step);
        }
        __syncthreads();
        if (threadIdx.x % WARP == 0) shares[warp] = share;
        __syncthreads();
        if (last - first == items) {
            u64 total = 0;
            u32 alike = 0;
            #pragma unroll 8
            for (u32 i = 0; i < WARPS; i += 1) {
                total += shares[i].weight;
                alike += shares[i].alike;
            }
            left = threshold(total + weight_alike * min(alike, equals));
        }
        // In order, and alike in all threads.
        u32 part = 0;
        while (true) {
            share = shares[part];
            const u64 weight = share.weight + weight_alike * min(share.alike, equals);
            if (weight > left || part + 1 == WARPS) break;
            left -= weight;
            equals -= min(share.alike, equals);
            part += 1;
        }
        first = min(first + part * span, last - 1);
        last = min(first + span, last);
        if (last - first == 1) return Place{first, left};
    }
}

// Weights by the digit of a key, as two halves: shared memory does not add 64 bits at once.
struct Histogram {
    u32 low[BINS], high[BINS];

    __device__ __forceinline__ void clear() {
        for (u32 bin = threadIdx.x; bin < BINS; bin += THREADS) low[bin] = high[bin] = 0;
    }

    __device__ __forceinline__ void add(u32 bin, u64 weight) {
        const u32 part = u32(weight);
        const u32 old = atomicAdd(&low[bin], part);
        const u32 rest = u32(weight >> 32) + u32(old + part < old);
        if (rest > 0) atomicAdd(&high[bin], rest);
    }

    __device__ __forceinline__ u64 operator[](u32 bin) const { return u64(high[bin]) << 32 | low[bin]; }
};

// The shortest beginning of what `cut` keeps that weighs more than `threshold(weight of all that it keeps)`.
template <typename Of, typename Threshold>
__device__ __forceinline__ Cut
shortest(const float* row, u32 words, Histogram& histogram, Cut cut, Of weight, Threshold threshold) {
    const u64 alike = cut.equals == 0 ? 0 : weight(logit_of(cut.key)) * cut.equals;
    u32 key = 0;
    u32 known = 0; // which bits of it are
    u64 left = 0;
    // Digits begin at bits 21, 10 and 0; the last begins with a bit that is known.
    for (u32 shift = 32 - DIGIT; true; shift = max(shift, DIGIT) - DIGIT) {
        __syncthreads();
        histogram.clear();
        __syncthreads();
        if (threadIdx.x == 0 && (cut.key & known) == key) histogram.add(cut.key >> shift & (BINS - 1), alike);
        #pragma unroll 4
        for (u32 word = threadIdx.x; word < words; word += THREADS) {
            const float logit = row[word];
            const u32 own = key_of(logit);
            if (own <= cut.key || (own & known) != key) continue;
            const u64 weighs = weight(logit);
            if (weighs > 0) histogram.add(own >> shift & (BINS - 1), weighs);
        }
        __syncthreads();
        const Place place = passed(
            BINS, 0, 0, [&](u32 item) { return Share{histogram[BINS - 1 - item], 0}; },
            [&](u64 total) { return known == 0 ? threshold(total) : left; });
        left = place.left;
        key |= (BINS - 1 - place.item) << shift;
        known |= (BINS - 1) << shift;
        if (shift == 0) return Cut{key, u32(left / weight(logit_of(key))) + 1};
    }
}

// tokens = what is drawn, log_probs = log softmax(x) of it; a row without a softmax, for NaNs or infinities, is given
// 0xffffffff and NaN. `inverse` is 1 / temperature; `top_k` is from 1 to `words`.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
draw(const float* __restrict__ logits, const float* __restrict__ uniforms, u32* __restrict__ tokens,
     float* __restrict__ log_probs, u32 words, float inverse, float scale, u32 top_k, float top_p) {
    __shared__ Histogram histogram;
    const float* row = logits + u64(blockIdx.x) * words;
    const Exponentials all =
        words % 4 == 0 ? exponentials<THREADS, 4>(row, words) : exponentials<THREADS, 1>(row, words);
    if (!(all.sum > 0.0f)) {
        if (threadIdx.x == 0) {
            tokens[blockIdx.x] = ALL;
            log_probs[blockIdx.x] = __uint_as_float(0x7fc00000u);
        }
        return;
    }
    const Weight weight = {all.greatest, inverse, scale};
    Cut cut = {0, 0};
    if (top_k == 1) {
        cut = Cut{key_of(all.greatest), 1};
    } else {
        if (top_k < words) {
            cut = shortest(
                row, words, histogram, cut, [](float) { return u64(1); }, [=](u64) { return u64(top_k - 1); });
        }
        if (top_p < 1.0f) {
            // At least top_p of it, and at least one token.
            cut = shortest(row, words, histogram, cut, weight, [=](u64 total) {
                return max(u64(ceil(double(top_p) * double(total))), u64(1)) - 1;
            });
        }
    }
    const u64 weight_alike = cut.equals == 0 ? 0 : weight(logit_of(cut.key));
    const double uniform = uniforms[blockIdx.x];
    const Place place = passed(
        words, cut.equals, weight_alike,
        [&](u32 word) {
            const float logit = row[word];
            const u32 key = key_of(logit);
            return Share{key > cut.key ? weight(logit) : 0, u32(key == cut.key)};
        },
        [=](u64 total) { return min(u64(uniform * double(total)), total - 1); });
    if (threadIdx.x == 0) {
        tokens[blockIdx.x] = place.item;
        log_probs[blockIdx.x] = (row[place.item] - all.greatest) - logf(all.sum);
    }
}
