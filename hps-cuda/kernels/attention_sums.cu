// What the gradients of attention need besides tiles: m = rowsum(dO * O), and sums of parts.

// m of each query and head, and its log-sum-exp times `unit`, both [query heads, queries]. A query and head has
// DIMENSION / 8 threads.
extern "C" __global__ void __launch_bounds__(256)
along(const number* __restrict__ dy, const number* __restrict__ y, const float* __restrict__ log_sum_exp,
    float* __restrict__ sums, float* __restrict__ means, u32 queries, u32 query_heads, u32 columns, float unit) {
    constexpr u32 LANES = DIMENSION / 8;
    const u64 item = (u64(blockIdx.x) * blockDim.x + threadIdx.x) / LANES;
    const bool there = item < u64(queries) * query_heads;
    const u32 lane = threadIdx.x % LANES;
    constexpr u32 W = WIDTH<number>;
    float sum = 0.0f;
    if (there) {
        const number* a = dy + item * columns;
        const number* b = y + item * columns;
        #pragma unroll
        for (u32 i = 0; i < 8 / W; i += 1) {
            const u32 column = (i * LANES + lane) * W;
            if (columns % W == 0) {
                if (column >= columns) continue;
                const Wide<number> left = *reinterpret_cast<const Wide<number>*>(a + column);
                const Wide<number> right = *reinterpret_cast<const Wide<number>*>(b + column);
                #pragma unroll
                for (u32 j = 0; j < W; j += 1) sum += widen(left.at[j]) * widen(right.at[j]);
                continue;
            }
            for (u32 j = column; j < min(column + W, columns); j += 1) sum += widen(a[j]) * widen(b[j]);
        }
    }
    #pragma unroll
    for (u32 step = LANES / 2; step > 0; step /= 2) sum += __shfl_xor_sync(ALL, sum, step);
    if (!there || lane != 0) return;
    const u64 to = item % query_heads * queries + item / query_heads;
    sums[to] = log_sum_exp[item] * unit;
    means[to] = sum;
}

// Keys whose gradients were computed in parts, in the slots [slot_start, slot_end).
struct Joint {
    u32 key_start;
    u32 key_end;
    u32 slot_start;
    u32 slot_end;
};

// dk or dv: the parts' sum, in their order. `partial`: [slots, key/value heads, dk and dv, keys, DIMENSION]. A thread
// takes four columns.
extern "C" __global__ void __launch_bounds__(256)
join(const float* __restrict__ partial, const Joint* __restrict__ joints, number* __restrict__ dk,
    number* __restrict__ dv, u32 key_heads, u32 keys, u32 columns) {
    const u32 which = blockIdx.x % 2, head = blockIdx.x / 2 % key_heads;
    const Joint joint = joints[blockIdx.x / 2 / key_heads];
    const u64 slot_size = u64(key_heads) * 2 * keys * DIMENSION;
    const float* from = partial + (u64(head) * 2 + which) * keys * DIMENSION;
    number* to = which == 0 ? dk : dv;
    constexpr u32 FOURS = DIMENSION / 4;
    for (u32 item = threadIdx.x; item < (joint.key_end - joint.key_start) * FOURS; item += blockDim.x) {
        const u32 key = item / FOURS, column = item % FOURS * 4;
        Pack<float, 4> sum = {};
        for (u32 slot = joint.slot_start; slot < joint.slot_end; slot += 1) {
            const float* at = from + slot * slot_size + key * DIMENSION + column;
            const Pack<float, 4> part = *reinterpret_cast<const Pack<float, 4>*>(at);
            #pragma unroll
            for (u32 i = 0; i < 4; i += 1) sum.at[i] += part.at[i];
        }
        number* at = to + (u64(joint.key_start + key) * key_heads + head) * columns + column;
        if (columns % 4 == 0) {
            if (column >= columns) continue;
            Pack<number, 4> rounded;
            #pragma unroll
            for (u32 i = 0; i < 4; i += 1) rounded.at[i] = narrow<number>(sum.at[i]);
            *reinterpret_cast<Pack<number, 4>*>(at) = rounded;
            continue;
        }
        for (u32 i = 0; i < 4 && column + i < columns; i += 1) at[i] = narrow<number>(sum.at[i]);
    }
}
