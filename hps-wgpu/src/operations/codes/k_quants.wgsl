// Blocks of 256 numbers, `(d s) q - (e t)` and `(d s) q`, by their words:
//
// q2_k: scales and minima 4, codes 16, d and e; q3_k: third bits 8, codes 16, scales 3; q4_k: d and e, scales and minima 3,
// codes 32; q5_k: d and e, scales and minima 3, fifth bits 8, codes 32; q6_k: low nibbles 32, upper bits 16, scales 4.
//
// Scales hold for 16 numbers, in q4_k and q5_k for 32. Codes lie in planes: eight words hold the lowest bits of 32 numbers in
// a row, the next bits are those of the next 32.

fn byte_of(word: u32, byte: u32) -> u32 {
    return (word >> (8u * (byte % 4u))) & 255u;
}

// A scale and a minimum of six bits each: the first four of each lie whole, with the upper two bits of the others above them;
// the lower four bits of those are nibbles.
fn scale_and_minimum(at: u32, plane: u32) -> vec2<f32> {
    let scale = byte_of(codes[at + 1u], plane);
    let minimum = byte_of(codes[at + 2u], plane);
    let nibbles = byte_of(codes[at + 3u], plane);
    var pair = vec2<u32>(scale, minimum) & vec2<u32>(63u);
    if plane >= 4u {
        pair = vec2<u32>(nibbles & 15u, nibbles >> 4u) | ((vec2<u32>(scale, minimum) >> vec2<u32>(6u)) << vec2<u32>(4u));
    }
    return vec2<f32>(half_of(codes[at], 0u), half_of(codes[at], 1u)) * vec2<f32>(pair);
}

fn four_of(n: u32) -> vec4<f32> {
    let block = n / 256u;
    let i = n % 256u;
    let at = block * WORDS - parameters.codes_start;
    let plane = i / 32u;
    let sixteenth = i / 16u;
    let word = i % 32u / 4u; // of eight that hold a plane
    switch TYPE {
        case Q2K: {
            let scales = byte_of(codes[at + sixteenth / 4u], sixteenth);
            let q = bits_of(codes[at + 4u + 8u * (plane / 4u) + word], 2u * (plane % 4u), 3u);
            let scale = half_of(codes[at + 20u], 0u) * f32(scales & 15u);
            let minimum = half_of(codes[at + 20u], 1u) * f32(scales >> 4u);
            return scale * vec4<f32>(q) - minimum;
        }
        case Q3K: {
            // Nibbles in the first eight bytes, the upper two bits in planes in the last four.
            let low = byte_of(codes[at + 24u + sixteenth % 8u / 4u], sixteenth) >> (4u * (sixteenth / 8u));
            let high = byte_of(codes[at + 26u], sixteenth) >> (2u * (sixteenth / 4u));
            let scale = lone_scale(block) * (f32((low & 15u) | ((high & 3u) << 4u)) - 32.0);
            let q = bits_of(codes[at + 8u + 8u * (plane / 4u) + word], 2u * (plane % 4u), 3u);
            let third = bits_of(codes[at + word], plane, 1u);
            return scale * (vec4<f32>(q | (third << vec4<u32>(2u))) - 4.0);
        }
        case Q4K: {
            let pair = scale_and_minimum(at, plane);
            let q = bits_of(codes[at + 4u + 8u * (plane / 2u) + word], 4u * (plane % 2u), 15u);
            return pair.x * vec4<f32>(q) - pair.y;
        }
        case Q5K: {
            let pair = scale_and_minimum(at, plane);
            let q = bits_of(codes[at + 12u + 8u * (plane / 2u) + word], 4u * (plane % 2u), 15u);
            let fifth = bits_of(codes[at + 4u + word], plane, 1u);
            return pair.x * vec4<f32>(q | (fifth << vec4<u32>(4u))) - pair.y;
        }
        default: {
            // Halves of 128 numbers; the low nibbles of two planes lie side by side, those of the other two above them.
            let of_half = plane % 4u;
            let scale = lone_scale(block) * f32(signed_byte(codes[at + 48u + sixteenth / 4u], sixteenth % 4u));
            let low = bits_of(codes[at + 16u * (plane / 4u) + 8u * (of_half % 2u) + word], 4u * (of_half / 2u), 15u);
            let high = bits_of(codes[at + 32u + 8u * (plane / 4u) + word], 2u * of_half, 3u);
            return scale * (vec4<f32>(low | (high << vec4<u32>(4u))) - 32.0);
        }
    }
}
