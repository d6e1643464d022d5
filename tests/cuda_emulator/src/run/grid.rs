//! A grid: the blocks of a launch on the machine's cores, and the report of what went wrong.

use super::counters::{self, Counters};
use super::fault::Fault;
use super::launch::Launch;
use super::runner::{Place, Runner};
use crate::status::{NOT_SUPPORTED, Status};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Runs all blocks; what goes wrong is printed, and its status returned.
pub fn run(launch: &Launch) -> Result<(), Status> {
    #[cfg(target_arch = "x86_64")]
    if !std::is_x86_feature_detected!("avx2") || !std::is_x86_feature_detected!("fma") {
        eprintln!("emulator: the processor has no AVX2, which the emulator is built for");
        return Err(NOT_SUPPORTED);
    }
    let blocks: u64 = launch.grid.iter().map(|count| u64::from(*count)).product();
    let threads = if launch.cooperative { 1 } else { (launch.options.threads as u64).min(blocks) };
    let (next, failed, executed) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
    let first: Mutex<Option<(Box<Fault>, Place)>> = Mutex::new(None);
    let counted = Mutex::new(Counters::new(launch.options.count));
    let work = || {
        let mut runner = Runner::new(launch);
        let mut sum = 0;
        let fail = |failure| {
            failed.store(true, Ordering::Relaxed);
            first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(failure);
        };
        if launch.cooperative {
            match run_together(launch, blocks) {
                Ok(count) => sum = count,
                Err(failure) => fail(failure),
            }
        } else {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= blocks || failed.load(Ordering::Relaxed) {
                    break;
                }
                runner.start(launch.place(index));
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
    if launch.options.trace {
        eprintln!(
            "emulator: {} grid {:?} block {:?} shared {} instructions {executed}",
            launch.program.name,
            launch.grid,
            launch.block,
            launch.shared_bytes()
        );
    }
    if launch.options.count {
        let counted = counted.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        counters::note(&launch.program.name, executed, &counted);
    }
    match first.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        None => Ok(()),
        Some((fault, place)) => {
            report(launch, &fault, &place);
            Err(fault.status)
        }
    }
}

/// Rounds over all blocks until all have ended, for grids whose blocks wait for each other.
fn run_together(launch: &Launch, blocks: u64) -> Result<u64, (Box<Fault>, Place)> {
    let mut runners: Vec<_> = (0..blocks)
        .map(|index| {
            let mut runner = Runner::new(launch);
            runner.start(launch.place(index));
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

fn report(launch: &Launch, fault: &Fault, place: &Place) {
    let text = launch.program.text.get(&place.line).map_or("", String::as_str);
    let who = match place.thread {
        Some([x, y, z]) => format!("thread ({x}, {y}, {z})"),
        None => format!("warp {}", place.warp),
    };
    let [x, y, z] = place.block;
    eprintln!(
        "emulator: {}: block ({x}, {y}, {z}), {who}: {}\n    at line {} of its PTX: {text}",
        launch.program.name, fault.message, place.line
    );
}
