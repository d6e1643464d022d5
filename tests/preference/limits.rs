//! What WGPU alone has: limits of its adapters.

use crate::draws::draw_and_compare;
use crate::error::Worst;
use crate::kernels::Kernels;
use crate::lists::{Lists, narrow};
use crate::tolerance;
use hps_core::{Loss, TiePolicy};
use hps_wgpu::{Adapter, Device, Limits};

/// Parts of the buffers bound one after the other, and dispatches of a few prompts, make no difference.
pub fn limits_change_no_bit(device: &Device) {
    for (binding, work) in [(1 << 18, u64::MAX), (u64::MAX, 1), (1 << 18, 1 << 16)] {
        let limited = limited(Some(binding), Some(work));
        for (prompts, responses) in [(700, 65), (3000, 2)] {
            let lists = Lists::random(9, prompts, responses, 40.0);
            for name in ["dpo-hps-full", "dpo-hps-multi", "exo-pl", "kto-pl", "lipo", "slic", "orpo-bt"] {
                let loss: Loss = name.parse().unwrap();
                let [whole, parts] =
                    [device, &limited].map(|device| device.values_and_gradients(&loss, &lists.batch(&loss)).unwrap());
                assert!(whole == parts, "{name} of {prompts} x {responses}, binding {binding}, work {work}");
            }
        }
    }
}

pub fn limits_change_no_draw(_: &Device) {
    for (binding, work) in [(Some(1 << 16), None), (None, Some(1)), (Some(1 << 16), Some(1 << 17))] {
        let limited = limited(binding, work);
        draw_and_compare(&limited, 65, 700, 3, 0.5, TiePolicy::Keep);
        draw_and_compare(&limited, 3, 9000, 1, 0.5, TiePolicy::Keep);
    }
}

/// Mesa's CPU adapter leaves a thread's loops after 65,535 iterations and goes on with what it has.
pub fn loops_that_would_be_left_halfway_are_refused(device: &Device) {
    if !Adapter::find(None).unwrap().description().ends_with("CPU") {
        eprintln!("SKIPPED, {} is no CPU adapter", device.name());
        return;
    }
    for (name, team, most, too_many) in
        [("dpo-bt", 1, 16_000, 17_000), ("lipo", 1, 150, 200), ("dpo-pl", 256, 2_000_000, 3_000_000)]
    {
        let loss: Loss = name.parse().unwrap();
        for (responses, is_fine) in [(most, true), (too_many, false)] {
            let lists = Lists::random(11, 1, responses, 40.0);
            let on_device = device.prepare(&loss, &lists.batch(&loss)).unwrap().with_team(team).unwrap();
            match (device.of_policy(&on_device, &narrow(&lists.policy), responses), is_fine) {
                (Ok(computed), true) => {
                    let mut worst = Worst::default();
                    worst.note(&lists, &loss, &computed);
                    worst.expect_within(tolerance::KERNEL);
                }
                (Err(refusal), false) => assert!(refusal.text.contains("65535"), "{refusal:?}"),
                (computed, _) => panic!("{name} of {responses}: {:?}", computed.map(drop)),
            }
        }
    }
}

/// The tests' adapter once more, with these limits.
fn limited(binding: Option<u64>, work: Option<u64>) -> Device {
    let mut limits = Limits::default();
    (limits.binding, limits.work) = (binding, work);
    Device::with_limits(&Adapter::find(None).unwrap(), limits).unwrap()
}
