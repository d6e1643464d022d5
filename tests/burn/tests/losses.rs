//! Every loss under burn's autodiff against the closed form of its kernel.

use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use burn_tensor::backend::AutodiffBackend;
use burn_tensor::{Element, Int, Tensor, TensorData};
use hps_core::{Batch, Columns, Loss, Scalar};
use hps_core_under_burn::Column;

const PROMPTS: usize = 4;
const RESPONSES: usize = 4;

/// Relative to 1 or the largest number of a prompt, value or derivative: some losses are differences of large ones.
const F64: f64 = 1e-12;
const F32: f64 = 1e-5;

/// Four prompts: policy and reference agree (all ties), they differ, a reward at the mean and two of one size, far apart.
const POLICY: [f64; PROMPTS * RESPONSES] = [
    -9.0, -9.0, -9.0, -9.0, //
    -12.5, -8.25, -20.0, -7.75, //
    -3.5, -4.0, -4.0, -6.0, //
    -60.0, -15.5, -90.0, -2.25,
];
const REFERENCE: [f64; PROMPTS * RESPONSES] = [
    -9.0, -9.0, -9.0, -9.0, //
    -14.0, -8.0, -18.5, -9.0, //
    -3.5, -4.5, -4.0, -5.0, //
    -20.0, -30.0, -40.0, -10.0,
];
const LENGTHS: [u32; PROMPTS * RESPONSES] = [4, 4, 4, 4, 6, 3, 9, 5, 2, 3, 3, 7, 30, 10, 40, 2];
const REWARDS: [f64; PROMPTS * RESPONSES] = [
    1.0, 0.5, 0.25, 0.0, //
    2.0, 1.5, -0.5, 1.0, //
    1.5, 0.75, 0.75, 0.0, //
    3.0, 1.0, 2.0, -4.0,
];
const SAMPLES: [usize; 2 * PROMPTS] = [2, 3, 1, 1, 3, 2, 2, 1];
const SUPERVISED: [f64; PROMPTS] = [-20.0, -11.5, -7.0, -30.25];

/// The lists in the type that is computed in.
struct Lists<F> {
    policy: Vec<F>,
    reference: Vec<F>,
    rewards: Vec<F>,
    supervised: Vec<F>,
}

impl<F: Scalar> Lists<F> {
    fn new() -> Lists<F> {
        let narrow = |list: &[f64]| list.iter().map(|&number| F::narrow(number)).collect();
        Lists {
            policy: narrow(&POLICY),
            reference: narrow(&REFERENCE),
            rewards: narrow(&REWARDS),
            supervised: narrow(&SUPERVISED),
        }
    }

    fn batch(&self, loss: &Loss) -> Result<Batch<'_, F>, hps_core::Error> {
        let batch = Batch::new(RESPONSES, &self.policy)?.with_reference(&self.reference)?.with_lengths(&LENGTHS)?;
        let batch = batch.with_rewards(&self.rewards)?;
        match (loss.reads_sample(), loss.reads_samples(), loss.reads_supervised()) {
            (true, _, _) => batch.with_samples(&SAMPLES[..PROMPTS], None),
            (_, true, _) => batch.with_samples(&SAMPLES, None),
            (_, _, true) => batch.with_supervised(&self.supervised),
            _ => Ok(batch),
        }
    }
}

/// Of every prompt: the value, the gradient by its log-probabilities, and by its supervised target's.
struct Outcome<F> {
    values: Vec<F>,
    gradient: Vec<F>,
    supervised: Vec<F>,
}

