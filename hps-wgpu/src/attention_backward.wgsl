// Attention over spans, backward. With P = exp(q k' / sqrt(D) - log-sum-exp) and delta = rowsum(dO o):
// dV = P' dO, dS = P (dO V' - delta) / sqrt(D), dQ = dS K, dK = dS' Q. P is formed again, BLOCK x BLOCK at a time.

const LANES: u32 = 64u;
const STRIDE: u32 = D + 1u;
const SHARE: u32 = (BLOCK * D + LANES - 1u) / LANES;

struct Parameters {
    query_heads: u32,
    key_heads: u32,
    first_query: u32, // token of the first row that what has a row a query holds
    scale: f32,
    blocks: u32, // numbers, for `along`
}

struct QueryBlock {
    query_start: u32, // tokens
    query_end: u32,
    prefix_start: u32,
    prefix_end: u32,
    self_start: u32,
}

struct KeyBlock {
    key_start: u32, // tokens
    key_end: u32,
    query_start: u32,
    query_end: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;

// Log-sum-exp and delta of each query and head, side by side. A thread computes one.
@group(0) @binding(1) var<storage, read> left: array<f32>;
@group(0) @binding(2) var<storage, read> right: array<f32>;
@group(0) @binding(3) var<storage, read> log_sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> beside: array<vec2<f32>>;

@compute @workgroup_size(LANES)
fn along(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = group_of(group, count) * LANES + lane;
    if place >= parameters.blocks {
        return;
    }
    var sum = 0.0;
    for (var column = 0u; column < D; column += 1u) {
        sum += left[place * D + column] * right[place * D + column];
    }
    beside[place] = vec2<f32>(log_sums[place], sum);
}

@group(0) @binding(1) var<storage, read> query_blocks: array<QueryBlock>;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> k: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<storage, read> d_out: array<f32>;
@group(0) @binding(6) var<storage, read> rows_of: array<vec2<f32>>; // what `along` leaves
@group(0) @binding(7) var<storage, read_write> dq: array<f32>;

var<workgroup> queries: array<f32, BLOCK * STRIDE>;
var<workgroup> upstream: array<f32, BLOCK * STRIDE>;
var<workgroup> keys_held: array<f32, BLOCK * STRIDE>;
var<workgroup> values_held: array<f32, BLOCK * STRIDE>;
var<workgroup> weights: array<f32, BLOCK * BLOCK>;
var<workgroup> d_scores: array<f32, BLOCK * BLOCK>;

// P and dS of a pair of what is held, of a query whose numbers lie at `row`.
fn pair(at: u32, query: u32, key: u32, row: u32, visible: bool) {
    var weight = 0.0;
    var slope = 0.0;
    if visible {
        var score = 0.0;
        var along = 0.0;
        for (var column = 0u; column + 4u <= D; column += 4u) {
            let one = query * STRIDE + column;
            let other = key * STRIDE + column;
            score += queries[one] * keys_held[other] + queries[one + 1u] * keys_held[other + 1u]
                + queries[one + 2u] * keys_held[other + 2u] + queries[one + 3u] * keys_held[other + 3u];
            along += upstream[one] * values_held[other] + upstream[one + 1u] * values_held[other + 1u]
                + upstream[one + 2u] * values_held[other + 2u] + upstream[one + 3u] * values_held[other + 3u];
        }
        for (var column = D / 4u * 4u; column < D; column += 1u) {
            score += queries[query * STRIDE + column] * keys_held[key * STRIDE + column];
            along += upstream[query * STRIDE + column] * values_held[key * STRIDE + column];
        }
        weight = exp_(score * parameters.scale - rows_of[row].x);
        slope = weight * (along - rows_of[row].y) * parameters.scale;
    }
    weights[at] = weight;
    d_scores[at] = slope;
}

@compute @workgroup_size(LANES)
fn queries_backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = group_of(group, count);
    if index >= parameters.blocks {
        return;
    }
    let block = query_blocks[index];
    let head = group.z;
    let key_head = head / (parameters.query_heads / parameters.key_heads);
    let key_columns = parameters.key_heads * D;
    let row = (block.query_start - parameters.first_query) * parameters.query_heads + head;
    let rows = block.query_end - block.query_start;

