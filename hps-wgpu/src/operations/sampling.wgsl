// Tokens drawn from rows of logits. A workgroup draws for a row.
//
// Tokens are ordered by logit, the highest first, equals by id; an order of u32 keys. The last key that is kept is found bit
// by bit: the greatest key such that the tokens of that key or a higher one are enough, in number or in weight.

const LANES: u32 = 256u;

struct Parameters {
    rows: u32, // up to which
    words: u32,
    temperature: f32, // 0 takes the first token of the order
    top_k: u32, // of `words` at most
    top_p: f32,
    first: u32, // row
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> uniforms: array<f32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>; // 0xffffffff where a logit is NaN
@group(0) @binding(4) var<storage, read_write> log_probs: array<f32>;

var<workgroup> drawn: u32;

// Ascending keys for ascending numbers; both zeros alike.
fn key_of(logit: f32) -> u32 {
    let bits = bitcast<u32>(logit + 0.0);
    return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

fn logit_of(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u));
}

// Of a row: where its logits start, the largest of them, and what divides them.
struct Row {
    start: u32,
    greatest: f32,
    temperature: f32,
}

// What is kept: keys above `key`, and of those equal to it the `equals` first.
struct Cut {
    key: u32,
    equals: u32,
}

fn weight(row: Row, logit: f32) -> f32 {
    return exp_((logit - row.greatest) / row.temperature);
}

// How many tokens of a row have this key or a higher one.
fn count_from(lane: u32, row: Row, key: u32) -> u32 {
    var found = 0u;
    for (var word = lane; word < parameters.words; word += LANES) {
        found += u32(key_of(logits[row.start + word]) >= key);
    }
    return count_of(lane, found);
}

// What they weigh.
fn weight_from(lane: u32, row: Row, key: u32) -> f32 {
    var part = 0.0;
    for (var word = lane; word < parameters.words; word += LANES) {
        let logit = logits[row.start + word];
        if key_of(logit) >= key {
            part += weight(row, logit);
        }
    }
    return sum_of(lane, part);
}

// The first top_k tokens.
fn cut_by_count(lane: u32, row: Row) -> Cut {
    var key = 0u;
    for (var bit = 0u; bit < 32u; bit += 1u) {
        let candidate = key | (0x80000000u >> bit);
        if count_from(lane, row, candidate) >= parameters.top_k {
            key = candidate;
        }
    }
    return Cut(key, parameters.top_k - count_from(lane, row, key + 1u));
}

// Of what `cut` keeps, the shortest beginning that weighs top_p of it.
fn cut_by_weight(lane: u32, row: Row, cut: Cut) -> Cut {
    let at_cut = f32(cut.equals) * weight(row, logit_of(cut.key));
    let least = parameters.top_p * (weight_from(lane, row, cut.key + 1u) + select(at_cut, 0.0, cut.equals == 0u));
    var key = 0u;
    for (var bit = 0u; bit < 32u; bit += 1u) {
        let candidate = key | (0x80000000u >> bit);
        // Before the condition: all threads have to pass its barriers.
        let from_candidate = weight_from(lane, row, candidate);
        if candidate <= cut.key || from_candidate >= least {
            key = candidate;
        }
    }
    key = max(key, cut.key);
    let above = weight_from(lane, row, key + 1u);
    let alike = select(count_from(lane, row, key) - count_from(lane, row, key + 1u), cut.equals, key == cut.key);
    let needed = ceil((least - above) / weight(row, logit_of(key)));
    return Cut(key, u32(clamp(needed, min(1.0, f32(alike)), f32(alike))));
}

// The first kept token, by id, at which the cumulative weight passes `uniform` of all. Each thread adds up a run of words.
fn passed_at(lane: u32, row: Row, cut: Cut, uniform_number: f32) -> u32 {
    let span = (parameters.words + LANES - 1u) / LANES;
    let first = min(lane * span, parameters.words);
    let last = min(first + span, parameters.words);
    var alike = 0u;
    for (var word = first; word < last; word += 1u) {
        alike += u32(key_of(logits[row.start + word]) == cut.key);
    }
    counts[lane] = alike;
    workgroupBarrier();
    var rank = 0u;
    for (var before = 0u; before < lane; before += 1u) {
        rank += counts[before];
    }
    var part = 0.0;
    for (var word = first; word < last; word += 1u) {
        let logit = logits[row.start + word];
        let key = key_of(logit);
        if key > cut.key || (key == cut.key && rank < cut.equals) {
            part += weight(row, logit);
        }
        rank += u32(key == cut.key);
    }
    partial[lane] = part;
    workgroupBarrier();
    // In order, alike for all threads.
    var total = 0.0;
    for (var other = 0u; other < LANES; other += 1u) {
        total += partial[other];
    }
    let threshold = uniform_number * total;
    var cumulative = 0.0;
    var owner = 0u;
    var before = 0.0;
    var found = false;
    for (var other = 0u; other < LANES; other += 1u) {
        if !found && partial[other] > 0.0 {
            // The last one with a weight, where rounding leaves the sum below the threshold.
            owner = other;
            before = cumulative;
            found = cumulative + partial[other] > threshold;
        }
        cumulative += partial[other];
    }
    if lane == owner {
        var passed = before;
        rank = 0u;
        for (var other = 0u; other < lane; other += 1u) {
            rank += counts[other];
        }
        for (var word = first; word < last; word += 1u) {
            let logit = logits[row.start + word];
            let key = key_of(logit);
            if key > cut.key || (key == cut.key && rank < cut.equals) {
                passed += weight(row, logit);
                drawn = word;
                if passed > threshold {
                    break;
                }
            }
            rank += u32(key == cut.key);
        }
    }
    workgroupBarrier();
    return drawn;
}

@compute @workgroup_size(LANES)
fn draw(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let number = parameters.first + group_of(group, count);
    if number >= parameters.rows {
        return;
    }
    var row = Row(number * parameters.words, 0.0, parameters.temperature);
    var highest = 0u;
    var broken = 0u;
    for (var word = lane; word < parameters.words; word += LANES) {
        let logit = logits[row.start + word];
        broken |= u32(is_nan(logits[row.start + word]));
        highest = max(highest, key_of(logit));
    }
    broken = count_of(lane, broken);
    highest = highest_of(lane, highest);
    row.greatest = logit_of(highest);

    var part = 0.0;
    for (var word = lane; word < parameters.words; word += LANES) {
        part += exp_(logits[row.start + word] - row.greatest);
    }
    let log_sum = ln_(sum_of(lane, part));

    var cut = Cut(0u, 0u);
    if parameters.temperature <= 0.0 {
        row.temperature = 1.0;
        cut = Cut(highest, 1u);
    } else {
        if parameters.top_k < parameters.words {
            cut = cut_by_count(lane, row);
        }
        if parameters.top_p < 1.0 {
            cut = cut_by_weight(lane, row, cut);
        }
    }
    let token = passed_at(lane, row, cut, uniforms[number]);
    if lane == 0u {
        tokens[number] = select(token, 0xffffffffu, broken > 0u);
        log_probs[number] = (logits[row.start + token] - row.greatest) - log_sum;
    }
}
