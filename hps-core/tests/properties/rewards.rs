//! What each implicit reward makes of log-probabilities.

use crate::generator::{Generator, Row};
use crate::losses::{fewest_responses, losses};
use crate::tolerance;
use hps_core::{Dual, Loss, Pair, Preference, ResponseScale, Reward};

fn bradley_terry(reward: Reward) -> Loss {
    let pair = match reward {
        Reward::LogRatio { .. } => Pair::Ipo { beta: 0.1 },
        _ => Pair::LOGISTIC,
    };
    Loss::new(reward, pair, Preference::BradleyTerry).unwrap()
}

#[test]
fn scores_are_what_the_table_says() {
    let row = Row {
        policy: vec![-10.0_f64, -24.0],
        reference: vec![-12.0, -20.0],
        lengths: vec![5, 8],
        rewards: vec![1.0, 0.0],
        scales: vec![0.5, 0.25],
        supervised: -1.0,
        samples: vec![1],
    };
    let expected = [
        (Reward::Dpo { beta: 0.5 }, [1.0, -2.0]),
        (Reward::Kto { scale: ResponseScale::Constant(0.5) }, [1.0, -2.0]),
        (Reward::Kto { scale: ResponseScale::PerToken(5.0) }, [2.0, -2.5]),
        (Reward::Kto { scale: ResponseScale::FromRow }, [1.0, -1.0]),
        (Reward::SimPo { beta: 2.0 }, [-4.0, -6.0]),
        (Reward::RDpo { beta: 0.5, alpha: 0.25 }, [2.25, 0.0]),
        (Reward::Cpo { beta: 0.5 }, [-5.0, -12.0]),
        // Tokens of probability e⁻² and e⁻³: odds of 1 to e² − 1 and to e³ − 1.
        (Reward::LogOdds, [-2.0_f64.exp_m1().ln(), -3.0_f64.exp_m1().ln()]),
        (Reward::LogRatio { per_token: false }, [2.0, -4.0]),
        (Reward::LogRatio { per_token: true }, [0.4, -0.5]),
    ];
    for (reward, expected) in expected {
        let loss = bradley_terry(reward);
        let mut scores = [f64::NAN; 2];
        loss.scores(&row.responses_for(&loss, 1), &mut scores).unwrap();
        for (score, expected) in scores.iter().zip(expected) {
            assert!((score - expected).abs() <= tolerance::SAME_F64, "{reward:?}: {score}, expected {expected}");
        }
    }
}

/// The chain from scores to log-probabilities, by finite differences of the scores, which are linear in them but for log
/// odds: `a_step_of_log_odds` is theirs.
#[test]
fn every_gradient_passes_through_its_reward() {
    let mut generator = Generator::new(31);
    for loss in losses() {
        let (mut data, sample) = Row::random(&mut generator, 1, 1.0);
        if data.policy.len() < fewest_responses(&loss) || loss.reward() == Reward::LogOdds {
            continue;
        }
        let count = data.policy.len();
        let [mut by_score, mut by_log_prob, mut before, mut after] = [(); 4].map(|()| vec![f64::NAN; count]);
        let mut scratch = vec![f64::NAN; Loss::scratch_len(count)];
        let row = data.responses_for(&loss, sample);
        let value = loss.value_and_score_gradient(&row, &mut scratch, &mut by_score).unwrap();
        assert_eq!(loss.value_and_gradient(&row, &mut scratch, &mut by_log_prob), Ok(value));
        loss.scores(&row, &mut before).unwrap();
        data.policy.iter_mut().for_each(|log_prob| *log_prob += 1.0);
        loss.scores(&data.responses_for(&loss, sample), &mut after).unwrap();
        for index in 0..count {
            let likelihood = if index == 0 { loss.likelihood() / f64::from(data.lengths[0]) } else { 0.0 };
            let expected = (after[index] - before[index]) * by_score[index] - likelihood;
            let error = (by_log_prob[index] - expected).abs();
            // A difference of scores up to 300.
            assert!(error <= 300.0 * tolerance::SAME_F64 * (1.0 + by_score[index].abs()), "{loss:?}: {error:e}");
        }
    }
}

