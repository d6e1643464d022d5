//! A launch: its blocks on the machine's cores, and the report of what went wrong.

use super::block::{Place, Runner};
use super::counters;
use super::fault::Fault;
use crate::memory::Live;
use crate::options::Options;
use crate::program::Program;
use crate::status;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A kernel with what it is launched with.
#[derive(Debug, Clone)]
pub struct Launch {
    pub program: Arc<Program>,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub dynamic: u32,
    pub params: Vec<u8>,
    pub live: Live,
    pub options: &'static Options,
    /// All blocks run at once and may wait for each other.
    pub cooperative: bool,
    /// Memory for the barrier of a cooperative launch.
    pub workspace: u64,
}

impl Launch {
    pub fn threads(&self) -> u32 {
        self.block.iter().product()
    }

    pub fn shared_bytes(&self) -> u32 {
        self.program.shared + self.dynamic
    }

    pub fn thread(&self, index: u32) -> [u32; 3] {
        let [x, y, _] = self.block;
        [index % x, index / x % y, index / x / y]
    }

    fn place(&self, index: u64) -> [u32; 3] {
        let [x, y, _] = self.grid.map(u64::from);
        [(index % x) as u32, (index / x % y) as u32, (index / x / y) as u32]
    }

    /// Runs all blocks; what goes wrong is printed, and its status returned.
    pub fn run(&self) -> Result<(), u32> {
        #[cfg(target_arch = "x86_64")]
        if !std::is_x86_feature_detected!("avx2") || !std::is_x86_feature_detected!("fma") {
            eprintln!("emulator: the processor has no AVX2, which the emulator is built for");
            return Err(status::NOT_SUPPORTED);
        }
        let blocks: u64 = self.grid.iter().map(|count| u64::from(*count)).product();
        let threads = if self.cooperative { 1 } else { (self.options.threads as u64).min(blocks) };
        let (next, failed, executed) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
        let first: Mutex<Option<(Box<Fault>, Place)>> = Mutex::new(None);
        let counted = Mutex::new(counters::Counters::new(self.options.count));
        let work = || {
            let mut runner = Runner::new(self);
            let mut sum = 0;
            let fail = |failure| {
                failed.store(true, Ordering::Relaxed);
                first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(failure);
            };
            if self.cooperative {
                match self.run_together(blocks) {
                    Ok(count) => sum = count,
                    Err(failure) => fail(failure),
                }
            } else {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= blocks || failed.load(Ordering::Relaxed) {
                        break;
                    }
                    runner.start(self.place(index));
                    let end = loop {
                        match runner.round() {
                            Ok(false) if failed.load(Ordering::Relaxed) => break Ok(()),
                            Ok(false) => {}
                            Ok(true) => break Ok(()),
                            Err(failure) => break Err(failure),
                        }
                    };
                    sum += runner.executed();
                    if let Err(failure) = end {
                        fail(failure);
                        break;
                    }
                }
            }
            executed.fetch_add(sum, Ordering::Relaxed);
            counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(&runner.block.counters);
        };
        if threads <= 1 {
            work();
        } else {
            std::thread::scope(|scope| {
                for _ in 1..threads {
                    scope.spawn(work);
                }
                work();
            });
        }
        let executed = executed.into_inner();
        if self.options.trace {
            eprintln!(
                "emulator: {} grid {:?} block {:?} shared {} instructions {executed}",
                self.program.name,
                self.grid,
                self.block,
                self.shared_bytes()
            );
        }
        if self.options.count {
            let counted = counted.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            counters::note(&self.program.name, executed, &counted);
        }
        match first.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            None => Ok(()),
            Some((fault, place)) => {
                self.report(&fault, &place);
                Err(fault.status)
            }
        }
    }

    /// Rounds over all blocks until all have ended, for grids whose blocks wait for each other.
    fn run_together(&self, blocks: u64) -> Result<u64, (Box<Fault>, Place)> {
        let mut runners: Vec<_> = (0..blocks)
            .map(|index| {
                let mut runner = Runner::new(self);
                runner.start(self.place(index));
                (runner, false)
            })
            .collect();
        while runners.iter().any(|(_, done)| !done) {
            for (runner, done) in runners.iter_mut().filter(|(_, done)| !done) {
                *done = runner.round()?;
            }
        }
        Ok(runners.iter().map(|(runner, _)| runner.executed()).sum())
    }

    fn report(&self, fault: &Fault, place: &Place) {
        let text = self.program.text.get(&place.line).map_or("", String::as_str);
        let who = match place.thread {
            Some([x, y, z]) => format!("thread ({x}, {y}, {z})"),
            None => format!("warp {}", place.warp),
        };
        let [x, y, z] = place.block;
        eprintln!(
            "emulator: {}: block ({x}, {y}, {z}), {who}: {}\n    at line {} of its PTX: {text}",
            self.program.name, fault.message, place.line
        );
    }
}
