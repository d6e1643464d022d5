//! Scaled addition, SwiGLU, dropout: in windows as whole.

use crate::cuts::Cuts;
use crate::numbers::{COLUMNS, array, indices};
use crate::rows::many;

#[test]
fn elementwise() {
    let Some(cuts) = Cuts::open() else { return };
    for columns in COLUMNS {
        let name = format!("{columns} columns");
        let rows = many(columns);
        let results = cuts.of(&name, &[], |device| {
            let [x, gate, up] = [1, 2, 3].map(|seed| array(device, seed, rows, columns));
            let activated = device.swiglu(&gate, &up)?;
            let [d_gate, d_up] = device.swiglu_backward(&x, &gate, &up)?;
            let identities = device.upload_indices(&indices(4, 3 * rows, 1000))?;
            let dropped = device.dropout(&x, 0.3, [5, 6], &identities)?;
            Ok(vec![activated, d_gate, d_up, dropped, device.add_scaled(x, &up, -1.7)?])
        });
        results.agree(&name);
    }
}
