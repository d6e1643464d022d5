//! How work is cut into dispatches: windows of rows that a device sees and finishes in time, and grids of workgroups.

use crate::device::Device;
use crate::error::{Error, ErrorKind, Result};
use std::ops::Range;

/// Rows that windows start at multiples of: 64 rows of four-byte numbers, or of packed pairs, start where every adapter
/// lets a binding start.
pub(crate) const ROW_STEP: usize = 128;

/// `groups` workgroups as a grid of two dimensions, each within the limit of 65,535; kernels count `y · width + x`.
pub(crate) fn grid(groups: usize) -> [u32; 3] {
    const WIDTH: usize = 1 << 15;
    [groups.min(WIDTH) as u32, groups.div_ceil(WIDTH) as u32, 1]
}

/// Cuts `0..rows` into windows of whole [`ROW_STEP`]s of which every binding stays within the device's limit and every
/// dispatch within its work.
///
/// * `bytes`: of a row, in the widest buffer that is bound window by window.
/// * `work`: multiplications a row, or what takes as long on Mesa's CPU adapter: a number read or written takes about four.
pub(crate) fn windows(device: &Device, rows: usize, bytes: u64, work: u64) -> Result<Vec<Range<usize>>> {
    let most = device.binding_limit() / bytes.max(1);
    if most < rows.min(ROW_STEP) as u64 {
        let message = format!(
            "{} rows of {bytes} bytes, and a kernel of this adapter sees {} at once",
            rows.min(ROW_STEP),
            device.binding_limit()
        );
        return Err(Error::new(ErrorKind::OutOfMemory, message));
    }
    let most = most.min((device.work_limit() / work.max(1)).max(1)) as usize;
    let step = (most / ROW_STEP * ROW_STEP).max(ROW_STEP);
    Ok(parts(0..rows, step).collect())
}

/// `range` in parts of at most `most`.
pub(crate) fn parts(range: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(most).map(move |start| start..end.min(start + most))
}
