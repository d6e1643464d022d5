//! Parts that make no loss, numbers out of range, and rows that lack what a loss reads.

use hps_core::{
    Columns, Contrast, ErrorKind, Hps, Loss, NegativeScale, NegativeSet, Pair, Preference, RankWeights, Reduction,
    ResponseScale, Responses, Reward, Slic, Supervised, TiePolicy,
};

const LOG_PROBS: [f64; 3] = [-10.0, -11.0, -12.0];
const LENGTHS: [u32; 3] = [4, 5, 6];
const REWARDS: [f64; 3] = [1.0, 0.0, -1.0];
const DPO: Reward = Reward::Dpo { beta: 0.1 };
const LOG_RATIO: Reward = Reward::LogRatio { per_token: false };
const IPO: Pair = Pair::Ipo { beta: 0.1 };
const SPPO: Pair = Pair::Sppo { beta: 0.1, reduction: Reduction::Sum };
const EXO: Pair = Pair::Exo { label_smoothing: 1e-3 };
const HINGE: Pair = Pair::Hinge { margin: 1.0 };

fn row() -> Responses<'static, f64> {
    Responses::new(&LOG_PROBS)
        .and_then(|row| row.with_reference(&LOG_PROBS)?.with_lengths(&LENGTHS)?.with_rewards(&REWARDS))
        .unwrap()
}

fn loss(name: &str) -> Loss {
    name.parse().unwrap()
}

fn evaluate(loss: &Loss, row: &Responses<'_, f64>) -> Result<f64, hps_core::Error> {
    loss.value_and_gradient(row, &mut [0.0; 12], &mut [0.0; 3])
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, hps_core::Error>, kind: ErrorKind, text: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
}

#[test]
fn rewards_and_pairs() {
    let accepted = [
        (DPO, Pair::LOGISTIC),
        (Reward::Kto { scale: ResponseScale::FromRow }, Pair::LOGISTIC),
        (Reward::SimPo { beta: 2.0 }, Pair::LOGISTIC),
        (Reward::RDpo { beta: 0.1, alpha: -0.01 }, Pair::LOGISTIC),
        (Reward::LogOdds, Pair::LOGISTIC),
        (Reward::Cpo { beta: 0.1 }, Pair::LOGISTIC),
        (DPO, EXO),
        (DPO, Pair::Nca),
        (LOG_RATIO, IPO),
        (Reward::LogRatio { per_token: true }, IPO),
        (LOG_RATIO, SPPO),
        (DPO, HINGE),
        (Reward::LogProb, HINGE),
    ];
    let rewards: Vec<Reward> =
        accepted.iter().map(|&(reward, _)| reward).chain([Reward::LogRatio { per_token: true }]).collect();
    let pairs = [Pair::LOGISTIC, EXO, Pair::Nca, IPO, SPPO, HINGE];
    for &reward in &rewards {
        for pair in pairs {
            let built = Loss::new(reward, pair, Preference::BradleyTerry);
            if accepted.contains(&(reward, pair)) && reward != Reward::LogProb {
                assert!(built.is_ok(), "{reward:?} {pair:?}");
            } else {
                assert_eq!(built.unwrap_err().kind(), ErrorKind::Unsupported, "{reward:?} {pair:?}");
            }
        }
    }
}

#[test]
fn pairs_and_models() {
    let weighted = Hps::weighted(RankWeights::new(&[1.0]).unwrap(), NegativeSet::NextRanks);
    let mut scaled = Hps::expected();
    scaled.scale = NegativeScale::Count;
    let mut masked = weighted;
    masked.ties = TiePolicy::MaskMax;
    let targets = Preference::RewardTargets { temperature: 1.0 };
    let smoothed = Pair::Logistic { label_smoothing: 0.1, margin: 0.0 };
    let refused = [
        (DPO, EXO, Preference::Top { choices: 1 }),
        (DPO, HINGE, Preference::Top { choices: 2 }),
        (DPO, smoothed, Preference::Top { choices: 2 }),
        (DPO, HINGE, Preference::PlackettLuce),
        (DPO, EXO, Preference::Contrast(Contrast::default())),
        (DPO, smoothed, Preference::PlackettLuce),
        (DPO, HINGE, Preference::Hps(Hps::single())),
        (LOG_RATIO, IPO, Preference::Hps(Hps::full())),
        (LOG_RATIO, SPPO, Preference::Hps(Hps::full())),
        (LOG_RATIO, IPO, Preference::Hps(Hps::multi())),
        (LOG_RATIO, SPPO, Preference::Hps(scaled)),
        (DPO, EXO, Preference::Hps(weighted)),
        (DPO, Pair::LOGISTIC, Preference::Hps(masked)),
        (DPO, smoothed, targets),
        (Reward::SimPo { beta: 2.0 }, Pair::LOGISTIC, targets),
        (LOG_RATIO, SPPO, targets),
        (Reward::LogOdds, Pair::LOGISTIC, targets),
        (Reward::Cpo { beta: 0.1 }, Pair::LOGISTIC, Preference::Lipo(Default::default())),
        (DPO, Pair::LOGISTIC, Preference::WinRates),
        (DPO, HINGE, Preference::Slic(Slic { weight: 0.1, placement: Supervised::Outside })),
        (DPO, smoothed, Preference::Lipo(Default::default())),
    ];
    for (reward, pair, preference) in refused {
        let error = Loss::new(reward, pair, preference).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{reward:?} {pair:?} {preference:?}");
    }
}

