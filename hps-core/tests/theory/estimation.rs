//! Theorem 1: what its constants and matrices do satisfy, and where its proof does not hold.

use crate::rows::{BOUND, Generator, SLACK, q, rows, sigmoid};
use hps_core::theory::{self, Reading, Setting};
use hps_core::{ErrorKind, Loss, NegativeScale, Responses};
use serde_json::Value;

#[test]
fn zeta_of_the_reference_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/losses.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = file["aux"]["zeta"].as_array().unwrap();
    assert!(cases.len() > 5);
    for case in cases {
        let (bound, negatives) = (case["alpha0"].as_f64().unwrap(), case["N"].as_u64().unwrap() as usize);
        for (given, name) in
            [(theory::zeta(bound, negatives), "paper"), (theory::least_slope(bound, negatives), "exact")]
        {
            let expected = case[name].as_f64().unwrap();
            assert!((given.unwrap() - expected).abs() <= 1e-15 + 1e-14 * expected, "{case}");
        }
    }
}

/// `zeta ≤ least_slope ≤ sigmoid′(g)` for every distribution, with equalities where the documentation says.
#[test]
fn the_slope_is_above_its_minimum() {
    for (scores, log_p) in rows() {
        let negatives = log_p.len();
        let lead = -(theory::objective_under(&scores, &log_p).unwrap() + (negatives as f64).ln());
        let slope = sigmoid(lead) * sigmoid(-lead);
        let (least, zeta) = (theory::least_slope(BOUND, negatives).unwrap(), theory::zeta(BOUND, negatives).unwrap());
        assert!(zeta <= least && least <= slope * (1.0 + SLACK), "{scores:?}");
        assert_eq!(zeta == least, negatives == 1);
        let mut extreme = vec![BOUND; negatives + 1];
        extreme[0] = -BOUND;
        let loss = theory::hardest_loss(&extreme).unwrap();
        let attained = (-loss).exp() * -(-loss).exp_m1();
        assert!((attained / least - 1.0).abs() < SLACK, "{attained} {least}");
    }
}

/// `[prompts, responses, parameters]`, each gradient of norm at most 1.
struct Data {
    responses: usize,
    parameters: usize,
    gradients: Vec<f64>,
}

impl Data {
    fn random(generator: &mut Generator) -> Data {
        let mut below = |limit: f64| (generator.uniform() * limit) as usize;
        let (prompts, responses, parameters) = (1 + below(5.0), 2 + below(6.0), 1 + below(4.0));
        let reach = 1.0 / (parameters as f64).sqrt();
        let count = prompts * responses * parameters;
        let gradients = (0..count).map(|_| reach * (2.0 * generator.uniform() - 1.0)).collect();
        Data { responses, parameters, gradients }
    }

    fn prompts(&self) -> impl Iterator<Item = Vec<&[f64]>> {
        self.gradients.chunks(self.responses * self.parameters).map(|prompt| prompt.chunks(self.parameters).collect())
    }

