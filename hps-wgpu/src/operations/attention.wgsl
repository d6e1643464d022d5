// Attention over spans, forward: o = softmax(q k' / sqrt(D)) v, a block of queries against a block of keys at a time. A
// workgroup of 8 x 8 threads computes a block of queries of one head; scores exist for BLOCK x BLOCK pairs only. A thread
// computes the scores of SIDE x SIDE pairs, and of the output SIDE rows of up to four fours of columns.

const LANES: u32 = 64u;
const SIDE: u32 = BLOCK / 8u;
const FOURS: u32 = (D + 3u) / 4u;
const STRIDE: u32 = FOURS + 1u; // so that neighbouring rows lie in other banks
const HIDDEN: f32 = -3.0e38;

struct Parameters {
    query_heads: u32,
    key_heads: u32,
    first_query: u32, // token of the first row that q, out and sums hold
    scale: f32,
    blocks: u32,
}

struct Block {
    query_start: u32, // tokens
    query_end: u32,
    prefix_start: u32,
    prefix_end: u32,
    self_start: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> blocks: array<Block>;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> k: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>; // log-sum-exp

var<workgroup> queries: array<vec4<f32>, BLOCK * STRIDE>;
var<workgroup> held: array<vec4<f32>, BLOCK * STRIDE>; // keys, then values
var<workgroup> weights: array<f32, BLOCK * BLOCK>;
var<workgroup> greatest: array<f32, BLOCK>;
var<workgroup> total: array<f32, BLOCK>;
var<workgroup> shrink: array<f32, BLOCK>;

// Of four columns from `column` on, those that a head has.
fn own(column: u32, four: vec4<f32>) -> vec4<f32> {
    if D % 4u == 0u {
        return four;
    }
    return select(vec4<f32>(), four, vec4<u32>(column, column + 1u, column + 2u, column + 3u) < vec4<u32>(D));
}

fn query_four(row: u32, column: u32) -> vec4<f32> {
    let at = row * D + column;
    return own(column, vec4<f32>(q[at], q[at + 1u], q[at + 2u], q[at + 3u]));
}

fn key_four(row: u32, column: u32) -> vec4<f32> {
    let at = row * D + column;
    return own(column, vec4<f32>(k[at], k[at + 1u], k[at + 2u], k[at + 3u]));
}

fn value_four(row: u32, column: u32) -> vec4<f32> {
    let at = row * D + column;
    return own(column, vec4<f32>(v[at], v[at + 1u], v[at + 2u], v[at + 3u]));
}

fn put(row: u32, four: u32, numbers: vec4<f32>) {
    for (var lane = 0u; lane < 4u; lane += 1u) {
        if 4u * four + lane < D {
            out[row * D + 4u * four + lane] = numbers[lane];
        }
    }
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = group_of(group, count);
    if index >= parameters.blocks {
        return;
    }
    let block = blocks[index];
    let head = group.z;
    let key_head = head / (parameters.query_heads / parameters.key_heads);
    let row = (block.query_start - parameters.first_query) * parameters.query_heads + head;
    let rows = block.query_end - block.query_start;

    for (var entry = lane; entry < BLOCK * FOURS; entry += LANES) {
        let query = entry / FOURS;
        let column = entry % FOURS * 4u;
        var four = vec4<f32>();
        if query < rows {
            four = query_four(row + query * parameters.query_heads, column) * parameters.scale;
        }
        queries[query * STRIDE + entry % FOURS] = four;
    }
    if lane < BLOCK {
        greatest[lane] = HIDDEN;
        total[lane] = 0.0;
    }
    // This thread's rows, and keys or fours of columns; with SIDE 1 both are the same.
    let row0 = lane / 8u * SIDE;
    let row1 = row0 + SIDE - 1u;
    let key0 = lane % 8u * SIDE;
    let key1 = key0 + SIDE - 1u;
    let four0 = lane % 8u;
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    var b0 = vec4<f32>();
    var b1 = vec4<f32>();
    var b2 = vec4<f32>();
    var b3 = vec4<f32>();

    // First the keys of the prefix, then those of the segment itself.
    for (var part = 0u; part < 2u; part += 1u) {
        let lowest = select(block.self_start, block.prefix_start, part == 0u);
        let end = select(block.query_end, block.prefix_end, part == 0u);
        for (var start = lowest; start < end; start += BLOCK) {
            let keys = min(BLOCK, end - start);
            for (var entry = lane; entry < BLOCK * FOURS; entry += LANES) {
                let key = entry / FOURS;
                var four = vec4<f32>();
                if key < keys {
                    four = key_four((start + key) * parameters.key_heads + key_head, entry % FOURS * 4u);
                }
                held[key * STRIDE + entry % FOURS] = four;
            }
            workgroupBarrier();
            var scores = vec4<f32>();
            for (var four = 0u; four < FOURS; four += 1u) {
                let x0 = queries[row0 * STRIDE + four];
                let x1 = queries[row1 * STRIDE + four];
                let y0 = held[key0 * STRIDE + four];
                let y1 = held[key1 * STRIDE + four];
                scores += vec4<f32>(dot(x0, y0), dot(x0, y1), dot(x1, y0), dot(x1, y1));
            }
            // The last key that each row sees of this block.
            let sees = vec4<u32>(block.query_start) + vec4<u32>(row0, row0, row1, row1);
            let key = vec4<u32>(key0, key1, key0, key1);
            let visible = (key < vec4<u32>(keys)) & ((vec4<u32>(start) + key <= sees) | vec4<bool>(part == 0u));
            scores = select(vec4<f32>(HIDDEN), scores, visible);
            weights[row0 * BLOCK + key0] = scores.x;
            weights[row0 * BLOCK + key1] = scores.y;
            weights[row1 * BLOCK + key0] = scores.z;
            weights[row1 * BLOCK + key1] = scores.w;
            workgroupBarrier();
            for (var entry = lane; entry < BLOCK * FOURS; entry += LANES) {
                let key = entry / FOURS;
                var four = vec4<f32>();
                if key < keys {
                    four = value_four((start + key) * parameters.key_heads + key_head, entry % FOURS * 4u);
                }
                held[key * STRIDE + entry % FOURS] = four;
            }
            if lane < BLOCK {
                var largest = greatest[lane];
                for (var key = 0u; key < BLOCK; key += 1u) {
                    largest = max(largest, weights[lane * BLOCK + key]);
                }
                shrink[lane] = exp_(greatest[lane] - largest);
                greatest[lane] = largest;
                var added = 0.0;
                for (var key = 0u; key < BLOCK; key += 1u) {
                    let score = weights[lane * BLOCK + key];
                    let weight = select(exp_(score - largest), 0.0, score == HIDDEN);
                    weights[lane * BLOCK + key] = weight;
                    added += weight;
                }
                total[lane] = total[lane] * shrink[lane] + added;
            }
            workgroupBarrier();
            let shrink0 = shrink[row0];
            let shrink1 = shrink[row1];
            a0 *= shrink0;
            b0 *= shrink1;
            if FOURS > 8u {
                a1 *= shrink0;
                b1 *= shrink1;
            }
            if FOURS > 16u {
                a2 *= shrink0;
                b2 *= shrink1;
                a3 *= shrink0;
                b3 *= shrink1;
            }
            for (var key = 0u; key < BLOCK; key += 1u) {
                let w0 = weights[row0 * BLOCK + key];
                let w1 = weights[row1 * BLOCK + key];
                let y0 = held[key * STRIDE + four0];
                a0 += w0 * y0;
                b0 += w1 * y0;
                if FOURS > 8u {
                    let y1 = held[key * STRIDE + four0 + 8u];
                    a1 += w0 * y1;
                    b1 += w1 * y1;
                }
                if FOURS > 16u {
                    let y2 = held[key * STRIDE + four0 + 16u];
                    let y3 = held[key * STRIDE + four0 + 24u];
                    a2 += w0 * y2;
                    b2 += w1 * y2;
                    a3 += w0 * y3;
                    b3 += w1 * y3;
                }
            }
            workgroupBarrier();
        }
    }

    let out0 = row + row0 * parameters.query_heads;
    let out1 = row + row1 * parameters.query_heads;
    if row0 < rows {
        let sum = total[row0];
        put(out0, four0, a0 / sum);
        put(out0, four0 + 8u, a1 / sum);
        put(out0, four0 + 16u, a2 / sum);
        put(out0, four0 + 24u, a3 / sum);
    }
    if row1 < rows {
        let sum = total[row1];
        put(out1, four0, b0 / sum);
        put(out1, four0 + 8u, b1 / sum);
        put(out1, four0 + 16u, b2 / sum);
        put(out1, four0 + 24u, b3 / sum);
    }
    if lane < rows {
        sums[row + lane * parameters.query_heads] = greatest[lane] + ln_(total[lane]);
    }
}
