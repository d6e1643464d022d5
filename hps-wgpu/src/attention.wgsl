// Attention over spans, forward: o = softmax(q k' / sqrt(D)) v, a block of queries against a block of keys at a time. A
// workgroup computes a block of queries of one head; scores exist for BLOCK x BLOCK pairs only.

const LANES: u32 = 64u;
const STRIDE: u32 = D + 1u; // columns a row takes in workgroup memory, so that neighbouring rows lie in other banks
const SHARE: u32 = (BLOCK * D + LANES - 1u) / LANES; // numbers of the output a thread holds
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

var<workgroup> queries: array<f32, BLOCK * STRIDE>;
var<workgroup> held: array<f32, BLOCK * STRIDE>; // keys, then values
var<workgroup> weights: array<f32, BLOCK * BLOCK>;
var<workgroup> greatest: array<f32, BLOCK>;
var<workgroup> total: array<f32, BLOCK>;
var<workgroup> shrink: array<f32, BLOCK>;

// q . k of a query and a key at these places.
fn score_of(query: u32, key: u32) -> f32 {
    var score = 0.0;
    for (var column = 0u; column + 4u <= D; column += 4u) {
        let one = query + column;
        let other = key + column;
        score += queries[one] * held[other] + queries[one + 1u] * held[other + 1u]
            + queries[one + 2u] * held[other + 2u] + queries[one + 3u] * held[other + 3u];
    }
    for (var column = D / 4u * 4u; column < D; column += 1u) {
        score += queries[query + column] * held[key + column];
    }
    return score;
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
    let key_columns = parameters.key_heads * D;
    let row = (block.query_start - parameters.first_query) * parameters.query_heads + head;
    let rows = block.query_end - block.query_start;

    for (var entry = lane; entry < BLOCK * D; entry += LANES) {
        if entry / D < rows {
            queries[entry / D * STRIDE + entry % D] =
                q[(row + entry / D * parameters.query_heads) * D + entry % D] * parameters.scale;
        }
    }
    if lane < BLOCK {
        greatest[lane] = HIDDEN;
        total[lane] = 0.0;
    }
    var sum: array<f32, SHARE>;
    for (var share = 0u; share < SHARE; share += 1u) {
        sum[share] = 0.0;
    }

    // First the keys of the prefix, then those of the segment itself.
    for (var part = 0u; part < 2u; part += 1u) {
        let lowest = select(block.self_start, block.prefix_start, part == 0u);
        let end = select(block.query_end, block.prefix_end, part == 0u);
        for (var start = lowest; start < end; start += BLOCK) {
            let keys = min(BLOCK, end - start);
            for (var entry = lane; entry < BLOCK * D; entry += LANES) {
                let key = entry / D;
                let place = (start + key) * key_columns + key_head * D + entry % D;
                held[key * STRIDE + entry % D] = select(0.0, k[place], key < keys);
            }
            workgroupBarrier();
            for (var pair = lane; pair < BLOCK * BLOCK; pair += LANES) {
                let query = pair / BLOCK;
                let key = pair % BLOCK;
                var score = HIDDEN;
                if query < rows && key < keys && (part == 0u || start + key <= block.query_start + query) {
                    score = score_of(query * STRIDE, key * STRIDE);
                }
                weights[pair] = score;
            }
            workgroupBarrier();
            for (var entry = lane; entry < BLOCK * D; entry += LANES) {
                let key = entry / D;
                let place = (start + key) * key_columns + key_head * D + entry % D;
                held[key * STRIDE + entry % D] = select(0.0, v[place], key < keys);
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
            for (var share = 0u; share < SHARE; share += 1u) {
                let entry = lane + share * LANES;
                if entry < BLOCK * D {
                    let query = entry / D;
                    var number = sum[share] * shrink[query];
                    for (var key = 0u; key < BLOCK; key += 2u) {
                        let at = query * BLOCK + key;
                        let place = key * STRIDE + entry % D;
                        number += weights[at] * held[place] + weights[at + 1u] * held[place + STRIDE];
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
            out[(row + entry / D * parameters.query_heads) * D + entry % D] = sum[share] / total[entry / D];
        }
    }
    if lane < rows {
        sums[row + lane * parameters.query_heads] = greatest[lane] + ln_(total[lane]);
    }
}
