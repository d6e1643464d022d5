// out = a b on the tensor cores: a row-major [m, k], b row-major [k, n], tiles by cp.async in two stages.
#include <cuda_bf16.h>
typedef unsigned int u32;

constexpr int M = 64, N = 64, K = 32, PAD = 8;

__device__ __forceinline__ u32 at(const void* p) { return (u32)__cvta_generic_to_shared(p); }

__device__ __forceinline__ void copy(void* to, const void* from, bool inside) {
    int bytes = inside ? 16 : 0;
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" :: "r"(at(to)), "l"(from), "r"(bytes));
}

extern "C" __global__ void __launch_bounds__(128) product(const __nv_bfloat16* a, const __nv_bfloat16* b, float* out,
                                                          int m, int n, int k) {
    __shared__ __align__(16) __nv_bfloat16 as[2][M][K + PAD];
    __shared__ __align__(16) __nv_bfloat16 bs[2][K][N + PAD];
    int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    int row0 = blockIdx.y * M, column0 = blockIdx.x * N;
    int wm = (warp / 2) * 32, wn = (warp % 2) * 32;
    float sums[2][4][4] = {};
    auto load = [&](int stage, int k0) {
        for (int i = thread; i < M * K / 8; i += 128) {
            int r = i / (K / 8), c = i % (K / 8) * 8;
            bool inside = row0 + r < m && k0 + c < k;
            copy(&as[stage][r][c], inside ? a + (size_t)(row0 + r) * k + k0 + c : a, inside);
        }
        for (int i = thread; i < K * N / 8; i += 128) {
            int r = i / (N / 8), c = i % (N / 8) * 8;
            bool inside = k0 + r < k && column0 + c < n;
            copy(&bs[stage][r][c], inside ? b + (size_t)(k0 + r) * n + column0 + c : b, inside);
        }
        asm volatile("cp.async.commit_group;");
    };
    int steps = (k + K - 1) / K;
    load(0, 0);
    for (int step = 0; step < steps; step++) {
        if (step + 1 < steps) load((step + 1) % 2, (step + 1) * K);
        else asm volatile("cp.async.commit_group;");
#ifndef NO_WAIT
        asm volatile("cp.async.wait_group 1;");
#endif
        __syncthreads();
        int stage = step % 2;
        for (int kk = 0; kk < K; kk += 16) {
            u32 fa[2][4], fb[4][2];
            for (int i = 0; i < 2; i++)
                asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                    : "=r"(fa[i][0]), "=r"(fa[i][1]), "=r"(fa[i][2]), "=r"(fa[i][3])
                    : "r"(at(&as[stage][wm + i * 16 + lane % 16][kk + lane / 16 * 8])));
            for (int j = 0; j < 4; j += 2)
                asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                    : "=r"(fb[j][0]), "=r"(fb[j][1]), "=r"(fb[j + 1][0]), "=r"(fb[j + 1][1])
                    : "r"(at(&bs[stage][kk + lane % 16][wn + j * 8 + lane / 16 * 8])));
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 4; j++)
                    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                        : "+f"(sums[i][j][0]), "+f"(sums[i][j][1]), "+f"(sums[i][j][2]), "+f"(sums[i][j][3])
                        : "r"(fa[i][0]), "r"(fa[i][1]), "r"(fa[i][2]), "r"(fa[i][3]), "r"(fb[j][0]), "r"(fb[j][1]));
        }
        __syncthreads();
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++)
            for (int h = 0; h < 2; h++) {
                int r = row0 + wm + i * 16 + lane / 4 + h * 8, c = column0 + wn + j * 8 + lane % 4 * 2;
                if (r < m && c + 1 < n) *(float2*)&out[(size_t)r * n + c] = make_float2(sums[i][j][2 * h], sums[i][j][2 * h + 1]);
            }
}
