// Operations without a sum: scaled addition, SwiGLU, dropout.

struct Parameters {
    count: u32, // numbers; rows of dropout
    columns: u32,
    scale: f32,
    threshold: u32,
    key: vec2<u32>,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> first: array<f32>;
@group(0) @binding(2) var<storage, read> second: array<f32>;
@group(0) @binding(3) var<storage, read> third: array<f32>;

// x += scale y.
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;

@compute @workgroup_size(256)
fn add_scaled(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let entry = group_of(group, count) * 256u + lane;
    if entry < parameters.count {
        sum[entry] += parameters.scale * first[entry];
    }
}

// silu(gate) up, with first = gate, second = up.
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn swiglu(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let entry = group_of(group, count) * 256u + lane;
    if entry < parameters.count {
        let gate = first[entry];
        out[entry] = gate * sigmoid(gate) * second[entry];
    }
}

// third = dy; silu'(g) = s (1 + g (1 - s)), s = sigmoid(g).
@group(0) @binding(4) var<storage, read_write> d_gate: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_up: array<f32>;

@compute @workgroup_size(256)
fn swiglu_backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let entry = group_of(group, count) * 256u + lane;
    if entry < parameters.count {
        let gate = first[entry];
        let dy = third[entry];
        let open = sigmoid(gate);
        d_gate[entry] = dy * second[entry] * open * (1.0 + gate * (1.0 - open));
        d_up[entry] = dy * gate * open;
    }
}

// A thread four columns of a row: word `column % 4` of Philox at [column / 4, position, segment, data row].
@group(0) @binding(2) var<storage, read> identities: array<u32>;

@compute @workgroup_size(256)
fn dropout(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = group_of(group, count) * 256u + lane;
    let blocks = (parameters.columns + 3u) / 4u;
    let row = place / blocks;
    if row >= parameters.count {
        return;
    }
    let block = place % blocks;
    let counter = vec4<u32>(block, identities[3u * row + 2u], identities[3u * row + 1u], identities[3u * row]);
    let words = philox(counter, parameters.key);
    for (var word = 0u; word < 4u; word += 1u) {
        let column = 4u * block + word;
        if column < parameters.columns {
            let entry = row * parameters.columns + column;
            out[entry] = select(0.0, first[entry] * parameters.scale, words[word] >= parameters.threshold);
        }
    }
}
