//! Arrays without a row: nothing is computed, and nothing panics; sums over nothing are zeros.

use crate::numbers::weight;
use crate::support::device;
use hps_wgpu::{Array, Format, Heads, Result, Truncation};

#[test]
fn no_rows() {
    let Some(device) = device() else { return };
    let empty = || -> Result<Array> { device.upload(&[], 4) };
    let (x, one) = (empty().unwrap(), device.upload(&[], 1).unwrap());
    let none = device.upload_indices(&[]).unwrap();
    let gain = weight(&device, 1, 1, 4, Format::F32);
    let head = weight(&device, 2, 7, 4, Format::BF16);
    let heads = Heads { query: 2, key_value: 1, dimension: 2 };
    let k = device.upload(&[], 2).unwrap();
    let truncation = Truncation { temperature: 1.0, top_k: 3, top_p: 0.5 };
    let attended = device.attention(&x, &k, &k, &none, heads).unwrap();
    let there = [&attended.output, &attended.log_sum_exp];
    let frequencies = device.upload(&[1.0], 1).unwrap();
    let results = [
        device.zeros(0, 4),
        device.embed(&head, &none),
        device.gather(&x, &none),
        device.scale_rows(empty().unwrap(), &one),
        device.add_scaled(empty().unwrap(), &x, 1.0),
        device.swiglu(&x, &x),
        device.dropout(&x, 0.5, [1, 2], &none),
        device.rms_norm(&x, &gain, 1e-5),
        device.rms_norm_backward(&x, &x, &gain, 1e-5),
        device.rotation(&none, &frequencies),
        device.linear(&x, &head),
        device.linear_backward(&device.upload(&[], 7).unwrap(), &head),
        device.attention_backward(&x, [&x, &k, &k], there, &none, heads).map(|[dq, ..]| dq),
        device.decode_attention(&x, &k, &k, &none, heads),
        device.log_probs(&x, &head, &none, true).map(|log_probs| log_probs.values),
        device.sample(&x, &head, truncation, &one).map(|drawn| drawn.log_probs),
    ];
    for (index, result) in results.into_iter().enumerate() {
        let array = result.unwrap_or_else(|error| panic!("{index}: {error}"));
        assert!(device.download(&array).unwrap().is_empty(), "{index}");
    }
    // Also where memory held something else.
    drop([1, 2, 3, 4, 5].map(|_| device.upload(&[7.0; 64], 1).unwrap()));
    let sums = [
        device.gather_backward(&x, &none, 3),
        device.weight_gradient(&x, &x),
        device.linear(&device.zeros(3, 0).unwrap(), &weight(&device, 3, 5, 0, Format::F32)),
        device.rms_norm_gain_gradient(&x, &x, 1e-5),
        device.log_probs_weight_gradient(&x, &head, &none, &one),
        device.global_norm(&[&x]),
        device.global_norm(&[]),
    ];
    for (index, sum) in sums.into_iter().enumerate() {
        let array = sum.unwrap_or_else(|error| panic!("sum {index}: {error}"));
        let numbers = device.download(&array).unwrap();
        assert!(!numbers.is_empty() && numbers.iter().all(|number| *number == 0.0), "sum {index}: {numbers:?}");
    }
}