fn under_burn<B, F>(loss: &Loss, lists: &Lists<F>) -> Result<Outcome<F>, hps_core::Error>
where
    B: AutodiffBackend<FloatElem = F>,
    F: Scalar + Element,
{
    let batch = lists.batch(loss)?;
    let device = B::Device::default();
    let column = |numbers: &[F]| Tensor::<B, 1>::from_data(numbers, (&device, F::dtype()));
    let columns = |numbers: &[F]| Column::constants(numbers, PROMPTS, &device);

    let count = loss.column_count(&batch)?;
    let mut places = vec![0; count * PROMPTS];
    loss.batch_places(&batch, &mut places)?;
    let (mut slopes, mut origins) = (vec![F::zero(); places.len()], vec![F::zero(); places.len()]);
    loss.batch_score_constants(&batch, &mut slopes, &mut origins)?;
    let mut constants = vec![F::zero(); loss.constant_count(RESPONSES) * PROMPTS];
    loss.batch_constants(&batch, &mut vec![F::zero(); loss.constant_count(RESPONSES)], &mut constants)?;

    let (policy, supervised) = (column(&lists.policy).require_grad(), column(&lists.supervised).require_grad());
    let places = Tensor::<B, 1, Int>::from_data(TensorData::from(&places[..]).convert::<i64>(), &device);
    let log_probs = Column::split(policy.clone().select(0, places).reshape([count, PROMPTS]));
    let lines = columns(&slopes).into_iter().zip(columns(&origins));
    let scores = log_probs.iter().zip(lines).map(|(log_prob, (slope, origin))| {
        let Ok(score) = loss.score_over(log_prob, &slope, &origin);
        score
    });
    let (scores, constants) = (scores.collect::<Vec<_>>(), columns(&constants));
    let lengths: Vec<F> = LENGTHS.iter().step_by(RESPONSES).map(|&length| F::narrow(f64::from(length))).collect();
    let likelihood = Column(log_probs[0].0.clone() / column(&lengths));
    let target = Column(supervised.clone());

    let mut given = Columns::new(&scores).with_constants(&constants);
    if loss.reads_sample() || loss.reads_samples() {
        given = given.with_samples(count - 1);
    }
    if loss.likelihood() != 0.0 {
        given = given.with_likelihood(&likelihood);
    }
    if loss.reads_supervised() {
        given = given.with_supervised(&target);
    }
    let Ok(Column(values)) = loss.over(&given)?.value();
    let numbers = |tensor: TensorData| tensor.into_vec::<F>().expect("in the type that it was made in");
    let gradients = values.clone().sum().backward();
    let by = |leaf: &Tensor<B, 1>| leaf.grad(&gradients).map(|gradient| numbers(gradient.into_data()));
    Ok(Outcome {
        gradient: by(&policy).expect("every loss reads the policy"),
        supervised: by(&supervised).unwrap_or_else(|| vec![F::zero(); PROMPTS]),
        values: numbers(values.into_data()),
    })
}

fn from_kernels<F: Scalar>(loss: &Loss, lists: &Lists<F>) -> Result<Outcome<F>, hps_core::Error> {
    let (mut values, mut gradient) = (vec![F::nan(); PROMPTS], vec![F::nan(); PROMPTS * RESPONSES]);
    let mut scratch = [F::nan(); Loss::batch_scratch_len(RESPONSES)];
    loss.values_and_gradients(&lists.batch(loss)?, &mut scratch, &mut values, &mut gradient)?;
    let supervised = gradient.chunks(RESPONSES).map(|gradient| loss.supervised_gradient(gradient)).collect();
    Ok(Outcome { values, gradient, supervised })
}

fn expect_equal<B, F>(loss: &Loss, tolerance: f64)
where
    B: AutodiffBackend<FloatElem = F>,
    F: Scalar + Element,
{
    let lists = Lists::new();
    let given = under_burn::<B, F>(loss, &lists).unwrap_or_else(|error| panic!("{loss}: {error}"));
    let expected = from_kernels(loss, &lists).unwrap_or_else(|error| panic!("{loss}: {error}"));
    let of_prompt = |outcome: &Outcome<F>, prompt: usize| -> Vec<f64> {
        let gradient = &outcome.gradient[prompt * RESPONSES..(prompt + 1) * RESPONSES];
        let beside = [outcome.supervised[prompt], outcome.values[prompt]];
        gradient.iter().chain(&beside).map(|number| number.widen()).collect()
    };
    for prompt in 0..PROMPTS {
        let (given, expected) = (of_prompt(&given, prompt), of_prompt(&expected, prompt));
        let size = expected.iter().fold(1.0, |size: f64, number| size.max(number.abs()));
        for (given_number, expected_number) in given.iter().zip(&expected) {
            let close = (given_number - expected_number).abs() <= tolerance * size;
            assert!(close, "{loss:?} prompt {prompt}: {given:?}, not {expected:?}");
        }
    }
}

fn expect_equal_in_both(loss: &Loss) {
    expect_equal::<Autodiff<NdArray<f64>>, f64>(loss, F64);
    expect_equal::<Autodiff<NdArray<f32>>, f32>(loss, F32);
}

#[test]
fn every_loss_equals_its_kernel() {
    assert!(Loss::names().len() > 80);
    for name in Loss::names() {
        expect_equal_in_both(&name.parse().expect("a name"));
    }
}

/// Absent terms, `−∞`: by the formula through softplus both were NaN, value and gradient.
#[test]
fn absent_terms_are_no_nan() {
    expect_equal_in_both(&"dpo-swepo".parse().expect("a name"));
    for name in ["dpo-hps-full", "simpo-hps-full", "dpo-hps-weighted"] {
        let loss: Loss = name.parse().expect("a name");
        for gamma in [f64::INFINITY, f64::NEG_INFINITY] {
            expect_equal_in_both(&loss.with_gamma(gamma).expect("a limit"));
        }
    }
}
