//! The closed forms against the definitions, and f32 against f64.

use crate::definition::{LIKELIHOOD, SUPERVISED, definition, kernel, size};
use crate::generator::{Generator, Row};
use crate::losses::{fewest_responses, losses};
use crate::tolerance;
use hps_core::{Batch, Dual, ErrorKind, Loss, Pair, Preference, Responses, Reward, Scalar};

const ROWS: usize = 1500;
const SPREADS: [f64; 3] = [0.1, 3.0, 60.0];

/// All but smoothed comparisons far beyond their target, SLiC-HF's supervised term, and likelihoods, which these rows
/// have above 1.
fn is_never_negative(loss: &Loss) -> bool {
    let smoothed = matches!(loss.pair(), Pair::Logistic { label_smoothing, .. } if label_smoothing > 0.0);
    !smoothed && !matches!(loss.preference(), Preference::Slic(_)) && loss.likelihood() == 0.0
}

#[test]
fn kernels_equal_definitions_under_dual_numbers() {
    let mut generator = Generator::new(1);
    let mut worst = 0.0_f64;
    let losses = losses();
    for number in 0..ROWS {
        let (data, sample) = Row::random(&mut generator, number, SPREADS[number % SPREADS.len()]);
        let loss = &losses[number % losses.len()];
        let data = data.suited_to(loss);
        if data.policy.len() < fewest_responses(loss) {
            continue;
        }
        let row = data.responses_for(loss, sample);
        let (value, mut gradient, scores) = kernel(loss, &row);
        gradient.push(loss.supervised_gradient(&gradient));
        gradient.push(-loss.likelihood());
        assert!(value.is_finite(), "{loss:?} {data:?}");
        if is_never_negative(loss) {
            assert!(value >= -tolerance::KERNEL_F64, "{loss:?} row {number}: {value}");
        }
        for (direction, &entry) in gradient.iter().enumerate() {
            let direction = match direction.checked_sub(row.count()) {
                None => direction,
                Some(0) => SUPERVISED,
                Some(_) => LIKELIHOOD,
            };
            let dual = definition(loss, &row, &scores, |index, number| {
                if index == direction { Dual::variable(number) } else { Dual::constant(number) }
            });
            let bare = definition(loss, &row, &scores, |_, number| number);
            assert_eq!(bare, dual.value());
            let errors = [(value, dual.value()), (entry, dual.derivative())]
                .map(|(kernel, definition)| (kernel - definition).abs() / size(loss, value, &gradient, definition));
            for error in errors {
                assert!(error <= tolerance::KERNEL_F64, "{loss:?} row {number} direction {direction}: {errors:?}");
                worst = worst.max(error);
            }
        }
    }
    println!("worst {worst:e}");
}

#[test]
fn f32_kernels_follow_f64() {
    let mut generator = Generator::new(2);
    let mut worst = 0.0_f64;
    let losses = losses();
    for number in 0..ROWS {
        let (data, sample) = Row::random(&mut generator, number, SPREADS[number % SPREADS.len()]);
        // At γ = 1000 the exponents γ (r − r*) reach 1e4, whose f32 rounding alone is 1e-3.
        let loss = &losses[number % losses.len()];
        if loss.gamma().is_some_and(|gamma| gamma.is_finite() && gamma.abs() > 5.0) {
            continue;
        }
        let narrow = data.suited_to(loss).to_f32();
        let wide = narrow.to_f64();
        if wide.policy.len() < fewest_responses(loss) || !same_ranks(loss, &narrow.responses(), &wide.responses()) {
            continue;
        }
        let (value, gradient, _) = kernel(loss, &narrow.responses_for(loss, sample));
        let (wide_value, wide_gradient, _) = kernel(loss, &wide.responses_for(loss, sample));
        let pairs = gradient.iter().zip(&wide_gradient).chain([(&value, &wide_value)]);
        for (&given, &expected) in pairs {
            let error = (f64::from(given) - expected).abs() / size(loss, wide_value, &wide_gradient, expected);
            assert!(error <= tolerance::KERNEL_F32, "{loss:?} row {number}: {given}, expected {expected}");
            worst = worst.max(error);
        }
    }
    println!("worst {worst:e}");
}

/// LiPO's weights jump where two scores change places, and f32 can make that happen.
fn same_ranks(loss: &Loss, narrow: &Responses<'_, f32>, wide: &Responses<'_, f64>) -> bool {
    let Preference::Lipo(_) = loss.preference() else { return true };
    let mut discounts = vec![0.0; loss.constant_count(wide.count())];
    let mut narrow_discounts = vec![0.0; discounts.len()];
    loss.constants(wide, &mut discounts).unwrap();
    loss.constants(narrow, &mut narrow_discounts).unwrap();
    let mut pairs = narrow_discounts.iter().zip(&discounts).skip(wide.count());
    pairs.all(|(&narrow, &wide)| (f64::from(narrow) - wide).abs() < 1e-6)
}