    for (var entry = lane; entry < rows * D; entry += LANES) {
        let place = (row + entry / D * parameters.query_heads) * D + entry % D;
        queries[entry / D * STRIDE + entry % D] = q[place];
        upstream[entry / D * STRIDE + entry % D] = d_out[place];
    }
    var sum: array<f32, SHARE>;
    for (var share = 0u; share < SHARE; share += 1u) {
        sum[share] = 0.0;
    }
    for (var part = 0u; part < 2u; part += 1u) {
        let lowest = select(block.self_start, block.prefix_start, part == 0u);
        let end = select(block.query_end, block.prefix_end, part == 0u);
        for (var start = lowest; start < end; start += BLOCK) {
            let keys = min(BLOCK, end - start);
            for (var entry = lane; entry < keys * D; entry += LANES) {
                let at = (start + entry / D) * key_columns + key_head * D + entry % D;
                keys_held[entry / D * STRIDE + entry % D] = k[at];
                values_held[entry / D * STRIDE + entry % D] = v[at];
            }
            workgroupBarrier();
            for (var at = lane; at < BLOCK * BLOCK; at += LANES) {
                let query = at / BLOCK;
                let key = at % BLOCK;
                let visible =
                    query < rows && key < keys && (part == 0u || start + key <= block.query_start + query);
                pair(at, query, key, row + query * parameters.query_heads, visible);
            }
            workgroupBarrier();
            for (var share = 0u; share < SHARE; share += 1u) {
                let entry = lane + share * LANES;
                if entry < BLOCK * D {
                    var number = sum[share];
                    for (var key = 0u; key < keys; key += 1u) {
                        number += d_scores[entry / D * BLOCK + key] * keys_held[key * STRIDE + entry % D];
                    }
                    sum[share] = number;
                }
            }
            workgroupBarrier();
        }
    }
    for (var share = 0u; share < SHARE; share += 1u) {
        let entry = lane + share * LANES;
        if entry < rows * D {
            dq[(row + entry / D * parameters.query_heads) * D + entry % D] = sum[share];
        }
    }
}

// A workgroup computes a block of keys of one key head, over the queries of its head's group that see them.
@group(0) @binding(1) var<storage, read> key_blocks: array<KeyBlock>;
@group(0) @binding(7) var<storage, read> spans: array<vec4<u32>>; // of every token
@group(0) @binding(8) var<storage, read_write> dk: array<f32>;
@group(0) @binding(9) var<storage, read_write> dv: array<f32>;

@compute @workgroup_size(LANES)
fn keys_backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = group_of(group, count);
    if index >= parameters.blocks {
        return;
    }
    let block = key_blocks[index];
    let key_head = group.z;
    let members = parameters.query_heads / parameters.key_heads;
    let key_columns = parameters.key_heads * D;
    let keys = block.key_end - block.key_start;

    for (var entry = lane; entry < keys * D; entry += LANES) {
        let at = (block.key_start + entry / D) * key_columns + key_head * D + entry % D;
        keys_held[entry / D * STRIDE + entry % D] = k[at];
        values_held[entry / D * STRIDE + entry % D] = v[at];
    }
    var d_keys: array<f32, SHARE>;
    var d_values: array<f32, SHARE>;
    for (var share = 0u; share < SHARE; share += 1u) {
        d_keys[share] = 0.0;
        d_values[share] = 0.0;
    }
    for (var start = block.query_start; start < block.query_end; start += BLOCK) {
        let rows = min(BLOCK, block.query_end - start);
        for (var member = 0u; member < members; member += 1u) {
            let head = key_head * members + member;
            let row = (start - parameters.first_query) * parameters.query_heads + head;
            for (var entry = lane; entry < rows * D; entry += LANES) {
                let place = (row + entry / D * parameters.query_heads) * D + entry % D;
                queries[entry / D * STRIDE + entry % D] = q[place];
                upstream[entry / D * STRIDE + entry % D] = d_out[place];
            }
            workgroupBarrier();
            for (var at = lane; at < BLOCK * BLOCK; at += LANES) {
                let query = at / BLOCK;
                let key = at % BLOCK;
                var visible = query < rows && key < keys;
                if visible {
                    let span = spans[start + query];
                    let token = block.key_start + key;
                    visible = (token >= span.x && token < span.y) || (token >= span.z && token <= start + query);
                }
                pair(at, query, key, row + query * parameters.query_heads, visible);
            }
            workgroupBarrier();
            for (var share = 0u; share < SHARE; share += 1u) {
                let entry = lane + share * LANES;
                if entry < BLOCK * D {
                    var d_key = d_keys[share];
                    var d_value = d_values[share];
                    for (var query = 0u; query < rows; query += 1u) {
                        d_key += d_scores[query * BLOCK + entry / D] * queries[query * STRIDE + entry % D];
                        d_value += weights[query * BLOCK + entry / D] * upstream[query * STRIDE + entry % D];
                    }
                    d_keys[share] = d_key;
                    d_values[share] = d_value;
                }
            }
            workgroupBarrier();
        }
    }
    for (var share = 0u; share < SHARE; share += 1u) {
        let entry = lane + share * LANES;
        if entry < keys * D {
            let at = (block.key_start + entry / D) * key_columns + key_head * D + entry % D;
            dk[at] += d_keys[share];
            dv[at] += d_values[share];
        }
    }
}
