//! One case of a reference file: the loss it names, the row it gives, and what should come out.
//!
//! Used by this crate's tests and by `examples/check_losses.rs`.

use hps_core::{
    Error, Hps, Lipo, LogBase, Loss, NegativeScale, NegativeSet, Pair, Preference, RankBy, RankWeights, Reduction,
    ResponseScale, Responses, Reward, Scalar, Slic, Supervised, TiePolicy, log_weights,
};
use serde_json::Value;

/// What a loss gives for one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub loss: f64,
    pub score: Vec<f64>,
    pub grad_score: Vec<f64>,
    pub grad_policy_logp: Vec<f64>,
    /// Indices and probabilities of the retained negatives, for losses that weigh them.
    pub negatives: Option<(Vec<usize>, Vec<f64>)>,
    pub rank: Option<Vec<usize>>,
    pub grad_supervised: Option<f64>,
}

/// Evaluates the case's loss, in `F`.
pub fn evaluate<F: Scalar>(case: &Value) -> Result<Outcome, Error> {
    let (inputs, hyper) = (&case["inputs"], &case["hyper"]);
    let narrow = |value: &Value| -> Vec<F> { numbers(value).into_iter().map(F::narrow).collect() };
    let loss = loss(case)?;
    let (policy, reference) = (narrow(&inputs["policy_logps"]), narrow(&inputs["ref_logps"]));
    let (lengths, rewards) = (lengths(&inputs["lengths"]), narrow(inputs.get("psi").unwrap_or(&inputs["r_est"])));
    let scales = inputs.get("kto_l").map(narrow);
    let samples = hyper.get("samples").map(indices);

    let mut row =
        Responses::new(&policy)?.with_reference(&reference)?.with_lengths(&lengths)?.with_rewards(&rewards)?;
    if let Some(sample) = hyper.get("sample") {
        row = row.with_sample(sample.as_u64().unwrap() as usize)?;
    }
    if let Some(samples) = &samples {
        row = row.with_samples(samples)?;
    }
    if let Some(scales) = &scales {
        row = row.with_scales(scales)?;
    }
    if let Some(log_prob) = hyper.get("sft_logp") {
        row = row.with_supervised(F::narrow(number(log_prob)))?;
    }

    let count = row.count();
    let widen = |numbers: &[F]| numbers.iter().map(|number| number.widen()).collect::<Vec<f64>>();
    let mut scratch = vec![F::nan(); Loss::scratch_len(count)];
    let [mut score, mut grad_score, mut grad_policy_logp] = [(); 3].map(|()| vec![F::nan(); count]);
    loss.scores(&row, &mut score)?;
    let value = loss.value_and_score_gradient(&row, &mut scratch, &mut grad_score)?;
    let same_value = loss.value_and_gradient(&row, &mut scratch, &mut grad_policy_logp)?;
    assert_eq!(value, same_value);

    let negatives = match (loss.preference(), case["expect"].get("q")) {
        (Preference::Hps(hps), Some(_)) => {
            let mut log_q = vec![F::nan(); count - 1];
            let retained = log_weights(&rewards, hps.gamma, hps.ties, &mut log_q)?;
            let kept: Vec<usize> = (1..count).filter(|&index| hps.ties.retains(&rewards, index)).collect();
            assert_eq!(retained, kept.len());
            let q = kept.iter().map(|&index| log_q[index - 1].exp().widen()).collect();
            Some((kept, q))
        }
        _ => None,
    };
    let rank = match loss.preference() {
        Preference::Lipo(_) => {
            let mut constants = vec![F::nan(); loss.constant_count(count)];
            loss.constants(&row, &mut constants)?;
            // The discounts fall with the rank.
            let discounts = &constants[count..];
            let rank = |own: &F| 1 + discounts.iter().filter(|other| *other > own).count();
            Some(discounts.iter().map(rank).collect())
        }
        _ => None,
    };
    let grad_supervised =
        matches!(loss.preference(), Preference::Slic(_)).then(|| loss.supervised_gradient(&grad_policy_logp).widen());
    Ok(Outcome {
        loss: value.widen(),
        score: widen(&score),
        grad_score: widen(&grad_score),
        grad_policy_logp: widen(&grad_policy_logp),
        negatives,
        rank,
        grad_supervised,
    })
}