#[test]
fn gradients_sum_to_zero() {
    let mut generator = Generator::new(3);
    let mut worst = 0.0_f64;
    for (number, loss) in losses().iter().cycle().take(ROWS).enumerate() {
        let (data, sample) = Row::random(&mut generator, number, SPREADS[number % SPREADS.len()]);
        let data = data.suited_to(loss);
        // NCA and SPPO see more than differences.
        if matches!(loss.pair(), Pair::Nca | Pair::Sppo { .. }) || data.policy.len() < fewest_responses(loss) {
            continue;
        }
        let (value, gradient, _) = kernel(loss, &data.responses_for(loss, sample));
        let sum = gradient.iter().sum::<f64>() / size(loss, value, &gradient, 0.0);
        assert!(sum.abs() <= tolerance::ZERO_SUM_F64, "{loss:?} row {number}: {sum:e}");
        worst = worst.max(sum.abs());
    }
    println!("worst {worst:e}");
}

#[test]
fn the_gradient_by_log_probs_is_beta_times_that_by_scores() {
    let mut generator = Generator::new(4);
    for loss in losses() {
        if !matches!(loss.reward(), Reward::Dpo { .. }) || loss.likelihood() > 0.0 {
            continue;
        }
        let loss = loss.with_beta(0.25).unwrap();
        let (data, sample) = Row::random(&mut generator, 1, 1.0);
        let row = data.responses_for(&loss, sample);
        let (value, by_score, scores) = kernel(&loss, &row);
        let mut scratch = vec![f64::NAN; Loss::scratch_len(row.count())];
        let mut by_log_prob = vec![f64::NAN; row.count()];
        assert_eq!(loss.value_and_gradient(&row, &mut scratch, &mut by_log_prob), Ok(value));
        for index in 0..row.count() {
            assert_eq!(by_log_prob[index], 0.25 * by_score[index]);
            assert_eq!(scores[index], 0.25 * (data.policy[index] - data.reference[index]));
        }
    }
}

#[test]
fn long_scratch_and_its_content_change_nothing() {
    let mut generator = Generator::new(5);
    let (data, sample) = Row::random(&mut generator, 1, 3.0);
    for loss in losses() {
        let data = data.clone().suited_to(&loss);
        let row = data.responses_for(&loss, sample);
        let (value, gradient, _) = kernel(&loss, &row);
        let mut scratch = vec![1e9; Loss::scratch_len(row.count()) + 5];
        let mut again = vec![-3.0; row.count()];
        assert_eq!(loss.value_and_score_gradient(&row, &mut scratch, &mut again), Ok(value));
        assert_eq!(gradient, again);
    }
}

#[test]
fn all_equal_scores_split_the_gradient_evenly() {
    let scores = [0.25; 5];
    let row = Row::of_scores(&scores, &[4.0, 3.0, 2.0, 1.0, 0.0]);
    let loss = "dpo-hps-full".parse::<Loss>().unwrap().with_beta(1.0).unwrap();
    let (value, gradient, _) = kernel(&loss, &row.responses());
    assert!((value - 5.0_f64.ln()).abs() <= tolerance::SAME_F64);
    for (direction, &entry) in gradient.iter().enumerate() {
        let dual = definition(&loss, &row.responses(), &scores, |index, number| {
            if index == direction { Dual::variable(number) } else { Dual::constant(number) }
        });
        let expected = if direction == 0 { -0.8 } else { 0.2 };
        assert!((entry - expected).abs() <= tolerance::SAME_F64);
        assert!((dual.derivative() - expected).abs() <= tolerance::SAME_F64);
    }
}

