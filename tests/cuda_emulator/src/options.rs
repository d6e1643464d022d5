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
            memory: number("EMULATOR_MEMORY").map_or(MEMORY, |mebibytes| mebibytes << 20),
            driver: number("EMULATOR_DRIVER").unwrap_or(13_000) as i32,
            shared: (number("EMULATOR_SHARED").unwrap_or(SHARED) as u32) << 10,
        }
    })
}
