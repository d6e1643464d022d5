// What becomes of a tile of logits: probabilities and log-probs of targets, or the logits' gradient. A workgroup computes a
// row.

const LANES: u32 = 256u;

struct Parameters {
    rows: u32, // up to which
    words: u32,
    first: u32, // row
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;

// values = log p(target), logits = p.
@group(0) @binding(3) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(LANES)
fn soften(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = parameters.first + group_of(group, count);
    if row >= parameters.rows {
        return;
    }
    let start = row * parameters.words;
    let chosen = logits[start + targets[row]];
    var greatest = -3.4e38;
    for (var word = lane; word < parameters.words; word += LANES) {
        greatest = max(greatest, logits[start + word]);
    }
    greatest = max_of(lane, greatest);
    // In blocks, so that a vocabulary of a million words loses no more than a small one.
    var sum = 0.0;
    for (var block = lane; block < parameters.words; block += 64u * LANES) {
        var part = 0.0;
        for (var word = block; word < min(block + 64u * LANES, parameters.words); word += LANES) {
            let weight = exp_(logits[start + word] - greatest);
            logits[start + word] = weight;
            part += weight;
        }
        sum += part;
    }
    sum = sum_of(lane, sum);
    for (var word = lane; word < parameters.words; word += LANES) {
        logits[start + word] /= sum;
    }
    if lane == 0u {
        values[row] = (chosen - greatest) - ln_(sum);
    }
}

// logits = c (onehot(target) - p), of the p that `soften` leaves.
@group(0) @binding(3) var<storage, read> coefficients: array<f32>;

@compute @workgroup_size(LANES)
fn slope(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = parameters.first + group_of(group, count);
    if row >= parameters.rows {
        return;
    }
    let target_word = targets[row];
    let c = coefficients[row];
    for (var word = lane; word < parameters.words; word += LANES) {
        let p = logits[row * parameters.words + word];
        logits[row * parameters.words + word] = select(-c * p, c - c * p, word == target_word);
    }
}
