// What ggml's blocks have in common: WORDS words, and where these leave out the f16 scale, LONE, that in a plane beside them.

@group(0) @binding(4) var<storage, read> scales: array<u32>;

const Q4_0: u32 = 0u;
const Q4_1: u32 = 1u;
const Q5_0: u32 = 2u;
const Q5_1: u32 = 3u;
const Q8_0: u32 = 4u;
const Q2K: u32 = 5u;
const Q3K: u32 = 6u;
const Q4K: u32 = 7u;
const Q5K: u32 = 8u;
const Q6K: u32 = 9u;

fn lone_scale(block: u32) -> f32 {
    return half_of(scales[block / 2u - parameters.scales_start], block % 2u);
}
