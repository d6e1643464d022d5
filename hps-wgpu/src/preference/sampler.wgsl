// Which negative a seed draws, as hps-core's NegativeSampler, steps 2 to 4: w_i = h(t_i mod 2^24) >> (t_i >> 24), a shift of
// 32 or more giving 0; W = sum w_i; the draw is the first i with w_1 + ... + w_i > floor(u W / 2^32), u word 0 of the
// Philox block with counter (row, epoch, draw, 1). Integers only: every device draws the same.

struct Draws {
    seed: vec2<u32>,
    epoch: u32,
    // The counter's word of a prompt's first draw, and how many draws a prompt has.
    draw: u32,
    draws: u32,
    responses: u32,
    // Prompts of this dispatch: first .. end, and their draws: first_draw .. end_draw.
    first: u32,
    end: u32,
    first_draw: u32,
    end_draw: u32,
}

@group(0) @binding(0) var<uniform> batch: Draws;
@group(0) @binding(1) var<storage, read> half_powers: array<u32>;
// [prompts, responses]
@group(0) @binding(2) var<storage, read> exponents: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
// [prompts, draws]
@group(0) @binding(4) var<storage, read_write> drawn: array<u32>;

const DOMAIN = 1u;

var<workgroup> held: array<u32, GROUP>;

fn weight(exponent: u32) -> u32 {
    let shift = exponent >> 24u;
    if (shift >= 32u) {
        return 0u;
    }
    let k = (exponent >> 16u) & 0xffu;
    let upper = half_powers[k];
    let power = upper - high_product(upper - half_powers[k + 1u], exponent << 16u);
    return power >> shift;
}

@compute @workgroup_size(GROUP)
fn draw(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    let number = batch.first + group_of(group, count) * (GROUP / TEAM) + place / TEAM;
    let prompt = min(number, batch.end - 1u);
    let lane = place % TEAM;
    let run = (batch.responses + TEAM - 1u) / TEAM;
    let base = prompt * batch.responses;
    var sum = 0u;
    for (var i = min(lane * run, batch.responses); i < min((lane + 1u) * run, batch.responses); i += 1u) {
        sum += weight(exponents[base + i]);
    }

    // Up to and with this lane.
    held[place] = sum;
    workgroupBarrier();
    for (var step = 1u; step < TEAM; step *= 2u) {
        if (lane >= step) {
            sum += held[place - step];
        }
        workgroupBarrier();
        held[place] = sum;
        workgroupBarrier();
    }
    if (number >= batch.end) {
        return;
    }
    // Each lane draws its share; whose run holds the goal is searched for in the lanes' sums.
    let first = place - lane;
    let total = held[first + TEAM - 1u];
    for (var k = batch.first_draw + lane; k < batch.end_draw; k += TEAM) {
        let block = philox(vec4<u32>(rows[prompt], batch.epoch, batch.draw + k, DOMAIN), batch.seed);
        let goal = high_product(block.x, total);
        var holder = 0u;
        for (var step = TEAM / 2u; step > 0u; step /= 2u) {
            holder += select(0u, step, held[first + holder + step - 1u] <= goal);
        }
        var cumulative = 0u;
        if (holder > 0u) {
            cumulative = held[first + holder - 1u];
        }
        var index = holder * run;
        cumulative += weight(exponents[base + index]);
        while (cumulative <= goal) {
            index += 1u;
            cumulative += weight(exponents[base + index]);
        }
        drawn[prompt * batch.draws + k] = index;
    }
}
