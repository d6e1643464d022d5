//! What is refused, with which kind and which numbers.

use hps_core::{
    Columns, ErrorKind, Hps, Loss, NegativeSampler, NegativeScale, Pair, Position, Preference, Responses, Reward,
    TiePolicy, log_weights, metrics,
};

const POLICY: [f64; 3] = [-10.0, -11.0, -12.0];
const REFERENCE: [f64; 3] = [-10.5, -10.5, -10.5];
const LENGTHS: [u32; 3] = [4, 5, 6];
const REWARDS: [f64; 3] = [1.0, 0.0, -1.0];

fn row() -> Responses<'static, f64> {
    Responses::new(&POLICY)
        .and_then(|row| row.with_reference(&REFERENCE)?.with_lengths(&LENGTHS)?.with_rewards(&REWARDS))
        .unwrap()
}

fn new<'a>(
    policy: &'a [f64],
    reference: &'a [f64],
    lengths: &'a [u32],
    rewards: &'a [f64],
) -> Result<Responses<'a, f64>, hps_core::Error> {
    Responses::new(policy).and_then(|row| row.with_reference(reference)?.with_lengths(lengths)?.with_rewards(rewards))
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
    assert_eq!(error.kind(), kind);
    assert_eq!(error.to_string(), text);
    let _: &dyn std::error::Error = &error;
}

#[test]
fn rows() {
    use ErrorKind::*;
    refused(new(&[], &[], &[], &[]), TooFewResponses, "0 responses given, at least 2 are needed");
    refused(new(&[-1.0], &[-1.0], &[1], &[0.0]), TooFewResponses, "1 responses given, at least 2 are needed");
    let mismatch = |list: &str| format!("{list}: 2 entries given, 3 are needed");
    refused(new(&POLICY, &REFERENCE[..2], &LENGTHS, &REWARDS), LengthMismatch, &mismatch("reference"));
    refused(new(&POLICY, &REFERENCE, &LENGTHS[..2], &REWARDS), LengthMismatch, &mismatch("lengths"));
    refused(new(&POLICY, &REFERENCE, &LENGTHS, &REWARDS[..2]), LengthMismatch, &mismatch("rewards"));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let list = [0.0, -1.0, bad];
        let text = |name: &str| format!("{name}[2] = {bad} is not a finite number");
        refused(new(&list, &REFERENCE, &LENGTHS, &REWARDS), NonFinite, &text("policy"));
        refused(new(&POLICY, &list, &LENGTHS, &REWARDS), NonFinite, &text("reference"));
        refused(new(&POLICY, &REFERENCE, &LENGTHS, &list), NonFinite, &text("rewards"));
    }
    let text = "lengths[1] = 0: a response has at least 1 token";
    refused(new(&POLICY, &REFERENCE, &[1, 0, 1], &REWARDS), ZeroLength, text);
}

#[test]
fn samples() {
    use ErrorKind::*;
    for index in [0, 3, usize::MAX] {
        let text = format!("sample {index} is not one of the negatives among 3 responses");
        refused(row().with_sample(index), SampleNotNegative, &text);
    }
    refused(
        row().with_sample_from(1, 0),
        NoNegatives,
        "none of the 3 responses is left as a negative: all tie with the highest reward",
    );
    refused(
        evaluate(&loss("dpo-hps"), &row()),
        SampleMissing,
        "the loss compares with sampled negatives, but none are named",
    );
    let sampled = row().with_sample(1).unwrap();
    for name in ["dpo-bt", "dpo-pl", "dpo-hps-full"] {
        assert_eq!(evaluate(&loss(name), &sampled).unwrap_err().kind(), Unsupported, "{name}");
    }

    let tied = Responses::new(&POLICY)
        .and_then(|row| row.with_reference(&REFERENCE)?.with_lengths(&LENGTHS)?.with_rewards(&[1.0, 1.0, 0.0]))
        .unwrap();
    let masking = loss("dpo-hps").with_tie_policy(TiePolicy::MaskMax).unwrap();
    let text = "sample 1 is not one of the negatives among 3 responses";
    refused(evaluate(&masking, &tied.with_sample(1).unwrap()), SampleNotNegative, text);
    assert!(evaluate(&masking, &tied.with_sample(2).unwrap()).is_ok());
    // Whoever drew from a longer list has applied the tie policy there.
    assert!(evaluate(&masking, &tied.with_sample_from(1, 9).unwrap()).is_ok());
}

