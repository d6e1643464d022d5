//! What a device is asked to keep to.

/// What a device is asked to keep to.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes a kernel sees of one buffer at most; the adapter's own limit if not given or larger. Larger buffers are bound
    /// part by part.
    pub binding: Option<u64>,
    /// Buffers that a kernel binds at most, beside its parameters; the adapter's own limit if not given or larger. Eight are
    /// needed.
    pub buffers: Option<u32>,
    /// Bytes of memory that the threads of a workgroup share at most; the adapter's own limit if not given or larger. Tiles
    /// are chosen by it.
    pub workgroup_memory: Option<u32>,
    /// Bytes of all arrays together at most, those kept for later included; what the adapter has if not given. What goes
    /// beyond is out of memory.
    pub memory: Option<u64>,
    /// Multiplications a dispatch does at most, about. If not given, by the kind of adapter, and of products by how long one
    /// takes. Desktop watchdogs kill a dispatch that takes seconds, and a screen stutters from 50 ms on.
    pub work: Option<u64>,
}

impl Limits {
    /// What every adapter of WebGPU has: 128 MiB of a buffer, eight buffers, 16 KiB a workgroup.
    pub const fn least() -> Limits {
        Limits {
            binding: Some(128 << 20),
            buffers: Some(8),
            workgroup_memory: Some(16 << 10),
            memory: None,
            work: None,
        }
    }
}

/// The lower of a limit that was asked for, if one was, and the adapter's own.
pub(crate) fn lower<T: Ord>(asked: Option<T>, own: T) -> T {
    match asked {
        Some(asked) => asked.min(own),
        None => own,
    }
}
