// The price of a preferred score u against another score v: (L, dL/du, dL/dv), m = u - v.
//
// logistic: softplus(-m') + eps m', m' = m - delta | EXO: KL((p, 1 - p) || (1 - eps, eps)), p = sigmoid(m)
// IPO: (m - t)^2 | SPPO: c [(u - t)^2 + (v + t)^2], t = 1/(2 beta)
// NCA: softplus(-u) + softplus(u)/2 + softplus(v)/2 | hinge: max(0, delta - m)

constexpr u32 EXO = 1;
constexpr u32 NCA = 4;

struct Price {
    float value;
    float preferred;
    float other;
};

__device__ __forceinline__ Price price(const Loss& loss, float u, float v) {
    const float lead = u - v;
    switch (loss.pair) {
        case 0: {
            const float lag = loss.margin - lead;
            const Softplus soft = softplus(lag);
            const float slope = loss.label_smoothing - soft.slope;
            return {soft.value - loss.label_smoothing * lag, slope, -slope};
        }
        case EXO: {
            const float log_win = log1pf(-loss.label_smoothing);
            const float log_loss = logf(loss.label_smoothing);
            const Softplus over = softplus(lead), under = softplus(-lead);
            const float slope = over.slope * under.slope * (lead - (log_win - log_loss));
            return {over.slope * (-under.value - log_win) + under.slope * (-over.value - log_loss), slope, -slope};
        }
        case 2: {
            const float rest = lead - loss.target;
            return {rest * rest, 2.0f * rest, -2.0f * rest};
        }
        case 3: {
            const float factor = loss.flag(MEAN) ? 0.5f : 1.0f;
            const float under = u - loss.target, over = v + loss.target;
            return {factor * (under * under + over * over), 2.0f * factor * under, 2.0f * factor * over};
        }
        case NCA: {
            const Softplus up = softplus(u), down = softplus(-u), other = softplus(v);
            return {down.value + 0.5f * (up.value + other.value), 0.5f * up.slope - down.slope, 0.5f * other.slope};
        }
        default: {
            const float lag = loss.margin - lead;
            // A NaN stays one.
            return lag <= 0.0f ? Price{0.0f, 0.0f, 0.0f} : Price{lag, -1.0f, 1.0f};
        }
    }
}
