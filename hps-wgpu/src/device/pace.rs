//! How much a dispatch may do, so that it ends in time and still has work for every core.
//!
//! Desktop watchdogs end what takes seconds, and a screen stutters from 50 ms on; but a dispatch of few workgroups leaves most
//! of a device idle. How fast an adapter is no interface tells: at first it is assumed by the adapter's kind, and measured once
//! a product wants more than every device of its kind is given. Only how work is cut depends on it, never a number.

use std::sync::OnceLock;

/// Seconds that a dispatch of a product is to take at most: half of the 50 ms, since others get less out of a device.
const SECONDS: f64 = 0.025;

/// Terms of a sum that a dispatch of a product adds up; the parts of longer ones are added up in memory. Always so, and not
/// where a dispatch would be too long otherwise: which numbers a product has then depends on its depth alone, not on how many
/// rows it has nor on how fast the device was found to be. Besides, a long sum loses fewer digits.
pub(crate) const DEPTH: usize = 2048;

/// Workgroups of a core at least, where a product has as many: a core waits for memory in one and computes in another.
const GROUPS: u64 = 8;

/// Multiplications of the smallest workgroup of a product in one dispatch: a tile of 32 x 32.
const OF_GROUP: u64 = 32 * 32 * DEPTH as u64;

/// Multiplications of a dispatch at most, whatever was measured.
const MOST: u64 = 1 << 36;

/// A device's, in multiplications.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Cores, about.
    cores: usize,
    filled: usize,
    /// What takes 50 ms at most on the slower ones of this kind.
    assumed: u64,
    /// The caller's own limit, which is kept to and never measured.
    fixed: Option<u64>,
    /// What a product does in [`SECONDS`].
    measured: OnceLock<u64>,
}

impl Pace {
    pub fn new(kind: wgpu::DeviceType, fixed: Option<u64>) -> Pace {
        let (cores, assumed) = match kind {
            wgpu::DeviceType::DiscreteGpu | wgpu::DeviceType::VirtualGpu => (128, 1 << 33),
            wgpu::DeviceType::IntegratedGpu | wgpu::DeviceType::Other => (32, 1 << 31),
            wgpu::DeviceType::Cpu => (2, 1 << 26),
        };
        // A processor's core runs one workgroup at a time, and nothing else while that waits.
        let filled = if kind == wgpu::DeviceType::Cpu { 2 * cores } else { GROUPS as usize * cores };
        Pace { cores, filled, assumed, fixed, measured: OnceLock::new() }
    }

    /// Of a dispatch of any kernel.
    pub fn of_kernels(&self) -> u64 {
        let measured = self.measured.get().copied().unwrap_or(u64::MAX);
        self.fixed.unwrap_or(self.assumed.min(measured))
    }

    /// Of a dispatch of a product, if it is known.
    pub fn of_products(&self) -> Option<u64> {
        self.fixed.or_else(|| self.measured.get().copied())
    }

    /// Of a dispatch of a product on any device of this kind: what is halved until it is within has [`GROUPS`] workgroups a
    /// core left.
    pub fn least(&self) -> u64 {
        self.fixed.unwrap_or(2 * self.cores as u64 * GROUPS * OF_GROUP)
    }

    /// Workgroups that there have to be for them to be large ones.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Of all dispatches that are handed over together.
    pub fn of_submission(&self) -> u64 {
        self.measured.get().copied().unwrap_or(self.assumed)
    }

    /// Takes note that a product of so much work took so long; what a dispatch of one may do from now on.
    pub fn learn(&self, work: u64, seconds: f64) -> u64 {
        let of_time = (work as f64 * (SECONDS / seconds.max(1e-9))) as u64;
        *self.measured.get_or_init(|| of_time.clamp(self.least(), MOST.max(self.least())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::DeviceType::{Cpu, DiscreteGpu, IntegratedGpu, Other, VirtualGpu};

    #[test]
    fn a_slow_device_still_has_eight_workgroups_a_core() {
        for kind in [DiscreteGpu, VirtualGpu, IntegratedGpu, Other, Cpu] {
            let pace = Pace::new(kind, None);
            assert_eq!(pace.of_products(), None);
            let least = pace.least();
            assert!(least <= pace.of_kernels(), "{kind:?}");
            assert_eq!(pace.learn(least, 10.0), least);
            assert_eq!(pace.of_products(), Some(least));
            assert_eq!(least / 2 / OF_GROUP, 8 * pace.cores as u64);
            // Known once and for all, and kept to by everything.
            assert_eq!(pace.learn(least, 1e-9), least);
            assert_eq!([pace.of_kernels(), pace.of_submission()], [least; 2]);
        }
    }

    #[test]
    fn what_is_measured_is_kept_to() {
        let pace = Pace::new(DiscreteGpu, None);
        // 2^32 multiplications in 5 ms: five times as many in 25 ms.
        assert_eq!(pace.learn(1 << 32, 0.005), 5 << 32);
        // A product may do more than was assumed; kernels whose work is only estimated may not.
        let pace = Pace::new(DiscreteGpu, None);
        assert_eq!(pace.learn(1 << 32, 1e-6), MOST);
        assert_eq!((pace.of_products(), pace.of_kernels()), (Some(MOST), 1 << 33));
    }

    #[test]
    fn a_callers_limit_is_never_measured() {
        let pace = Pace::new(DiscreteGpu, Some(1 << 16));
        assert_eq!((pace.least(), pace.of_products(), pace.of_kernels()), (1 << 16, Some(1 << 16), 1 << 16));
    }
}
