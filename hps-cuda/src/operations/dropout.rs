//! Dropout: `y = x ⊙ mask / (1 − rate)`, its own adjoint; the mask is a function of the key and each row's identity.

use crate::device::Device;
use crate::device::array::{Array, Indices};
use crate::device::kernel::{BOTH, Source};
use crate::device::launch::tiles;
use crate::error::{Result, agree};

pub(crate) static SOURCE: Source =
    Source { name: "dropout.cu", text: include_str!("../../kernels/dropout.cu"), variants: BOTH };

impl Device {
    /// `x ⊙ mask / (1 − rate)`: entry `(row, column)` is kept when word `column % 4` of Philox under `key`, at the
    /// counter `[column / 4, position, segment, data row]`, is at least `rate · 2³²`.
    ///
    /// * `rate`: in `[0, 1)`.
    /// * `identities`: three numbers a row: data row, segment, position.
    ///
    /// # Errors
    /// There are not three identities a row, or the device has no memory left or failed.
    pub fn dropout(&self, x: &Array, rate: f32, key: [u32; 2], identities: &Indices) -> Result<Array> {
        agree("dropout", "the number of identities", 3 * x.rows(), identities.len())?;
        let y = self.undefined_like(x)?;
        let threshold = (f64::from(rate) * 4_294_967_296.0) as u32;
        let scale = 1.0 / (1.0 - rate);
        let arguments = [
            x.into(),
            (&y).into(),
            identities.into(),
            x.columns().into(),
            threshold.into(),
            scale.into(),
            key[0].into(),
            key[1].into(),
        ];
        let grid = tiles(x.rows(), x.columns().div_ceil(16 / x.format().size()));
        self.launch(SOURCE.kernel("dropout"), &[x.format().define()], grid, &arguments)?;
        Ok(y)
    }
}
