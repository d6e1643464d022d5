//! Reference values, computed independently with 60 digits: every case of the losses that exist here.

use hps_core::{
    Error, GammaSchedule, Hps, HpsForm, Loss, NegativeScale, Pair, Preference, Responses, Reward, TiePolicy,
    draw_with_uniform, log_weights, metrics,
};
use serde_json::Value;

/// The file's own: 60-digit values rounded to f64, against f64 arithmetic.
const ABSOLUTE: f64 = 1e-12;
const RELATIVE: f64 = 1e-9;

#[test]
fn every_case_of_the_losses_that_exist() {
    let file = reference();
    let (mut values, mut refusals) = (0, 0);
    for case in file["cases"].as_array().unwrap() {
        let Some(preference) = preference(case) else { continue };
        let id = case["id"].as_str().unwrap();
        let outcome = evaluate(case, preference);
        match case["expect"].get("error") {
            Some(kind) => {
                assert_eq!(format!("{:?}", outcome.unwrap_err().kind()), kind.as_str().unwrap(), "{id}");
                refusals += 1;
            }
            None => {
                compare(id, &case["expect"], &outcome.unwrap_or_else(|error| panic!("{id}: {error}")));
                values += 1;
            }
        }
    }
    assert_eq!((values, refusals), (10, 3), "cases run: with values, refused");
}

#[derive(Debug)]
struct Outcome {
    loss: f64,
    score: Vec<f64>,
    grad_score: Vec<f64>,
    grad_policy_logp: Vec<f64>,
    /// Indices and probabilities of the retained negatives, for losses that weigh them.
    negatives: Option<(Vec<usize>, Vec<f64>)>,
}

fn preference(case: &Value) -> Option<Preference> {
    if case["param"] != "dpo" {
        return None;
    }
    let hps = |mut hps: Hps| {
        let hyper = &case["hyper"];
        hps.gamma = number(&hyper["gamma"]);
        hps.scale = match &hyper["scale"] {
            Value::String(name) if name == "unit" => NegativeScale::Unit,
            Value::String(name) if name == "count" => NegativeScale::Count,
            custom => NegativeScale::Custom(number(&custom["custom"])),
        };
        hps.ties = match hyper["tie_policy"].as_str() {
            Some("keep") => TiePolicy::Keep,
            Some("mask_max") => TiePolicy::MaskMax,
            other => panic!("tie policy {other:?}"),
        };
        Preference::Hps(hps)
    };
    match case["model"].as_str()? {
        "bt" => Some(Preference::BradleyTerry),
        "pl" => Some(Preference::PlackettLuce),
        "top1" => Some(Preference::Hps(Hps::full())),
        "hps_full" => Some(hps(Hps::full())),
        "hps_single" => Some(hps(Hps::single())),
        _ => None,
    }
}

fn evaluate(case: &Value, preference: Preference) -> Result<Outcome, Error> {
    let (inputs, hyper) = (&case["inputs"], &case["hyper"]);
    let pair = Pair::Logistic {
        label_smoothing: hyper.get("label_smoothing").map_or(0.0, number),
        margin: number(&hyper["margin"]),
    };
    let loss = Loss::new(Reward::Dpo { beta: number(&hyper["beta"]) }, pair, preference)?;
    let (policy, reference) = (numbers(&inputs["policy_logps"]), numbers(&inputs["ref_logps"]));
    let (lengths, rewards) = (lengths(&inputs["lengths"]), numbers(&inputs["r_est"]));
    let mut row = Responses::new(&policy, &reference, &lengths, &rewards)?;
    if let Some(sample) = hyper.get("sample") {
        row = row.with_sample(sample.as_u64().unwrap() as usize)?;
    }

    let count = row.count();
    let mut scratch = vec![f64::NAN; loss.scratch_len(count)];
    let [mut score, mut grad_score, mut grad_policy_logp] = [(); 3].map(|()| vec![f64::NAN; count]);
    loss.scores(&row, &mut score)?;
    let value = loss.value_and_score_gradient(&row, &mut scratch, &mut grad_score)?;
    let same_value = loss.value_and_gradient(&row, &mut scratch, &mut grad_policy_logp)?;
    assert_eq!(value, same_value);

    let negatives = match (preference, case["model"].as_str()) {
        (Preference::Hps(hps), Some("hps_full" | "hps_single")) => {
            let mut log_q = vec![f64::NAN; count - 1];
            let retained = log_weights(&rewards, hps.gamma, hps.ties, &mut log_q)?;
            let indices: Vec<usize> = (1..count).filter(|&index| hps.ties.retains(&rewards, index)).collect();
            assert_eq!(retained, indices.len());
            let q = indices.iter().map(|&index| log_q[index - 1].exp()).collect();
            assert!(matches!(hps.form, HpsForm::Full | HpsForm::Single));
            Some((indices, q))
        }
        _ => None,
    };
    Ok(Outcome { loss: value, score, grad_score, grad_policy_logp, negatives })
}

