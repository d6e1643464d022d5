// Counts what the device has finished: the last dispatch of everything that is handed over. A thread adds one.

@group(0) @binding(0) var<storage, read_write> finished: array<u32>;

@compute @workgroup_size(1)
fn count() {
    finished[0] += 1u;
}
