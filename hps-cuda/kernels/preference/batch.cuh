// A batch of rows, [prompts, responses], best first, and what one thread sees of it. A team of TEAM threads computes one
// prompt.
//
// A thread owns neighbours: EACH of them, kept in registers. With EACH = 0 the list is longer, and what is kept of it lies in
// memory: each thread then owns a run of neighbours, or, unless BLOCKED, every TEAM-th response.

constexpr bool IS_LONG = EACH == 0;
// A list of two needs no counting.
constexpr bool IS_PAIR = EACH == 2;
constexpr u32 HELD = IS_LONG ? 1 : EACH;

constexpr u32 MEAN = 1;
constexpr u32 MASK_MAX = 2;
constexpr u32 NEXT_RANKS = 4;
constexpr u32 BASE_2 = 8;

// hps-core's LossDescriptor.
struct __align__(16) Loss {
    u32 reward, pair, preference, form;
    u32 flags, count;
    float preference_weight, likelihood;
    float beta, alpha, label_smoothing, margin;
    float target, gamma, scale, temperature;
    float supervised, contrast_alpha, contrast_power;
    u32 reserved;
    float rank_weights[16];

    __device__ __forceinline__ bool flag(u32 wanted) const { return (flags & wanted) != 0; }
    __device__ __forceinline__ bool reads_reference() const { return reward <= 2 || reward == 5; }
    __device__ __forceinline__ bool reads_measures() const { return reward != 0 && reward != 3; }
};

// A number of each response that this thread owns.
struct Kept {
    float at[HELD];
    float* memory;

    __device__ __forceinline__ float& operator()(u32 e, u32 i) {
        if constexpr (IS_LONG) return memory[i];
        else return at[e];
    }
};

struct Row {
    const Loss& loss;
    // Of this prompt, [responses]. `origins` are log pi_ref, or log pi - log pi_ref itself if `are_ratios`; `measures`
    // lengths, or the responses' own factors.
    const float* policy;
    const float* origins;
    const float* measures;
    const float* rewards;
    // Indices of the sampled negatives, and how many they were drawn from; 0 stands for the row's own.
    const u32* samples;
    u32 sample_count;
    u32 drawn_from;
    float supervised;
    // Two lists [responses] where what is kept lies in memory.
    float* scratch[2];
    u32 responses;
    u32 lane;
    // Responses that this thread owns at most.
    u32 run;
    // Numbers that are read at once: 4, 2 or 1.
    u32 width;
    bool are_ratios;
    // 0, or NaN once anything was not finite.
    float doubt;
    float scores[HELD];
    float own_rewards[HELD];

    __device__ __forceinline__ u32 index(u32 e) const {
        if constexpr (IS_LONG && !BLOCKED) return e * TEAM + lane;
        else return lane * (IS_LONG ? run : HELD) + e;
    }

    // f(e, i) for each response i that this thread owns as its e-th.
    template <typename F> __device__ __forceinline__ void each(F f) const {
        if constexpr (IS_LONG) {
            for (u32 e = 0; e < run; e += 1)
                if (index(e) < responses) f(e, index(e));
        } else {
            #pragma unroll
            for (u32 e = 0; e < HELD; e += 1)
                if (IS_PAIR || index(e) < responses) f(e, index(e));
        }
    }

    template <typename F> __device__ __forceinline__ void each_from_the_back(F f) const {
        if constexpr (IS_LONG) {
            for (u32 e = run; e > 0; e -= 1)
                if (index(e - 1) < responses) f(e - 1, index(e - 1));
        } else {
            #pragma unroll
            for (u32 e = HELD; e > 0; e -= 1)
                if (IS_PAIR || index(e - 1) < responses) f(e - 1, index(e - 1));
        }
    }

    template <u32 WIDTH> __device__ __forceinline__ void read_by(const float* list, float (&to)[HELD]) const {
        #pragma unroll
        for (u32 e = 0; e + WIDTH <= HELD; e += WIDTH) {
            Pack<float, WIDTH> pack = {};
            if (IS_PAIR || index(e) < responses) pack = *reinterpret_cast<const Pack<float, WIDTH>*>(list + index(e));
            #pragma unroll
            for (u32 part = 0; part < WIDTH; part += 1) to[e + part] = pack.at[part];
        }
    }