#[test]
fn hyperparameters() {
    use ErrorKind::*;
    for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        for name in [
            "kto-bt",
            "simpo-pl",
            "rdpo-hps",
            "exo-pl",
            "nca-hps-full",
            "ipo-bt",
            "sppo-pl",
            "lipo",
            "hinge",
            "orpo-bt",
            "cpo-pl",
        ] {
            refused(loss(name).with_beta(beta), BadHyper, &format!("beta = {beta} is outside (0, inf)"));
        }
    }
    for smoothing in [0.0, 0.5, f64::NAN] {
        let text = format!("label_smoothing = {smoothing} is outside (0, 0.5)");
        refused(loss("exo-bt").with_label_smoothing(smoothing), BadHyper, &text);
    }
    for weight in [-0.1, f64::NAN, f64::INFINITY] {
        let text = format!("likelihood = {weight} is outside [0, inf)");
        refused(loss("cpo-bt").with_likelihood(weight), BadHyper, &text);
        let text = format!("preference weight = {weight} is outside (0, inf)");
        refused(loss("dpo-pl").with_preference_weight(weight), BadHyper, &text);
    }
    refused(loss("rdpo-bt").with_alpha(f64::NAN), BadHyper, "alpha = NaN is outside (-inf, inf)");
    refused(loss("nca-k").with_temperature(0.0), BadHyper, "temperature = 0 is outside (0, inf)");
    refused(loss("slic").with_margin(f64::NAN), BadHyper, "margin = NaN is outside (-inf, inf)");
    let none = Loss::new(DPO, Pair::LOGISTIC, Preference::Top { choices: 0 });
    refused(none, BadHyper, "number of choices = 0 is outside [1, inf)");
    refused(RankWeights::new(&[]), BadHyper, "number of rank weights = 0 is outside [1, 16]");
    refused(RankWeights::new(&[1.0; 17]), BadHyper, "number of rank weights = 17 is outside [1, 16]");
    refused(RankWeights::new(&[0.5]), BadHyper, "rank weight = 0.5 is outside {1}, the first");
    refused(RankWeights::new(&[1.0, -0.5]), BadHyper, "rank weight = -0.5 is outside [0, inf)");
    for (alpha, power, text) in [
        (-0.1, 1.0, "alpha = -0.1 is outside [0, inf)"),
        (f64::INFINITY, 1.0, "alpha = inf is outside [0, inf)"),
        (1.0, -1.0, "power = -1 is outside [0, inf)"),
        (1.0, f64::NAN, "power = NaN is outside [0, inf)"),
    ] {
        refused(Loss::new(DPO, Pair::LOGISTIC, Preference::Contrast(Contrast { alpha, power })), BadHyper, text);
    }
    let slic = Preference::Slic(Slic { weight: -0.1, placement: Supervised::Outside });
    refused(Loss::new(Reward::LogProb, HINGE, slic), BadHyper, "weight = -0.1 is outside [0, inf)");
}

