//! Reference values, computed independently with 60 digits: every case of the file.

use crate::case::{check, evaluate, loss, number, numbers};
use crate::kernels::{Computed, Kernels, Kind};
use crate::{support, tolerance};
use hps_core::Batch;
use serde_json::Value;

pub fn every_case(device: &impl Kernels) {
    let file = support::json("../../hps-core/tests/data/losses.json");
    let (mut values, mut refusals) = (0, 0);
    for case in file["cases"].as_array().unwrap() {
        let expected = evaluate::<f64>(case);
        match (computed(device, case), expected) {
            (Ok((value, gradient)), Ok(mut outcome)) => {
                outcome.loss = value[0].into();
                outcome.grad_policy_logp = gradient.iter().copied().map(f64::from).collect();
                if let Err(text) = check(case, &Ok(outcome), tolerance::REFERENCE, tolerance::REFERENCE) {
                    panic!("{}: {text}", case["id"]);
                }
                values += 1;
            }
            (Err(kind), Err(error)) => {
                assert_eq!(kind, Kind::Preference(error.kind()), "{}", case["id"]);
                refusals += 1;
            }
            (computed, expected) => panic!("{}: {computed:?}, hps-core says {expected:?}", case["id"]),
        }
    }
    assert_eq!((values, refusals), (70, 4), "cases run: with values, refused");
}

fn computed(device: &impl Kernels, case: &Value) -> Result<Computed, Kind> {
    let (inputs, hyper) = (&case["inputs"], &case["hyper"]);
    let refused = |error: hps_core::Error| Kind::Preference(error.kind());
    let loss = loss(case).map_err(refused)?;
    let (policy, reference) = (numbers(&inputs["policy_logps"]), numbers(&inputs["ref_logps"]));
    let rewards = numbers(inputs.get("psi").unwrap_or(&inputs["r_est"]));
    let lengths = crate::case::lengths(&inputs["lengths"]);
    let scales = inputs.get("kto_l").map(numbers);
    let supervised = hyper.get("sft_logp").map(|log_prob| vec![number(log_prob)]);
    let index = |value: &Value| value.as_u64().unwrap() as usize;
    let samples = match (hyper.get("sample"), hyper.get("samples")) {
        (Some(sample), _) => Some(vec![index(sample)]),
        (_, Some(samples)) => Some(samples.as_array().unwrap().iter().map(index).collect()),
        _ => None,
    };
    let mut batch = Batch::new(policy.len(), &policy)
        .and_then(|batch| batch.with_reference(&reference)?.with_lengths(&lengths)?.with_rewards(&rewards))
        .map_err(refused)?;
    if let Some(samples) = &samples {
        batch = batch.with_samples(samples, None).map_err(refused)?;
    }
    if let Some(scales) = &scales {
        batch = batch.with_scales(scales).map_err(refused)?;
    }
    if let Some(supervised) = &supervised {
        batch = batch.with_supervised(supervised).map_err(refused)?;
    }
    device.values_and_gradients(&loss, &batch).map_err(|refusal| refusal.kind)
}
