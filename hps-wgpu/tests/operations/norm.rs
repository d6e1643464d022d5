//! The norm and its gradients: in windows as whole.

use crate::cuts::Cuts;
use crate::numbers::{COLUMNS, array, weight};
use crate::rows::many;
use hps_wgpu::Format;

#[test]
fn rms_norm_and_backward() {
    let Some(cuts) = Cuts::open() else { return };
    for columns in COLUMNS {
        let name = format!("{columns} columns");
        let rows = many(columns);
        let results = cuts.of(&name, &["clear"], |device| {
            let [x, dy] = [1, 2].map(|seed| array(device, seed, rows, columns));
            let gain = weight(device, 3, 1, columns, Format::F32);
            let mut results = vec![device.rms_norm(&x, &gain, 1e-5)?, device.rms_norm_backward(&dy, &x, &gain, 1e-5)?];
            // Beyond, a CPU adapter refuses the gain's gradient.
            if rows < 32_768 {
                results.push(device.rms_norm_gain_gradient(&dy, &x, 1e-5)?);
            }
            Ok(results)
        });
        results.agree(&name);
    }
}
