// IPO over a ranking: L = sum_{j < n} 1/(n-j) sum_{k > j} (s_j - s_k - t)^2, t = 1/(2 beta).
//
// sum_{k > j} (x - s_k)^2 = (n-j) (x - m_j)^2 + V_j with the mean m_j of what follows and its sum of squares about it; and
// dL/ds_k = [k < n] 2 (s_k - t - m_k) - sum_{j < k} w_j (s_j - t - s_k), w_j = 2/(n-j), which is the weight of those before
// times the distance from their mean. Both are sums (weight, mean, squares about the mean), which do not cancel.

const BLOCKED = true;
const NONE = vec4<f32>(0.0);

fn joined(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let weight = a.x + b.x;
    if (a.x == 0.0 || b.x == 0.0) {
        return a + b;
    }
    let step = b.y - a.y;
    let share = b.x / weight;
    return vec4<f32>(weight, a.y + step * share, a.z + b.z + step * step * (a.x * share), 0.0);
}

fn prefer() -> f32 {
    let last = batch.responses - 1u;
    let origin = score(0u);

    var own = NONE;
    var weighted = NONE;
    for (var i = end; i > begin; i -= 1u) {
        let s = kept(i - 1u) - origin;
        own = joined(own, vec4<f32>(1.0, s, 0.0, 0.0));
        if (i - 1u < last) {
            weighted = joined(weighted, vec4<f32>(2.0 / f32(last - (i - 1u)), s, 0.0, 0.0));
        }
    }
    var behind = joined_beside(own, true);
    var before = joined_beside(weighted, false);
    var value = 0.0;
    for (var next = end; next > begin; next -= 1u) {
        let i = next - 1u;
        let s = kept(i) - origin;
        var entry = 0.0;
        if (i < last) {
            let rest = s - batch.loss.goal - behind.y;
            value += rest * rest + behind.z / behind.x;
            entry = 2.0 * rest;
        }
        keep(i, entry);
        behind = joined(behind, vec4<f32>(1.0, s, 0.0, 0.0));
    }
    for (var i = begin; i < end; i += 1u) {
        let s = score(i) - origin;
        keep(i, kept(i) - before.x * (before.y - batch.loss.goal - s));
        if (i < last) {
            before = joined(before, vec4<f32>(2.0 / f32(last - i), s, 0.0, 0.0));
        }
    }
    return team_sum(vec4<f32>(value)).x;
}
