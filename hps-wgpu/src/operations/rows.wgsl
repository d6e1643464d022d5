// Rows taken, put, summed and scaled by their numbers. A thread computes one number.

struct Parameters {
    rows: u32, // of the window
    columns: u32,
    first: u32, // of the rows that `table` holds
    last: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;

// y_i = table[rows_i], where the window of the table holds it.
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> taken: array<f32>;

@compute @workgroup_size(256)
fn gather(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let entry = group_of(group, count) * 256u + lane;
    let row = entry / parameters.columns;
    if row >= parameters.rows {
        return;
    }
    let source = indices[row];
    if source < parameters.first || source >= parameters.last {
        return;
    }
    let at = (source - parameters.first) * parameters.columns + entry % parameters.columns;
    if BF16 == 1u {
        let word = table[at / 2u];
        taken[entry] = select(lower_half(word), upper_half(word), at % 2u == 1u);
    } else {
        taken[entry] = bitcast<f32>(table[at]);
    }
}

// dx_r += sum of the dy_i whose row is r: items[starts[r] .. starts[r + 1]] are their numbers, in order.
@group(0) @binding(1) var<storage, read> given: array<f32>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read> items: array<u32>;
@group(0) @binding(4) var<storage, read_write> summed: array<f32>;

@compute @workgroup_size(256)
fn gather_backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let entry = group_of(group, count) * 256u + lane;
    let row = entry / parameters.columns;
    if row >= parameters.rows {
        return;
    }
    let column = entry % parameters.columns;
    var sum = summed[entry];
    for (var item = starts[row]; item < starts[row + 1u]; item += 1u) {
        sum += given[items[item] * parameters.columns + column];
    }
    summed[entry] = sum;
}

// x_t *= c_t.
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read_write> scaled: array<f32>;

@compute @workgroup_size(256)
fn scale(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let entry = group_of(group, count) * 256u + lane;
    let row = entry / parameters.columns;
    if row < parameters.rows {
        scaled[entry] *= factors[row];
    }
}

// cache[rows_i] = x_i, where the window of the cache holds it.
@group(0) @binding(1) var<storage, read> put: array<f32>;
@group(0) @binding(3) var<storage, read_write> cache: array<f32>;

@compute @workgroup_size(256)
fn write(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let entry = group_of(group, count) * 256u + lane;
    let row = entry / parameters.columns;
    if row >= parameters.rows {
        return;
    }
    let to = indices[row];
    if to >= parameters.first && to < parameters.last {
        cache[(to - parameters.first) * parameters.columns + entry % parameters.columns] = put[entry];
    }
}

// x = 0.
@group(0) @binding(1) var<storage, read_write> cleared: array<f32>;

@compute @workgroup_size(256)
fn clear(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let entry = group_of(group, count) * 256u + lane;
    if entry < parameters.rows {
        cleared[entry] = 0.0;
    }
}
