// Numbers that are f16.

fn four_of(n: u32) -> vec4<f32> {
    var four = vec4<f32>();
    for (var place = 0u; place < 4u; place += 1u) {
        let at = n + place;
        four[place] = half_of(codes[at / 2u - parameters.codes_start], at % 2u);
    }
    return four;
}
