// NCA over a ranking: L = sum_{j < n} softplus(-s_j) + sum_k c_k softplus(s_k), c_k = sum_{j <= min(k, n-1)} 1/(n-j+1);
// dL/ds_k = c_k sigmoid(s_k) - [k < n] sigmoid(-s_k).

const BLOCKED = true;
const NONE = vec4<f32>(0.0);

fn joined(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return a + b;
}

fn prefer() -> f32 {
    let last = batch.responses - 1u;
    var own = 0.0;
    for (var i = begin; i < min(end, last); i += 1u) {
        own += 1.0 / f32(batch.responses - i);
    }
    var share = joined_beside(vec4<f32>(own), false).x;
    var value = 0.0;
    for (var i = begin; i < end; i += 1u) {
        let s = kept(i);
        if (i < last) {
            share += 1.0 / f32(batch.responses - i);
            value += share * softplus(s) + softplus(-s);
            keep(i, share * sigmoid(s) - sigmoid(-s));
        } else {
            value += share * softplus(s);
            keep(i, share * sigmoid(s));
        }
    }
    return team_sum(vec4<f32>(value)).x;
}
