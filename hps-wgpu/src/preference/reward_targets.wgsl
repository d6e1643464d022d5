// The list against a soft target from its rewards, w = softmax(r / T), with p = softmax(s).
//
// logistic: -sum_i w_i ln p_i | EXO: sum_i p_i (ln p_i - ln w_i) | NCA: sum_i [w_i softplus(-s_i) + softplus(s_i)/n]

const BLOCKED = false;

fn prefer() -> f32 {
    var highest = ABSENT;
    var scores = NONE;
    for (var i = begin; i < end; i += stride) {
        highest = max(highest, rewards[base + i]);
        scores = with_term(scores, kept(i), 0.0);
    }
    highest = team_max(vec4<f32>(highest)).x;
    let log_normaliser = log_of(team_joined(scores));
    var weights = 0.0;
    for (var i = begin; i < end; i += stride) {
        weights += decay((rewards[base + i] - highest) / batch.loss.temperature);
    }
    let log_weights = ln_(team_sum(vec4<f32>(weights)).x);

    let per_response = 1.0 / f32(batch.responses);
    var sum = 0.0;
    for (var i = begin; i < end; i += stride) {
        let s = kept(i);
        let log_target = (rewards[base + i] - highest) / batch.loss.temperature - log_weights;
        let log_share = s - log_normaliser;
        switch PAIR {
            case 1u: {
                // A weight of 0 is infinitely far away as a target of the reverse divergence.
                refused = refused || !came_out_finite(log_target);
                sum += decay(log_share) * (log_share - log_target);
                keep(i, log_share - log_target);
            }
            case 4u: {
                let share = decay(log_target);
                sum += share * softplus(-s) + per_response * softplus(s);
                keep(i, per_response * sigmoid(s) - share * sigmoid(-s));
            }
            default: {
                let share = decay(log_target);
                sum -= share * log_share;
                keep(i, decay(log_share) - share);
            }
        }
    }
    let value = team_sum(vec4<f32>(sum)).x;
    if (PAIR == 1u) {
        for (var i = begin; i < end; i += stride) {
            keep(i, decay(score(i) - log_normaliser) * (kept(i) - value));
        }
    }
    return value;
}
