// A batch of rows, [prompts, responses], best first, and what one thread sees of it. A team of TEAM threads computes one
// prompt; GROUP / TEAM teams make a workgroup.
//
// A thread owns some of its prompt's responses: every TEAM-th, or, where BLOCKED, a run of neighbours. While a family's
// `prefer` runs, `gradient` holds what the owner keeps of each: first its score, in the end dL/ds.
//
// What takes many exponentials is compiled only where it is used: PAIR is the descriptor's `pair`, LOG_ODDS whether
// its `reward` is 6.

struct Loss {
    reward: u32,
    pair: u32,
    preference: u32,
    form: u32,
    flags: u32,
    count: u32,
    preference_weight: f32,
    likelihood: f32,
    beta: f32,
    alpha: f32,
    label_smoothing: f32,
    margin: f32,
    goal: f32, // LossDescriptor's `target`
    gamma: f32,
    scale: f32,
    temperature: f32,
    supervised: f32,
    contrast_alpha: f32,
    contrast_power: f32,
    reserved: u32,
    rank_weights: array<vec4<f32>, 4>,
}

struct Batch {
    loss: Loss,
    // Prompts of this dispatch: first .. end.
    first: u32,
    end: u32,
    responses: u32,
    // Sampled negatives of each prompt.
    samples: u32,
    // Whether `origins` holds log pi - log pi_ref itself.
    ratios: u32,
    // 0, which a compiler does not know.
    zero: u32,
}

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> policy: array<f32>;
@group(0) @binding(2) var<storage, read> origins: array<f32>;
// Lengths, or the responses' own factors.
@group(0) @binding(3) var<storage, read> measures: array<f32>;
@group(0) @binding(4) var<storage, read> rewards: array<f32>;
// Of each prompt: N that its samples were drawn from or 0, log pi_sft and l_1 as bits, then its samples.
@group(0) @binding(5) var<storage, read> words: array<u32>;
@group(0) @binding(6) var<storage, read_write> scratch: array<f32>;
@group(0) @binding(7) var<storage, read_write> values: array<u32>;
@group(0) @binding(8) var<storage, read_write> gradient: array<u32>;

const MEAN = 1u;
const MASK_MAX = 2u;
const NEXT_RANKS = 4u;
const BASE_2 = 8u;
const NAN = 0x7fc00000u;
// Stands for minus infinity, which WGSL does not promise.
const ABSENT = -3.4028234e38;

var<private> prompt: u32;
// Of the prompt's responses in the buffers.
var<private> base: u32;
// This thread in its workgroup, and in its team.
var<private> place: u32;
var<private> lane: u32;
// What it owns: begin, begin + stride, ... below end.
var<private> begin: u32;
var<private> end: u32;
var<private> stride: u32;
// Whether the row has no loss.
var<private> refused: bool;

fn take(number: u32) {
    let is_here = number < batch.end;
    prompt = min(number, batch.end - 1u);
    base = prompt * batch.responses;
    if (BLOCKED) {
        let run = (batch.responses + TEAM - 1u) / TEAM;
        begin = min(lane * run, batch.responses);
        end = min(begin + run, batch.responses);
        stride = 1u;
    } else {
        begin = lane;
        end = batch.responses;
        stride = TEAM;
    }
    end = select(begin, end, is_here);
    refused = false;
}

fn kept(index: u32) -> f32 {
    return bitcast<f32>(gradient[base + index]);
}

fn keep(index: u32, number: f32) {
    gradient[base + index] = bitcast<u32>(number);
}

fn word(number: u32) -> u32 {
    return words[prompt * (3u + batch.samples) + number];
}

// Whether a number that was just computed is one. Compilers may take it that arithmetic never overflows, and make `is_finite`
// of its results true: LLVM 22 does, bits or not. What an unknown word does to the bits they cannot know.
fn came_out_finite(x: f32) -> bool {
    return ((bitcast<u32>(x) ^ batch.zero) & 0x7f800000u) != 0x7f800000u;
}

fn flag(wanted: u32) -> bool {
    return (batch.loss.flags & wanted) != 0u;
}

fn log_ratio(at: u32) -> f32 {
    if (batch.ratios == 1u) {
        return origins[at];
    }
    return policy[at] - origins[at];
}

// 1 - e^x of x < 0.
fn complement(x: f32) -> f32 {
    let series = 0.16666667 + x * (0.041666668 + x * (0.008333334 + x * (0.0013888889 + x * (1.9841270e-4 + x * 2.4801588e-5))));
    return select(1.0 - decay(x), -(x + x * x * (0.5 + x * series)), x > -0.6931472);
}

// s_i.
fn score(index: u32) -> f32 {
    let at = base + index;
    if (LOG_ODDS == 1u) {
        let x = policy[at] / measures[at];
        return x - select(ln_1p(-decay(x)), ln_(complement(x)), x > -0.6931472);
    }
    switch batch.loss.reward {
        case 0u: { return batch.loss.beta * log_ratio(at); }
        case 1u: { return batch.loss.beta / measures[at] * log_ratio(at); }
        case 2u: { return measures[at] * log_ratio(at); }
        case 3u: { return batch.loss.beta * policy[at]; }
        case 4u: { return batch.loss.beta / measures[at] * policy[at]; }
        default: { return batch.loss.beta * log_ratio(at) + batch.loss.alpha * measures[at]; }
    }
}

// ds_i / dlog pi_i.
fn slope(index: u32) -> f32 {
    let at = base + index;
    if (LOG_ODDS == 1u) {
        return 1.0 / measures[at] / complement(policy[at] / measures[at]);
    }
    switch batch.loss.reward {
        case 1u, 4u: { return batch.loss.beta / measures[at]; }
        case 2u: { return measures[at]; }
        default: { return batch.loss.beta; }
    }
}