#[test]
fn no_negatives_left() {
    let rewards = [2.0; 3];
    let tied = Responses::new(&POLICY)
        .and_then(|row| row.with_reference(&REFERENCE)?.with_lengths(&LENGTHS)?.with_rewards(&rewards))
        .unwrap();
    let masking = loss("dpo-hps-full").with_tie_policy(TiePolicy::MaskMax).unwrap();
    assert_eq!(evaluate(&masking, &tied).unwrap_err().kind(), ErrorKind::NoNegatives);
    let draw = NegativeSampler::new(1).draw(&rewards, 0.0, TiePolicy::MaskMax, Position::default());
    assert_eq!(draw.unwrap_err().kind(), ErrorKind::NoNegatives);
    assert!(evaluate(&loss("dpo-hps-full"), &tied).is_ok());
}

#[test]
fn hyperparameters() {
    use ErrorKind::*;
    for beta in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        refused(loss("dpo-bt").with_beta(beta), BadHyper, &format!("beta = {beta} is outside (0, inf)"));
    }
    for smoothing in [-0.1, 0.5, f64::NAN] {
        let text = format!("label_smoothing = {smoothing} is outside [0, 0.5)");
        refused(loss("dpo-bt").with_label_smoothing(smoothing), BadHyper, &text);
    }
    refused(loss("dpo-bt").with_margin(f64::INFINITY), BadHyper, "margin = inf is outside (-inf, inf)");
    refused(loss("dpo-hps").with_gamma(f64::NAN), BadHyper, "gamma = NaN is outside [-inf, inf]");
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let text = format!("negative scale = {scale} is outside (0, inf)");
        refused(loss("dpo-hps").with_negative_scale(NegativeScale::Custom(scale)), BadHyper, &text);
    }
    let mut hps = Hps::full();
    hps.gamma = f64::NAN;
    let built = Loss::new(Reward::Dpo { beta: 0.1 }, Pair::LOGISTIC, Preference::Hps(hps));
    assert_eq!(built.unwrap_err().kind(), BadHyper);
    assert!(loss("dpo-hps").with_gamma(f64::NEG_INFINITY).is_ok());
}

#[test]
fn combinations() {
    use ErrorKind::*;
    let text = "unsupported: label smoothing is not defined for plackett-luce";
    refused(loss("dpo-pl").with_label_smoothing(0.1), Unsupported, text);
    let text = "unsupported: only hps weighs its negatives";
    refused(loss("dpo-pl").with_gamma(1.0), Unsupported, text);
    refused(loss("dpo-bt").with_negative_scale(NegativeScale::Unit), Unsupported, text);
    refused(loss("dpo-bt").with_tie_policy(TiePolicy::Keep), Unsupported, text);
}

#[test]
fn buffers() {
    use ErrorKind::*;
    let loss = loss("dpo-hps-full");
    let short = loss.value_and_gradient(&row(), &mut [0.0; 11], &mut [0.0; 3]);
    refused(short, ScratchTooSmall, "scratch holds 11 numbers, 12 are needed");
    let gradient = loss.value_and_gradient(&row(), &mut [0.0; 12], &mut [0.0; 4]);
    refused(gradient, LengthMismatch, "gradient: 4 entries given, 3 are needed");
    refused(loss.scores(&row(), &mut [0.0; 2]), LengthMismatch, "out: 2 entries given, 3 are needed");
    refused(loss.constants(&row(), &mut [0.0; 3]), LengthMismatch, "out: 3 entries given, 2 are needed");
    let free = log_weights(&REWARDS, 0.0, TiePolicy::Keep, &mut [0.0; 3]);
    refused(free, LengthMismatch, "out: 3 entries given, 2 are needed");
}

#[test]
fn columns() {
    use ErrorKind::*;
    let over = |name: &str, columns: &Columns<'_, f64>| loss(name).over(columns).map(|_| ());
    let list = [0.0_f64; 4];
    let few = Columns::new(&list[..1]);
    refused(over("dpo-bt", &few), TooFewResponses, "1 responses given, at least 2 are needed");
    let text = "constants: 0 entries given, 2 are needed";
    refused(over("dpo-hps-full", &Columns::new(&list[..3])), LengthMismatch, text);
    let text = "constants: 1 entries given, 0 are needed";
    refused(over("dpo-pl", &Columns::new(&list[..3]).with_constants(&list[..1])), LengthMismatch, text);
}

