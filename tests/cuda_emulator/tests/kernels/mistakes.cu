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
