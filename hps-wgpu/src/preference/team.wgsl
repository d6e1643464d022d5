// What a team's threads know together: sums and maxima, the same in all of them, in an order that TEAM alone decides.

var<workgroup> held: array<vec4<f32>, GROUP>;

fn team_sum(own: vec4<f32>) -> vec4<f32> {
    if (TEAM == 1u) {
        return own;
    }
    held[place] = own;
    workgroupBarrier();
    for (var half = TEAM / 2u; half > 0u; half /= 2u) {
        if (lane < half) {
            held[place] += held[place + half];
        }
        workgroupBarrier();
    }
    let sum = held[place - lane];
    workgroupBarrier();
    return sum;
}

fn team_max(own: vec4<f32>) -> vec4<f32> {
    if (TEAM == 1u) {
        return own;
    }
    held[place] = own;
    workgroupBarrier();
    for (var half = TEAM / 2u; half > 0u; half /= 2u) {
        if (lane < half) {
            held[place] = max(held[place], held[place + half]);
        }
        workgroupBarrier();
    }
    let largest = held[place - lane];
    workgroupBarrier();
    return largest;
}
