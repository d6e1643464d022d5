//! Reference values, computed independently with 60 digits: every case of the file.

mod case;

use case::{check, evaluate, lengths, number, numbers};
use hps_core::{GammaSchedule, Responses, TiePolicy, draw_with_uniform, log_weights, metrics};
use serde_json::Value;

/// The file's own: 60-digit values rounded to f64, against f64 arithmetic.
const ABSOLUTE: f64 = 1e-12;
const RELATIVE: f64 = 1e-9;

/// f32 against f64 on the same f32 inputs, as a share of `1 + |value|`: exponents and scores up to 50 in these cases
/// with 6e-8 each, 3e-6, a few of them per number.
const F32: f64 = 1e-5;

#[test]
fn every_case() {
    let file = reference();
    let (mut values, mut refusals) = (0, 0);
    for case in file["cases"].as_array().unwrap() {
        if let Err(text) = check(case, &evaluate::<f64>(case), ABSOLUTE, RELATIVE) {
            panic!("{}: {text}", case["id"]);
        }
        if case["expect"].get("error").is_some() { refusals += 1 } else { values += 1 }
    }
    assert_eq!((values, refusals), (70, 4), "cases run: with values, refused");
}

#[test]
fn every_case_in_f32() {
    let file = reference();
    let mut worst = 0.0_f64;
    for case in file["cases"].as_array().unwrap() {
        let (id, case) = (&case["id"], rounded(case));
        match (evaluate::<f32>(&case), evaluate::<f64>(&case)) {
            (Ok(narrow), Ok(wide)) => {
                assert_eq!(narrow.rank, wide.rank, "{id}");
                let narrow_numbers = [&narrow.grad_score, &narrow.score, &narrow.grad_policy_logp];
                let wide_numbers = [&wide.grad_score, &wide.score, &wide.grad_policy_logp];
                let pairs = narrow_numbers.into_iter().flatten().zip(wide_numbers.into_iter().flatten());
                for (given, expected) in pairs.chain([(&narrow.loss, &wide.loss)]) {
                    let error = (given - expected).abs() / (1.0 + expected.abs());
                    assert!(error <= F32, "{id}: {given}, expected {expected}");
                    worst = worst.max(error);
                }
            }
            (narrow, wide) => assert_eq!(narrow.unwrap_err().kind(), wide.unwrap_err().kind(), "{id}"),
        }
    }
    println!("worst {worst:e}");
}

/// The case with every input rounded to f32.
fn rounded(case: &Value) -> Value {
    fn round(value: &mut Value) {
        match value {
            Value::Number(number) if number.is_f64() => *value = f64::from(number.as_f64().unwrap() as f32).into(),
            Value::Array(entries) => entries.iter_mut().for_each(round),
            Value::Object(entries) => entries.values_mut().for_each(round),
            _ => {}
        }
    }
    let mut case = case.clone();
    round(&mut case["inputs"]);
    case
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
        let row = Responses::new(&policy)
            .and_then(|row| row.with_reference(&reference)?.with_lengths(&lengths)?.with_rewards(&[1.0, 0.0]))
            .unwrap();
        let mut gains = [0.0; 2];
        metrics::log_ratios(&row, &mut gains).unwrap();
        assert_close("rm_dpo", &[metrics::margin(&row, &gains).unwrap()], &[number(&case["rm_dpo"])]);
        let controlled = metrics::length_controlled_margin(&row, &gains).unwrap();
        assert_close("rm_rdpo", &[controlled], &[number(&case["rm_rdpo"])]);
    }
}

fn reference() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/losses.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn assert_close(what: &str, given: &[f64], expected: &[f64]) {
    assert_eq!(given.len(), expected.len(), "{what}: count");
    for (index, (given, expected)) in given.iter().zip(expected).enumerate() {
        let tolerance = ABSOLUTE + RELATIVE * expected.abs();
        assert!((given - expected).abs() <= tolerance, "{what} {index}: {given}, expected {expected}");
    }
}