    fn covariance(&self) -> Vec<f64> {
        let mut out = vec![f64::NAN; self.parameters * self.parameters];
        theory::score_covariance(&self.gradients, self.responses, self.parameters, &mut out).unwrap();
        out
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// `vᵀ A v`.
fn quadratic(matrix: &[f64], vector: &[f64]) -> f64 {
    matrix.chunks(vector.len()).zip(vector).map(|(row, entry)| entry * dot(row, vector)).sum()
}

/// The mean over prompts and unordered pairs of `(zᵀv)²`; with it symmetry, `Σ_D ⪰ 0` and the trace bound.
#[test]
fn the_covariance_is_the_mean_over_pairs() {
    let mut generator = Generator(73);
    for _ in 0..200 {
        let data = Data::random(&mut generator);
        let covariance = data.covariance();
        let direction: Vec<f64> = (0..data.parameters).map(|_| generator.uniform() - 0.5).collect();
        let (mut sum, mut pairs) = (0.0, 0.0);
        for prompt in data.prompts() {
            for (index, left) in prompt.iter().enumerate() {
                for right in &prompt[index + 1..] {
                    sum += (dot(left, &direction) - dot(right, &direction)).powi(2);
                    pairs += 1.0;
                }
            }
        }
        assert!((quadratic(&covariance, &direction) - sum / pairs).abs() < SLACK);
        let trace: f64 = covariance.iter().step_by(data.parameters + 1).sum();
        assert!(trace <= 4.0 + SLACK);
        for row in 0..data.parameters {
            for column in 0..row {
                assert_eq!(covariance[row * data.parameters + column], covariance[column * data.parameters + row]);
            }
        }
    }
}

/// Plackett–Luce with scores linear in the parameters: `vᵀ H v` is a sum over choices of variances.
#[test]
fn plackett_luce_is_as_convex_as_corrected() {
    let mut generator = Generator(74);
    let mut tightest = f64::INFINITY;
    for _ in 0..400 {
        let data = Data::random(&mut generator);
        let bound = 0.5 * generator.uniform();
        let parameters: Vec<f64> = (0..data.parameters).map(|_| bound / (data.parameters as f64).sqrt()).collect();
        let direction: Vec<f64> = (0..data.parameters).map(|_| generator.uniform() - 0.5).collect();
        let (mut hessian, mut prompts) = (0.0, 0.0);
        for prompt in data.prompts() {
            for choice in 0..prompt.len() {
                let weights: Vec<f64> =
                    prompt[choice..].iter().map(|gradient| dot(gradient, &parameters).exp()).collect();
                let along: Vec<f64> = prompt[choice..].iter().map(|gradient| dot(gradient, &direction)).collect();
                let total: f64 = weights.iter().sum();
                let mean = dot(&weights, &along) / total;
                hessian += weights.iter().zip(&along).map(|(w, x)| w * (x - mean).powi(2)).sum::<f64>() / total;
            }
            prompts += 1.0;
        }
        let constant = theory::plackett_luce_convexity(bound, data.responses).unwrap();
        let floor = constant * quadratic(&data.covariance(), &direction);
        assert!(hessian / prompts >= floor - SLACK);
        tightest = tightest.min(hessian / prompts / floor);
    }
    assert!(tightest < 2.0, "{tightest}");
    // Two equal scores: the Hessian along z is 1/4, and e⁰/2 as printed would ask for 1/2.
    assert_eq!(theory::plackett_luce_convexity(0.0, 2).unwrap(), sigmoid(0.0) * sigmoid(-0.0));
}

/// The proof's `(1/m) Σ ∇g ∇gᵀ ⪰ Σ_D`: the negatives' mean gradient can equal the preferred one.
#[test]
fn the_mean_outer_product_is_not_above_the_covariance() {
    let gradients = [1.0, 0.0, 2.0];
    let lead_gradient = gradients[0] - 0.5 * (gradients[1] + gradients[2]);
    let mut covariance = [f64::NAN];
    theory::score_covariance(&gradients, 3, 1, &mut covariance).unwrap();
    assert_eq!((lead_gradient, covariance[0]), (0.0, 2.0));
}

/// `E ∇L` at the scores that generated the choices, for a population where `best` is first with probability
/// `softmax(r)_best`; of a loss that reads one drawn negative, over its draws as well.
fn population_gradient(loss: &Loss, truth: &[f64; 3], gamma: f64) -> [f64; 3] {
    let loss = loss.with_gamma(gamma).unwrap();
    let total: f64 = truth.iter().map(|reward| reward.exp()).sum();
    let mut sum = [0.0; 3];
    for best in 0..3 {
        let order = [best, (best + 1) % 3, (best + 2) % 3];
        let scores = order.map(|index| truth[index]);
        let drawn = q(&scores, gamma);
        let draws: Vec<(usize, f64)> = if loss.reads_sample() {
            drawn.iter().enumerate().map(|(index, log_q)| (index + 1, log_q.exp())).collect()
        } else {
            vec![(1, 1.0)]
        };
        for (negative, probability) in draws {
            let row = Responses::new(&scores)
                .and_then(|row| row.with_reference(&[0.0; 3])?.with_lengths(&[1; 3])?.with_rewards(&scores))
                .and_then(|row| if loss.reads_sample() { row.with_sample(negative) } else { Ok(row) })
                .unwrap();
            let mut gradient = [0.0; 3];
            loss.value_and_gradient(&row, &mut [0.0; 12], &mut gradient).unwrap();
            for (index, entry) in order.into_iter().zip(gradient) {
                sum[index] += truth[best].exp() / total * probability * entry;
            }
        }
    }
    sum
}

fn of_truth(name: &str, scale: NegativeScale) -> Loss {
    name.parse::<Loss>().unwrap().with_beta(1.0).unwrap().with_negative_scale(scale).unwrap()
}

/// The proof's `E[V] = 0` holds at `γ = 0` only: at other `γ` HPS is not Fisher-consistent.
#[test]
fn hps_estimates_the_truth_only_at_gamma_zero() {
    let full = of_truth("dpo-hps-full", NegativeScale::Count);
    let mut generator = Generator(75);
    for _ in 0..100 {
        let truth = [(); 3].map(|()| 4.0 * generator.uniform() - 2.0);
        assert!(population_gradient(&full, &truth, 0.0).iter().all(|entry| entry.abs() < SLACK));
    }
    let at_one = population_gradient(&full, &[1.0, 0.0, -1.0], 1.0);
    for (given, expected) in at_one.into_iter().zip([0.020527903912830187, 0.028997782743012655, -0.04952568665584288])
    {
        assert!((given - expected).abs() < SLACK);
    }
}

/// With one drawn negative at `γ = 0` it is scale 1 that is consistent: the chance that `i` is best and meets `j`, times the
/// slope `σ(s_j − s_i)`, is `e^{s_i + s_j} / (Z N (e^{s_i} + e^{s_j}))`, the same both ways round, so that what one choice adds
/// to a score another takes. Scale `N` weighs the two ways unequally; and no scale is consistent at other `γ`.
#[test]
fn a_drawn_negative_estimates_the_truth_at_scale_one_and_gamma_zero() {
    let unit = of_truth("dpo-hps", NegativeScale::Unit);
    let mut generator = Generator(77);
    for _ in 0..100 {
        let truth = [(); 3].map(|()| 4.0 * generator.uniform() - 2.0);
        assert!(population_gradient(&unit, &truth, 0.0).iter().all(|entry| entry.abs() < SLACK));
    }
    let apart = |loss: &Loss, gamma: f64, expected: [f64; 3]| {
        let given = population_gradient(loss, &[1.0, 0.0, -1.0], gamma);
        assert!(given.iter().zip(expected).all(|(given, expected)| (given - expected).abs() < SLACK), "{given:?}");
    };
    apart(
        &of_truth("dpo-hps", NegativeScale::Count),
        0.0,
        [-0.06632930950403529, 0.023792240682409628, 0.04253706882162564],
    );
    apart(&unit, 1.0, [0.06343511592991213, -0.016934409849486572, -0.04650070608042556]);
}

/// A whole ranking tells no less than its first choice: the variance of the Plackett–Luce score under its own
/// population is at least that of HPS at `γ = 0`, in every direction. So no bound makes HPS the better estimator.
#[test]
fn a_ranking_informs_at_least_as_much_as_its_first_choice() {
    let mut generator = Generator(76);
    let losses = ["dpo-pl", "dpo-hps-full"].map(|name| name.parse::<Loss>().unwrap().with_beta(1.0).unwrap());
    for _ in 0..100 {
        let truth = [(); 3].map(|()| 4.0 * generator.uniform() - 2.0);
        let direction = [(); 3].map(|()| generator.uniform() - 0.5);
        let mut information = [0.0; 2];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let (scores, along) = (order.map(|index| truth[index]), order.map(|index| direction[index]));
            let row = Responses::new(&scores)
                .and_then(|row| row.with_reference(&[0.0; 3])?.with_lengths(&[1; 3])?.with_rewards(&scores))
                .unwrap();
            let mut gradient = [0.0; 3];
            let mut slope = |loss: &Loss| {
                let value = loss.value_and_gradient(&row, &mut [0.0; 12], &mut gradient).unwrap();
                (value, dot(&gradient, &along))
            };
            let probability = (-slope(&losses[0]).0).exp();
            for (sum, loss) in information.iter_mut().zip(&losses) {
                *sum += probability * slope(loss).1.powi(2);
            }
        }
        let [ranking, first_choice] = information;
        assert!(ranking >= first_choice - SLACK && first_choice > 0.0, "{information:?}");
    }
}

fn setting() -> Setting {
    Setting {
        score_bound: 0.5,
        gradient_bound: 1.0,
        hessian_bound: 0.1,
        responses: 4,
        prompts: 10_000,
        parameters: 16,
        failure_probability: 0.05,
    }
}

#[test]
fn psi_follows_its_formulas() {
    let setting = setting();
    let zeta = theory::zeta(0.5, 3).unwrap();
    let first = (16.0 - 0.05_f64.ln()) / (1e4 * zeta * zeta);
    let second = (16.0 * zeta - 0.4) / (1e4 * zeta);
    let close = |given: Result<f64, _>, expected: f64| assert!((given.unwrap() / expected - 1.0).abs() < SLACK);
    close(setting.psi_1(1.5, Reading::MainText), 1.5 * first.sqrt() - second);
    close(setting.psi_1(1.5, Reading::Appendix), 1.5 * (first - second).sqrt());
    close(setting.psi_2(2.0), 2.0 * (256.0 * 4.0_f64.exp() * (16.0 - 0.05_f64.ln()) / 1e4).sqrt());
    // With no curvature to subtract, a hundred times the prompts are a tenth of the bound.
    let flat = Setting { gradient_bound: 0.0, hessian_bound: 0.0, ..setting };
    let many = Setting { prompts: 1_000_000, ..flat };
    for reading in [Reading::MainText, Reading::Appendix] {
        close(many.psi_1(1.0, reading), flat.psi_1(1.0, reading).unwrap() / 10.0);
    }
}

#[test]
fn what_is_out_of_range_is_refused() {
    let kind = |outcome: Result<f64, hps_core::Error>| outcome.unwrap_err().kind();
    let steep = Setting { gradient_bound: 1e3, ..setting() };
    assert!(steep.psi_1(1.0, Reading::MainText).unwrap() < 0.0);
    assert_eq!(kind(steep.psi_1(1.0, Reading::Appendix)), ErrorKind::BadHyper);
    for wrong in [
        Setting { failure_probability: 0.0, ..setting() },
        Setting { failure_probability: f64::NAN, ..setting() },
        Setting { prompts: 0, ..setting() },
        Setting { parameters: 0, ..setting() },
        Setting { score_bound: -1.0, ..setting() },
        Setting { hessian_bound: f64::INFINITY, ..setting() },
    ] {
        assert_eq!(kind(wrong.psi_1(1.0, Reading::MainText)), ErrorKind::BadHyper);
        assert_eq!(kind(wrong.psi_2(1.0)), ErrorKind::BadHyper);
    }
    assert_eq!(kind(Setting { responses: 1, ..setting() }.psi_2(1.0)), ErrorKind::TooFewResponses);
    assert_eq!(kind(theory::zeta(1.0, 0)), ErrorKind::NoNegatives);
    assert_eq!(kind(theory::plackett_luce_convexity(1.0, 1)), ErrorKind::TooFewResponses);
    let scores = [1.0, 0.0, -1.0];
    assert_eq!(kind(theory::loss_under(&scores, &[0.5, 0.5])), ErrorKind::BadHyper);
    assert_eq!(kind(theory::loss_under(&scores, &[0.0])), ErrorKind::LengthMismatch);
    assert_eq!(kind(theory::hardest_loss(&scores[..1])), ErrorKind::TooFewResponses);
    assert_eq!(kind(theory::hardest_objective(&[0.0, f64::NAN])), ErrorKind::NonFinite);
    assert_eq!(kind(theory::gap_bound(&scores, -1.0)), ErrorKind::BadHyper);
    assert_eq!(kind(theory::gap_bound(&scores, f64::NAN)), ErrorKind::BadHyper);
    assert_eq!(kind(theory::tolerance_bound(&scores, 1.0, -1.0)), ErrorKind::BadHyper);
    assert_eq!(kind(theory::infinite_gamma_loss(&scores, &[1.0, 2.0])), ErrorKind::LengthMismatch);
    for (given, parameters, room) in [(5, 1, 1), (0, 1, 1), (6, 2, 3)] {
        let outcome = theory::score_covariance(&vec![0.0; given], 3, parameters, &mut vec![0.0; room]);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::LengthMismatch);
    }
}
