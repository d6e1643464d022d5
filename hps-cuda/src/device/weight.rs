//! Weights on their way to the device.

use crate::device::Device;
use crate::device::array::{Array, Format, Stored, Weight};
use crate::device::codes::{Coded, Codes};
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
        Ok(Weight::new(Stored::Numbers(Array::new(self.uploaded(bytes)?, rows, columns, format))))
    }

    /// Copies a frozen weight to the device as it is stored. [`linear`](Device::linear), its backward,
    /// [`embed`](Device::embed), [`log_probs`](Device::log_probs) and [`sample`](Device::sample) decode what they read of it,
    /// [`TILE`](crate::TILE) numbers at a time; what takes numbers alone refuses it.
    ///
    /// # Errors
    /// A part's length is not what the numbers need, rows are no whole blocks or no whole heads, the device has no memory
    /// left, or it failed.
    ///
    /// ```
    /// use hps_cuda::{BlockType, Codes, Device, Encoding};
    ///
    /// # fn main() -> hps_cuda::Result<()> {
    /// # let Ok(device) = Device::open(None) else { return Ok(()) };
    /// // A block of q8_0: d = 0.5 as f16, then 32 signed bytes.
    /// let mut bytes = vec![0x00, 0x38];
    /// bytes.extend(0..32);
    /// let encoding = Encoding::Blocks(BlockType::Q8_0);
    /// let codes = Codes { encoding, rows: 1, columns: 32, bytes: &bytes, interleaved: None };
    /// let weight = device.upload_codes(&codes)?;
    /// assert_eq!(device.download_weight(&weight)?, (0..32).map(|code| code as f32 / 2.0).collect::<Vec<_>>());
    /// # Ok(()) }
    /// ```
    pub fn upload_codes(&self, codes: &Codes<'_>) -> Result<Weight> {
        Ok(Weight::new(Stored::Codes(Coded::new(codes, |bytes| self.uploaded(bytes))?)))
    }
}
