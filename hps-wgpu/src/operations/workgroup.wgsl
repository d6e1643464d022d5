// What the LANES threads of a workgroup know together, the same in all of them. Sums are formed in one order.

var<workgroup> partial: array<f32, LANES>;
var<workgroup> counts: array<u32, LANES>;

fn sum_of(lane: u32, number: f32) -> f32 {
    partial[lane] = number;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            partial[lane] += partial[lane + half];
        }
        workgroupBarrier();
    }
    let sum = partial[0];
    workgroupBarrier();
    return sum;
}

fn max_of(lane: u32, number: f32) -> f32 {
    partial[lane] = number;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            partial[lane] = max(partial[lane], partial[lane + half]);
        }
        workgroupBarrier();
    }
    let largest = partial[0];
    workgroupBarrier();
    return largest;
}

fn count_of(lane: u32, number: u32) -> u32 {
    counts[lane] = number;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            counts[lane] += counts[lane + half];
        }
        workgroupBarrier();
    }
    let sum = counts[0];
    workgroupBarrier();
    return sum;
}

fn highest_of(lane: u32, number: u32) -> u32 {
    counts[lane] = number;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            counts[lane] = max(counts[lane], counts[lane + half]);
        }
        workgroupBarrier();
    }
    let highest = counts[0];
    workgroupBarrier();
    return highest;
}
