// L = lambda L_preference - nu log pi_1 / l_1 and dL/dlog pi_i of every prompt. A row with a number that is not finite, in
// or out, gets NaN for its value and its whole gradient.
@compute @workgroup_size(GROUP)
fn loss(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // Not every family reads them, and a kernel has the bindings that it names.
    _ = &rewards;
    _ = &scratch;
    place = local;
    lane = local % TEAM;
    take(batch.first + group_of(group, count) * (GROUP / TEAM) + local / TEAM);
    for (var i = begin; i < end; i += stride) {
        let s = score(i);
        refused = refused || !is_finite(policy[base + i]) || !is_finite(origins[base + i]) || !came_out_finite(s);
        refused = refused || (LOG_ODDS == 1u && policy[base + i] >= 0.0);
        keep(i, s);
    }
    let preference = prefer();

    let share = batch.loss.likelihood / bitcast<f32>(word(2u));
    var value = batch.loss.preference_weight * preference;
    if (batch.loss.likelihood != 0.0) {
        value -= share * policy[base];
    }
    refused = refused || !came_out_finite(value);
    for (var i = begin; i < end; i += stride) {
        var entry = batch.loss.preference_weight * kept(i) * slope(i);
        if (i == 0u && batch.loss.likelihood != 0.0) {
            entry -= share;
        }
        refused = refused || !came_out_finite(entry);
        keep(i, entry);
    }
    let of_no_use = team_max(vec4<f32>(select(0.0, 1.0, refused))).x > 0.0;
    if (of_no_use) {
        for (var i = begin; i < end; i += stride) {
            gradient[base + i] = NAN;
        }
    }
    if (lane == 0u && begin < end) {
        values[prompt] = select(bitcast<u32>(value), NAN, of_no_use);
    }
}
