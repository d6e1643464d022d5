//! Of what only the device itself shows.

use super::*;
use crate::operations::elementwise::ADD_SCALED;

fn opened() -> Option<Device> {
    match Device::open(None) {
        Ok(device) => Some(device),
        Err(error) if std::env::var_os("HPS_REQUIRE_WGPU").is_some() => panic!("HPS_REQUIRE_WGPU is set: {error}"),
        Err(error) => {
            eprintln!("SKIPPED, {error}");
            None
        }
    }
}

/// `x += y`, as if it took so many multiplications.
fn add(device: &Device, x: &Array, y: &Array, work: u64) {
    let parameters = [x.len() as u32, 0, 1.0f32.to_bits(), 0, 0, 0];
    device.run(&ADD_SCALED, &[], &parameters, &[y.binding(), x.binding()], [1, 1, 1], work).unwrap();
}

#[test]
fn commands_that_a_driver_ended_are_noticed() {
    let Some(device) = opened() else { return };
    let [x, y] = [1.0, 2.0].map(|number| device.upload(&[number; 8], 1).unwrap());
    for _ in 0..3 {
        add(&device, &x, &y, 1);
        device.flush().unwrap();
    }
    assert_eq!(device.download(&x).unwrap(), [7.0; 8]);
    add(&device, &x, &y, 1);
    device.recording().lose();
    let error = device.download(&x).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Device);
    assert!(error.to_string().contains("finished 3 of 4 command buffers"), "{error}");
    // Not once, but ever after: nothing is right from there on.
    add(&device, &x, &y, 1);
    let error = device.download(&y).unwrap_err();
    assert!(error.to_string().contains("finished 4 of 5 command buffers"), "{error}");
}

#[test]
fn submissions_are_cut_by_work() {
    let Some(device) = opened() else { return };
    let [x, y] = [1.0, 2.0].map(|number| device.upload(&[number; 8], 1).unwrap());
    let handed_over = |count: usize, work: u64| {
        device.wait().unwrap();
        let before = device.recording().handed_over();
        (0..count).for_each(|_| add(&device, &x, &y, work));
        device.flush().unwrap();
        device.recording().handed_over() - before
    };
    let most = device.pace().of_submission();
    // Small ones together; two of a third each, with what is left for no third; what is more than all alone.
    assert_eq!([handed_over(200, 1), handed_over(6, most / 3 + 1), handed_over(3, 2 * most)], [1, 3, 3]);
    assert_eq!(device.download(&x).unwrap(), [1.0 + 2.0 * 209.0; 8]);
}

/// A table of one launch lies in a buffer of its own while another's is recorded: no upload hands commands over.
#[test]
fn uploads_do_not_end_a_recording() {
    let Some(device) = opened() else { return };
    let x = device.upload(&[0.0; 8], 1).unwrap();
    device.wait().unwrap();
    let before = device.recording().handed_over();
    for number in 1..=20 {
        add(&device, &x, &device.upload(&[number as f32; 8], 1).unwrap(), 1);
    }
    assert_eq!(device.recording().handed_over(), before);
    assert_eq!(device.download(&x).unwrap(), [210.0; 8]);
    // Later ones find these buffers free.
    let allocated = device.allocated();
    for number in 1..=20 {
        add(&device, &x, &device.upload(&[number as f32; 8], 1).unwrap(), 1);
    }
    assert_eq!((device.allocated(), device.download(&x).unwrap()), (allocated, vec![420.0; 8]));
}

#[test]
fn a_product_is_measured_once() {
    let Some(device) = opened() else { return };
    assert_eq!(device.pace().of_products(), None);
    let x = device.zeros(300, 400).unwrap();
    let small = device.weight_gradient(&x, &x).unwrap();
    assert_eq!(device.pace().of_products(), None, "400 x 400 x 300 multiplications are few everywhere");
    drop(small);
    let x = device.zeros(2048, 2048).unwrap();
    drop(device.weight_gradient(&x, &x).unwrap());
    let measured = device.pace().of_products().expect("a large product was measured");
    assert!(measured >= device.pace().least() && device.pace().of_kernels() <= measured);
}
