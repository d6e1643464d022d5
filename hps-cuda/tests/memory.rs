//! Device memory: freed arrays serve later ones, and what does not fit is an error that says how much there is.

#[allow(dead_code)] // The other tests use the rest.
mod support;

use hps_cuda::{Device, ErrorKind, Format, Heads};
use support::{Matrix, device};

#[test]
fn more_than_there_is_is_refused_with_numbers() {
    let Some(device) = device() else { return };
    // 1 TiB.
    let refused = device.zeros(1 << 24, 1 << 14, Format::F32).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OutOfMemory, "{refused}");
    let said = refused.to_string();
    assert!(said.contains("1099511627776 bytes of device memory, of which ") && said.contains(" are free"), "{said}");
    // The device is as good as before.
    assert_eq!(device.download(&device.upload(&[3.0], 1).unwrap()).unwrap(), [3.0]);
}

#[test]
fn more_rows_than_kernels_count_are_refused() {
    let Some(device) = device() else { return };
    let refused = device.zeros(1 << 31, 1, Format::BF16).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Shape);
    assert_eq!(refused.to_string(), "an array of 2147483648 x 1, and kernels count to 2147483648");
}

#[test]
fn freed_arrays_serve_later_ones() {
    let Some(_) = device() else { return };
    // A device of its own, so that other tests' arrays do not count.
    let device = Device::open(None).unwrap();
    let first = device.zeros(1000, 700, Format::F32).unwrap();
    let address = first.address();
    drop(first);
    let allocated = device.allocated();
    // Somewhat shorter, of another type.
    let second = device.zeros(1300, 1000, Format::BF16).unwrap();
    assert_eq!((second.address(), device.allocated()), (address, allocated));
    assert!(device.download(&second).unwrap().iter().all(|number| *number == 0.0));
    // A quarter of it would be wasted.
    let small = device.zeros(100, 100, Format::F32).unwrap();
    assert!(device.allocated() > allocated && small.address() != address);
    assert_eq!(device.peak(), device.allocated());
}

/// What attention plans for a batch's spans is kept with the device, as long as the spans are there.
#[test]
fn plans_go_with_their_spans() {
    let Some(_) = device() else { return };
    let device = Device::open(None).unwrap();
    let heads = Heads { query: 2, key_value: 1, dimension: 16 };
    let [q, kv] = [2, 1].map(|heads| Matrix::random(heads, 40, heads as usize * 16).array(&device, Format::BF16));
    let mut run = |split: u32| {
        let spans: Vec<u32> =
            (0..40).flat_map(|t| if t < split { [0, 0, 0, split] } else { [0, 0, split, 40] }).collect();
        let spans = device.upload_indices(&spans).unwrap();
        let attended = device.attention(&q, &kv, &kv, &spans, heads).unwrap();
        let saved = [&attended.output, &attended.log_sum_exp];
        device.attention_backward(&q, [&q, &kv, &kv], saved, &spans, heads).unwrap();
        let own = [[0, 0, 0, split], [0, 0, split, 40]].concat();
        let two = device.gather(&q, &device.upload_indices(&[3, 30]).unwrap()).unwrap();
        device.decode_attention(&two, &kv, &kv, &device.upload_indices(&own).unwrap(), heads).unwrap();
        device.allocated()
    };
    let first: Vec<usize> = (1..4).map(&mut run).collect();
    let later: Vec<usize> = (4..30).map(&mut run).collect();
    assert!(later.iter().all(|bytes| *bytes == first[2]), "{first:?}, then {later:?}");
}

#[test]
fn names_of_devices_are_told_and_wrong_ones_refused() {
    let Some(device) = device() else { return };
    let names = Device::names().unwrap();
    assert_eq!(names[0], device.name());
    assert_eq!(Device::open(Some(&names[0].to_lowercase())).unwrap().name(), names[0]);
    let refused = Device::open(Some("no such device")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Missing);
    let said = format!("no CUDA device is named like \"no such device\"; there are: {}", names.join(", "));
    assert_eq!(refused.to_string(), said);
    let refused = Device::open(Some("99")).unwrap_err().to_string();
    assert!(refused.starts_with("there is no CUDA device 99; there are "), "{refused}");
}
