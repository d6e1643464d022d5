//! What the environment asks for.

use std::sync::OnceLock;

#[derive(Debug)]
pub struct Options {
    /// The seed of the order in which warps run; 0: as they are numbered.
    pub order: u64,
    pub trace: bool,
    pub count: bool,
    pub count_path: Option<String>,
    pub threads: usize,
    /// Instructions of a warp.
    pub budget: u64,
    /// Races in shared memory are looked for; reads of what was never written.
    pub races: bool,
    pub unset: bool,
    /// Whether there is a device.
    pub device: bool,
    /// Its compute capability, major and minor.
    pub capability: [i32; 2],
    pub multiprocessors: u32,
    /// Work is done when somebody waits for it, not at the call.
    pub lazy: bool,
    /// Bytes of shared memory that a block may ask for.
    pub shared: u32,
    /// Bytes of the device.
    pub memory: u64,
    /// The version of CUDA that the driver says it is of.
    pub driver: i32,
}

const MEMORY: u64 = 8 << 30;

/// Of an A100, in KiB.
const SHARED: u64 = 163;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.trim().parse().ok()
}

pub fn options() -> &'static Options {
    static OPTIONS: OnceLock<Options> = OnceLock::new();
    OPTIONS.get_or_init(|| {
        let count_path = std::env::var("EMULATOR_COUNT").ok().filter(|path| !path.is_empty());
        Options {
            order: number("EMULATOR_ORDER").unwrap_or(0),
            trace: number("EMULATOR_TRACE").unwrap_or(0) != 0,
            count: count_path.is_some(),
            count_path,
            threads: number("EMULATOR_THREADS").map_or_else(
                || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
                |threads| threads.max(1) as usize,
            ),
            budget: number("EMULATOR_BUDGET").unwrap_or(4_000_000_000),
            races: number("EMULATOR_RACES").unwrap_or(1) != 0,
            unset: number("EMULATOR_UNINITIALISED").unwrap_or(1) != 0,
            device: number("EMULATOR_DEVICES").unwrap_or(1) != 0,
            capability: {
                let both = number("EMULATOR_CAPABILITY").unwrap_or(80) as i32;
                [both / 10, both % 10]
            },
            multiprocessors: number("EMULATOR_MULTIPROCESSORS").unwrap_or(4).max(1) as u32,
            lazy: number("EMULATOR_LAZY").unwrap_or(0) != 0,
            memory: number("EMULATOR_MEMORY").map_or(MEMORY, |mebibytes| mebibytes << 20),
            driver: number("EMULATOR_DRIVER").unwrap_or(13_000) as i32,
            shared: (number("EMULATOR_SHARED").unwrap_or(SHARED) as u32) << 10,
        }
    })
}

/// A step of a generator of random numbers, for what has no order of its own.
pub fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
