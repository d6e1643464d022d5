// Attention of one query a sequence over a cache is computed in parts: a task takes queries that see the same keys past
// them. A part's maximum, sum of weights and weighted values are kept, and put together at the end.

// Rows [row_start, row_end) of all (query, head of a key/value head) pairs of the queries of a list, over these keys.
struct Task {
    u32 list;
    u32 row_start;
    u32 row_end;
    u32 key_start;
    u32 key_end;
    u32 part; // of those of each query
};

// Of a part, a query and a head.
struct __align__(8) Summary {
    float greatest; // score, in units of ln 2 for bf16
    float total;    // of weights relative to it
};

// A query and head of a task.
struct Row {
    u32 query;
    u32 head;
    u64 part; // the number of its part, counted over all heads
};

__device__ __forceinline__ Row row_of(const Task& task, u32 row, const u32* list, const u32* parts_of, u32 query_heads,
    u32 group, u32 key_head) {
    const u32 query = list[task.list + row / group], head = key_head * group + row % group;
    return {query, head, u64(parts_of[query] + task.part) * query_heads + head};
}
