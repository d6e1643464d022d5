//! Weights on their way to the device and back.

use crate::device::Device;
use crate::device::array::{Format, Weight};
use crate::error::{Result, agree};

impl Device {
    /// Copies a weight `[rows, columns]` to the device.
    ///
    /// * `bytes`: its numbers in `format`, little-endian, row-major.
    pub fn upload_weight(&self, bytes: &[u8], rows: usize, columns: usize, format: Format) -> Result<Weight> {
        let size = if format == Format::F32 { 4 } else { 2 };
        agree("upload_weight", "the number of bytes", size * rows * columns, bytes.len())?;
        Ok(Weight::new(self.uploaded(bytes)?, rows, columns, format))
    }

    /// Copies a weight to the host; waits for the device.
    pub fn download_weight(&self, weight: &Weight) -> Result<Vec<f32>> {
        let bytes = self.downloaded(weight.storage(), weight.bytes())?;
        Ok(match weight.format() {
            Format::F32 => bytemuck::pod_collect_to_vec(&bytes),
            Format::BF16 => {
                let halves = bytes.as_chunks::<2>().0.iter().take(weight.rows() * weight.columns());
                halves.map(|half| f32::from_bits(u32::from(u16::from_le_bytes(*half)) << 16)).collect()
            }
        })
    }
}
