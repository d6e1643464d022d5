// Fragments, loaded element by element as the manual of the instruction set places them, so that `mma` is tested without
// `ldmatrix`, and `ldmatrix` without `mma`.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
typedef unsigned int u32;
typedef unsigned short u16;

__device__ u32 pair(const u16* m, int row, int column, int step_row, int step_column, int width) {
    return m[row * width + column] | (u32)m[(row + step_row) * width + column + step_column] << 16;
}

// a: 16 x 16, b: 16 x 8, out: 16 x 8; for each of bf16 k16, f16 k16, bf16 k8.
extern "C" __global__ void products(const u16* a, const u16* b, float* out, const u16* ha, const u16* hb) {
    int lane = threadIdx.x, group = lane >> 2, at = lane % 4;
    for (int kind = 0; kind < 3; kind++) {
        const u16* x = kind == 1 ? ha : a;
        const u16* y = kind == 1 ? hb : b;
        u32 fa[4], fb[2];
        for (int i = 0; i < 8; i += 2) {
            int row = (i < 2 || (i >= 4 && i < 6)) ? group : group + 8;
            int column = i < 4 ? at * 2 : at * 2 + 8;
            fa[i / 2] = pair(x, row, column, 0, 1, 16);
        }
        for (int i = 0; i < 4; i += 2) fb[i / 2] = pair(y, at * 2 + (i < 2 ? 0 : 8), group, 1, 0, 8);
        float d[4];
        for (int i = 0; i < 4; i++) d[i] = 0.5f * ((i < 2 ? group : group + 8) * 8 + at * 2 + (i & 1));
        if (kind == 0)
            asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
        else if (kind == 1)
            asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
        else
            asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(fa[0]), "r"(fa[1]), "r"(fb[0]));
        for (int i = 0; i < 4; i++) out[kind * 128 + (i < 2 ? group : group + 8) * 8 + at * 2 + (i & 1)] = d[i];
    }
}

// a: 16 x 8, b: 8 x 8, in tf32.
extern "C" __global__ void product_tf32(const u32* a, const u32* b, float* out) {
    int lane = threadIdx.x, group = lane >> 2, at = lane % 4;
    u32 fa[4], fb[2];
    for (int i = 0; i < 4; i++) fa[i] = a[((i == 0 || i == 2) ? group : group + 8) * 8 + (i < 2 ? at : at + 4)];
    for (int i = 0; i < 2; i++) fb[i] = b[(i == 0 ? at : at + 4) * 8 + group];
    float d[4] = {};
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
    for (int i = 0; i < 4; i++) out[(i < 2 ? group : group + 8) * 8 + at * 2 + (i & 1)] = d[i];
}

// Four matrices whose elements are numbered; out: 8 words of each lane.
extern "C" __global__ void matrices(u32* out) {
    __shared__ __align__(16) u16 m[4][8][8];
    for (int i = threadIdx.x; i < 256; i += 32) ((u16*)m)[i] = i;
    __syncwarp();
    u32 from = (u32)__cvta_generic_to_shared(&m[threadIdx.x / 8][threadIdx.x % 8][0]), w[8];
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3]) : "r"(from));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(w[4]), "=r"(w[5]), "=r"(w[6]), "=r"(w[7]) : "r"(from));
    for (int i = 0; i < 8; i++) out[threadIdx.x * 8 + i] = w[i];
}
