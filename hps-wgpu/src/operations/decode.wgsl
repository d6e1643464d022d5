// Attention of generation: one query a sequence over the cached rows [x, y) and [z, w) of its span. A workgroup computes one
// head of one query, LANES keys at a time.

const LANES: u32 = 64u;
const SHARE: u32 = (D + LANES - 1u) / LANES;

struct Parameters {
    query_heads: u32,
    key_heads: u32,
    queries: u32,
    scale: f32,
    first_head: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> spans: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> keys: array<f32>;
@group(0) @binding(4) var<storage, read> values: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

var<workgroup> query: array<f32, D>;
var<workgroup> weights: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn decode(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group_of(group, count);
    if row >= parameters.queries {
        return;
    }
    let head = parameters.first_head + group.z;
    let columns = parameters.key_heads * D;
    let offset = head / (parameters.query_heads / parameters.key_heads) * D;
    let at = (row * parameters.query_heads + head) * D;
    for (var column = lane; column < D; column += LANES) {
        query[column] = q[at + column] * parameters.scale;
    }
    workgroupBarrier();
    let span = spans[row];
    let before = span.y - span.x;
    let seen = before + span.w - span.z;
    var greatest = -3.0e38;
    var total = 0.0;
    var sum: array<f32, SHARE>;
    for (var share = 0u; share < SHARE; share += 1u) {
        sum[share] = 0.0;
    }
    for (var start = 0u; start < seen; start += LANES) {
        let held = min(LANES, seen - start);
        let place = start + lane;
        let cached = select(span.z + place - before, span.x + place, place < before);
        var score = -3.0e38;
        if lane < held {
            score = 0.0;
            for (var column = 0u; column < D; column += 1u) {
                score += query[column] * keys[cached * columns + offset + column];
            }
        }
        let largest = max(greatest, max_of(lane, score));
        let shrink = exp_(greatest - largest);
        greatest = largest;
        let weight = select(0.0, exp_(score - largest), lane < held);
        weights[lane] = weight;
        total = total * shrink + sum_of(lane, weight);
        for (var share = 0u; share < SHARE; share += 1u) {
            let column = lane + share * LANES;
            if column < D {
                var number = sum[share] * shrink;
                for (var key = 0u; key < held; key += 1u) {
                    let place = start + key;
                    let cached = select(span.z + place - before, span.x + place, place < before);
                    number += weights[key] * values[cached * columns + offset + column];
                }
                sum[share] = number;
            }
        }
        workgroupBarrier();
    }
    for (var share = 0u; share < SHARE; share += 1u) {
        let column = lane + share * LANES;
        if column < D {
            out[at + column] = select(sum[share] / total, 0.0, seen == 0u);
        }
    }
}
