//! How much memory is free, before a model is loaded.

use std::fmt;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

/// Memory that is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeMemory {
    /// How much.
    pub bytes: u64,
    /// Of what.
    pub of: FreeOf,
}

/// Where memory is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FreeOf {
    /// The machine: Linux's `MemAvailable`, which counts what the system would give up, and its like elsewhere.
    Machine,
    /// The process's control group (a container, a SLURM job), which may have less.
    ControlGroup,
    /// The GPU, as its driver says.
    Gpu,
    /// The GPU, which does not say: three quarters of 8 GiB, which most have.
    GpuShare,
}

impl fmt::Display for FreeOf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            FreeOf::Machine => "free on this machine",
            FreeOf::ControlGroup => "left to this process's control group",
            FreeOf::Gpu => "free on the GPU",
            FreeOf::GpuShare => "assumed of a GPU that does not say what it has",
        })
    }
}

impl FreeMemory {
    /// What this process may still take of the machine's memory; `None` where the system does not say.
    pub(super) fn of_machine() -> Option<FreeMemory> {
        let mut system = System::new().ok()?;
        system.refresh_memory();
        let machine = FreeMemory { bytes: system.available_memory(), of: FreeOf::Machine };
        let limited = sysinfo::get_current_pid().ok().and_then(|process| {
            let only = ProcessesToUpdate::Some(&[process]);
            system.refresh_processes_specifics(only, true, ProcessRefreshKind::nothing());
            system.process(process)?.cgroup_limits()
        });
        let limited = limited.map(|limits| FreeMemory { bytes: limits.free_memory, of: FreeOf::ControlGroup });
        Some(match limited {
            Some(limited) if limited.bytes < machine.bytes => limited,
            _ => machine,
        })
        .filter(|free| free.bytes > 0)
    }
}
