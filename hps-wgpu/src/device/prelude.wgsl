// What every kernel may use.

// The number of this workgroup in a grid whose width is `count.x`.
fn group_of(group: vec3<u32>, count: vec3<u32>) -> u32 {
    return group.y * count.x + group.x;
}

// A bfloat16 is the upper half of an f32; two lie in a word, the earlier one below.
fn lower_half(word: u32) -> f32 {
    return bitcast<f32>(word << 16u);
}

fn upper_half(word: u32) -> f32 {
    return bitcast<f32>(word & 0xffff0000u);
}

// This and `is_nan` are of numbers in memory: that results of arithmetic are finite, compilers may take for granted.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// e^x within 2 units in the last place; arguments are clamped to [-87, 88]. x = n ln 2 + r, e^r by its Taylor
// polynomial of degree 7 on |r| <= ln 2 / 2, 2^n by its bits: adapters' own exp may be wrong by far more.
fn exp_(x: f32) -> f32 {
    let bounded = clamp(x, -87.0, 88.0);
    let n = floor(bounded * 1.442695 + 0.5);
    let r = (bounded - n * 0.6933594) - n * -2.1219444e-4;
    let tail = 0.16666667 + r * (0.041666668 + r * (0.008333334 + r * (0.0013888889 + r * 1.9841270e-4)));
    let polynomial = 1.0 + (r + r * r * (0.5 + r * tail));
    return polynomial * bitcast<f32>(u32(i32(n) + 127) << 23u);
}

// ln x of a positive, normal x, within 2 units in the last place: x = 2^n m with m in [sqrt(1/2), sqrt(2)),
// ln m = 2 artanh((m - 1) / (m + 1)).
fn ln_(x: f32) -> f32 {
    let bits = bitcast<u32>(x) + 0x004afb0du; // 1 - sqrt(1/2) in the mantissa's units
    let n = f32(i32(bits >> 23u) - 127);
    let m = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u);
    let s = (m - 1.0) / (m + 1.0);
    let t = s * s;
    let tail = t * (0.66666667 + t * (0.4 + t * (0.28571430 + t * (0.22222222 + t * 0.18181819))));
    return n * 0.69314575 + (2.0 * s + (s * tail + n * 1.4286068e-6));
}

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp_(-x));
}

// e^x of x <= 0, as exp_; 0 below -87.
fn decay(x: f32) -> f32 {
    return select(exp_(x), 0.0, x < -87.0);
}

// ln(1 + x) of x >= -1/2, within 2 units in the last place beside the division's error: 2 artanh(x / (2 + x)), whose
// argument is at most 1/3 up to x = 1. No rounded 1 + x is taken apart again, so it bears compilers that calculate as in
// mathematics.
fn ln_1p(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let t = s * s;
    let odd = t * (0.14285715 + t * (0.11111111 + t * (0.09090909 + t * (0.07692308 + t * 0.06666667))));
    let near = 2.0 * s + 2.0 * s * (t * (0.33333334 + t * (0.2 + odd)));
    return select(near, ln_(1.0 + x), x > 1.0);
}

// ln(1 + e^x), within 3 units in the last place beside the division's error.
fn softplus(x: f32) -> f32 {
    return max(x, 0.0) + ln_1p(decay(-abs(x)));
}

// The upper word of a product.
fn high_product(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let first = (a >> 16u) * (b & 0xffffu);
    let second = (a & 0xffffu) * (b >> 16u);
    let middle = (low >> 16u) + (first & 0xffffu) + (second & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (first >> 16u) + (second >> 16u) + (middle >> 16u);
}

// Philox4x32-10, as hps-core has it.
fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round += 1u) {
        c = vec4<u32>(
            high_product(0xCD9E8D57u, c.z) ^ c.y ^ k.x,
            0xCD9E8D57u * c.z,
            high_product(0xD2511F53u, c.x) ^ c.w ^ k.y,
            0xD2511F53u * c.x,
        );
        k = k + vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}