    // This thread's part of a list, with zeros behind its end.
    __device__ __forceinline__ void read(const float* list, float (&to)[HELD]) const {
        if (!IS_PAIR && width == 4) read_by<4>(list, to);
        else if (width == 2) read_by<2>(list, to);
        else read_by<1>(list, to);
    }

    template <u32 WIDTH> __device__ __forceinline__ void write_by(float* list, const float (&from)[HELD]) const {
        #pragma unroll
        for (u32 e = 0; e + WIDTH <= HELD; e += WIDTH) {
            Pack<float, WIDTH> pack;
            #pragma unroll
            for (u32 part = 0; part < WIDTH; part += 1) pack.at[part] = from[e + part];
            if (IS_PAIR || index(e) < responses) *reinterpret_cast<Pack<float, WIDTH>*>(list + index(e)) = pack;
        }
    }

    __device__ __forceinline__ void write(float* list, const float (&from)[HELD]) const {
        if (!IS_PAIR && width == 4) write_by<4>(list, from);
        else if (width == 2) write_by<2>(list, from);
        else write_by<1>(list, from);
    }

    // Times 0, what is not finite is NaN.
    __device__ __forceinline__ void doubt_unless_finite(float x) { doubt = fmaf(x, 0.0f, doubt); }
    __device__ __forceinline__ void refuse() { doubt = INFINITE * 0.0f; }

    // s of log pi, its origin and its measure.
    __device__ __forceinline__ float score_from(float log_prob, float origin, float measure) const {
        const float ratio = are_ratios ? origin : log_prob - origin;
        switch (loss.reward) {
            case 0: return loss.beta * ratio;
            case 1: return quotient(loss.beta, measure) * ratio;
            case 2: return measure * ratio;
            case 3: return loss.beta * log_prob;
            case 4: return quotient(loss.beta, measure) * log_prob;
            case 5: return loss.beta * ratio + loss.alpha * measure;
            default: {
                const float x = quotient(log_prob, measure);
                return x - (x > -0.6931472f ? logf(-expm1f(x)) : log1pf(-expf(x)));
            }
        }
    }

    // s_i of any response.
    __device__ __forceinline__ float score_of(u32 i) const {
        if constexpr (IS_PAIR) return i == 0 ? scores[0] : scores[HELD - 1];
        const float origin = loss.reads_reference() ? origins[i] : 0.0f;
        return score_from(policy[i], origin, loss.reads_measures() ? measures[i] : 1.0f);
    }

    // That of one that this thread owns.
    __device__ __forceinline__ float score(u32 e, u32 i) const {
        if constexpr (IS_LONG) return score_of(i);
        else return scores[e];
    }

    __device__ __forceinline__ float reward(u32 e, u32 i) const {
        if constexpr (IS_LONG) return rewards[i];
        else return own_rewards[e];
    }

    // Reads what scores are made of.
    __device__ __forceinline__ void take_scores() {
        if constexpr (IS_LONG) {
            each([&](u32 e, u32 i) {
                doubt_unless_finite(policy[i]);
                doubt_unless_finite(score_of(i));
            });
            return;
        }
        float log_probs[HELD], from[HELD] = {}, measured[HELD] = {};
        read(policy, log_probs);
        if (loss.reads_reference()) read(origins, from);
        if (loss.reads_measures()) read(measures, measured);
        each([&](u32 e, u32 i) {
            scores[e] = score_from(log_probs[e], from[e], measured[e]);
            doubt_unless_finite(scores[e]);
            if (are_ratios) doubt_unless_finite(log_probs[e]);
        });
    }

    // Whoever calls `reward` calls this first.
    __device__ __forceinline__ void take_rewards() {
        if constexpr (!IS_LONG) read(rewards, own_rewards);
    }

    // ds_i / dlog pi_i.
    __device__ __forceinline__ float slope(u32 i) const {
        switch (loss.reward) {
            case 1:
            case 4: return quotient(loss.beta, measures[i]);
            case 2: return measures[i];
            case 6: {
                const float length = measures[i];
                return quotient(1.0f, -expm1f(quotient(policy[i], length)) * length);
            }
            default: return loss.beta;
        }
    }
};
