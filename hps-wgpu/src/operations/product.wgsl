// c[i, j] = scale * sum_k a[i, k] b[k, j], or added to what c holds.
//
// A workgroup of 8 x 8 threads computes a tile of TILE x TILE numbers, a thread SIDE x SIDE blocks of 4 x 4, which lie 32
// apart. BLOCK k at a time, both factors' tiles pass through workgroup memory.
//
// STORED says how numbers of b lie in memory: 0, f32; 1, bfloat16; 2, bfloat16 of which each row starts with a whole word.

const BLOCK: u32 = 16u; // k at a time
const SIDE: u32 = TILE / 32u;
const FOURS: u32 = TILE / 4u;
// Fours from one k to the next: one more than there are, so that eight threads which write different k of one four, and eight
// which read neighbouring fours, meet all 32 banks of four bytes.
const STRIDE: u32 = FOURS + 1u;

struct Parameters {
    rows: u32, // of c
    columns: u32, // of c
    depth: u32,
    a_start: u32,
    a_stride: u32, // from one row, as it lies in memory, to the next
    b_start: u32,
    b_stride: u32,
    c_start: u32,
    c_stride: u32,
    scale: f32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

// Four rows of `a`, or four columns of `b`, of one k.
var<workgroup> a_tile: array<vec4<f32>, BLOCK * STRIDE>;
var<workgroup> b_tile: array<vec4<f32>, BLOCK * STRIDE>;

// Zero outside of the factors; without branches, which some compilers pay for twice.
fn a_at(row: u32, k: u32) -> f32 {
    let inside = row < parameters.rows && k < parameters.depth;
    let place = select(row * parameters.a_stride + k, k * parameters.a_stride + row, A_TRANSPOSED == 1u);
    return select(0.0, a[select(0u, parameters.a_start + place, inside)], inside);
}

fn b_at(k: u32, column: u32) -> f32 {
    let inside = column < parameters.columns && k < parameters.depth;
    let place = select(k * parameters.b_stride + column, column * parameters.b_stride + k, B_TRANSPOSED == 1u);
    let at = select(0u, parameters.b_start + place, inside);
    if STORED > 0u {
        let word = b[at / 2u];
        return select(0.0, select(lower_half(word), upper_half(word), at % 2u == 1u), inside);
    }
    return select(0.0, bitcast<f32>(b[at]), inside);
}

// Of an even k and a column, the numbers at k and at k + 1, where they lie side by side: a word.
fn b_beside(k: u32, column: u32) -> vec2<f32> {
    let inside = column < parameters.columns && k < parameters.depth;
    let word = b[select(0u, (parameters.b_start + column * parameters.b_stride + k) / 2u, inside)];
    return vec2<f32>(select(0.0, lower_half(word), inside), select(0.0, upper_half(word), inside && k + 1u < parameters.depth));
}

// Of a k and an even column, the numbers at column and at column + 1, where they lie side by side: a word.
fn b_along(k: u32, column: u32) -> vec2<f32> {
    let inside = column < parameters.columns && k < parameters.depth;
    let word = b[select(0u, (parameters.b_start + k * parameters.b_stride + column) / 2u, inside)];
    return vec2<f32>(
        select(0.0, lower_half(word), inside),
        select(0.0, upper_half(word), inside && column + 1u < parameters.columns),
    );
}

fn with_outer(block: mat4x4<f32>, x: vec4<f32>, y: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(block[0] + x.x * y, block[1] + x.y * y, block[2] + x.z * y, block[3] + x.w * y);
}

fn put(row: u32, column: u32, numbers: vec4<f32>) {
    if row >= parameters.rows {
        return;
    }
    let entry = parameters.c_start + row * parameters.c_stride + column;
    for (var lane = 0u; lane < 4u; lane += 1u) {
        if column + lane < parameters.columns {
            let product = parameters.scale * numbers[lane];
            if parameters.accumulate == 1u {
                c[entry + lane] += product;
            } else {
                c[entry + lane] = product;
            }
        }
    }
}

fn put_block(row: u32, column: u32, block: mat4x4<f32>) {
    put(row, column, block[0]);
    put(row + 1u, column, block[1]);
    put(row + 2u, column, block[2]);
    put(row + 3u, column, block[3]);
}

@compute @workgroup_size(64)
fn product(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let across = (parameters.columns + TILE - 1u) / TILE;
    let tile = group_of(group, count);
    let row = tile / across * TILE;
    let column = tile % across * TILE;
    if row >= parameters.rows {
        return;
    }
    let thread_row = lane / 8u;
    let thread_column = lane % 8u;
    var c00 = mat4x4<f32>();
    var c01 = mat4x4<f32>();
    var c10 = mat4x4<f32>();
    var c11 = mat4x4<f32>();
    for (var start = 0u; start < parameters.depth; start += BLOCK) {
        for (var index = lane; index < BLOCK * FOURS; index += 64u) {
            // Neighbouring threads read neighbouring numbers.
            var k = index % BLOCK;
            var four = index / BLOCK;
            if A_TRANSPOSED == 1u {
                k = index / FOURS;
                four = index % FOURS;
            }
            let i = row + 4u * four;
            let d = start + k;
            a_tile[k * STRIDE + four] = vec4<f32>(a_at(i, d), a_at(i + 1u, d), a_at(i + 2u, d), a_at(i + 3u, d));
        }
        if STORED == 2u && B_TRANSPOSED == 1u {
            for (var index = lane; index < BLOCK / 2u * FOURS; index += 64u) {
                let k = 2u * (index % (BLOCK / 2u));
                let four = index / (BLOCK / 2u);
                let j = column + 4u * four;
                let d = start + k;
                let b0 = b_beside(d, j);
                let b1 = b_beside(d, j + 1u);
                let b2 = b_beside(d, j + 2u);
                let b3 = b_beside(d, j + 3u);
                b_tile[k * STRIDE + four] = vec4<f32>(b0.x, b1.x, b2.x, b3.x);
                b_tile[(k + 1u) * STRIDE + four] = vec4<f32>(b0.y, b1.y, b2.y, b3.y);
            }
        } else {
            for (var index = lane; index < BLOCK * FOURS; index += 64u) {
                var k = index / FOURS;
                var four = index % FOURS;
                if B_TRANSPOSED == 1u {
                    k = index % BLOCK;
                    four = index / BLOCK;
                }
                let j = column + 4u * four;
                let d = start + k;
                if STORED == 2u {
                    b_tile[k * STRIDE + four] = vec4<f32>(b_along(d, j), b_along(d, j + 2u));
                } else {
                    b_tile[k * STRIDE + four] = vec4<f32>(b_at(d, j), b_at(d, j + 1u), b_at(d, j + 2u), b_at(d, j + 3u));
                }
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < BLOCK; k += 1u) {
            let x0 = a_tile[k * STRIDE + thread_row];
            let y0 = b_tile[k * STRIDE + thread_column];
            c00 = with_outer(c00, x0, y0);
            if SIDE == 2u {
                let x1 = a_tile[k * STRIDE + thread_row + FOURS - 8u];
                let y1 = b_tile[k * STRIDE + thread_column + FOURS - 8u];
                c01 = with_outer(c01, x0, y1);
                c10 = with_outer(c10, x1, y0);
                c11 = with_outer(c11, x1, y1);
            }
        }
        workgroupBarrier();
    }
    let i = row + 4u * thread_row;
    let j = column + 4u * thread_column;
    put_block(i, j, c00);
    if SIDE == 2u {
        put_block(i, j + 32u, c01);
        put_block(i + 32u, j, c10);
        put_block(i + 32u, j + 32u, c11);
    }
}
