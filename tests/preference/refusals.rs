//! Numbers that are not finite become a NaN that nobody overlooks; what hps-core refuses is refused.

use crate::kernels::{Kernels, Kind};
use crate::lists::{Lists, narrow};
use crate::losses::losses;
use hps_core::{Batch, Loss};

/// In any response, read by the loss or not; the rows beside it are as without.
pub fn what_is_not_finite_surfaces(device: &impl Kernels) {
    for (responses, bad_entry) in [(3, 4), (65, 64 + 65)] {
        let lists = Lists::random(3, 3, responses, 40.0);
        for loss in losses() {
            let Ok(on_device) = device.prepare(&loss, &lists.batch(&loss)) else { continue };
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut policy = narrow(&lists.policy);
                let (good, _) = device.of_policy(&on_device, &policy, responses).unwrap();
                policy[bad_entry] = bad;
                let (values, gradient) = device.of_policy(&on_device, &policy, responses).unwrap();
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
pub fn what_overflows_surfaces(device: &impl Kernels) {
    let evaluate = |name: &str, policy: [f64; 2]| {
        let loss: Loss = name.parse().unwrap();
        let batch = Batch::new(2, &policy)
            .and_then(|batch| batch.with_reference(&[-9.0; 2])?.with_lengths(&[4; 2])?.with_rewards(&[1.0, 0.0]))
            .unwrap();
        device.values_and_gradients(&loss, &batch)
    };
    let kind = Kind::Preference(hps_core::ErrorKind::NonFinite);
    for (name, policy) in
        [("ipo-bt", [-1e30, -9.0]), ("sppo-pl", [-9.0, -1e30]), ("orpo-bt", [-9.0, 0.0]), ("dpo-bt", [1e39, 0.0])]
    {
        let refusal = evaluate(name, policy).unwrap_err();
        assert_eq!(refusal.kind, kind, "{name}");
        assert!(refusal.text.starts_with("prompt 0: "), "{refusal:?}");
    }
    // Far apart, and all the same finite.
    let (values, gradient) = evaluate("dpo-bt", [-1e30, -9.0]).unwrap();
    assert!((values[0] / 1e29 - 1.0).abs() < 1e-6 && gradient == [-0.1, 0.1], "{values:?} {gradient:?}");
}

/// The kinds of hps-core's own refusals, and the prompt they name.
pub fn what_hps_core_refuses_is_refused(device: &impl Kernels) {
    let lists = Lists::random(4, 3, 3, 40.0);
    let level = [7.0; 9];
    let mut lengths = lists.lengths.clone();
    lengths[4] = 0;
    let new = |lengths, rewards| {
        Batch::new(3, &lists.policy)
            .and_then(|batch| batch.with_reference(&lists.reference)?.with_lengths(lengths)?.with_rewards(rewards))
            .unwrap()
    };
    let bare = new(&lists.lengths, &lists.rewards);
    let of_equals = new(&lists.lengths, &level);
    let no_tokens = new(&lengths, &lists.rewards);
    let sampled = bare.with_samples(&lists.samples, None).unwrap();
    let mut compared = 0;
    for loss in losses() {
        for batch in [lists.batch(&loss), bare, of_equals, no_tokens, sampled] {
            let expected = loss.check(&batch).map_err(|error| (error.kind(), error.to_string()));
            let given = device.prepare(&loss, &batch).map(drop);
            let given = given.map_err(|refusal| (refusal.kind, refusal.source.unwrap_or_default()));
            compared += usize::from(expected.is_err());
            assert_eq!(given, expected.map_err(|(kind, text)| (Kind::Preference(kind), text)), "{loss}");
        }
    }
    assert!(compared > 100, "{compared}");
}

pub fn sizes_that_do_not_fit<K: Kernels>(device: &K) {
    let lists = Lists::random(5, 3, 4, 40.0);
    let loss: Loss = "dpo-pl".parse().unwrap();
    let prepare = || device.prepare(&loss, &lists.batch(&loss)).unwrap();
    for (entries, columns) in [(12, 3), (8, 4), (12, 12)] {
        let refusal = device.of_policy(&prepare(), &vec![-9.0; entries], columns).unwrap_err();
        assert_eq!(refusal.kind, Kind::Shape);
    }
    for threads in [48, 512] {
        assert_eq!(K::with_team(prepare(), threads).unwrap_err().kind, Kind::Shape);
    }
}