/// Rows of few responses have kernels of their own, which leave numbers that exponentials cannot cover to those for long ones.
#[test]
fn few_responses_at_any_distance_cost_what_the_definition_says() {
    let mut generator = Generator::new(17);
    // Between these lie the bounds of f32 and of f64: 0, next to nothing, what fits, what does not, and both signs.
    let distances = [0.0, 1e-9, 1.0, 40.0, 59.0, 88.0, 300.0, 590.0, 650.0, 720.0, 1e4];
    let names = ["dpo-bt", "dpo-top1", "dpo-top2", "dpo-pl", "dpo-hps-full", "exo-pl", "exo-bt", "cpo-pl"];
    for number in 0..4_000 {
        let count = 2 + number % 7;
        let draw = |generator: &mut Generator| {
            let distance = distances[generator.index(distances.len())];
            if generator.uniform() < 0.5 { -distance } else { distance }
        };
        let scores: Vec<f64> = (0..count).map(|_| draw(&mut generator)).collect();
        let rewards: Vec<f64> = (0..count).map(|_| draw(&mut generator) / 100.0).collect();
        let row = Row::of_scores(&scores, &rewards);
        // The power of a distance is off by what the distance was rounded by, a few times over.
        let largest = scores.iter().fold(0.0_f64, |largest, score| largest.max(score.abs()));
        let allowed = tolerance::KERNEL_F64.max(8.0 * largest * f64::EPSILON);
        for name in names {
            let loss = name.parse::<Loss>().unwrap().with_beta(1.0).unwrap();
            let loss = loss.with_gamma(3.0).unwrap_or(loss).with_likelihood(0.0).unwrap();
            let (value, gradient, scores) = kernel(&loss, &row.responses());
            let mut by_log_prob = vec![f64::NAN; count];
            let scratch = &mut vec![f64::NAN; Loss::scratch_len(count)];
            assert_eq!(
                loss.value_and_gradient(&row.responses(), scratch, &mut by_log_prob),
                Ok(value),
                "{name} {scores:?}"
            );
            assert_eq!(by_log_prob, gradient, "{name} {scores:?}");
            for (direction, &entry) in gradient.iter().enumerate() {
                let dual = definition(&loss, &row.responses(), &scores, |index, number| {
                    if index == direction { Dual::variable(number) } else { Dual::constant(number) }
                });
                let size = size(&loss, value, &gradient, entry);
                let (off, pull) =
                    ((dual.value() - value).abs() / (1.0 + value.abs()), (dual.derivative() - entry).abs() / size);
                assert!(off <= allowed, "{name} {scores:?}: {value}, {}", dual.value());
                assert!(pull <= allowed, "{name} {scores:?}: {entry}, {}", dual.derivative());
            }
        }
    }
}