/// Compares with what the case expects: the kind of error where one is, else every number, each within
/// `absolute + relative · |expected|`. Says what differs.
pub fn check(case: &Value, outcome: &Result<Outcome, Error>, absolute: f64, relative: f64) -> Result<(), String> {
    let expect = &case["expect"];
    let outcome = match (outcome, expect.get("error")) {
        (Err(error), Some(kind)) if format!("{:?}", error.kind()) == kind.as_str().unwrap() => return Ok(()),
        (outcome, Some(kind)) => return Err(format!("{outcome:?}, expected {kind}")),
        (Err(error), None) => return Err(error.to_string()),
        (Ok(outcome), None) => outcome,
    };
    let close = |what: &str, given: &[f64], expected: Vec<f64>| {
        let near = |(given, expected): (&f64, &f64)| (given - expected).abs() <= absolute + relative * expected.abs();
        if given.len() == expected.len() && given.iter().zip(&expected).all(near) {
            return Ok(());
        }
        Err(format!("{what} {given:?}, expected {expected:?}"))
    };
    let same = |what: &str, given: Option<&Vec<usize>>| {
        let expected = expect.get(what).map(indices);
        if given == expected.as_ref() { Ok(()) } else { Err(format!("{what} {given:?}, expected {expected:?}")) }
    };
    close("loss", &[outcome.loss], vec![number(&expect["loss"])])?;
    close("score", &outcome.score, numbers(&expect["score"]))?;
    close("grad_score", &outcome.grad_score, numbers(&expect["grad_score"]))?;
    close("grad_policy_logp", &outcome.grad_policy_logp, numbers(&expect["grad_policy_logp"]))?;
    same("neg", outcome.negatives.as_ref().map(|(indices, _)| indices))?;
    if let Some((_, q)) = &outcome.negatives {
        close("q", q, numbers(&expect["q"]))?;
    }
    same("rank", outcome.rank.as_ref())?;
    let supervised: Vec<f64> = outcome.grad_supervised.into_iter().collect();
    close("grad_sft_logp", &supervised, expect.get("grad_sft_logp").map(number).into_iter().collect())
}

