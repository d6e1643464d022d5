// Attention over spans, backward. With P = exp(q k' / sqrt(D) - log-sum-exp) and delta = rowsum(dO o):
// dV = P' dO, dS = P (dO V' - delta) / sqrt(D), dQ = dS K, dK = dS' Q. P is formed again, BLOCK x BLOCK at a time,
// by 8 x 8 threads as in the forward pass.
//
// Where workgroup memory is short, what comes from above (dO) is not held in it but read again (HOLDS_UPSTREAM = 0).

const LANES: u32 = 64u;
const SIDE: u32 = BLOCK / 8u;
const FOURS: u32 = (D + 3u) / 4u;
const STRIDE: u32 = FOURS + 1u;

struct Parameters {
    query_heads: u32,
    key_heads: u32,
    first_query: u32, // token of the first row that what has a row a query holds
    scale: f32,
    blocks: u32, // numbers, for `along`
    first_block: u32, // of keys, in `tokens`
}

struct QueryBlock {
    query_start: u32, // tokens
    query_end: u32,
    prefix_start: u32,
    prefix_end: u32,
    self_start: u32,
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

var<workgroup> queries: array<vec4<f32>, BLOCK * STRIDE>;
var<workgroup> upstream: array<vec4<f32>, 1u + HOLDS_UPSTREAM * (BLOCK * STRIDE - 1u)>;
var<workgroup> keys_held: array<vec4<f32>, BLOCK * STRIDE>;
var<workgroup> values_held: array<vec4<f32>, BLOCK * STRIDE>;
var<workgroup> weights: array<f32, BLOCK * BLOCK>;
var<workgroup> d_scores: array<f32, BLOCK * BLOCK>;

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

fn upstream_four(row: u32, column: u32) -> vec4<f32> {
    let at = row * D + column;
    return own(column, vec4<f32>(d_out[at], d_out[at + 1u], d_out[at + 2u], d_out[at + 3u]));
}

fn key_four(row: u32, column: u32) -> vec4<f32> {
    let at = row * D + column;
    return own(column, vec4<f32>(k[at], k[at + 1u], k[at + 2u], k[at + 3u]));
}

fn value_four(row: u32, column: u32) -> vec4<f32> {
    let at = row * D + column;
    return own(column, vec4<f32>(v[at], v[at + 1u], v[at + 2u], v[at + 3u]));
}

// Queries `row`, `row + heads`, … and what comes from above into workgroup memory.
fn hold_queries(lane: u32, row: u32, rows: u32) {
    for (var entry = lane; entry < BLOCK * FOURS; entry += LANES) {
        let query = entry / FOURS;
        let column = entry % FOURS * 4u;
        var one = vec4<f32>();
        var other = vec4<f32>();
        if query < rows {
            one = query_four(row + query * parameters.query_heads, column);
            if HOLDS_UPSTREAM == 1u {
                other = upstream_four(row + query * parameters.query_heads, column);
            }
        }
        queries[query * STRIDE + entry % FOURS] = one;
        if HOLDS_UPSTREAM == 1u {
            upstream[query * STRIDE + entry % FOURS] = other;
        }
    }
}

// What comes from above to a query of those that are held.
fn upstream_at(query: u32, four: u32, row: u32, rows: u32) -> vec4<f32> {
    if HOLDS_UPSTREAM == 1u {
        return upstream[query * STRIDE + four];
    }
    if query >= rows {
        return vec4<f32>();
    }
    return upstream_four(row + query * parameters.query_heads, four * 4u);
}

// Keys and values of the tokens from `start` on.
fn hold_keys(lane: u32, start: u32, keys: u32, key_head: u32) {
    for (var entry = lane; entry < BLOCK * FOURS; entry += LANES) {
        let key = entry / FOURS;
        let column = entry % FOURS * 4u;
        var one = vec4<f32>();
        var other = vec4<f32>();
        if key < keys {
            one = key_four((start + key) * parameters.key_heads + key_head, column);
            other = value_four((start + key) * parameters.key_heads + key_head, column);
        }
        keys_held[key * STRIDE + entry % FOURS] = one;
        values_held[key * STRIDE + entry % FOURS] = other;
    }
}

// P and dS of the pairs (row0, key0), (row0, key1), (row1, key0), (row1, key1) of what is held.
fn pairs(row0: u32, row1: u32, key0: u32, key1: u32, row: u32, rows: u32, visible: vec4<bool>) {
    var scores = vec4<f32>();
    var along = vec4<f32>();
    for (var four = 0u; four < FOURS; four += 1u) {
        let x0 = queries[row0 * STRIDE + four];
        let x1 = queries[row1 * STRIDE + four];
        let y0 = keys_held[key0 * STRIDE + four];
        let y1 = keys_held[key1 * STRIDE + four];
        scores += vec4<f32>(dot(x0, y0), dot(x0, y1), dot(x1, y0), dot(x1, y1));
        let u0 = upstream_at(row0, four, row, rows);
        let u1 = upstream_at(row1, four, row, rows);
        let w0 = values_held[key0 * STRIDE + four];
        let w1 = values_held[key1 * STRIDE + four];
        along += vec4<f32>(dot(u0, w0), dot(u0, w1), dot(u1, w0), dot(u1, w1));
    }
    var beside0 = vec2<f32>();
    var beside1 = vec2<f32>();
    if visible.x || visible.y {
        beside0 = rows_of[row + row0 * parameters.query_heads];
    }
    if visible.z || visible.w {
        beside1 = rows_of[row + row1 * parameters.query_heads];
    }
    let shifted = scores * parameters.scale - vec4<f32>(beside0.xx, beside1.xx);
    let all = vec4<f32>(exp_(shifted.x), exp_(shifted.y), exp_(shifted.z), exp_(shifted.w));
    let weight = select(vec4<f32>(), all, visible);
    let slope = weight * (along - vec4<f32>(beside0.yy, beside1.yy)) * parameters.scale;
    weights[row0 * BLOCK + key0] = weight.x;
    weights[row0 * BLOCK + key1] = weight.y;
    weights[row1 * BLOCK + key0] = weight.z;
    weights[row1 * BLOCK + key1] = weight.w;
    d_scores[row0 * BLOCK + key0] = slope.x;
    d_scores[row0 * BLOCK + key1] = slope.y;
    d_scores[row1 * BLOCK + key0] = slope.z;
    d_scores[row1 * BLOCK + key1] = slope.w;
}

fn put_query(row: u32, four: u32, numbers: vec4<f32>) {
    for (var lane = 0u; lane < 4u; lane += 1u) {
        if 4u * four + lane < D {
            dq[row * D + 4u * four + lane] = numbers[lane];
        }
    }
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
    let row = (block.query_start - parameters.first_query) * parameters.query_heads + head;
    let rows = block.query_end - block.query_start;
    let row0 = lane / 8u * SIDE;
    let row1 = row0 + SIDE - 1u;
    let key0 = lane % 8u * SIDE;
    let key1 = key0 + SIDE - 1u;
    let four0 = lane % 8u;
    hold_queries(lane, row, rows);
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    var b0 = vec4<f32>();
    var b1 = vec4<f32>();
    var b2 = vec4<f32>();
    var b3 = vec4<f32>();
    for (var part = 0u; part < 2u; part += 1u) {
        let lowest = select(block.self_start, block.prefix_start, part == 0u);
        let end = select(block.query_end, block.prefix_end, part == 0u);
        for (var start = lowest; start < end; start += BLOCK) {
            let keys = min(BLOCK, end - start);
            hold_keys(lane, start, keys, key_head);
            workgroupBarrier();
            let query = vec4<u32>(row0, row0, row1, row1);
            let key = vec4<u32>(key0, key1, key0, key1);
            let causal = (vec4<u32>(start) + key <= vec4<u32>(block.query_start) + query) | vec4<bool>(part == 0u);
            pairs(row0, row1, key0, key1, row, rows, (query < vec4<u32>(rows)) & (key < vec4<u32>(keys)) & causal);
            workgroupBarrier();
            for (var key = 0u; key < BLOCK; key += 1u) {
                let w0 = d_scores[row0 * BLOCK + key];
                let w1 = d_scores[row1 * BLOCK + key];
                let y0 = keys_held[key * STRIDE + four0];
                a0 += w0 * y0;
                b0 += w1 * y0;
                if FOURS > 8u {
                    let y1 = keys_held[key * STRIDE + four0 + 8u];
                    a1 += w0 * y1;
                    b1 += w1 * y1;
                }
                if FOURS > 16u {
                    let y2 = keys_held[key * STRIDE + four0 + 16u];
                    let y3 = keys_held[key * STRIDE + four0 + 24u];
                    a2 += w0 * y2;
                    b2 += w1 * y2;
                    a3 += w0 * y3;
                    b3 += w1 * y3;
                }
            }
            workgroupBarrier();
        }
    }
    if row0 < rows {
        let place = row + row0 * parameters.query_heads;
        put_query(place, four0, a0);
        put_query(place, four0 + 8u, a1);
        put_query(place, four0 + 16u, a2);
        put_query(place, four0 + 24u, a3);
    }
    if row1 < rows {
        let place = row + row1 * parameters.query_heads;
        put_query(place, four0, b0);
        put_query(place, four0 + 8u, b1);
        put_query(place, four0 + 16u, b2);
        put_query(place, four0 + 24u, b3);
    }
}

// A workgroup computes a block of keys of one key head, over the queries of its head's group that see them; a thread SIDE
// keys and up to four fours of columns.
//
// `tokens` has every token's span, then blocks of keys: tokens from x to y, seen by queries from z to w. One buffer for both:
// not every adapter lets a kernel bind more than eight.
@group(0) @binding(1) var<storage, read> tokens: array<vec4<u32>>;
@group(0) @binding(7) var<storage, read_write> dk: array<f32>;
@group(0) @binding(8) var<storage, read_write> dv: array<f32>;

fn add_key(row: u32, four: u32, key: vec4<f32>, value: vec4<f32>) {
    for (var lane = 0u; lane < 4u; lane += 1u) {
        if 4u * four + lane < D {
            dk[row * D + 4u * four + lane] += key[lane];
            dv[row * D + 4u * four + lane] += value[lane];
        }
    }
}

fn seen(span: vec4<u32>, query: u32, token: u32) -> bool {
    return (token >= span.x && token < span.y) || (token >= span.z && token <= query);
}

@compute @workgroup_size(LANES)
fn keys_backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = group_of(group, count);
    if index >= parameters.blocks {
        return;
    }
    let block = tokens[parameters.first_block + index];
    let key_start = block.x;
    let key_head = group.z;
    let members = parameters.query_heads / parameters.key_heads;
    let keys = block.y - key_start;
    // As rows of pairs; as keys of the output.
    let row0 = lane / 8u * SIDE;
    let row1 = row0 + SIDE - 1u;
    let key0 = lane % 8u * SIDE;
    let key1 = key0 + SIDE - 1u;
    let four0 = lane % 8u;
    hold_keys(lane, key_start, keys, key_head);
    var k0 = vec4<f32>();
    var k1 = vec4<f32>();
    var k2 = vec4<f32>();
    var k3 = vec4<f32>();
    var l0 = vec4<f32>();
    var l1 = vec4<f32>();
    var l2 = vec4<f32>();
    var l3 = vec4<f32>();
    var v0 = vec4<f32>();
    var v1 = vec4<f32>();
    var v2 = vec4<f32>();
    var v3 = vec4<f32>();
    var w0 = vec4<f32>();
    var w1 = vec4<f32>();
    var w2 = vec4<f32>();
    var w3 = vec4<f32>();
    for (var start = block.z; start < block.w; start += BLOCK) {
        let rows = min(BLOCK, block.w - start);
        var visible = vec4<bool>();
        let token0 = key_start + key0;
        let token1 = key_start + key1;
        if row0 < rows {
            let span = tokens[start + row0];
            visible.x = key0 < keys && seen(span, start + row0, token0);
            visible.y = key1 < keys && seen(span, start + row0, token1);
        }
        if row1 < rows {
            let span = tokens[start + row1];
            visible.z = key0 < keys && seen(span, start + row1, token0);
            visible.w = key1 < keys && seen(span, start + row1, token1);
        }
        for (var member = 0u; member < members; member += 1u) {
            let row = (start - parameters.first_query) * parameters.query_heads + key_head * members + member;
            hold_queries(lane, row, rows);
            workgroupBarrier();
            pairs(row0, row1, key0, key1, row, rows, visible);
            workgroupBarrier();
            for (var query = 0u; query < BLOCK; query += 1u) {
                let d0 = d_scores[query * BLOCK + row0];
                let d1 = d_scores[query * BLOCK + row1];
                let p0 = weights[query * BLOCK + row0];
                let p1 = weights[query * BLOCK + row1];
                let x0 = queries[query * STRIDE + four0];
                let u0 = upstream_at(query, four0, row, rows);
                k0 += d0 * x0;
                l0 += d1 * x0;
                v0 += p0 * u0;
                w0 += p1 * u0;
                if FOURS > 8u {
                    let x1 = queries[query * STRIDE + four0 + 8u];
                    let u1 = upstream_at(query, four0 + 8u, row, rows);
                    k1 += d0 * x1;
                    l1 += d1 * x1;
                    v1 += p0 * u1;
                    w1 += p1 * u1;
                }
                if FOURS > 16u {
                    let x2 = queries[query * STRIDE + four0 + 16u];
                    let u2 = upstream_at(query, four0 + 16u, row, rows);
                    k2 += d0 * x2;
                    l2 += d1 * x2;
                    v2 += p0 * u2;
                    w2 += p1 * u2;
                    let x3 = queries[query * STRIDE + four0 + 24u];
                    let u3 = upstream_at(query, four0 + 24u, row, rows);
                    k3 += d0 * x3;
                    l3 += d1 * x3;
                    v3 += p0 * u3;
                    w3 += p1 * u3;
                }
            }
            workgroupBarrier();
        }
    }
    if row0 < keys {
        let place = (key_start + row0) * parameters.key_heads + key_head;
        add_key(place, four0, k0, v0);
        add_key(place, four0 + 8u, k1, v1);
        add_key(place, four0 + 16u, k2, v2);
        add_key(place, four0 + 24u, k3, v3);
    }
    if row1 < keys && SIDE == 2u {
        let place = (key_start + row1) * parameters.key_heads + key_head;
        add_key(place, four0, l0, w0);
        add_key(place, four0 + 8u, l1, w1);
        add_key(place, four0 + 16u, l2, w2);
        add_key(place, four0 + 24u, l3, w3);
    }
}
