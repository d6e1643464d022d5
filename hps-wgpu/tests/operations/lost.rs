//! A device that is lost: every call after it is an error, and none hangs.

use crate::numbers::{array, weight};
use crate::support::limited;
use hps_wgpu::{Array, Device, ErrorKind, Format, Result, Truncation, Weight};

type Call = fn(&Device, &Array, &Weight) -> Result<()>;

const CALLS: [(&str, Call); 11] = [
    ("wait", |device, _, _| device.wait()),
    ("flush", |device, _, _| device.flush()),
    ("download", |device, x, _| device.download(x).map(drop)),
    ("download_weight", |device, _, weight| device.download_weight(weight).map(drop)),
    ("upload", |device, _, _| device.upload(&[1.0], 1).map(drop)),
    ("zeros", |device, _, _| device.zeros(1000, 1000).map(drop)),
    ("a compiled kernel", |device, x, weight| device.linear(x, weight).map(drop)),
    ("one that is not", |device, x, _| device.swiglu(x, x).map(drop)),
    ("one in memory", |device, x, _| {
        device.add_scaled(device.gather(x, &device.upload_indices(&[3])?)?, x, 1.0).map(drop)
    }),
    ("timed", |device, x, weight| device.timed(|| device.linear(x, weight)).map(drop)),
    ("sample", |device, x, weight| {
        let truncation = Truncation { temperature: 1.0, top_k: 0, top_p: 1.0 };
        device.sample(x, weight, truncation, &device.upload(&[0.5; 40], 1)?).map(drop)
    }),
];

/// Each call first after the loss, with commands recorded before it, and then all the others.
#[test]
fn lost() {
    for first in 0..CALLS.len() {
        let Some(device) = limited(|_| ()) else { return };
        let x = array(&device, 1, 40, 8);
        let weight = weight(&device, 2, 30, 8, Format::BF16);
        let recorded = device.linear(&x, &weight).unwrap();
        device.wgpu().0.destroy();
        for (place, (name, call)) in CALLS.iter().cycle().skip(first).take(CALLS.len()).enumerate() {
            let mut told = call(&device, &x, &weight);
            if place == 0 {
                // What is only recorded is known to be lost when it is handed over.
                told = told.and_then(|()| device.wait());
            }
            let error = told.expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Device, "{name}: {error}");
        }
        let error = device.download(&recorded).unwrap_err();
        assert!(error.to_string().contains("lost"), "{error}");
    }
}