fn compare(id: &str, expect: &Value, outcome: &Outcome) {
    assert_close(&format!("{id} loss"), &[outcome.loss], &[number(&expect["loss"])]);
    assert_close(&format!("{id} score"), &outcome.score, &numbers(&expect["score"]));
    assert_close(&format!("{id} grad_score"), &outcome.grad_score, &numbers(&expect["grad_score"]));
    assert_close(&format!("{id} grad_policy_logp"), &outcome.grad_policy_logp, &numbers(&expect["grad_policy_logp"]));
    assert_eq!(outcome.negatives.is_some(), expect.get("q").is_some(), "{id}");
    if let Some((indices, q)) = &outcome.negatives {
        let expected: Vec<usize> =
            expect["neg"].as_array().unwrap().iter().map(|index| index.as_u64().unwrap() as usize).collect();
        assert_eq!(indices, &expected, "{id} neg");
        assert_close(&format!("{id} q"), q, &numbers(&expect["q"]));
    }
}

#[test]
fn uniform_draws() {
    let file = reference();
    let mut draws = 0;
    for case in file["aux"]["sampler"].as_array().unwrap() {
        // The preferred response takes no part; any reward will do.
        let rewards: Vec<f64> = std::iter::once(0.0).chain(numbers(&case["r_neg"])).collect();
        let mut q = vec![f64::NAN; rewards.len() - 1];
        log_weights(&rewards, number(&case["gamma"]), TiePolicy::Keep, &mut q).unwrap();
        q.iter_mut().for_each(|entry| *entry = entry.exp());
        assert_close("q", &q, &numbers(&case["q"]));
        for (&uniform, index) in numbers(&case["u"]).iter().zip(case["index"].as_array().unwrap()) {
            assert_eq!(draw_with_uniform(&q, uniform), Some(index.as_u64().unwrap() as usize));
            draws += 1;
        }
    }
    assert_eq!(draws, 40);
}

#[test]
fn gamma_schedules() {
    let file = reference();
    let mut steps = 0;
    for case in file["aux"]["gamma_schedule"].as_array().unwrap() {
        let kind = case["kind"].as_str().unwrap();
        let schedule: GammaSchedule = kind.replace('_', "-").parse().unwrap();
        let count = case["num_samples"].as_u64().unwrap() as usize;
        let expected = numbers(&case["gamma"]);
        for (index, &gamma) in case["index"].as_array().unwrap().iter().zip(&expected) {
            let index = index.as_u64().unwrap() as usize;
            assert_close(&format!("{kind} {index}/{count}"), &[schedule.at(index, count)], &[gamma]);
            steps += 1;
        }
    }
    assert_eq!(steps, 108);
}

#[test]
fn reward_margins() {
    let file = reference();
    let cases = file["aux"]["reward_margin"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let (policy, reference) = (numbers(&case["policy_logps"]), numbers(&case["ref_logps"]));
        let lengths = lengths(&case["lengths"]);
        let row = Responses::new(&policy, &reference, &lengths, &[1.0, 0.0]).unwrap();
        assert_close("rm_dpo", &[metrics::reward_margin(&row)], &[number(&case["rm_dpo"])]);
        assert_close("rm_rdpo", &[metrics::length_controlled_margin(&row)], &[number(&case["rm_rdpo"])]);
    }
}

fn reference() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/losses.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// JSON has no words for NaN and the infinities; the file writes them as strings.
fn number(value: &Value) -> f64 {
    match value {
        Value::String(name) => name.parse().unwrap(),
        other => other.as_f64().unwrap(),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn lengths(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|length| length.as_u64().unwrap() as u32).collect()
}

fn assert_close(what: &str, given: &[f64], expected: &[f64]) {
    assert_eq!(given.len(), expected.len(), "{what}: count");
    for (index, (given, expected)) in given.iter().zip(expected).enumerate() {
        let tolerance = ABSOLUTE + RELATIVE * expected.abs();
        assert!((given - expected).abs() <= tolerance, "{what} {index}: {given}, expected {expected}");
    }
}
