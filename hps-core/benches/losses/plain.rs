//! What the author of a trainer writes by hand: one row, f64, the standard library's functions, the largest exponent
//! subtracted, nothing checked. Each returns the loss and writes `∂L/∂log π_i`.

pub const BETA: f64 = 0.1;
pub const GAMMA: f64 = 2.0;

/// `(policy, reference, rewards, scratch, gradient)`.
pub type Row = fn(&[f64], &[f64], &[f64], &mut [f64], &mut [f64]) -> f64;

pub fn of_name(name: &str) -> Row {
    match name {
        "dpo-hps-full" => hps_full,
        "dpo-bt" => bradley_terry,
        "dpo-pl" => plackett_luce,
        "dpo-top1" => top_one,
        _ => panic!("{name} is not written out here"),
    }
}

/// `ln(1 + e^{V − s_1})`, `V = ln N + ln Σ e^{h_i + s_i} − ln Σ e^{h_i}`, `h_i = γ (r_i − max r)`.
fn hps_full(policy: &[f64], reference: &[f64], rewards: &[f64], _: &mut [f64], gradient: &mut [f64]) -> f64 {
    let n = policy.len();
    let highest = rewards[1..].iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut normaliser = 0.0;
    let mut largest = f64::NEG_INFINITY;
    for i in 1..n {
        let hardness = GAMMA * (rewards[i] - highest);
        normaliser += hardness.exp();
        gradient[i] = BETA * (policy[i] - reference[i]) + hardness;
        largest = largest.max(gradient[i]);
    }
    let mut sum = 0.0;
    for entry in &mut gradient[1..] {
        *entry = (*entry - largest).exp();
        sum += *entry;
    }
    let others = largest + ((n - 1) as f64 * sum / normaliser).ln();
    let (value, push) = logistic(others - BETA * (policy[0] - reference[0]));
    gradient[0] = -BETA * push;
    for entry in &mut gradient[1..] {
        *entry *= BETA * push / sum;
    }
    value
}

/// `ln(1 + e^{s_n − s_1})`.
fn bradley_terry(policy: &[f64], reference: &[f64], _: &[f64], _: &mut [f64], gradient: &mut [f64]) -> f64 {
    let last = policy.len() - 1;
    let (value, push) = logistic(BETA * ((policy[last] - reference[last]) - (policy[0] - reference[0])));
    gradient.fill(0.0);
    gradient[0] = -BETA * push;
    gradient[last] = BETA * push;
    value
}

/// `Σ_{j<n} [ln Σ_{k≥j} e^{s_k} − s_j]`.
fn plackett_luce(policy: &[f64], reference: &[f64], _: &[f64], left: &mut [f64], gradient: &mut [f64]) -> f64 {
    let n = policy.len();
    let mut highest = f64::NEG_INFINITY;
    for i in 0..n {
        gradient[i] = BETA * (policy[i] - reference[i]);
        highest = highest.max(gradient[i]);
    }
    let (mut value, mut sum) = (0.0, 0.0);
    for i in (0..n).rev() {
        let score = gradient[i] - highest;
        gradient[i] = score.exp();
        sum += gradient[i];
        left[i] = sum;
        if i + 1 < n {
            value += sum.ln() - score;
        }
    }
    let mut reciprocals = 0.0;
    for i in 0..n - 1 {
        reciprocals += 1.0 / left[i];
        gradient[i] = BETA * (gradient[i] * reciprocals - 1.0);
    }
    gradient[n - 1] *= BETA * reciprocals;
    value
}

/// `ln(1 + e^{V − s_1})`, `V = ln Σ_{i≥2} e^{s_i}`.
fn top_one(policy: &[f64], reference: &[f64], _: &[f64], _: &mut [f64], gradient: &mut [f64]) -> f64 {
    let score = |i: usize| BETA * (policy[i] - reference[i]);
    let highest = (1..policy.len()).map(score).fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for (i, entry) in gradient.iter_mut().enumerate().skip(1) {
        *entry = (score(i) - highest).exp();
        sum += *entry;
    }
    let (value, push) = logistic(highest + sum.ln() - score(0));
    gradient[0] = -BETA * push;
    for entry in &mut gradient[1..] {
        *entry *= BETA * push / sum;
    }
    value
}

/// `(ln(1 + eˣ), 1 / (1 + e⁻ˣ))`.
fn logistic(x: f64) -> (f64, f64) {
    let tail = (-x.abs()).exp();
    (x.max(0.0) + tail.ln_1p(), if x > 0.0 { 1.0 } else { tail } / (1.0 + tail))
}
