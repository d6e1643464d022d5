// SPPO's squares towards win rates: L = c sum_i (s_i - (P_i - 1/2)/beta)^2. In a ranking P_i = (n-i)/(n-1); estimated from
// the rewards P_i = 1/n sum_k sigmoid(r_i - r_k), with k = i, in O(n^2).

const BLOCKED = false;

fn win_rate(index: u32) -> f32 {
    if (batch.loss.preference != 5u) {
        let last = f32(batch.responses - 1u);
        return (last - f32(index)) / last;
    }
    let own = rewards[base + index];
    var wins = 0.0;
    for (var k = 0u; k < batch.responses; k += 1u) {
        wins += sigmoid(own - rewards[base + k]);
    }
    return wins / f32(batch.responses);
}

fn prefer() -> f32 {
    let factor = select(1.0, 1.0 / f32(batch.responses), flag(MEAN));
    var sum = 0.0;
    for (var i = begin; i < end; i += stride) {
        let rest = kept(i) - (win_rate(i) - 0.5) * (2.0 * batch.loss.goal);
        sum += rest * rest;
        keep(i, 2.0 * factor * rest);
    }
    return factor * team_sum(vec4<f32>(sum)).x;
}
