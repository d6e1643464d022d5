// Which negative a seed draws, as hps-core's NegativeSampler, steps 2 to 4: w_i = h(t_i mod 2^24) >> (t_i >> 24), a
// shift of 32 or more giving 0; W = sum w_i; the draw is the first i with w_1 + ... + w_i > floor(u W / 2^32), u word 0
// of the Philox block with counter (row, epoch, draw, 1). Integers only: every device draws the same.

constexpr u32 BLOCK = 256;
constexpr u32 DOMAIN = 1;

// 2^31 2^-x on its chords, shifted.
__device__ __forceinline__ u32 weight(const u32* __restrict__ half_powers, u32 exponent) {
    const u32 shift = exponent >> 24;
    if (shift >= 32) return 0;
    const u32 k = exponent >> 16 & 0xff;
    const u32 upper = half_powers[k];
    return (upper - __umulhi(upper - half_powers[k + 1], exponent << 16)) >> shift;
}

// Word 0 of Philox4x32-10.
__device__ __forceinline__ u32 philox(u32 a, u32 b, u32 c, u32 d, u32 key_0, u32 key_1) {
    #pragma unroll
    for (u32 round = 0; round < 10; round += 1) {
        const u32 low_a = 0xD2511F53u * a, high_a = __umulhi(0xD2511F53u, a);
        const u32 low_c = 0xCD9E8D57u * c, high_c = __umulhi(0xCD9E8D57u, c);
        a = high_c ^ b ^ key_0;
        b = low_c;
        c = high_a ^ d ^ key_1;
        d = low_a;
        key_0 += 0x9E3779B9u;
        key_1 += 0xBB67AE85u;
    }
    return a;
}

// A team of `team` threads, a power of two up to BLOCK, draws for one prompt. `exponents` are [prompts, responses],
// `drawn` [prompts, draws]; `first_draw` is the counter's word of a prompt's first draw.
extern "C" __global__ void __launch_bounds__(BLOCK) draw(
    const u32* __restrict__ half_powers,
    const u32* __restrict__ exponents,
    const u32* __restrict__ rows,
    u32* __restrict__ drawn,
    u64 seed,
    u32 epoch,
    u32 first_draw,
    u32 draws,
    u32 prompts,
    u32 responses,
    u32 team
) {
    // Up to and with each thread's run of neighbours.
    __shared__ u32 held[BLOCK];
    const u32 place = threadIdx.x, lane = place % team, first = place - lane;
    const u32 number = blockIdx.x * (BLOCK / team) + place / team;
    const u32 prompt = min(number, prompts - 1);
    const u32 run = (responses + team - 1) / team;
    const u32* own = exponents + u64(prompt) * responses;
    u32 sum = 0;
    for (u32 i = min(lane * run, responses); i < min((lane + 1) * run, responses); i += 1)
        sum += weight(half_powers, own[i]);
    held[place] = sum;
    __syncthreads();
    for (u32 step = 1; step < team; step *= 2) {
        if (lane >= step) sum += held[place - step];
        __syncthreads();
        held[place] = sum;
        __syncthreads();
    }
    if (number >= prompts) return;

    // Each lane draws its share; whose run holds the goal is searched for in the lanes' sums.
    const u32 total = held[first + team - 1];
    for (u32 k = lane; k < draws; k += team) {
        const u32 word = philox(rows[prompt], epoch, first_draw + k, DOMAIN, u32(seed), u32(seed >> 32));
        const u32 goal = __umulhi(word, total);
        u32 holder = 0;
        for (u32 step = team / 2; step > 0; step /= 2)
            if (held[first + holder + step - 1] <= goal) holder += step;
        u32 index = holder * run;
        u32 cumulative = (holder > 0 ? held[first + holder - 1] : 0) + weight(half_powers, own[index]);
        while (cumulative <= goal) {
            index += 1;
            cumulative += weight(half_powers, own[index]);
        }
        drawn[u64(prompt) * draws + k] = index;
    }
}