/// Four score columns and nothing else were once read as three and a likelihood, or as three draws.
#[test]
fn columns_under_another_name() {
    use ErrorKind::*;
    let over = |name: &str, columns: &Columns<'_, f64>| loss(name).over(columns).map(|_| ());
    let (list, other) = ([0.0_f64; 4], -2.0);
    for name in ["cpo-bt", "cpo-pl", "orpo-bt", "orpo-pl"] {
        refused(over(name, &Columns::new(&list)), InputMissing, "the loss reads `likelihood`, which is not given");
    }
    let text = "the loss reads `supervised`, which is not given";
    refused(over("slic", &Columns::new(&list)), InputMissing, text);
    let text = "unsupported: the loss has no likelihood term";
    refused(over("dpo-bt", &Columns::new(&list).with_likelihood(&other)), Unsupported, text);
    let text = "unsupported: only slic reads a supervised target";
    refused(over("dpo-bt", &Columns::new(&list).with_supervised(&other)), Unsupported, text);

    let whole = Columns::new(&list).with_constants(&list[..1]);
    let text = "the loss compares with sampled negatives, but none are named";
    for name in ["dpo-hps", "dpo-hps-multi", "cpo-hps"] {
        let columns = if name == "cpo-hps" { whole.with_likelihood(&other) } else { whole };
        refused(over(name, &columns), SampleMissing, text);
    }
    let text = "scores: 4 entries given, 3 are needed";
    refused(over("dpo-hps-multi", &whole.with_samples(2)), LengthMismatch, text);
    refused(over("dpo-hps", &whole.with_samples(3)), LengthMismatch, "samples: 3 entries given, 1 are needed");
    let text = "unsupported: the columns are of sampled negatives, the loss reads a list";
    refused(over("dpo-pl", &Columns::new(&list).with_samples(3)), Unsupported, text);
    assert!(over("dpo-hps-multi", &whole.with_samples(3)).is_ok());
}

#[test]
fn scores_that_overflow() {
    let policy = [-1e300, -2.0, -3.0];
    let row = Responses::new(&policy)
        .and_then(|row| row.with_reference(&REFERENCE)?.with_lengths(&LENGTHS)?.with_rewards(&REWARDS))
        .unwrap();
    let large = loss("dpo-bt").with_beta(1e10).unwrap();
    refused(evaluate(&large, &row), ErrorKind::NonFinite, "scores[0] = -inf is not a finite number");
}

#[test]
fn draws_and_metrics() {
    use ErrorKind::*;
    let sampler = NegativeSampler::new(1);
    let draw = |rewards: &[f64], gamma| sampler.draw(rewards, gamma, TiePolicy::Keep, Position::default());
    assert_eq!(draw(&[1.0], 0.0).unwrap_err().kind(), TooFewResponses);
    assert_eq!(draw(&[1.0, f64::NAN], 0.0).unwrap_err().kind(), NonFinite);
    assert_eq!(draw(&[1.0, 0.0], f64::NAN).unwrap_err().kind(), BadHyper);
    let row = Responses::new(&[-9.0; 2]).unwrap();
    type Metric = fn(&Responses<'_, f64>, &[f64]) -> Result<f64, hps_core::Error>;
    let with_rewards = row.with_lengths(&[3, 2]).unwrap().with_rewards(&[1.0, 0.0]).unwrap();
    let all: [Metric; 6] = [
        metrics::margin,
        metrics::length_controlled_margin,
        metrics::hardest_margin,
        metrics::ranks_first,
        metrics::kendall_tau,
        metrics::ndcg,
    ];
    for metric in all {
        assert_eq!(metric(&with_rewards, &[1.0]).unwrap_err().kind(), LengthMismatch);
        assert_eq!(metric(&with_rewards, &[1.0, f64::NAN]).unwrap_err().index(), Some(1));
    }
    for (metric, list) in [(all[1], "lengths"), (all[4], "rewards"), (all[5], "rewards")] {
        let error = metric(&row, &[1.0, 0.0]).unwrap_err();
        assert_eq!((error.kind(), error.list()), (InputMissing, Some(list)));
    }
    assert_eq!(metrics::log_ratios(&row, &mut [0.0; 2]).unwrap_err().list(), Some("reference"));
    for metric in [metrics::margin, metrics::hardest_margin] {
        assert_eq!(metric(&row, &[1e308, -1e308]).unwrap_err().kind(), NonFinite);
    }
    assert_eq!(metrics::ranks_first(&row, &[1e308, -1e308]), Ok(1.0));
    let far = Responses::new(&[1e308, 0.0]).unwrap().with_reference(&[-1e308, 0.0]).unwrap();
    assert_eq!(metrics::log_ratios(&far, &mut [0.0; 2]).unwrap_err().index(), Some(0));
    let error = metrics::ndcg(&row.with_rewards(&[1.0, -0.5]).unwrap(), &[1.0, 0.0]).unwrap_err();
    assert_eq!((error.kind(), error.index(), error.given()), (OutOfRange, Some(1), Some(-0.5)));
}
