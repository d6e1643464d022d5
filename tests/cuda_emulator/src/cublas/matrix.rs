//! Matrices on the device.

use super::EXECUTION_FAILED;
use super::handle::{Layout, R_16BF};
use crate::half::{from_bf16, to_bf16};
use crate::memory::{Allocation, range};
use crate::options::options;
use crate::status::Status;
use std::sync::Arc;

/// A matrix on the device: columns one after the other, `leading` numbers apart.
#[derive(Debug, Clone)]
pub struct Matrix {
    pub address: u64,
    pub layout: Layout,
}

impl Matrix {
    fn size(&self) -> u64 {
        if self.layout.kind == R_16BF { 2 } else { 4 }
    }

    /// The first address behind it.
    pub fn end(&self) -> u64 {
        let Layout { rows, columns, leading, .. } = self.layout;
        self.address + ((columns - 1) * leading as u64 + rows) * self.size()
    }

    /// The allocation that holds it; what is wrong is printed.
    pub fn inside(&self, what: &str, read: bool) -> Result<Arc<Allocation>, Status> {
        let Layout { rows, columns, leading, .. } = self.layout;
        let bytes = self.end() - self.address;
        let fail = |why: &str| {
            eprintln!(
                "emulator: cublasLtMatmul: {what} at {:#x}, {rows} × {columns}, {leading} apart: {why}",
                self.address
            );
            EXECUTION_FAILED
        };
        let allocation = range(self.address, bytes).ok_or_else(|| fail("not inside a live allocation"))?;
        if !self.address.is_multiple_of(self.size()) {
            return Err(fail("misaligned"));
        }
        if read && options().unset {
            let column = |at: u64| self.address + at * leading as u64 * self.size();
            if !(0..columns).all(|at| allocation.is_written(column(at), rows * self.size())) {
                return Err(fail("read where nothing was written (uninitialised)"));
            }
        }
        Ok(allocation)
    }

    /// All of it as f32, columns one after the other with nothing between.
    pub fn read(&self, allocation: &Allocation) -> Vec<f32> {
        let Layout { rows, columns, leading, .. } = self.layout;
        let mut numbers = Vec::with_capacity((rows * columns) as usize);
        for column in 0..columns {
            let from = allocation.at(self.address + column * leading as u64 * self.size());
            // SAFETY: `inside` found every column to be inside and aligned.
            unsafe {
                if self.layout.kind == R_16BF {
                    numbers.extend(
                        std::slice::from_raw_parts(from.cast::<u16>(), rows as usize).iter().map(|x| from_bf16(*x)),
                    );
                } else {
                    numbers.extend_from_slice(std::slice::from_raw_parts(from.cast::<f32>(), rows as usize));
                }
            }
        }
        numbers
    }

    pub fn write(&self, allocation: &Allocation, numbers: &[f32]) {
        let Layout { rows, columns, leading, .. } = self.layout;
        for (column, numbers) in numbers.chunks_exact(rows as usize).enumerate().take(columns as usize) {
            let address = self.address + column as u64 * leading as u64 * self.size();
            let to = allocation.at(address);
            // SAFETY: as above.
            unsafe {
                if self.layout.kind == R_16BF {
                    let to = std::slice::from_raw_parts_mut(to.cast::<u16>(), rows as usize);
                    for (to, x) in to.iter_mut().zip(numbers) {
                        *to = to_bf16(*x);
                    }
                } else {
                    std::slice::from_raw_parts_mut(to.cast::<f32>(), rows as usize).copy_from_slice(numbers);
                }
            }
            allocation.mark(address, rows * self.size());
        }
    }
}
