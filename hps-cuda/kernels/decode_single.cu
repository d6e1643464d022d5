// Attention of one query a sequence over cached keys and values in f32, in parts: o = softmax(q k' scale) v.
//
// A warp takes a row of the task past its keys, 32 at a time: first a thread has a key, then up to four columns.

constexpr u32 THREADS = 256;
constexpr u32 OWN = (DIMENSION + WARP - 1) / WARP; // columns of a thread

extern "C" __global__ void __launch_bounds__(THREADS, 1)
decode(const float* __restrict__ q, const float* __restrict__ keys, const float* __restrict__ values,
    const Task* __restrict__ tasks, const u32* __restrict__ list, const u32* __restrict__ parts_of,
    float* __restrict__ partial, Summary* __restrict__ summaries, u32 query_heads, u32 group, u32 columns,
    float scale) {
    constexpr u32 WARPS = THREADS / WARP;
    __shared__ float queries[WARPS][DIMENSION];
    const u32 key_heads = query_heads / group, key_head = blockIdx.x % key_heads, stride = key_heads * columns;
    const Task task = tasks[blockIdx.x / key_heads];
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    keys += key_head * columns;
    values += key_head * columns;
    for (u32 own = task.row_start + warp; own < task.row_end; own += WARPS) {
        const Row row = row_of(task, own, list, parts_of, query_heads, group, key_head);
        const float* query = q + (u64(row.query) * query_heads + row.head) * columns;
        __syncwarp();
        for (u32 column = lane; column < columns; column += WARP) queries[warp][column] = query[column];
        __syncwarp();
        float o[OWN] = {}, greatest = -INFINITE, total = 0.0f;
        for (u32 start = task.key_start; start < task.key_end; start += WARP) {
            const u32 count = min(WARP, task.key_end - start);
            float score = -INFINITE;
            if (lane < count) {
                const float* key = keys + u64(start + lane) * stride;
                score = 0.0f;
                if (columns % 4 == 0) {
                    for (u32 column = 0; column < columns; column += 4) {
                        const Wide<float> four = *reinterpret_cast<const Wide<float>*>(key + column);
                        #pragma unroll
                        for (u32 i = 0; i < 4; i += 1) score = fmaf(four.at[i], queries[warp][column + i], score);
                    }
                } else {
                    for (u32 column = 0; column < columns; column += 1) {
                        score = fmaf(key[column], queries[warp][column], score);
                    }
                }
                score *= scale;
            }
            const float most = fmaxf(greatest, warp_max(score));
            const float factor = expf(greatest - most), weight = expf(score - most);
            greatest = most;
            total = total * factor + warp_sum(weight);
            #pragma unroll
            for (u32 i = 0; i < OWN; i += 1) o[i] *= factor;
            for (u32 other = 0; other < count; other += 1) {
                const float of_other = __shfl_sync(ALL, weight, other);
                const float* value = values + u64(start + other) * stride;
                #pragma unroll
                for (u32 i = 0; i < OWN; i += 1) {
                    const u32 column = i * WARP + lane;
                    if (column < columns) o[i] = fmaf(of_other, value[column], o[i]);
                }
            }
        }
        if (lane == 0) summaries[row.part] = {greatest, total};
        #pragma unroll
        for (u32 i = 0; i < OWN; i += 1) {
            const u32 column = i * WARP + lane;
            if (column < DIMENSION) partial[row.part * DIMENSION + column] = o[i];
        }
    }
}
