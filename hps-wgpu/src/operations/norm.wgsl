// Root-mean-square norm: y = x r gain, r = 1 / sqrt(mean(x^2) + epsilon) of the row. A workgroup computes a row.

const LANES: u32 = 64u;

struct Parameters {
    rows: u32,
    columns: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gain: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn reciprocal_root(row: u32, lane: u32) -> f32 {
    var squares = 0.0;
    for (var column = lane; column < parameters.columns; column += LANES) {
        let number = x[row * parameters.columns + column];
        squares += number * number;
    }
    return 1.0 / sqrt(sum_of(lane, squares) / f32(parameters.columns) + parameters.epsilon);
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group_of(group, count);
    if row >= parameters.rows {
        return;
    }
    let r = reciprocal_root(row, lane);
    for (var column = lane; column < parameters.columns; column += LANES) {
        let entry = row * parameters.columns + column;
        y[entry] = x[entry] * r * gain[column];
    }
}

// dx = r (gain dy - x r^2 mean(gain dy x)).
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(LANES)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group_of(group, count);
    if row >= parameters.rows {
        return;
    }
    let r = reciprocal_root(row, lane);
    var products = 0.0;
    for (var column = lane; column < parameters.columns; column += LANES) {
        let entry = row * parameters.columns + column;
        products += dy[entry] * gain[column] * x[entry];
    }
    let along = sum_of(lane, products) * r * r / f32(parameters.columns);
    for (var column = lane; column < parameters.columns; column += LANES) {
        let entry = row * parameters.columns + column;
        dx[entry] = r * (dy[entry] * gain[column] - x[entry] * along);
    }
}

// roots[row] = r.
@group(0) @binding(2) var<storage, read_write> roots: array<f32>;

@compute @workgroup_size(LANES)
fn reciprocal_roots(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group_of(group, count);
    if row >= parameters.rows {
        return;
    }
    let r = reciprocal_root(row, lane);
    if lane == 0u {
        roots[row] = r;
    }
}

// d gain += sum over the window's rows of dy x r, in blocks of 64 rows. A thread computes a column.
@group(0) @binding(2) var<storage, read> known: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_gain: array<f32>;

@compute @workgroup_size(LANES)
fn gain_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = group_of(group, count) * LANES + lane;
    if column >= parameters.columns {
        return;
    }
    var sum = d_gain[column];
    for (var block = 0u; block < parameters.rows; block += 64u) {
        var part = 0.0;
        for (var row = block; row < min(block + 64u, parameters.rows); row += 1u) {
            let entry = row * parameters.columns + column;
            part += dy[entry] * x[entry] * known[row];
        }
        sum += part;
    }
    d_gain[column] = sum;
}
