//! Sample complexity (Theorem 1): `Ψ_1`, `Ψ_2` and the seminorm `Σ_D` in which they measure errors.

use super::curvature::zeta;
use super::{expect_bound, expect_responses};
use crate::error::{Cause, Error, expect_length};
use crate::numbers::{Scalar, lanes};

/// What Theorem 1 assumes, and the size of the data.
///
/// `Ψ_1` and `Ψ_2` are the paper's formulas, for tables that compare with its own. They are not proved bounds, and an
/// HPS error below a PL error does not follow from `Ψ_1 < Ψ_2`: two upper bounds do not order what they bound. Where
/// the proof of `Ψ_1` (Appendix B.1) does not hold:
///
/// * the cross term `8 α_1² ζ` has the wrong sign (Cauchy–Schwarz bounds it from below by `−8 α_1² ζ`, and with the
///   appendix's `|v·∇g| ≤ α_1` replaced by the correct `2α_1` by twice that);
/// * the mean over prompts of `−2α_2 I` is `−2α_2 I`, not `O(1/m)`;
/// * `(1/m) Σ ∇g ∇gᵀ ⪰ Σ_D` fails: one parameter, score gradients 1 (preferred), 0 and 2, equal weights give
///   `∇g = 0` and `Σ_D = 2`;
/// * the score at the truth has mean 0 only at `γ = 0`: for the full loss with scale `N`, for one drawn negative with
///   scale 1, where the chance that `i` is preferred to a drawn `j`, times the slope `σ(s_j − s_i)`, is the same both
///   ways round. Elsewhere HPS does not estimate the `r*` of a Plackett–Luce population. The population's gradient at
///   `r* = (1, 0, −1)` is `(0.0205, 0.0290, −0.0495)` for the full loss at `γ = 1`, `(−0.0663, 0.0238, 0.0425)` for one
///   negative with scale `N` at `γ = 0`, and `(0.0634, −0.0169, −0.0465)` for one with scale 1 at `γ = 1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// `α_0`, the bound on scores.
    pub score_bound: f64,
    /// `α_1`, the bound on the norm of a score's gradient by the parameters.
    pub gradient_bound: f64,
    /// `α_2`, the bound on the norm of a score's Hessian.
    pub hessian_bound: f64,
    /// `n`, responses to each prompt.
    pub responses: usize,
    /// `m`, prompts.
    pub prompts: usize,
    /// `d`, parameters.
    pub parameters: usize,
    /// `δ` in (0, 1): the bound may fail with this probability.
    pub failure_probability: f64,
}

/// Where the second term of `Ψ_1` stands; the paper has it in two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reading {
    /// After the root, as in Theorem 1.
    MainText,
    /// Under the root, as at the end of its proof in Appendix B.1.
    Appendix,
}

