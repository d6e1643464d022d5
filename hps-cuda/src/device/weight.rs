//! Weights on their way to the device and back.

use crate::device::Device;
use crate::device::array::{Array, Format, Weight};
use crate::error::{Result, agree};

impl Device {
    /// Copies a weight `[rows, columns]` to the device.
    ///
    /// * `bytes`: its numbers in `format`, little-endian, row-major.
    ///
    /// # Errors
    /// There are not as many bytes, the device has no memory left, or it failed.
    pub fn upload_weight(&self, bytes: &[u8], rows: usize, columns: usize, format: Format) -> Result<Weight> {
        agree("upload_weight", "the number of bytes", format.size() * rows * columns, bytes.len())?;
        Ok(Weight::new(Array::new(self.uploaded(bytes)?, rows, columns, format)))
    }

    /// Copies a weight to the host; waits for the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn download_weight(&self, weight: &Weight) -> Result<Vec<f32>> {
        self.download(weight.array())
    }
}
