// Sums of exponentials, relative to the largest: (m, sum of e^(x - m), sum of e^(x - m) (x - m + c)) over terms (x, c).
// All that is added up has one sign where c has, and no exponent is above 0.

const NONE = vec4<f32>(ABSENT, 0.0, 0.0, 0.0);

fn joined(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let a_is_larger = a.x >= b.x;
    let larger = select(b, a, a_is_larger);
    let smaller = select(a, b, a_is_larger);
    if (smaller.y == 0.0) {
        return larger;
    }
    let drop = smaller.x - larger.x;
    let share = decay(drop);
    let first = larger.y + share * smaller.y;
    return vec4<f32>(larger.x, first, larger.z + share * (smaller.z + drop * smaller.y), 0.0);
}

fn with_term(sums: vec4<f32>, x: f32, c: f32) -> vec4<f32> {
    return joined(sums, vec4<f32>(x, 1.0, c, 0.0));
}

fn log_of(sums: vec4<f32>) -> f32 {
    return sums.x + ln_(sums.y);
}
