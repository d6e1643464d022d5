//! Gradients under dropout, against finite differences of the forward of the same step, whose masks are the same.

use crate::adapter::{StoredAdapter, on_all_projections, words};
use crate::evaluation::{Evaluation, norm};
use crate::groups::{coefficients, of_responses};
use crate::policy::with_adapter;
use crate::tolerance::SLOPE;
use candle_core::Tensor;
use hps_llama::backend::Backend;
use hps_llama::backend::cpu::Cpu;
use hps_llama::model::{Activations, Batch, Policy};
use hps_llama::pack::{Group, Packed};
use std::collections::BTreeMap;

const MODEL: &str = "tiny";
const STEP: u64 = 7;
/// How far a matrix moves: so far that the value changes by as many nats, to first order.
const CHANGE: f64 = 0.0625;

/// An adapter that drops three entries in ten, at a place where its gradients are known.
struct Place {
    adapter: StoredAdapter,
    policy: Policy<Cpu>,
    batch: Batch<Cpu>,
    coefficients: Vec<f32>,
}

impl Place {
    fn new() -> (Place, BTreeMap<String, Vec<f64>>) {
        let adapter = StoredAdapter::trained(MODEL, on_all_projections(0.3), 31);
        let policy = with_adapter(Cpu, &adapter);
        let groups = [of_responses(MODEL, 2)];
        let packed = Packed::shared(&groups);
        let coefficients = coefficients(&groups);
        let gradients = Evaluation::of(&policy, &packed, &coefficients, STEP).gradients;
        let batch = policy.model.batch(&packed).expect("a batch");
        (Place { adapter, policy, batch, coefficients }, gradients)
    }

    /// `Σ_t c_t log p_t` with one matrix moved by `distance · direction`.
    fn value(&mut self, name: &str, direction: &[f64], distance: f64) -> f64 {
        let mut matrices = self.adapter.matrices.clone();
        let matrix = &matrices[name];
        let numbers: Vec<f32> = matrix.flatten_all().and_then(|flat| flat.to_vec1()).expect("numbers");
        let moved = numbers.iter().zip(direction).map(|(number, d)| (f64::from(*number) + distance * d) as f32);
        let moved = Tensor::from_vec(moved.collect(), matrix.shape(), matrix.device()).expect("as many numbers");
        matrices.insert(name.to_owned(), moved);
        self.adapter.write(&matrices);
        self.policy.adapter = Some(self.adapter.load(&Cpu));
        let log_probs = log_probs(&self.policy, &self.batch, STEP);
        log_probs.iter().zip(&self.coefficients).map(|(log_prob, c)| f64::from(*log_prob) * f64::from(*c)).sum()
    }

    /// The derivative along a direction by five points: its error is of the fourth order in the distance.
    fn slope(&mut self, name: &str, direction: &[f64], distance: f64) -> f64 {
        let mut difference = |distance| self.value(name, direction, distance) - self.value(name, direction, -distance);
        (8.0 * difference(distance) - difference(2.0 * distance)) / (12.0 * distance)
    }
}

fn log_probs(policy: &Policy<Cpu>, batch: &Batch<Cpu>, step: u64) -> Vec<f32> {
    let pass = policy.forward(batch, step, Activations::Keep).expect("a forward");
    Cpu.download(pass.log_probs()).expect("numbers")
}

/// Along its own gradient each matrix has the slope `‖g‖`; in random directions, `±1` an entry, `g` times the signs.
#[test]
fn gradients_are_slopes() {
    let (mut place, gradients) = Place::new();
    let mut worst = 0.0f64;
    for (stream, (name, gradient)) in (100..).zip(&gradients) {
        let norm = norm(gradient);
        let sign = |word: u32| if word.is_multiple_of(2) { 1.0 } else { -1.0 };
        let along: Vec<f64> = gradient.iter().map(|number| number / norm).collect();
        let signs: Vec<f64> = words(stream).map(sign).take(gradient.len()).collect();
        for direction in [along, signs] {
            let expected: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let slope = place.slope(name, &direction, CHANGE / norm);
            let error = (slope - expected).abs() / norm;
            worst = worst.max(error);
            assert!(error < SLOPE, "{name}: a slope of {slope}, not {expected}; the gradient's norm is {norm}");
        }
    }
    println!("slopes within {worst:.1e}");
}

/// Masks follow from the seed, the step and the data row alone.
#[test]
fn masks_change_with_the_step_and_the_row() {
    let adapter = StoredAdapter::trained(MODEL, on_all_projections(0.3), 31);
    let policy = with_adapter(Cpu, &adapter);
    let group = of_responses(MODEL, 2);
    let batch = |group: &Group| policy.model.batch(&Packed::shared(std::slice::from_ref(group))).expect("a batch");
    let (here, elsewhere) = (batch(&group), batch(&Group { row: group.row + 1, ..group }));

    let reference = log_probs(&policy, &here, STEP);
    assert_eq!(reference, log_probs(&policy, &here, STEP), "the same step drops the same entries");
    assert_ne!(reference, log_probs(&policy, &here, STEP + 1), "another step drops others");
    assert_ne!(reference, log_probs(&policy, &elsewhere, STEP), "another row drops others");
    let evaluated = Cpu.download(&policy.log_probs(&here).expect("log-probs")).expect("numbers");
    assert_ne!(reference, evaluated, "outside training nothing is dropped");
}
