// The price of a preferred score u against another score v: (L, dL/du, dL/dv), m = u - v.
//
// logistic: softplus(-m') + eps m', m' = m - delta | EXO: KL((p, 1 - p) || (1 - eps, eps)), p = sigmoid(m)
// IPO: (m - t)^2 | SPPO: c [(u - t)^2 + (v + t)^2], t = 1/(2 beta)
// NCA: softplus(-u) + softplus(u)/2 + softplus(v)/2 | hinge: max(0, delta - m)
fn price(u: f32, v: f32) -> vec3<f32> {
    let lead = u - v;
    switch batch.loss.pair {
        case 0u: {
            let short = batch.loss.margin - lead;
            let slope = batch.loss.label_smoothing - sigmoid(short);
            return vec3<f32>(softplus(short) - batch.loss.label_smoothing * short, slope, -slope);
        }
        case 1u: {
            let log_win = ln_1p(-batch.loss.label_smoothing);
            let log_loss = ln_(batch.loss.label_smoothing);
            let win = sigmoid(lead);
            let loss = sigmoid(-lead);
            let slope = win * loss * (lead - (log_win - log_loss));
            return vec3<f32>(win * (-softplus(-lead) - log_win) + loss * (-softplus(lead) - log_loss), slope, -slope);
        }
        case 2u: {
            let rest = lead - batch.loss.goal;
            return vec3<f32>(rest * rest, 2.0 * rest, -2.0 * rest);
        }
        case 3u: {
            let factor = select(1.0, 0.5, flag(MEAN));
            let short = u - batch.loss.goal;
            let over = v + batch.loss.goal;
            return vec3<f32>(factor * (short * short + over * over), 2.0 * factor * short, 2.0 * factor * over);
        }
        case 4u: {
            let value = softplus(-u) + 0.5 * (softplus(u) + softplus(v));
            return vec3<f32>(value, 0.5 * sigmoid(u) - sigmoid(-u), 0.5 * sigmoid(v));
        }
        default: {
            let short = batch.loss.margin - lead;
            if (short > 0.0) {
                return vec3<f32>(short, -1.0, 1.0);
            }
            return vec3<f32>(0.0);
        }
    }
}
