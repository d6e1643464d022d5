// The product of tensor cores.

// sum += left right, 16 x 16 and 16 x 8 numbers of bf16. A thread holds of the sum the rows lane / 4 and lane / 4 + 8,
// columns 2 (lane % 4) and the next; of the left one these rows' numbers there and eight further, two a word; of the right
// one column lane / 4's.
__device__ __forceinline__ void multiply(float (&sum)[4], const u32 (&left)[4], u32 low, u32 high) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(low), "r"(high));
}
