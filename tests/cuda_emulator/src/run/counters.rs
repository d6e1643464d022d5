//! Counts that tell how a kernel would fare on a device: bank conflicts and sectors.

use super::lanes::lanes;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;

/// Of a launch, or a part of it.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    pub on: bool,
    /// Accesses of shared memory by warps, the passes they take, and the passes they would take at best.
    pub shared: u64,
    pub passes: u64,
    pub best_passes: u64,
    /// Accesses of global memory by warps, the sectors of 32 bytes they touch, and the bytes they ask for.
    pub global: u64,
    pub sectors: u64,
    pub bytes: u64,
    /// Multiplications of matrices: by tensor cores, or of a product.
    pub multiplications: u64,
}

impl Counters {
    pub fn new(on: bool) -> Counters {
        Counters { on, ..Counters::default() }
    }

    pub fn add(&mut self, other: &Counters) {
        self.shared += other.shared;
        self.passes += other.passes;
        self.best_passes += other.best_passes;
        self.global += other.global;
        self.sectors += other.sectors;
        self.bytes += other.bytes;
        self.multiplications += other.multiplications;
    }

    /// An access of shared memory: each pass serves at most 128 bytes, one word of each of the 32 banks; lanes that want
    /// the same word are served at once. Wide accesses are done by halves or quarters of the warp.
    #[cold]
    pub fn shared_access(&mut self, addresses: &[u64; 32], mask: u32, bytes: u32) {
        self.shared += 1;
        let parts = (bytes / 4).max(1);
        let lanes_each = 32 / parts;
        for part in 0..parts {
            let members = ((1u64 << lanes_each) - 1) << (part * lanes_each);
            let mut banks: [Vec<u64>; 32] = Default::default();
            for lane in lanes(mask & members as u32) {
                for word in addresses[lane] / 4..(addresses[lane] + u64::from(bytes)).div_ceil(4) {
                    let bank = &mut banks[(word % 32) as usize];
                    if !bank.contains(&word) {
                        bank.push(word);
                    }
                }
            }
            let words: usize = banks.iter().map(Vec::len).sum();
            self.passes += banks.iter().map(Vec::len).max().unwrap_or(0) as u64;
            self.best_passes += words.div_ceil(32) as u64;
        }
    }

    #[cold]
    pub fn global_access(&mut self, addresses: &[u64; 32], mask: u32, bytes: u32) {
        self.global += 1;
        let mut sectors: Vec<u64> = lanes(mask)
            .flat_map(|lane| addresses[lane] / 32..(addresses[lane] + u64::from(bytes)).div_ceil(32))
            .collect();
        sectors.sort_unstable();
        sectors.dedup();
        self.sectors += sectors.len() as u64;
        self.bytes += u64::from(mask.count_ones() * bytes);
    }
}

#[derive(Debug, Default)]
struct Kernel {
    launches: u64,
    instructions: u64,
    counters: Counters,
}

/// Adds what is no kernel, with its multiplications of matrices.
pub fn note_other(name: &str, multiplications: u64) {
    if crate::options::options().count {
        note(name, 0, &Counters { multiplications, ..Counters::default() });
    }
}

static KERNELS: Mutex<BTreeMap<String, Kernel>> = Mutex::new(BTreeMap::new());

/// Adds a launch, and writes the table anew: a process may end at any time.
pub fn note(name: &str, instructions: u64, counters: &Counters) {
    let mut kernels = KERNELS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let kernel = kernels.entry(name.to_owned()).or_default();
    kernel.launches += 1;
    kernel.instructions += instructions;
    kernel.counters.add(counters);
    let Some(path) = &crate::options::options().count_path else { return };
    let mut table =
        "kernel\tlaunches\tinstructions\tshared\textra_passes\tglobal\tsectors\tideal_sectors\tmultiplications\n"
            .to_owned();
    for (name, Kernel { launches, instructions, counters }) in kernels.iter() {
        let extra = counters.passes - counters.best_passes;
        let _ = writeln!(
            table,
            "{name}\t{launches}\t{instructions}\t{}\t{extra}\t{}\t{}\t{}\t{}",
            counters.shared,
            counters.global,
            counters.sectors,
            counters.bytes.div_ceil(32),
            counters.multiplications
        );
    }
    if let Err(error) = std::fs::write(path, table) {
        eprintln!("emulator: {path}: {error}");
    }
}
