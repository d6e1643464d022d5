// Numbers of rows of a coded matrix: of a range of them, or of those that a list names. A thread makes four in a row, by
// `four_of` of the matrix's type. To the bit what hps-llama's `blocks` makes of the codes on a CPU: but where another file
// says so, products of a scale and a code are exact in f32, and a sum rounds once, whether a compiler contracts it or not.

struct Parameters {
    rows: u32, // that are written
    columns: u32,
    first: u32, // row of the matrix that the windows of it hold
    last: u32,
    start: u32, // row of `numbers` that the first one written is
    codes_start: u32, // words of the codes before their window
    scales_start: u32,
    nested_start: u32,
    block: u32, // numbers that share a scale, and scales that share a nested one, as powers of two
    nested_block: u32,
    offset: f32,
    zero: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> listed: array<u32>;
@group(0) @binding(3) var<storage, read_write> numbers: array<f32>;

// The f32 of an f16. By its bits, since a device's own conversion may make 0 of subnormal ones.
fn single(half: u32) -> f32 {
    let sign = (half & 0x8000u) << 16u;
    let exponent = (half >> 10u) & 31u;
    let fraction = half & 1023u;
    // The exponents' biases are 127 and 15; all ones are infinities and NaN, here as there.
    let normal = (select(exponent + 112u, 255u, exponent == 31u) << 23u) | (fraction << 13u);
    let subnormal = bitcast<u32>(f32(fraction) * 0x1p-24f);
    return bitcast<f32>(sign | select(normal, subnormal, exponent == 0u));
}

// The upper or the lower half of a word.
fn half_of(word: u32, upper: u32) -> f32 {
    return single((word >> (16u * upper)) & 0xffffu);
}

// Some bits of each of the four bytes of a word.
fn bits_of(word: u32, shift: u32, mask: u32) -> vec4<u32> {
    return (vec4<u32>(word) >> (vec4<u32>(0u, 8u, 16u, 24u) + vec4<u32>(shift))) & vec4<u32>(mask);
}

// A byte of a word, with its sign.
fn signed_byte(word: u32, byte: u32) -> i32 {
    return bitcast<i32>(word << (24u - 8u * byte)) >> 24u;
}

@compute @workgroup_size(64)
fn decoded(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let fours = (parameters.columns + 3u) / 4u;
    let entry = group_of(group, count) * 64u + lane;
    let written = entry / fours;
    let column = 4u * (entry % fours);
    if written >= parameters.rows {
        return;
    }
    var row = parameters.first + written;
    if LISTED == 1u {
        row = listed[written];
        if row < parameters.first || row >= parameters.last {
            return;
        }
    }
    let four = four_of(row * parameters.columns + column);
    let to = (parameters.start + written) * parameters.columns + column;
    for (var place = 0u; place < min(4u, parameters.columns - column); place += 1u) {
        numbers[to + place] = four[place];
    }
}