/// The loss the case names.
pub fn loss(case: &Value) -> Result<Loss, Error> {
    let hyper = &case["hyper"];
    let beta = || number(&hyper["beta"]);
    let or_zero = |key: &str| hyper.get(key).map_or(0.0, number);
    let logistic = || Pair::Logistic { label_smoothing: or_zero("label_smoothing"), margin: or_zero("margin") };
    let exo = || Pair::Exo { label_smoothing: or_zero("exo_eps") };
    let reduction = |key: &str| match hyper[key].as_str() {
        Some("sum") => Reduction::Sum,
        Some("mean" | "mean_pairs") => Reduction::Mean,
        other => panic!("reduction {other:?}"),
    };
    let temperature = || Preference::RewardTargets { temperature: number(&hyper["r_temp"]) };

    let (reward, pair) = match case["param"].as_str().unwrap() {
        "dpo" => (Reward::Dpo { beta: beta() }, logistic()),
        "kto" if case["inputs"].get("kto_l").is_none() => {
            (Reward::Kto { scale: ResponseScale::Constant(beta()) }, logistic())
        }
        "kto" => (Reward::Kto { scale: ResponseScale::FromRow }, logistic()),
        "simpo" => (Reward::SimPo { beta: beta() }, logistic()),
        "rdpo" => (Reward::RDpo { beta: beta(), alpha: number(&hyper["alpha_len"]) }, logistic()),
        "exo" => (Reward::Dpo { beta: beta() }, exo()),
        // InfoNCA is the cross-entropy: the logistic pair against soft targets.
        "nca" if case["model"] == "infonca_k" => (Reward::Dpo { beta: beta() }, Pair::LOGISTIC),
        "nca" => (Reward::Dpo { beta: beta() }, Pair::Nca),
        "ipo" => (Reward::LogRatio { per_token: hyper["ipo_len"] == "mean" }, Pair::Ipo { beta: beta() }),
        "sppo" => {
            let pair = Pair::Sppo { beta: beta(), reduction: reduction("sppo_reduction") };
            (Reward::LogRatio { per_token: false }, pair)
        }
        "slic" => (Reward::LogProb, Pair::Hinge { margin: number(&hyper["delta"]) }),
        "hinge" => (Reward::Dpo { beta: beta() }, Pair::Hinge { margin: 1.0 }),
        "lipo" => (Reward::Dpo { beta: beta() }, Pair::LOGISTIC),
        other => panic!("reward {other}"),
    };
    let preference = match (case["model"].as_str().unwrap(), case["param"].as_str().unwrap()) {
        ("bt", _) | ("baseline", "hinge") => Preference::BradleyTerry,
        ("top1", _) => Preference::Top { choices: 1 },
        ("pl", "sppo") if hyper["sppo_target"] == "soft_bt" => Preference::WinRates,
        ("pl", _) => Preference::PlackettLuce,
        ("hps_full", _) => hps(Hps::full(), hyper),
        ("hps_single", _) => hps(Hps::single(), hyper),
        ("hps_multi", _) => hps(Hps::multi(), hyper),
        ("hps_expected", _) => hps(Hps::expected(), hyper),
        ("hps_weighted", _) => {
            let negatives = match hyper["negative_set"].as_str() {
                Some("next_ranks") => NegativeSet::NextRanks,
                Some("non_preferred") => NegativeSet::NonPreferred,
                other => panic!("negative set {other:?}"),
            };
            hps(Hps::weighted(RankWeights::new(&numbers(&hyper["lambdas"]))?, negatives), hyper)
        }
        ("exo_rw" | "nca_k" | "infonca_k", _) => temperature(),
        ("baseline", "slic") => {
            let placement = match hyper["regularizer"].as_str() {
                Some("outside") => Supervised::Outside,
                Some("inside_max") => Supervised::Inside,
                other => panic!("regularizer {other:?}"),
            };
            Preference::Slic(Slic { weight: number(&hyper["lambda"]), placement })
        }
        ("baseline", "lipo") => {
            let ranks = if hyper["rank_by"] == "model" { RankBy::Scores } else { RankBy::Rewards };
            let log_base = if hyper["log_base"] == "2" { LogBase::Two } else { LogBase::Natural };
            Preference::Lipo(Lipo { log_base, ranks, reduction: reduction("reduction") })
        }
        other => panic!("model {other:?}"),
    };
    Loss::new(reward, pair, preference)
}

fn hps(mut hps: Hps, hyper: &Value) -> Preference {
    hps.gamma = number(&hyper["gamma"]);
    hps.scale = match &hyper["scale"] {
        Value::String(name) if name == "unit" => NegativeScale::Unit,
        Value::String(name) if name == "count" => NegativeScale::Count,
        Value::Null => hps.scale,
        custom => NegativeScale::Custom(number(&custom["custom"])),
    };
    hps.ties = match hyper["tie_policy"].as_str() {
        Some("keep") | None => TiePolicy::Keep,
        Some("mask_max") => TiePolicy::MaskMax,
        other => panic!("tie policy {other:?}"),
    };
    Preference::Hps(hps)
}

/// JSON has no words for NaN and the infinities; the files write them as strings.
pub fn number(value: &Value) -> f64 {
    match value {
        Value::String(name) => name.parse().unwrap(),
        other => other.as_f64().unwrap(),
    }
}

pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|index| index.as_u64().unwrap() as usize).collect()
}

pub fn lengths(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|length| length.as_u64().unwrap() as u32).collect()
}
