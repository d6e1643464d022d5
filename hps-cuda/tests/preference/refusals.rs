//! Numbers that are not finite become a NaN that nobody overlooks; what hps-core refuses is refused.

use crate::gpu;
use crate::lists::Lists;
use crate::losses::losses;
use hps_core::{Batch, Loss};
use hps_cuda::{ErrorKind, PreferenceLoss};

/// In any response, read by the loss or not; the rows beside it are as without.
#[test]
fn what_is_not_finite_surfaces() {
    let Some(device) = gpu::device() else { return };
    for (responses, bad_entry) in [(3, 4), (65, 64 + 65)] {
        let lists = Lists::random(3, 3, responses, 40.0);
        for loss in losses() {
            let on_device = PreferenceLoss::new(&device, &loss, &lists.batch(&loss)).ok();
            let Some(on_device) = on_device else { continue };
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut policy: Vec<f32> = lists.policy.iter().map(|&log_prob| log_prob as f32).collect();
                let good = on_device.of_policy(&device.upload(&policy, responses).unwrap()).unwrap();
                policy[bad_entry] = bad;
                let computed = on_device.of_policy(&device.upload(&policy, responses).unwrap()).unwrap();
                let [good, values] = [good.values, computed.values].map(|array| device.download(&array).unwrap());
                let gradient = device.download(&computed.gradient).unwrap();
                assert!(values[1].is_nan() && values[0] == good[0] && values[2] == good[2], "{loss:?}: {values:?}");
                let (first, rest) = gradient.split_at(responses);
                let (second, third) = rest.split_at(responses);
                assert!(second.iter().all(|entry| entry.is_nan()), "{loss:?}: {second:?}");
                assert!(first.iter().chain(third).all(|entry| entry.is_finite()), "{loss:?}");
            }
        }
    }
}

/// What overflows on the way: squares, and a certain response's log odds.
#[test]
fn what_overflows_surfaces() {
    let Some(device) = gpu::device() else { return };
    let evaluate = |name: &str, policy: [f64; 2]| {
        let loss: Loss = name.parse().unwrap();
        let batch = Batch::new(2, &policy, &[-9.0; 2], &[4; 2], &[1.0, 0.0]).unwrap();
        PreferenceLoss::values_and_gradients(&device, &loss, &batch).map_err(|error| (error.kind(), error.to_string()))
    };
    let kind = ErrorKind::Preference(hps_core::ErrorKind::NonFinite);
    for (name, policy) in
        [("ipo-bt", [-1e30, -9.0]), ("sppo-pl", [-9.0, -1e30]), ("orpo-bt", [-9.0, 0.0]), ("dpo-bt", [1e39, 0.0])]
    {
        let (refused, text) = evaluate(name, policy).unwrap_err();
        assert_eq!(refused, kind, "{name}");
        assert!(text.starts_with("prompt 0: "), "{text}");
    }
    // Far apart, and all the same finite.
    let (values, gradient) = evaluate("dpo-bt", [-1e30, -9.0]).unwrap();
    assert!((values[0] / 1e29 - 1.0).abs() < 1e-6 && gradient == [-0.1, 0.1], "{values:?} {gradient:?}");
}

/// The kinds of hps-core's own refusals, and the prompt they name.
#[test]
fn what_hps_core_refuses_is_refused() {
    let Some(device) = gpu::device() else { return };
    let lists = Lists::random(4, 3, 3, 40.0);
    let level = [7.0; 9];
    let mut lengths = lists.lengths.clone();
    lengths[4] = 0;
    let new = |lengths, rewards| Batch::new(3, &lists.policy, &lists.reference, lengths, rewards).unwrap();
    let bare = new(&lists.lengths, &lists.rewards);
    let of_equals = new(&lists.lengths, &level);
    let no_tokens = new(&lengths, &lists.rewards);
    let sampled = bare.with_samples(&lists.samples, None).unwrap();
    let mut compared = 0;
    for loss in losses() {
        for batch in [lists.batch(&loss), bare, of_equals, no_tokens, sampled] {
            let expected = loss.check(&batch).map_err(|error| (error.kind(), error.to_string()));
            let given = PreferenceLoss::new(&device, &loss, &batch).map(drop).map_err(|error| {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                (error.kind(), source.unwrap_or_default())
            });
            compared += usize::from(expected.is_err());
            assert_eq!(given, expected.map_err(|(kind, text)| (ErrorKind::Preference(kind), text)), "{loss}");
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn sizes_that_do_not_fit() {
    let Some(device) = gpu::device() else { return };
    let lists = Lists::random(5, 3, 4, 40.0);
    let loss: Loss = "dpo-pl".parse().unwrap();
    let on_device = PreferenceLoss::new(&device, &loss, &lists.batch(&loss)).unwrap();
    for (entries, columns) in [(12, 3), (8, 4), (12, 12)] {
        let policy = device.upload(&vec![-9.0; entries], columns).unwrap();
        assert_eq!(on_device.of_policy(&policy).unwrap_err().kind(), ErrorKind::Shape);
    }
    assert_eq!(on_device.with_team(48).unwrap_err().kind(), ErrorKind::Shape);
    let on_device = PreferenceLoss::new(&device, &loss, &lists.batch(&loss)).unwrap();
    assert_eq!(on_device.with_team(512).unwrap_err().kind(), ErrorKind::Shape);
}
