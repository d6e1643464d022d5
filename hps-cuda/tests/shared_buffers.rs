//! The caller's own buffers of cudarc, at any offset, as another trainer has them.

#[path = "../../tests/preference/lists.rs"]
#[allow(dead_code, reason = "shared with the workspace's tests, which read more of it")]
mod lists;
#[allow(dead_code, reason = "other test programs read more of it")]
mod support;

use hps_core::{NegativeSampler, Position, TiePolicy};
use hps_cuda::{Device, ErrorKind, NegativeDraws, PreferenceLoss};
use lists::{Lists, narrow};

const LOSSES: [&str; 5] = ["dpo-hps-full", "dpo-pl", "simpo-bt", "ipo-pl", "lipo"];

/// The same bits as in the crate's own arrays, wherever a list begins: 16 bytes are read at once only where that is allowed.
#[test]
fn buffers_at_any_offset() {
    let Some(device) = support::device() else { return };
    let stream = device.stream();
    for (prompts, responses) in [(5, 2), (5, 4), (3, 6), (2, 100), (1, 1028)] {
        let lists = Lists::random(17, prompts, responses, 40.0);
        let numbers = prompts * responses;
        let policy = narrow(&lists.policy);
        let ratios: Vec<f32> = lists.policy.iter().zip(&lists.reference).map(|(a, b)| (a - b) as f32).collect();
        for name in LOSSES {
            let loss = name.parse().unwrap();
            let on_device = PreferenceLoss::new(&device, &loss, &lists.batch(&loss)).unwrap();
            let own = device.upload(&policy, responses).unwrap();
            let own_ratios = device.upload(&ratios, responses).unwrap();
            let expected = [on_device.of_policy(&own), on_device.of_ratios(&own, &own_ratios)];
            for offset in [0, 1, 2, 4] {
                let behind =
                    |list: &[f32]| stream.clone_htod(&[vec![f32::NAN; offset], list.to_vec()].concat()).unwrap();
                let (policy, ratios) = (behind(&policy), behind(&ratios));
                let (policy, ratios) = (policy.slice(offset..), ratios.slice(offset..));
                for (expected, of_ratios) in expected.iter().zip([false, true]) {
                    let mut values = stream.alloc_zeros::<f32>(prompts).unwrap();
                    let mut gradient = stream.alloc_zeros::<f32>(offset + numbers).unwrap();
                    {
                        let mut gradient = gradient.slice_mut(offset..);
                        if of_ratios {
                            on_device.run_ratios_on(&policy, &ratios, &mut values, &mut gradient).unwrap();
                        } else {
                            on_device.run_on(&policy, &mut values, &mut gradient).unwrap();
                        }
                    }
                    let expected = expected.as_ref().unwrap();
                    let of = format!("{name}, {prompts} x {responses} from {offset}");
                    assert_eq!(stream.clone_dtoh(&values).unwrap(), device.download(&expected.values).unwrap(), "{of}");
                    let gradient = stream.clone_dtoh(&gradient).unwrap();
                    assert_eq!(gradient[offset..], device.download(&expected.gradient).unwrap(), "{of}");
                    assert!(gradient[..offset].iter().all(|&outside| outside == 0.0), "{of}");
                }
            }
        }
    }
}

#[test]
fn draws_into_a_buffer() {
    let Some(device) = support::device() else { return };
    let stream = device.stream();
    let rewards = Lists::rewards(3, 3, 5);
    let draws = NegativeDraws::new(&device, 5, &rewards, 1.0, TiePolicy::Keep).unwrap();
    let rows = stream.clone_htod(&[4_u32, 9, 2]).unwrap();
    let mut drawn = stream.alloc_zeros::<u32>(3 * 7).unwrap();
    draws.draw_on(11, &rows, Position::default(), &mut drawn).unwrap();
    let drawn: Vec<usize> = stream.clone_dtoh(&drawn).unwrap().iter().map(|&index| index as usize).collect();
    for ((row, rewards), drawn) in [4, 9, 2].into_iter().zip(rewards.chunks(5)).zip(drawn.chunks(7)) {
        let mut expected = [0; 7];
        let position = Position { row, ..Position::default() };
        NegativeSampler::new(11).draw_many(rewards, 1.0, TiePolicy::Keep, position, &mut expected).unwrap();
        assert_eq!(drawn, expected);
    }
    let mut uneven = stream.alloc_zeros::<u32>(20).unwrap();
    let refused = draws.draw_on(11, &rows, Position::default(), &mut uneven).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Shape);
}

/// A stream that the program opened: work is queued there, and a device made of it is as good.
#[test]
fn a_stream_of_the_callers() {
    let Some(device) = support::device() else { return };
    let stream = device.stream().context().new_stream().unwrap();
    let device = Device::from_cudarc(&stream).unwrap();
    let lists = Lists::random(2, 2, 3, 40.0);
    let loss = "dpo-pl".parse().unwrap();
    let on_device = PreferenceLoss::new(&device, &loss, &lists.batch(&loss)).unwrap();
    let policy = stream.clone_htod(&narrow(&lists.policy)).unwrap();
    let mut values = stream.alloc_zeros::<f32>(2).unwrap();
    let mut gradient = stream.alloc_zeros::<f32>(6).unwrap();
    on_device.run_on(&policy, &mut values, &mut gradient).unwrap();
    assert!(stream.clone_dtoh(&values).unwrap().iter().all(|value| value.is_finite() && *value > 0.0));

    for (numbers, prompts, entries) in [(5, 2, 6), (6, 1, 6), (6, 2, 7)] {
        let policy = stream.alloc_zeros::<f32>(numbers).unwrap();
        let mut values = stream.alloc_zeros::<f32>(prompts).unwrap();
        let mut gradient = stream.alloc_zeros::<f32>(entries).unwrap();
        let refused = on_device.run_on(&policy, &mut values, &mut gradient).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Shape);
    }
}
