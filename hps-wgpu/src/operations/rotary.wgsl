// Rotary position embedding: in every head, the pair (x_i, x_(i + h)), h = dimension / 2, turns by position * f_i.

struct Parameters {
    rows: u32,
    columns: u32, // of x; frequencies in `rotation`
    half: u32,
    sign: f32, // -1 turns back
}

@group(0) @binding(0) var<uniform> parameters: Parameters;

// The digits of 2 / pi behind the binary point, 32 a word.
const TWO_OVER_PI = array<u32, 4>(0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u);

// 32 digits of 2 / pi from digit `start` on; zeros before the first.
fn digits(start: i32) -> u32 {
    if start <= -32 {
        return 0u;
    }
    if start < 0 {
        return TWO_OVER_PI[0] >> u32(-start);
    }
    var words = TWO_OVER_PI;
    let word = u32(start) / 32u;
    let shift = u32(start) % 32u;
    if shift == 0u {
        return words[word];
    }
    return (words[word] << shift) | (words[word + 1u] >> (32u - shift));
}

// (cos, sin) of an angle in [0, 2^24): the adapters' own are only good near 0. With angle = m 2^(e - 23), m of 24 bits,
// the quarter turns are m F mod 4, F = (2 / pi) 2^(e - 23) mod 4 in 62 binary places: 64-bit integers.
fn turn(angle: f32) -> vec2<f32> {
    let bits = bitcast<u32>(angle);
    let exponent = i32(bits >> 23u) - 127;
    if exponent < -30 {
        return vec2<f32>(1.0, angle);
    }
    let mantissa = (bits & 0x007fffffu) | 0x00800000u;
    // Digit i of 2 / pi is worth 2^(-1 - i); that of worth 2 in F is digit e - 23 - 2.
    let upper = digits(exponent - 25);
    let lower = digits(exponent - 25 + 32);
    let low = mantissa * lower;
    let high = mantissa * upper + high_product(mantissa, lower);
    var quarter = high >> 30u;
    // What is left of the quarter turn, in [-1/2, 1/2).
    let left = bitcast<i32>((high << 2u) | (low >> 30u));
    if left < 0 {
        quarter += 1u;
    }
    let x = f32(left) * 3.6572950e-10; // pi / 2 a quarter turn, 2^-32 a unit
    let t = x * x;
    let sine = x + x * t * (-0.16666667 + t * (0.0083333310 + t * (-0.00019840874 + t * 2.7525562e-6)));
    let cosine = 1.0 + t * (-0.5 + t * (0.041666646 + t * (-0.0013887316 + t * 2.4433157e-5)));
    switch quarter % 4u {
        case 0u: { return vec2<f32>(cosine, sine); }
        case 1u: { return vec2<f32>(-sine, cosine); }
        case 2u: { return vec2<f32>(-cosine, -sine); }
        default: { return vec2<f32>(sine, -cosine); }
    }
}

// Row t: the cosines of its angles, then the sines. A thread computes an angle.
@group(0) @binding(1) var<storage, read> positions: array<u32>;
@group(0) @binding(2) var<storage, read> frequencies: array<f32>;
@group(0) @binding(3) var<storage, read_write> angles: array<f32>;

@compute @workgroup_size(256)
fn rotation(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = group_of(group, count) * 256u + lane;
    let row = place / parameters.half;
    if row >= parameters.rows {
        return;
    }
    let index = place % parameters.half;
    let turned = turn(f32(positions[row]) * frequencies[index]);
    angles[2u * row * parameters.half + index] = turned.x;
    angles[(2u * row + 1u) * parameters.half + index] = turned.y;
}

// A thread turns a pair.
@group(0) @binding(1) var<storage, read> turns: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(256)
fn rotate(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = group_of(group, count) * 256u + lane;
    let half = parameters.half;
    let pairs = parameters.columns / 2u;
    let row = place / pairs;
    if row >= parameters.rows {
        return;
    }
    let pair = place % pairs;
    let index = pair % half;
    let first = row * parameters.columns + pair / half * 2u * half + index;
    let cosine = turns[2u * row * half + index];
    let sine = parameters.sign * turns[(2u * row + 1u) * half + index];
    let a = x[first];
    let b = x[first + half];
    x[first] = a * cosine - b * sine;
    x[first + half] = b * cosine + a * sine;
}
