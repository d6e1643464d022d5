// Blocks of queries and the tiles of keys they see.

// Queries of one segment, and the keys that they see: [prefix_start, prefix_end), then from self_start to themselves.
struct Block {
    u32 query_start;
    u32 query_end;
    u32 prefix_start;
    u32 prefix_end;
    u32 self_start;
};

// A tile of keys: its first, the one behind the last it may have, and whether it is of the prefix.
struct Tile {
    u32 start;
    u32 end;
    bool prefix;
};

template <u32 KEYS> struct Walk {
    Block block;
    u32 prefix_tiles;
    u32 tiles;

    __device__ __forceinline__ explicit Walk(const Block& of) : block(of) {
        prefix_tiles = (block.prefix_end - block.prefix_start + KEYS - 1) / KEYS;
        tiles = prefix_tiles + (block.query_end - block.self_start + KEYS - 1) / KEYS;
    }

    __device__ __forceinline__ Tile at(u32 tile) const {
        if (tile < prefix_tiles) return {block.prefix_start + tile * KEYS, block.prefix_end, true};
        return {block.self_start + (tile - prefix_tiles) * KEYS, block.query_end, false};
    }
};

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
