//! Any loss of any rows: no panic; an error, or a finite value with a finite gradient; many rows a call as one.

use super::bytes::Bytes;
use hps_core::{
    Batch, Contrast, Loss, NegativeScale, Pair, Preference, ResponseScale, Responses, Reward, Scalar, TiePolicy,
};

const FAMILIES: [&str; 12] =
    ["dpo", "kto", "simpo", "rdpo", "orpo", "cpo", "exo", "nca", "ipo", "sppo", "infonca", "hinge"];
const MODELS: [&str; 13] = [
    "bt",
    "top1",
    "top3",
    "pl",
    "hps",
    "hps-full",
    "hps-multi",
    "hps-expected",
    "hps-weighted",
    "swepo",
    "rw",
    "k",
    "soft-bt",
];

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let Some(loss) = loss(&mut bytes) else { return };
    let count = 2 + bytes.below(20);
    let prompts = [1, 3, 8, 9][bytes.below(4)];
    let wild = bytes.byte().is_multiple_of(4);
    let list = |bytes: &mut Bytes<'_>| -> Vec<f64> {
        (0..count * prompts).map(|_| if wild { bytes.number() } else { bytes.plain() }).collect()
    };
    let lists = [list(&mut bytes), list(&mut bytes), list(&mut bytes), list(&mut bytes)];
    let lengths: Vec<u32> = (0..count * prompts).map(|_| u32::from(bytes.byte())).collect();
    let samples: Vec<usize> = (0..prompts).map(|_| bytes.below(count + 1)).collect();
    evaluate::<f64>(&loss, count, &lists, &lengths, &samples);
    evaluate::<f32>(&loss, count, &lists, &lengths, &samples);
}

fn loss(bytes: &mut Bytes<'_>) -> Option<Loss> {
    let (family, model) = (FAMILIES[bytes.below(FAMILIES.len())], MODELS[bytes.below(MODELS.len())]);
    let name = match bytes.byte() % 16 {
        0 => "slic".into(),
        1 => "lipo".into(),
        2 => "hinge".into(),
        _ => format!("{family}-{model}"),
    };
    let mut loss: Loss = name.parse().ok()?;
    for _ in 0..bytes.below(6) {
        let number = bytes.number();
        let changed = match bytes.byte() % 12 {
            0 => loss.with_beta(number),
            1 => loss.with_gamma(number),
            2 => loss.with_label_smoothing(number),
            3 => loss.with_margin(number),
            4 => loss.with_alpha(number),
            5 => loss.with_temperature(number),
            6 => loss.with_likelihood(number),
            7 => loss.with_preference_weight(number),
            8 => loss.with_negative_scale(NegativeScale::Custom(number)),
            9 => loss.with_tie_policy(TiePolicy::MaskMax),
            10 => {
                let contrast = Preference::Contrast(Contrast { alpha: number, power: bytes.number() });
                Loss::new(loss.reward(), loss.pair(), contrast)
            }
            _ => Loss::new(Reward::Kto { scale: ResponseScale::FromRow }, Pair::LOGISTIC, loss.preference()),
        };
        loss = changed.unwrap_or(loss);
    }
    Some(loss)
}

fn evaluate<F: Scalar>(loss: &Loss, count: usize, lists: &[Vec<f64>; 4], lengths: &[u32], samples: &[usize]) {
    let [policy, reference, rewards, scales] =
        lists.each_ref().map(|list| list.iter().map(|&number| F::narrow(number)).collect::<Vec<F>>());
    let prompts = samples.len();
    let supervised = &reference[..prompts];
    let mut scratch = vec![F::nan(); Loss::batch_scratch_len(count)];
    let (mut values, mut gradient) = (vec![F::nan(); prompts], vec![F::nan(); count * prompts]);
    let mut constants = vec![F::nan(); loss.constant_count(count)];

    let mut first_error = None;
    for prompt in 0..prompts {
        let range = prompt * count..(prompt + 1) * count;
        let row = Responses::new(&policy[range.clone()])
            .and_then(|row| {
                row.with_reference(&reference[range.clone()])?
                    .with_lengths(&lengths[range.clone()])?
                    .with_rewards(&rewards[range.clone()])
            })
            .and_then(|row| match (loss.reads_sample(), loss.reads_samples()) {
                (true, _) => row.with_sample(samples[prompt]),
                (_, true) => row.with_samples(&samples[prompt..=prompt]),
                _ => Ok(row),
            })
            .and_then(|row| row.with_scales(&scales[range.clone()]))
            .and_then(|row| row.with_supervised(supervised[prompt]));
        let result = row.and_then(|row| {
            let value = loss.value_and_gradient(&row, &mut scratch, &mut gradient[range.clone()])?;
            if loss.constants(&row, &mut constants).is_ok() {
                assert!(constants.iter().all(|constant| !constant.is_nan()), "{loss}: {constants:?}");
            }
            Ok(value)
        });
        match result {
            Ok(value) => {
                assert!(value.is_finite(), "{loss}: {value}");
                assert!(
                    gradient[range.clone()].iter().all(|entry| entry.is_finite()),
                    "{loss}: {:?}",
                    &gradient[range]
                );
            }
            Err(error) => {
                first_error.get_or_insert((prompt, error.kind()));
            }
        }
    }

    let batch = Batch::new(count, &policy)
        .and_then(|batch| batch.with_reference(&reference)?.with_lengths(lengths)?.with_rewards(&rewards))
        .and_then(|batch| batch.with_scales(&scales))
        .and_then(|batch| batch.with_supervised(supervised))
        .and_then(|batch| {
            if loss.reads_sample() || loss.reads_samples() { batch.with_samples(samples, None) } else { Ok(batch) }
        });
    let batch = batch.expect("lists of one length");
    match (loss.values_and_gradients(&batch, &mut scratch, &mut values, &mut gradient), first_error) {
        (Ok(()), None) => {
            assert!(values.iter().chain(&gradient).all(|number| number.is_finite()), "{loss}: {values:?} {gradient:?}");
        }
        (Err(error), Some((prompt, kind))) => {
            assert_eq!((error.prompt(), error.kind()), (Some(prompt), kind), "{loss}")
        }
        (batch, rows) => panic!("{loss}: {batch:?} {rows:?}"),
    }
}