#[test]
fn options_a_loss_does_not_have() {
    for built in [
        loss("slic").with_beta(0.1),
        loss("nca-bt").with_label_smoothing(0.1),
        loss("exo-rw").with_label_smoothing(0.1),
        loss("ipo-bt").with_margin(1.0),
        loss("dpo-bt").with_alpha(0.01),
        loss("dpo-bt").with_temperature(1.0),
        loss("slic").with_likelihood(1.0),
        loss("slic").with_preference_weight(0.5),
        loss("exo-pl").with_gamma(1.0),
        loss("ipo-hps").with_negative_scale(NegativeScale::Count),
        loss("dpo-hps-weighted").with_tie_policy(TiePolicy::MaskMax),
    ] {
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn rows_that_lack_something() {
    use ErrorKind::*;
    let scaled = Loss::new(Reward::Kto { scale: ResponseScale::FromRow }, Pair::LOGISTIC, Preference::PlackettLuce);
    let text = "the loss reads `scales`, which is not given";
    refused(evaluate(&scaled.unwrap(), &row()), InputMissing, text);
    let slopes = scaled.and_then(|loss| loss.score_constants(&row(), &mut [0.0; 3], &mut [0.0; 3]));
    refused(slopes, InputMissing, text);
    let short = loss("dpo-bt").score_constants(&row(), &mut [0.0; 3], &mut [0.0; 2]);
    refused(short, LengthMismatch, "origins: 2 entries given, 3 are needed");
    let text = "the loss reads `supervised`, which is not given";
    refused(evaluate(&loss("slic"), &row()), InputMissing, text);
    let text = "the loss compares with sampled negatives, but none are named";
    refused(evaluate(&loss("dpo-hps-multi"), &row()), SampleMissing, text);
    refused(row().with_samples(&[]), SampleMissing, text);
    refused(row().with_samples(&[1, 3]), SampleNotNegative, "sample 3 is not one of the negatives among 3 responses");
    assert_eq!(row().with_samples_from(&[1], 0).unwrap_err().kind(), NoNegatives);
    let drawn = row().with_samples(&[1, 1]).unwrap();
    for name in ["dpo-bt", "dpo-hps-full", "dpo-hps-expected", "lipo"] {
        assert_eq!(evaluate(&loss(name), &drawn).unwrap_err().kind(), Unsupported, "{name}");
    }
    assert_eq!(evaluate(&loss("dpo-hps"), &drawn).unwrap_err().kind(), Unsupported);
    assert!(evaluate(&loss("dpo-hps-multi"), &drawn).is_ok());
    let text = "scales[1] = 0 is outside (0, inf)";
    refused(row().with_scales(&[1.0, 0.0, 1.0]), OutOfRange, text);
    refused(row().with_scales(&[1.0]), LengthMismatch, "scales: 1 entries given, 3 are needed");
    refused(row().with_supervised(f64::NAN), NonFinite, "supervised[0] = NaN is not a finite number");
    let rewards = [1.0, 0.0, -61.0];
    let raw = Responses::new(&LOG_PROBS)
        .and_then(|row| row.with_reference(&LOG_PROBS)?.with_lengths(&LENGTHS)?.with_rewards(&rewards))
        .unwrap();
    refused(evaluate(&loss("lipo"), &raw), OutOfRange, "rewards[2] = -61 is outside [-60, 60]");
}

#[test]
fn groups_without_a_contrast() {
    // Three times 0.1 does not have 0.1 as its mean in f64.
    let equal = [0.1; 3];
    let row = Responses::new(&LOG_PROBS)
        .and_then(|row| row.with_reference(&LOG_PROBS)?.with_lengths(&LENGTHS)?.with_rewards(&equal))
        .unwrap();
    let text = "none of the 3 responses is left as a negative: all tie with the highest reward";
    refused(evaluate(&loss("dpo-swepo"), &row), ErrorKind::NoNegatives, text);
    // One unit in the last place is enough.
    let nearly = [0.1, 0.1, 0.1_f64.next_down()];
    let row = Responses::new(&LOG_PROBS)
        .and_then(|row| row.with_reference(&LOG_PROBS)?.with_lengths(&LENGTHS)?.with_rewards(&nearly))
        .unwrap();
    assert!((evaluate(&loss("dpo-swepo"), &row).unwrap() - 1.5_f64.ln()).abs() < 1e-12);
    let far = [1e300, 0.0, -1e300];
    let row = Responses::new(&LOG_PROBS)
        .and_then(|row| row.with_reference(&LOG_PROBS)?.with_lengths(&LENGTHS)?.with_rewards(&far))
        .unwrap();
    let squared = Preference::Contrast(Contrast { alpha: 1.0, power: 2.0 });
    let squared = Loss::new(DPO, Pair::LOGISTIC, squared).unwrap();
    refused(evaluate(&squared, &row), ErrorKind::NonFinite, "log weights[0] = inf is not a finite number");
}

#[test]
fn odds_of_certainty() {
    for (certain, odds) in [(0.0, "inf"), (0.5, "NaN")] {
        let policy = [-10.0, certain, -12.0];
        let row = Responses::new(&policy)
            .and_then(|row| row.with_reference(&LOG_PROBS)?.with_lengths(&LENGTHS)?.with_rewards(&REWARDS))
            .unwrap();
        let text = format!("scores[1] = {odds} is not a finite number");
        refused(evaluate(&loss("orpo-pl"), &row), ErrorKind::NonFinite, &text);
    }
}

#[test]
fn too_few_to_prefer() {
    let weights = Hps::weighted(RankWeights::new(&[1.0, 1.0, 1.0]).unwrap(), NegativeSet::NonPreferred);
    let loss = Loss::new(DPO, Pair::LOGISTIC, Preference::Hps(weights)).unwrap();
    let text = "3 responses given, the loss prefers so many that at least 4 are needed";
    refused(evaluate(&loss, &row()), ErrorKind::TooFewResponses, text);
    refused(loss.over(&Columns::new(&[0.0_f64; 3])), ErrorKind::TooFewResponses, text);
}
