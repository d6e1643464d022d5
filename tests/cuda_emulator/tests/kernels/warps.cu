// What threads do together: shuffles, votes, barriers, shared memory, atomics.

extern "C" __global__ void block_sums(const float* x, float* out, int count) {
    __shared__ float parts[32];
    float sum = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) sum += x[i];
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = threadIdx.x < blockDim.x / 32 ? parts[threadIdx.x] : 0.0f;
        for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffffu, sum, step);
        if (threadIdx.x == 0) out[blockIdx.x] = sum;
    }
}

extern "C" __global__ void transpose(const float* x, float* out, int rows, int columns) {
    __shared__ float tile[32][33];
    int column = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 32 + threadIdx.y;
    for (int k = 0; k < 32; k += 8)
        if (column < columns && row + k < rows) tile[threadIdx.y + k][threadIdx.x] = x[(row + k) * columns + column];
    __syncthreads();
    column = blockIdx.y * 32 + threadIdx.x;
    row = blockIdx.x * 32 + threadIdx.y;
    for (int k = 0; k < 32; k += 8)
        if (column < rows && row + k < columns) out[(row + k) * rows + column] = tile[threadIdx.x][threadIdx.y + k];
}

extern "C" __global__ void tally(const unsigned int* x, unsigned int* bins, float* sum, unsigned long long* most, int count) {
    extern __shared__ unsigned int mine[];
    for (int i = threadIdx.x; i < 64; i += blockDim.x) mine[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
        atomicAdd(&mine[x[i] % 64], 1u);
        atomicAdd(sum, 1.0f);
        atomicMax(most, (unsigned long long)x[i]);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 64; i += blockDim.x) atomicAdd(&bins[i], mine[i]);
}

extern "C" __global__ void together(unsigned int* out) {
    unsigned int lane = threadIdx.x % 32, full = 0xffffffffu, i = threadIdx.x;
    out[0 * blockDim.x + i] = __ballot_sync(full, lane % 3 == 0);
    out[1 * blockDim.x + i] = __any_sync(full, lane == 5) + 2 * __all_sync(full, lane < 31);
    out[2 * blockDim.x + i] = __match_any_sync(full, lane / 4);
    out[3 * blockDim.x + i] = __reduce_add_sync(full, lane) + __reduce_max_sync(full, lane ^ 9);
    out[4 * blockDim.x + i] = __shfl_up_sync(full, lane, 3) + __shfl_sync(full, lane * 2, 7, 8) * 1000;
    if (lane < 10) {
        out[5 * blockDim.x + i] = __shfl_sync(0x3ffu, lane, (lane + 1) % 10);
        __syncwarp(0x3ffu);
    } else {
        out[5 * blockDim.x + i] = __activemask();
    }
    out[6 * blockDim.x + i] = __syncthreads_count(lane == 3) + 100 * __syncthreads_or(lane == 40);
    unsigned long long wide = ((unsigned long long)lane << 40) | lane;
    out[7 * blockDim.x + i] = (unsigned int)(__shfl_xor_sync(full, wide, 1) >> 40);
}

// A lock per word, taken with a compare and swap: lanes of one warp wait for each other.
extern "C" __global__ void locked(int* lock, int* value) {
    bool done = false;
    while (!done) {
        if (atomicCAS(lock, 0, 1) == 0) {
            *(volatile int*)value += 1;
            __threadfence();
            atomicExch(lock, 0);
            done = true;
        }
    }
}

// Sums of numbers below the smallest normal one: in global memory, in shared memory.
extern "C" __global__ void small_sums(const float* x, float* global, float* shared) {
    __shared__ float mine[4];
    mine[threadIdx.x] = x[threadIdx.x];
    __syncwarp(0xfu);
    atomicAdd(&global[threadIdx.x], x[4 + threadIdx.x]);
    atomicAdd(&mine[threadIdx.x], x[4 + threadIdx.x]);
    shared[threadIdx.x] = mine[threadIdx.x];
}

// Blocks that wait for each other: each adds to its neighbour's number, round after round.
#include <cooperative_groups.h>
extern "C" __global__ void rounds(int* x, int count) {
    cooperative_groups::grid_group grid = cooperative_groups::this_grid();
    for (int i = 0; i < count; i++) {
        int next = 0;
        if (threadIdx.x == 0) next = *(volatile int*)&x[(blockIdx.x + 1) % gridDim.x] + 1;
        grid.sync();
        if (threadIdx.x == 0) *(volatile int*)&x[blockIdx.x] = next;
        grid.sync();
    }
}
