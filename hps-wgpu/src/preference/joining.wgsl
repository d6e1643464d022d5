// What a team's threads know together, joined by the family's own associative `joined(earlier, later)`, of which `NONE`
// changes nothing.

// Of all threads.
fn team_joined(own: vec4<f32>) -> vec4<f32> {
    if (TEAM == 1u) {
        return own;
    }
    held[place] = own;
    workgroupBarrier();
    for (var step = 1u; step < TEAM; step *= 2u) {
        if (lane % (2u * step) == 0u) {
            held[place] = joined(held[place], held[place + step]);
        }
        workgroupBarrier();
    }
    let all = held[place - lane];
    workgroupBarrier();
    return all;
}

// Of the threads before this one, or of those behind it.
fn joined_beside(own: vec4<f32>, behind: bool) -> vec4<f32> {
    if (TEAM == 1u) {
        return NONE;
    }
    let first = place - lane;
    let rank = select(lane, TEAM - 1u - lane, behind);
    held[first + rank] = own;
    workgroupBarrier();
    var all = own;
    for (var step = 1u; step < TEAM; step *= 2u) {
        if (rank >= step) {
            all = joined(held[first + rank - step], all);
        }
        workgroupBarrier();
        held[first + rank] = all;
        workgroupBarrier();
    }
    var beside = NONE;
    if (rank > 0u) {
        beside = held[first + rank - 1u];
    }
    workgroupBarrier();
    return beside;
}
