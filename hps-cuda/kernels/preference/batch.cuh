// A batch of rows, [prompts, responses], best first, and what one thread sees of it. A team of TEAM threads computes
// one prompt.
//
// A thread owns neighbours: EACH of them, kept in registers. With EACH = 0 the list is longer, and what is kept of it
// lies in memory: each thread then owns a run of neighbours, or, unless BLOCKED, every TEAM-th response.

constexpr bool IS_LONG = EACH == 0;
// A list of two needs no counting.
constexpr bool IS_PAIR = EACH == 2;
constexpr u32 HELD = IS_LONG ? 1 : EACH;

constexpr u32 MEAN = 1;
constexpr u32 MASK_MAX = 2;
constexpr u32 NEXT_RANKS = 4;
constexpr u32 BASE_2 = 8;
constexpr u32 LOG_ODDS = 6;

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
    // Of this prompt, [responses]. `origins` are log pi_ref, or log pi - log pi_ref itself; `measures` lengths, or the
    // responses' own factors.
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
    // log pi - log pi_ref is w log pi + v origin: (w, v) = (1, -1), or (0, 1) where origins are that difference itself.
    float weight_of_policy;
    float sign_of_origin;
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
                if (holds(index(e))) f(e, index(e));
        }
    }

    // f(e, i) for each, and for the empty places behind the list's end: nothing to decide, for what harms nobody there.
    template <typename F> __device__ __forceinline__ void each_place(F f) const {
        if constexpr (IS_LONG) {
            each(f);
        } else {
            #pragma unroll
            for (u32 e = 0; e < HELD; e += 1) f(e, index(e));
        }
    }

    template <typename F> __device__ __forceinline__ void each_place_from_the_back(F f) const {
        if constexpr (IS_LONG) {
            each_from_the_back(f);
        } else {
            #pragma unroll
            for (u32 e = HELD; e > 0; e -= 1) f(e - 1, index(e - 1));
        }
    }

    // Whether a place is the list's.
    __device__ __forceinline__ bool holds(u32 i) const { return IS_PAIR || IS_LONG || i < responses; }

    // And of a response from `first` on.
    __device__ __forceinline__ bool is_behind(u32 first, u32 i) const { return i - first < responses - first; }

    template <typename F> __device__ __forceinline__ void each_from_the_back(F f) const {
        if constexpr (IS_LONG) {
            for (u32 e = run; e > 0; e -= 1)
                if (index(e - 1) < responses) f(e - 1, index(e - 1));
        } else {
            #pragma unroll
            for (u32 e = HELD; e > 0; e -= 1)
                if (holds(index(e - 1))) f(e - 1, index(e - 1));
        }
    }

    template <u32 WIDTH> __device__ __forceinline__ void read_by(const float* list, float (&to)[HELD]) const {
        #pragma unroll
        for (u32 e = 0; e + WIDTH <= HELD; e += WIDTH) {
            Pack<float, WIDTH> pack = {};
            if (holds(index(e))) pack = *reinterpret_cast<const Pack<float, WIDTH>*>(list + index(e));
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
            if (holds(index(e))) *reinterpret_cast<Pack<float, WIDTH>*>(list + index(e)) = pack;
        }
    }

    // Of two neighbours' fours a, b | c, d: the first thread writes a and c, the second b and d. So 32 bytes are
    // written at once, which is what memory takes.
    __device__ __forceinline__ void write_beside(float* list, const float (&from)[HELD]) const {
        const bool is_second = lane % 2 == 1;
        Pack<float, 4> sent, first, second;
        #pragma unroll
        for (u32 part = 0; part < 4; part += 1) sent.at[part] = is_second ? from[part] : from[part + 4];
        const Pack<float, 4> given = moved(sent, [](u32 word) { return __shfl_xor_sync(team_mask(), word, 1); });
        #pragma unroll
        for (u32 part = 0; part < 4; part += 1) {
            first.at[part] = is_second ? given.at[part] : from[part];
            second.at[part] = is_second ? from[part + 4] : given.at[part];
        }
        const u32 i = lane / 2 * 16 + lane % 2 * 4;
        if (i < responses) *reinterpret_cast<Pack<float, 4>*>(list + i) = first;
        if (i + 8 < responses) *reinterpret_cast<Pack<float, 4>*>(list + i + 8) = second;
    }

    // All of a team write at once.
    __device__ __forceinline__ void write(float* list, const float (&from)[HELD]) const {
        if constexpr (EACH == 8 && TEAM > 1) {
            if (width == 4) return write_beside(list, from);
        }
        if (!IS_PAIR && width == 4) write_by<4>(list, from);
        else if (width == 2) write_by<2>(list, from);
        else write_by<1>(list, from);
    }

    // Times 0, what is not finite is NaN.
    __device__ __forceinline__ void doubt_unless_finite(float x) { doubt = fmaf(x, 0.0f, doubt); }
    __device__ __forceinline__ void refuse() { doubt = INFINITE * 0.0f; }

    // h, or log pi itself where the reward reads no reference: then the origin is 0. What is not finite in either makes
    // it so.
    __device__ __forceinline__ float ratio(float log_prob, float origin) const {
        return fmaf(log_prob, weight_of_policy, sign_of_origin * origin);
    }

    // ds/dlog pi where the reward reads measures, but for the log odds.
    __device__ __forceinline__ float measured_slope(float measure) const {
        if (loss.reward == 2) return measure;
        return loss.reward == 5 ? loss.beta : quotient(loss.beta, measure);
    }

    // x - ln(1 - e^x), x = log pi / l.
    __device__ __forceinline__ float log_odds(float log_prob, float length) const {
        const float x = quotient(log_prob, length);
        return x - (x > -0.6931472f ? logf(-expm1f(x)) : log1pf(-expf(x)));
    }

    // s of log pi, its origin and its measure.
    __device__ __forceinline__ float score_from(float log_prob, float origin, float measure) const {
        if (!loss.reads_measures()) return loss.beta * ratio(log_prob, origin);
        if (loss.reward == LOG_ODDS) return log_odds(log_prob, measure);
        return fmaf(measured_slope(measure), ratio(log_prob, origin), loss.alpha * measure);
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

    // Reads what scores are made of. That of an empty place is minus infinity.
    __device__ __forceinline__ void take_scores() {
        if constexpr (IS_LONG) {
            each([&](u32, u32 i) {
                doubt_unless_finite(policy[i]);
                doubt_unless_finite(score_of(i));
            });
            return;
        }
        float log_probs[HELD], from[HELD] = {}, measured[HELD] = {};
        read(policy, log_probs);
        if (loss.reads_reference()) read(origins, from);
        // One decision for all of them.
        if (!loss.reads_measures()) {
            each_place([&](u32 e, u32) { scores[e] = loss.beta * ratio(log_probs[e], from[e]); });
        } else {
            read(measures, measured);
            each_place([&](u32 e, u32 i) {
                scores[e] = holds(i) ? score_from(log_probs[e], from[e], measured[e]) : 0.0f;
            });
        }
        each_place([&](u32 e, u32 i) {
            doubt_unless_finite(scores[e]);
            scores[e] = holds(i) ? scores[e] : -INFINITE;
        });
    }

    // Whoever calls `reward` calls this first.
    __device__ __forceinline__ void take_rewards() {
        if constexpr (!IS_LONG) read(rewards, own_rewards);
    }

    // Multiplies dL/ds_i by ds_i / dlog pi_i and by `weight`.
    __device__ __forceinline__ void to_log_probs(Kept& slopes, float weight) const {
        if (!loss.reads_measures()) {
            const float slope = weight * loss.beta;
            each_place([&](u32 e, u32 i) { slopes(e, i) *= slope; });
        } else if (loss.reward == LOG_ODDS) {
            each([&](u32 e, u32 i) {
                const float length = measures[i];
                slopes(e, i) *= quotient(weight, -expm1f(quotient(policy[i], length)) * length);
            });
        } else {
            each([&](u32 e, u32 i) { slopes(e, i) *= weight * measured_slope(measures[i]); });
        }
    }
};
