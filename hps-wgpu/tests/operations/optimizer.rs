//! The gradient's norm and AdamW: in windows as whole.

use crate::cuts::Cuts;
use crate::numbers::{COLUMNS, array, weight};
use crate::rows::many;
use hps_wgpu::{AdamWUpdate, Format};

#[test]
fn updates() {
    let Some(cuts) = Cuts::open() else { return };
    for columns in COLUMNS {
        let name = format!("{columns} columns");
        let rows = many(columns);
        let update = AdamWUpdate {
            learning_rate: 1e-2,
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.1,
            step: 1,
            max_norm: 1.0,
        };
        let results = cuts.of(&name, &["largest", "root", "clear"], |device| {
            let [gradient, other] = [(1, rows), (2, 3)].map(|(seed, rows)| array(device, seed, rows, columns));
            let norm = device.global_norm(&[&gradient, &other, &gradient])?;
            let mut weight = weight(device, 3, rows, columns, Format::F32);
            let mut moments = [device.zeros(rows, columns)?, device.zeros(rows, columns)?];
            for step in 1..3 {
                let update = AdamWUpdate { step, ..update };
                device.adamw(&mut weight, &gradient, &mut moments, &norm, &update)?;
            }
            let norm_of_weights = device.norm_of_weights(&[&weight])?;
            let weight = device.upload(&device.download_weight(&weight)?, columns)?;
            let as_array = device.global_norm(&[&weight])?;
            assert_eq!(device.download(&norm_of_weights)?, device.download(&as_array)?, "{name}");
            let [first, second] = moments;
            Ok(vec![norm, weight, first, second])
        });
        results.agree(&name);
    }
}
