//! Rotary positions: in windows as whole.

use crate::cuts::Cuts;
use crate::numbers::{array, indices};
use crate::rows::many;

#[test]
fn rotated_and_back() {
    let Some(cuts) = Cuts::open() else { return };
    for (heads, dimension) in [(1, 2), (3, 2), (1, 6), (7, 10), (2, 130)] {
        let name = format!("{heads} heads of {dimension} columns");
        let rows = many(dimension);
        let results = cuts.of(&name, &[], |device| {
            let frequencies: Vec<f32> = (0..dimension / 2).map(|index| 0.9f32.powi(index as i32)).collect();
            let frequencies = device.upload(&frequencies, dimension / 2)?;
            let positions = device.upload_indices(&indices(1, rows, 1 << 24))?;
            let angles = device.rotation(&positions, &frequencies)?;
            let turned = device.rotate(array(device, 2, rows, heads * dimension), &angles, dimension, false)?;
            let back = device.rotate(array(device, 3, rows, heads * dimension), &angles, dimension, true)?;
            Ok(vec![angles, turned, back])
        });
        results.agree(&name);
    }
}
