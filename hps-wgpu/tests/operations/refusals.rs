//! What a device cannot do is an error with its numbers.

use crate::attention::spans;
use crate::cuts::BINDING;
use crate::numbers::{array, numbers, weight};
use crate::support::{device, limited};
use hps_wgpu::{Adapter, Device, ErrorKind, Format, Heads, Truncation};

/// Asserts the kind of an error, and that its text has each of `parts`.
fn refused<T>(kind: ErrorKind, parts: &[&str], result: hps_wgpu::Result<T>) {
    let Err(error) = result else { panic!("not refused: {parts:?}") };
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}

const DRAWN: Truncation = Truncation { temperature: 1.0, top_k: 0, top_p: 1.0 };

#[test]
fn an_unknown_adapter() {
    if device().is_some() {
        let name = Adapter::find(None).unwrap().name();
        refused(ErrorKind::NoAdapter, &["`no such`", &name], Device::open(Some("no such")));
        refused(ErrorKind::NoAdapter, &["`999`", &name], Device::open(Some("999")));
    }
}

#[test]
fn arrays_larger_than_a_buffer() {
    let Some(device) = device() else { return };
    let largest = device.wgpu().0.limits().max_buffer_size.to_string();
    let parts = ["4398046511104 bytes", &largest];
    refused(ErrorKind::OutOfMemory, &parts, device.zeros(1 << 20, 1 << 20));
    refused(ErrorKind::OutOfMemory, &[&largest], device.zeros(usize::MAX, 2));
    refused(ErrorKind::OutOfMemory, &[&largest], device.zeros(usize::MAX / 4, 1));
    // Refused before anything is tried: the device goes on.
    assert_eq!(device.download(&device.zeros(2, 1).unwrap()).unwrap(), [0.0; 2]);
}

/// 128 rows are the least that a window has.
#[test]
fn rows_wider_than_a_binding() {
    let Some(device) = limited(|limits| limits.binding = Some(BINDING)) else { return };
    let seen = BINDING.to_string();
    let (wide, narrow) = (array(&device, 1, 200, 600), array(&device, 2, 200, 8));
    let kind = ErrorKind::OutOfMemory;
    refused(kind, &["2400 bytes", &seen], device.linear(&wide, &weight(&device, 3, 8, 600, Format::F32)));
    refused(kind, &["2400 bytes", &seen], device.linear(&narrow, &weight(&device, 3, 600, 8, Format::F32)));
    refused(kind, &["2400 bytes", &seen], device.weight_gradient(&wide, &narrow));
    refused(kind, &["2400 bytes", &seen], device.weight_gradient(&narrow, &wide));
    refused(kind, &["2400 bytes", &seen], device.rms_norm(&wide, &weight(&device, 4, 1, 600, Format::F32), 1e-5));
    let head = weight(&device, 5, 600, 8, Format::F32);
    let targets = device.upload_indices(&[0; 200]).unwrap();
    refused(kind, &["600 words", &seen], device.log_probs(&narrow, &head, &targets, false));
    let uniforms = device.zeros(200, 1).unwrap();
    refused(kind, &["600 words", &seen], device.sample(&narrow, &head, DRAWN, &uniforms));
    // Fewer rows are seen whole.
    assert!(device.linear(&array(&device, 1, 100, 600), &weight(&device, 3, 8, 600, Format::F32)).is_ok());
    device.wait().unwrap();
}

#[test]
fn attention_that_does_not_fit() {
    let Some(device) = limited(|limits| limits.binding = Some(BINDING)) else { return };
    let kind = ErrorKind::OutOfMemory;
    let wide = Heads { query: 1, key_value: 1, dimension: 129 };
    let (x, of_ten) = (array(&device, 1, 10, 129), device.upload_indices(&spans(&[(10, &[])])).unwrap());
    refused(kind, &["129 columns", "128"], device.attention(&x, &x, &x, &of_ten, wide));
    let sums = device.zeros(10, 1).unwrap();
    refused(kind, &["129 columns", "128"], device.attention_backward(&x, [&x, &x, &x], [&x, &sums], &of_ten, wide));

    let heads = Heads { query: 2, key_value: 2, dimension: 64 };
    let (x, of_all) = (array(&device, 2, 520, 128), device.upload_indices(&spans(&[(520, &[])])).unwrap());
    let seen = BINDING.to_string();
    refused(kind, &["520 keys", "266240 bytes", &seen], device.attention(&x, &x, &x, &of_all, heads));
    let sums = device.zeros(520, 2).unwrap();
    let backward = device.attention_backward(&x, [&x, &x, &x], [&x, &sums], &of_all, heads);
    refused(kind, &["520 keys", "266240 bytes", &seen], backward);
    let (q, span) = (array(&device, 3, 1, 128), device.upload_indices(&[0, 5, 5, 6]).unwrap());
    refused(kind, &["266240 bytes", &seen], device.decode_attention(&q, &x, &x, &span, heads));
}

#[test]
fn logits_that_are_not_numbers() {
    let Some(device) = device() else { return };
    let mut hidden = numbers(1, 20 * 4);
    hidden[4 * 13 + 2] = f32::NAN;
    let hidden = device.upload(&hidden, 4).unwrap();
    let (head, uniforms) = (weight(&device, 2, 50, 4, Format::F32), device.zeros(20, 1).unwrap());
    for temperature in [0.0, 1.0] {
        let truncation = Truncation { temperature, ..DRAWN };
        refused(ErrorKind::NonFinite, &["sequence 13"], device.sample(&hidden, &head, truncation, &uniforms));
    }
    // A log-prob says it itself, in its row alone.
    let targets = device.upload_indices(&[7; 20]).unwrap();
    let values = device.log_probs(&hidden, &head, &targets, false).unwrap().values;
    let values = device.download(&values).unwrap();
    assert!((0..20).all(|row| values[row].is_nan() == (row == 13)), "{values:?}");
}

/// Mesa's CPU adapters leave a thread's loops after 65,535 iterations; what would take more is refused there.
#[test]
fn loops_longer_than_a_cpu_adapter_bears() {
    let Some(device) = device() else { return };
    if device.wgpu().0.adapter_info().device_type != wgpu::DeviceType::Cpu {
        eprintln!("SKIPPED, {} is no CPU adapter", device.name());
        return;
    }
    let kind = ErrorKind::Shape;
    let bound = "after 65535";
    let x = device.zeros(70_000, 1).unwrap();
    let same = device.upload_indices(&[0; 70_000]).unwrap();
    refused(kind, &["70000 iterations", bound], device.gather_backward(&x, &same, 2));
    refused(kind, &["140000 iterations", bound], device.rms_norm_gain_gradient(&x, &x, 1e-5));
    let (hidden, head) = (device.zeros(1, 1).unwrap(), weight(&device, 1, 300_000, 1, Format::BF16));
    refused(kind, &["sample", bound], device.sample(&hidden, &head, DRAWN, &hidden));
    let heads = Heads { query: 1, key_value: 1, dimension: 1 };
    let whole = device.upload_indices(&spans(&[(70_000, &[])])).unwrap();
    refused(kind, &["attention to 70000 keys", bound], device.attention(&x, &x, &x, &whole, heads));
    let backward = device.attention_backward(&x, [&x, &x, &x], [&x, &x], &whole, heads);
    refused(kind, &["attention to 70000 keys", bound], backward);
    let span = device.upload_indices(&[0, 60_000, 60_000, 70_000]).unwrap();
    refused(kind, &["decode_attention", bound], device.decode_attention(&hidden, &x, &x, &span, heads));
}