/// Scores over tensors are the slices' scores, and their dual derivative is what the kernel chains with.
#[test]
fn scores_over_tensors_are_the_scores() {
    let mut generator = Generator::new(32);
    let mut worst = 0.0_f64;
    for (number, loss) in losses().iter().enumerate() {
        let (data, sample) = Row::random(&mut generator, number, 3.0);
        if data.policy.len() < fewest_responses(loss) {
            continue;
        }
        let data = data.suited_to(loss);
        let (row, count) = (data.responses_for(loss, sample), data.policy.len());
        let [mut slopes, mut origins, mut scores, mut by_score, mut by_log_prob] =
            [(); 5].map(|()| vec![f64::NAN; count]);
        let mut scratch = vec![f64::NAN; Loss::scratch_len(count)];
        loss.scores(&row, &mut scores).unwrap();
        loss.score_constants(&row, &mut slopes, &mut origins).unwrap();
        loss.value_and_score_gradient(&row, &mut scratch, &mut by_score).unwrap();
        loss.value_and_gradient(&row, &mut scratch, &mut by_log_prob).unwrap();
        by_log_prob[0] += loss.likelihood() / f64::from(data.lengths[0]);
        for index in 0..count {
            let policy = Dual::variable(data.policy[index]);
            let Ok(score) = loss.score_over(&policy, &Dual::constant(slopes[index]), &Dual::constant(origins[index]));
            let Ok(bare) = loss.score_over(&data.policy[index], &slopes[index], &origins[index]);
            assert_eq!(bare, score.value());
            let errors = [(scores[index], bare), (by_log_prob[index], score.derivative() * by_score[index])]
                .map(|(kernel, definition)| (kernel - definition).abs() / (1.0 + definition.abs()));
            assert!(errors.iter().all(|error| *error <= tolerance::SUMS_F64), "{loss:?}: {errors:?}");
            worst = errors.into_iter().fold(worst, f64::max);
        }
    }
    println!("worst {worst:e}");
}

/// `∂/∂log π ln(P/(1 − P)) = 1/(l (1 − P))`, `P` from nearly 1 to nearly 0.
#[test]
fn a_step_of_log_odds() {
    let loss: Loss = "orpo-bt".parse().unwrap();
    let loss = loss.with_preference_weight(1.0).unwrap();
    for (log_prob, length) in [(-1e-6, 1), (-0.3, 2), (-40.0, 20), (-800.0, 1)] {
        let mut row = Row::of_scores(&[log_prob, -5.0], &[1.0, 0.0]);
        row.lengths = vec![length, 3];
        let (mut by_score, mut by_log_prob) = ([f64::NAN; 2], [f64::NAN; 2]);
        loss.value_and_score_gradient(&row.responses(), &mut [0.0; 8], &mut by_score).unwrap();
        loss.value_and_gradient(&row.responses(), &mut [0.0; 8], &mut by_log_prob).unwrap();
        let slope = 1.0 / (f64::from(length) * -(log_prob / f64::from(length)).exp_m1());
        let expected = slope * by_score[0] - 1.0 / f64::from(length);
        let error = (by_log_prob[0] - expected).abs();
        assert!(error <= tolerance::SAME_F64 * (1.0 + expected.abs()), "{log_prob}: {error:e}");
    }
}

/// A longer preferred response needs less of a log ratio: `α > 0` teaches brevity.
#[test]
fn r_dpo_credits_length_in_training() {
    let mut row = Row::of_scores(&[0.0_f64, 0.0], &[1.0, 0.0]);
    row.lengths = vec![300, 100];
    let mut gradient = [f64::NAN; 2];
    let loss: Loss = "rdpo-bt".parse().unwrap();
    loss.value_and_score_gradient(&row.responses(), &mut [0.0; 8], &mut gradient).unwrap();
    assert!((gradient[0] + 1.0 / (1.0 + 2.0_f64.exp())).abs() <= tolerance::SAME_F64);
}
