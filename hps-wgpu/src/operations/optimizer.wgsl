// The gradients' norm and AdamW, in f32.

const LANES: u32 = 256u;

struct Parameters {
    count: u32, // numbers, or partial results
    start: u32, // the first partial result of this array
    learning_rate: f32, // over 1 - beta1^step
    keep: f32, // 1 - learning rate * weight decay
    fresh1: f32, // 1 - beta1
    decay2: f32, // beta2
    fresh2: f32, // 1 - beta2
    correction2: f32, // sqrt(1 - beta2^step)
    epsilon: f32,
    max_norm: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;

// partials[start + group] = the largest magnitude of 16 LANES numbers; infinite if one is not a number.
@group(0) @binding(1) var<storage, read> numbers: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(LANES)
fn magnitudes(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = group_of(group, count);
    var largest = 0u;
    for (var share = 0u; share < 16u; share += 1u) {
        let entry = (index * 16u + share) * LANES + lane;
        if entry < parameters.count {
            // As bits: a driver may think that numbers are never infinite.
            largest = max(largest, min(bitcast<u32>(numbers[entry]) & 0x7fffffffu, 0x7f800000u));
        }
    }
    largest = highest_of(lane, largest);
    if lane == 0u && index * 16u * LANES < parameters.count {
        partials[parameters.start + index] = bitcast<f32>(largest);
    }
}

// norm[0] = the largest of the partial results.
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;

@compute @workgroup_size(LANES)
fn largest(@builtin(local_invocation_index) lane: u32) {
    var found = 0u;
    for (var entry = lane; entry < parameters.count; entry += LANES) {
        found = max(found, bitcast<u32>(numbers[entry]));
    }
    found = highest_of(lane, found);
    if lane == 0u {
        norm[0] = bitcast<f32>(found);
    }
}

// A power of two near `largest`, that squares of numbers over it neither vanish nor overflow; 1 for 0.
fn unit(largest: f32) -> f32 {
    let exponent = clamp(bitcast<u32>(largest) >> 23u, 1u, 253u);
    return bitcast<f32>(select(exponent << 23u, 0x3f800000u, bitcast<u32>(largest) == 0u));
}

// partials[start + group] = sum of (number / unit)^2 over 16 LANES numbers.
@group(0) @binding(3) var<storage, read> size: array<f32>;

@compute @workgroup_size(LANES)
fn squares(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = group_of(group, count);
    let scale = 1.0 / unit(size[0]);
    var sum = 0.0;
    for (var share = 0u; share < 16u; share += 1u) {
        let entry = (index * 16u + share) * LANES + lane;
        if entry < parameters.count {
            let number = numbers[entry] * scale;
            sum += number * number;
        }
    }
    sum = sum_of(lane, sum);
    if lane == 0u && index * 16u * LANES < parameters.count {
        partials[parameters.start + index] = sum;
    }
}

// norm[0], the largest magnitude, becomes sqrt of the sum of all squares; it stays infinite where it is.
@compute @workgroup_size(LANES)
fn root(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var entry = lane; entry < parameters.count; entry += LANES) {
        sum += numbers[entry];
    }
    sum = sum_of(lane, sum);
    if lane == 0u && is_finite(norm[0]) {
        norm[0] = sqrt(sum) * unit(norm[0]);
    }
}

// w = w keep - lr m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + epsilon), in torch.optim.AdamW's order. Where the norm
// is not finite nothing changes.
@group(0) @binding(2) var<storage, read> whole: array<f32>; // the norm
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> first: array<f32>;
@group(0) @binding(5) var<storage, read_write> second: array<f32>;

@compute @workgroup_size(LANES)
fn adamw(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let entry = group_of(group, count) * LANES + lane;
    if entry >= parameters.count || !is_finite(whole[0]) {
        return;
    }
    let g = numbers[entry] * min(parameters.max_norm / (whole[0] + 1e-6), 1.0);
    let m = first[entry] + (g - first[entry]) * parameters.fresh1;
    let v = second[entry] * parameters.decay2 + parameters.fresh2 * g * g;
    first[entry] = m;
    second[entry] = v;
    let step = m / (sqrt(v) / parameters.correction2 + parameters.epsilon);
    weights[entry] = weights[entry] * parameters.keep - parameters.learning_rate * step;
}
