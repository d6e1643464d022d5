// One mistake a kernel, each to be found.

extern "C" __global__ void outside(float* x, int count) { x[threadIdx.x + count - 16] = 1.0f; }

extern "C" __global__ void unaligned(char* x) { *(float*)(x + 2) = 1.0f; }

extern "C" __global__ void outside_shared(float* x, int at) {
    __shared__ float mine[64];
    mine[threadIdx.x + at] = 1.0f;
    __syncthreads();
    x[threadIdx.x] = mine[threadIdx.x];
}

extern "C" __global__ void unset(const float* x, float* out) { out[threadIdx.x] = x[threadIdx.x] + 1.0f; }

extern "C" __global__ void no_barrier(float* out) {
    __shared__ float mine[128];
    mine[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = mine[127 - threadIdx.x];
}

extern "C" __global__ void second_barrier(float* out) {
    __shared__ float mine[128];
    float sum = 0.0f;
    for (int i = 0; i < 3; i++) {
        mine[threadIdx.x] = threadIdx.x + i;
        __syncthreads();
        sum += mine[127 - threadIdx.x];
    }
    out[threadIdx.x] = sum;
}

extern "C" __global__ void divergent_barrier(float* out) {
    __shared__ float mine[64];
    mine[threadIdx.x] = 1.0f;
    if (threadIdx.x < 40) {
        __syncthreads();
        out[threadIdx.x] = mine[threadIdx.x + 1];
    } else {
        out[threadIdx.x] = 2.0f;
    }
}

extern "C" __global__ void absent_lanes(float* out) {
    float x = threadIdx.x;
    if (threadIdx.x >= 20) return;
    out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, x, 1);
}

extern "C" __global__ void endless(volatile int* x) { while (*x == 0) { } }

// Each lane copies four numbers and waits for its own. mode 0: reads its own; 1 to 3: its neighbour's behind a barrier of the
// warp, of the block, or none; 4: all read the same behind none.
extern "C" __global__ void copies_of_others(const float4* x, float* out, int mode) {
    __shared__ float4 there[64];
    unsigned int to = (unsigned int)__cvta_generic_to_shared(&there[threadIdx.x]);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(x + threadIdx.x % 32) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    if (mode == 1) __syncwarp();
    if (mode == 2) __syncthreads();
    int from = mode == 0 ? threadIdx.x : mode == 4 ? 0 : threadIdx.x ^ 1;
    out[threadIdx.x] = there[from].y;
}

// Writes over what another lane of its warp copied.
extern "C" __global__ void over_copies_of_others(const float4* x, float* out, int own) {
    __shared__ float4 there[32];
    unsigned int to = (unsigned int)__cvta_generic_to_shared(&there[threadIdx.x]);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(x + threadIdx.x) : "memory");
    asm volatile("cp.async.wait_all;" ::: "memory");
    int at = own ? threadIdx.x : threadIdx.x ^ 1;
    there[at].y = 7.0f + threadIdx.x;
    __syncwarp();
    out[threadIdx.x] = there[at].y;
}

// Reads by ld.global.nc what is written where `shift` is 0.
extern "C" __global__ void unchanging(float* x, float* out, int shift) {
    out[threadIdx.x] = __ldg(x + threadIdx.x);
    x[threadIdx.x + shift] = 1.0f;
}

// And in the other order, by an atomic operation of another block.
extern "C" __global__ void unchanging_later(float* x, float* out, int shift) {
    if (blockIdx.x == 0) atomicAdd(x + shift + threadIdx.x, 1.0f);
    else out[threadIdx.x] = __ldg(x + threadIdx.x);
}

// The last of twenty lanes reads from beside them unless they go round.
extern "C" __global__ void shuffle_from_outside(float* x, float* out, int round) {
    if (threadIdx.x >= 20) return;
    int from = round ? (threadIdx.x + 1) % 20 : threadIdx.x + 1;
    out[threadIdx.x] = __shfl_sync(0xfffffu, x[threadIdx.x], from);
}
