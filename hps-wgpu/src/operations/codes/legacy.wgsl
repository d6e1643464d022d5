// Blocks of 32 numbers, `d q` and `d q + m`, by their words:
//
// q4_0: codes 4; q4_1: d and m, codes 4; q5_0: fifth bits, codes 4; q5_1: d and m, fifth bits, codes 4; q8_0: codes 8.
//
// A byte of codes holds those of the numbers i and i + 16, of q8_0 that of one.

fn four_of(n: u32) -> vec4<f32> {
    let block = n / 32u;
    let i = n % 32u;
    let at = block * WORDS - parameters.codes_start;
    if TYPE == Q8_0 {
        let word = codes[at + i / 4u];
        let q = vec4<i32>(signed_byte(word, 0u), signed_byte(word, 1u), signed_byte(word, 2u), signed_byte(word, 3u));
        return lone_scale(block) * vec4<f32>(q);
    }
    var q = bits_of(codes[at + WORDS - 4u + i % 16u / 4u], 4u * (i / 16u), 15u);
    if TYPE == Q5_0 || TYPE == Q5_1 {
        let fifths = codes[at + WORDS - 5u] >> i;
        q |= ((vec4<u32>(fifths) >> vec4<u32>(0u, 1u, 2u, 3u)) & vec4<u32>(1u)) << vec4<u32>(4u);
    }
    if LONE == 1u {
        return lone_scale(block) * (vec4<f32>(q) - select(8.0, 16.0, TYPE == Q5_0));
    }
    return half_of(codes[at], 0u) * vec4<f32>(q) + half_of(codes[at], 1u);
}
