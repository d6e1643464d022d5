// LiPO-lambda: L = sum_{psi_i > psi_j} |2^psi_i - 2^psi_j| |1/D(tau_i) - 1/D(tau_j)| softplus(s_j - s_i), D(t) = log(1 + t),
// tau_i the rank of response i by the scores or the rewards, 1 the highest, ties by index (Eq. 17). O(n^2).

const BLOCKED = false;

// 2^x of |x| <= 60.
fn power_of_2(x: f32) -> f32 {
    let whole = floor(x);
    return exp_((x - whole) * 0.6931472) * bitcast<f32>(u32(i32(whole) + 127) << 23u);
}

fn ranked(index: u32) -> f32 {
    if (batch.loss.form == 1u) {
        return rewards[base + index];
    }
    return kept(index);
}

fn prefer() -> f32 {
    let n = batch.responses;
    let discounts = 2u * base;
    let slopes = discounts + n;
    let numerator = select(1.0, 0.6931472, flag(BASE_2));
    // Everybody's scores are read: in memory they are the same for all.
    storageBarrier();
    var pairs = 0.0;
    for (var i = begin; i < end; i += stride) {
        let own = ranked(i);
        var rank = 1.0;
        for (var j = 0u; j < n; j += 1u) {
            let other = ranked(j);
            rank += select(0.0, 1.0, other > own || (other == own && j < i));
            pairs += select(0.0, 1.0, rewards[base + i] > rewards[base + j]);
        }
        scratch[discounts + i] = numerator / ln_(1.0 + rank);
    }
    let count = team_sum(vec4<f32>(pairs)).x;
    let factor = select(1.0, 1.0 / max(count, 1.0), flag(MEAN));
    storageBarrier();
    var value = 0.0;
    for (var i = begin; i < end; i += stride) {
        let s = kept(i);
        let reward = rewards[base + i];
        let gain = power_of_2(reward);
        let discount = scratch[discounts + i];
        var entry = 0.0;
        for (var j = 0u; j < n; j += 1u) {
            let other = rewards[base + j];
            if (other != reward) {
                let weight = factor * abs(gain - power_of_2(other)) * abs(discount - scratch[discounts + j]);
                let behind = kept(j) - s;
                if (reward > other) {
                    value += weight * softplus(behind);
                    entry -= weight * sigmoid(behind);
                } else {
                    entry += weight * sigmoid(-behind);
                }
            }
        }
        scratch[slopes + i] = entry;
    }
    storageBarrier();
    for (var i = begin; i < end; i += stride) {
        keep(i, scratch[slopes + i]);
    }
    return team_sum(vec4<f32>(value)).x;
}