/// A kernel for few responses takes no number of which it might make an infinity. These are as large as numbers get, at every
/// place of every list: the value is that of [`Loss::value`], which asks the kernels for long rows, or both refuse.
fn large_numbers_at_any_place<F: Scalar>(sizes: &[f64], tolerance: f64) {
    let names =
        ["dpo-bt", "dpo-hps", "exo-bt", "exo-hps", "hinge", "ipo-bt", "sppo-bt", "nca-pl", "dpo-top1", "dpo-pl"];
    let names = names.into_iter().chain(["dpo-hps-full", "exo-pl", "cpo-bt", "kto-bt"]);
    let losses = names.flat_map(|name| {
        let loss = name.parse::<Loss>().unwrap().with_gamma(2.0).unwrap_or(name.parse().unwrap());
        let loss = loss.with_likelihood(0.0).unwrap();
        [1e-3, 1.0, 3e5, 1e9].map(|beta| loss.with_beta(beta).unwrap_or(loss))
    });
    let (mut finite, mut refused) = (0, 0);
    for loss in losses {
        for (count, place, list) in
            (2..=9).flat_map(|n| (0..n).flat_map(move |place| (0..3).map(move |l| (n, place, l))))
        {
            for &size in sizes {
                let mut lists = [-20.0, -21.0, 0.5].map(|number| vec![F::narrow(number); count]);
                for (index, entries) in lists.iter_mut().enumerate() {
                    entries
                        .iter_mut()
                        .zip(0..)
                        .for_each(|(x, i)| *x = *x + F::narrow(f64::from(i * index as i32) * 0.25));
                }
                lists[list][place] = F::narrow(size);
                let row =
                    Responses::new(&lists[0]).and_then(|row| row.with_reference(&lists[1])?.with_rewards(&lists[2]));
                let row = row.and_then(|row| row.with_lengths(&[7; 9][..count]));
                if !F::narrow(size).is_finite() {
                    let error = row.unwrap_err();
                    assert_eq!((error.kind(), error.index()), (ErrorKind::NonFinite, Some(place)));
                    assert_eq!(error.list(), Some(["policy", "reference", "rewards"][list]));
                    refused += 1;
                    continue;
                }
                let row = row.unwrap();
                let row = if loss.reads_sample() { row.with_sample(count - 1).unwrap() } else { row };
                let (mut scratch, mut gradient) = (vec![F::nan(); Loss::scratch_len(count)], vec![F::nan(); count]);
                let value = loss.value(&row, &mut scratch);
                let what = format!("{loss} {:?} {lists:?}", loss.beta());
                match loss.value_and_gradient(&row, &mut scratch, &mut gradient) {
                    Ok(own) => {
                        let value = value.unwrap_or_else(|error| panic!("{what}: {own} {error}")).widen();
                        let off = (own.widen() - value).abs() / (1.0 + value.abs());
                        assert!(off <= tolerance, "{what}: {own} {value}");
                        assert!(gradient.iter().all(|entry| entry.is_finite()), "{what} {gradient:?}");
                        finite += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::NonFinite, "{what}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(finite > 5_000 && refused > 5_000, "{finite} {refused}");
}

#[test]
fn large_numbers_are_refused_or_right_in_f64() {
    let sizes = [-9.9e11, -1.01e12, 1e15, -1e155, -1.7e308, f64::NAN, f64::NEG_INFINITY];
    large_numbers_at_any_place::<f64>(&sizes, tolerance::KERNEL_F64);
}

#[test]
fn large_numbers_are_refused_or_right_in_f32() {
    let sizes = [-9.9e11, -1.01e12, 1e15, -1e20, -3.4e38, f64::NAN, f64::INFINITY];
    large_numbers_at_any_place::<f32>(&sizes, 1e-5);
}

/// A margin, too, can be too large for what it is added to.
#[test]
fn a_margin_that_overflows_is_refused() {
    for preference in [Preference::BradleyTerry, Preference::PlackettLuce, Preference::Top { choices: 1 }] {
        for (margin, fits) in [(1e30, true), (1e300, false), (-1e300, false)] {
            let pair = Pair::Logistic { label_smoothing: 0.0, margin };
            let loss = Loss::new(Reward::Dpo { beta: 0.1 }, pair, preference).unwrap();
            for count in 2..=8 {
                let list = [-9.0_f32; 8];
                let row = Responses::new(&list[..count]).unwrap().with_reference(&list[..count]).unwrap();
                let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(8)], &mut [0.0; 8][..count]);
                let right = if fits { value.is_ok_and(|value| value >= 1e30) } else { value.is_err() };
                assert!(right || (margin < 0.0 && value == Ok(0.0)), "{preference:?} {margin} {count}: {value:?}");
            }
        }
    }
}

/// HPS has nothing to choose among one negative, nor where the drawn one is the worst: it is Bradley–Terry to the bit, alone
/// and at any place of a batch.
#[test]
fn hps_on_pairs_is_bradley_terry_to_the_bit() {
    let mut generator = Generator::new(23);
    for count in [2, 5, 12] {
        for (hps, bt) in
            [("dpo-hps", "dpo-bt"), ("simpo-hps", "simpo-bt"), ("exo-hps", "exo-bt"), ("ipo-hps", "ipo-bt")]
        {
            let [hps, bt] = [hps, bt].map(|name| name.parse::<Loss>().unwrap().with_beta(0.3).unwrap());
            let prompts = 21;
            let numbers = |generator: &mut Generator| -> Vec<f64> {
                (0..prompts * count).map(|_| generator.between(-40.0, -1.0)).collect()
            };
            let (policy, reference, rewards) =
                (numbers(&mut generator), numbers(&mut generator), numbers(&mut generator));
            let lengths = vec![7; prompts * count];
            let samples = vec![count - 1; prompts];
            let batch = Batch::new(count, &policy).unwrap().with_reference(&reference).unwrap();
            let batch = batch.with_lengths(&lengths).unwrap().with_rewards(&rewards).unwrap();
            let in_batch = |loss: &Loss, batch: &Batch<'_, f64>| {
                let mut values = vec![f64::NAN; prompts];
                let mut gradient = vec![f64::NAN; prompts * count];
                let scratch = &mut vec![f64::NAN; Loss::batch_scratch_len(count)];
                loss.values_and_gradients(batch, scratch, &mut values, &mut gradient).unwrap();
                (values, gradient)
            };
            let (values, gradient) = in_batch(&bt, &batch);
            assert_eq!(in_batch(&hps, &batch.with_samples(&samples, None).unwrap()), (values, gradient), "{hps}");
            for prompt in 0..prompts {
                let range = prompt * count..(prompt + 1) * count;
                let row = Responses::new(&policy[range.clone()]).unwrap().with_reference(&reference[range.clone()]);
                let row = row.unwrap().with_lengths(&lengths[range.clone()]).unwrap();
                let row = row.with_rewards(&rewards[range]).unwrap();
                let own = |loss: &Loss, row: &Responses<'_, f64>| {
                    let mut gradient = vec![f64::NAN; count];
                    let scratch = &mut vec![f64::NAN; Loss::scratch_len(count)];
                    (loss.value_and_gradient(row, scratch, &mut gradient).unwrap(), gradient)
                };
                assert_eq!(own(&hps, &row.with_sample(count - 1).unwrap()), own(&bt, &row), "{hps}");
            }
        }
    }
}
