// Blocks of queries and the tiles of keys they see.

// Queries of one segment, and the keys that they see: [prefix_start, prefix_end), then from self_start to themselves.
struct Block {
    u32 query_start;
    u32 query_end;
    u32 prefix_start;
    u32 prefix_end;
    u32 self_start;
};

// A tile of keys: its first, and the one behind the last it may have.
struct Tile {
    u32 start;
    u32 end;
    bool prefix; // or of the queries' own segment

    // How far the token sees.
    __device__ __forceinline__ u32 limit(u32 token) const { return prefix ? end : token + 1; }
};

__device__ __forceinline__ Tile own_keys(const Block& block) { return {block.self_start, block.query_end, false}; }

__device__ __forceinline__ Tile first_tile(const Block& block) {
    if (block.prefix_start < block.prefix_end) return {block.prefix_start, block.prefix_end, true};
    return own_keys(block);
}

template <u32 KEYS> __device__ __forceinline__ Tile next_tile(const Tile& tile, const Block& block) {
    const bool within = tile.start + KEYS < tile.end;
    if (!within && tile.prefix) return own_keys(block);
    return {tile.start + KEYS, tile.end, tile.prefix};
}

// Whether there are keys in it: none behind the last tile.
__device__ __forceinline__ bool is_there(const Tile& tile) { return tile.start < tile.end; }

// Keys of a block, and the tiles of queries that see any of them.
struct Part {
    u32 key_start;
    u32 key_end;
    u32 walk_start;
    u32 walk_end;
    u32 slot; // where its sums go if there are others of the same keys
};

constexpr u32 ALONE = 0xffffffffu;

// Four numbers a token.
struct __align__(16) Span {
    u32 prefix_start;
    u32 prefix_end;
    u32 self_start;
    u32 visible_until;
};

__device__ __forceinline__ bool sees(const Span& span, u32 token, u32 key) {
    return (key >= span.prefix_start && key < span.prefix_end) || (key >= span.self_start && key <= token);
}