impl Setting {
    /// `Ψ_1 = C_1 √((d + ln 1/δ) / (m ζ²)) − (16 α_1² ζ − 4 α_2) / (m ζ)`; in the appendix the root spans both terms.
    ///
    /// * `constant`: `C_1`, which the paper leaves open.
    ///
    /// A negative number under the appendix's root is refused, which happens for few prompts.
    ///
    /// ```
    /// use hps_core::theory::{Reading, Setting};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let setting = Setting {
    ///     score_bound: 0.0,
    ///     gradient_bound: 0.5,
    ///     hessian_bound: 0.25,
    ///     responses: 2, // ζ = 1/4
    ///     prompts: 400,
    ///     parameters: 4,
    ///     failure_probability: (-5.0_f64).exp(),
    /// };
    /// // √(9 · 16 / 400) − (1 − 1) / 100
    /// assert!((setting.psi_1(1.0, Reading::MainText)? - 0.6).abs() < 1e-15);
    /// assert!((setting.psi_1(1.0, Reading::Appendix)? - 0.6).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn psi_1(&self, constant: f64, reading: Reading) -> Result<f64, Error> {
        expect_bound("constant", constant)?;
        let information = self.information()?;
        let zeta = zeta(self.score_bound, self.responses - 1)?;
        let prompts = self.prompts as f64;
        let first = information / (prompts * zeta * zeta);
        let second =
            (16.0 * self.gradient_bound * self.gradient_bound * zeta - 4.0 * self.hessian_bound) / (prompts * zeta);
        match reading {
            Reading::MainText => Ok(constant * libm::sqrt(first) - second),
            Reading::Appendix if first < second => Err(Cause::BadHyper {
                name: "the number under the root of psi_1",
                given: first - second,
                range: "[0, inf)",
            }
            .into()),
            Reading::Appendix => Ok(constant * libm::sqrt(first - second)),
        }
    }

    /// `Ψ_2 = C_2 √(n⁴ e^{8α_0} (d + ln 1/δ) / m)`.
    ///
    /// * `constant`: `C_2`. The correction in [`plackett_luce_convexity`](super::plackett_luce_convexity) at most
    ///   doubles it.
    ///
    /// ```
    /// # use hps_core::theory::Setting;
    /// # let setting = Setting {
    /// #     score_bound: 0.0,
    /// #     gradient_bound: 0.5,
    /// #     hessian_bound: 0.25,
    /// #     responses: 2,
    /// #     prompts: 400,
    /// #     parameters: 4,
    /// #     failure_probability: (-5.0_f64).exp(),
    /// # };
    /// // The setting above: √(16 · 9 / 400).
    /// assert!((setting.psi_2(1.0)? - 0.6).abs() < 1e-15);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn psi_2(&self, constant: f64) -> Result<f64, Error> {
        expect_bound("constant", constant)?;
        let information = self.information()?;
        let squared = (self.responses as f64) * (self.responses as f64);
        Ok(constant * squared * libm::exp(4.0 * self.score_bound) * libm::sqrt(information / self.prompts as f64))
    }

    /// `d + ln 1/δ`, after everything has been checked.
    fn information(&self) -> Result<f64, Error> {
        expect_bound("score bound", self.score_bound)?;
        expect_bound("gradient bound", self.gradient_bound)?;
        expect_bound("hessian bound", self.hessian_bound)?;
        expect_responses(self.responses)?;
        for (name, given) in [("prompts", self.prompts), ("parameters", self.parameters)] {
            if given == 0 {
                return Err(Cause::BadHyper { name, given: 0.0, range: "[1, inf)" }.into());
            }
        }
        let delta = self.failure_probability;
        if !(delta > 0.0 && delta < 1.0) {
            return Err(Cause::BadHyper { name: "failure probability", given: delta, range: "(0, 1)" }.into());
        }
        Ok(self.parameters as f64 - libm::log(delta))
    }
}

/// Writes `Σ_D = 2 / (m n (n − 1)) Σ_i Σ_{j<k} z zᵀ`, `z = ∇s_j − ∇s_k` of prompt `i` (Theorem 1).
///
/// * `gradients`: [prompts, responses, parameters], the scores' gradients by the parameters.
/// * `responses`: `n`, the same for every prompt.
/// * `parameters`: `d`.
/// * `out`: [parameters, parameters].
///
/// It is twice the mean over prompts of the sample covariance of a prompt's gradients, and is computed so, in
/// `O(m n d²)`. It is symmetric and positive semidefinite, with a trace of at most `4 α_1²`.
///
/// ```
/// let mut out = [0.0; 1];
/// hps_core::theory::score_covariance(&[1.0, 0.0, 2.0], 3, 1, &mut out)?;
/// assert_eq!(out, [2.0]);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn score_covariance<F: Scalar>(
    gradients: &[F],
    responses: usize,
    parameters: usize,
    out: &mut [F],
) -> Result<(), Error> {
    let count = F::narrow(expect_responses(responses)?);
    if parameters == 0 {
        return Err(Cause::BadHyper { name: "parameters", given: 0.0, range: "[1, inf)" }.into());
    }
    let block = responses.saturating_mul(parameters);
    let prompts = gradients.len() / block;
    if prompts == 0 || gradients.len() != prompts * block {
        let needed = block.saturating_mul(prompts.max(1));
        return Err(Cause::LengthMismatch { list: "gradients", given: gradients.len(), needed }.into());
    }
    let entries = parameters.saturating_mul(parameters);
    expect_length("out", out.len(), entries)?;
    lanes::expect_finite("gradients", gradients)?;
    let factor = F::narrow(2.0) / (F::narrow(prompts as f64) * (count - F::one()));
    for row in 0..parameters {
        for column in 0..=row {
            let mut sum = F::zero();
            for prompt in gradients.chunks_exact(block) {
                let along = |parameter: usize| prompt.iter().skip(parameter).step_by(parameters).copied();
                let mean = |parameter| along(parameter).fold(F::zero(), |sum, entry| sum + entry) / count;
                let (row_mean, column_mean) = (mean(row), mean(column));
                for (left, right) in along(row).zip(along(column)) {
                    sum = sum + (left - row_mean) * (right - column_mean);
                }
            }
            out[row * parameters + column] = factor * sum;
            out[column * parameters + row] = factor * sum;
        }
    }
    Ok(())
}
