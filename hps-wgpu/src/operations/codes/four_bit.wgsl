// Codes of four bits, `c_q a`: eight a word, of each byte the higher first. A scale `a` is an f32, or, NESTED, a byte `s` for
// which stands `map_s b + offset`.

@group(0) @binding(4) var<storage, read> scales: array<u32>;
@group(0) @binding(5) var<storage, read> tables: array<f32>; // the code book's 16 numbers, and the map's 256
@group(0) @binding(6) var<storage, read> nested: array<f32>;

fn scale_of(block: u32) -> f32 {
    if NESTED == 0u {
        return bitcast<f32>(scales[block - parameters.scales_start]);
    }
    let code = (scales[block / 4u - parameters.scales_start] >> (8u * (block % 4u))) & 255u;
    let product = tables[16u + code] * nested[(block >> parameters.nested_block) - parameters.nested_start];
    // The product is rounded, and then the sum. Of a product that is taken for bits in between no compiler can make one
    // operation that rounds once: what it is combined with is 0, which only the host knows.
    return bitcast<f32>(bitcast<u32>(product) ^ parameters.zero) + parameters.offset;
}

// Blocks may cross rows: a four begins anywhere in one, and may end in the next.
fn four_of(n: u32) -> vec4<f32> {
    var block = n >> parameters.block;
    var scale = scale_of(block);
    var four = vec4<f32>();
    for (var place = 0u; place < 4u; place += 1u) {
        let at = n + place;
        if at >> parameters.block != block {
            block = at >> parameters.block;
            scale = scale_of(block);
        }
        let code = (codes[at / 8u - parameters.codes_start] >> ((4u * (at % 8u)) ^ 4u)) & 15u;
        four[place] = tables[code] * scale;
    }
    return four;
}
