//! A row of few responses, from the lists to the gradient in one go: the way of a long one, through scratch and from one
//! sweep to the next, would cost more than its arithmetic.

use crate::loss::Loss;
use crate::numbers::Scalar;
use crate::preference::Pair;
use crate::preference::short::{LONGEST, Scores, logistic};
use crate::responses::Responses;
use crate::responses::inputs::Inputs;

impl Loss {
    /// `L` of a row of few, of a loss that has a kernel for it; writes `slope · ∂L/∂s_i`, or `∂L/∂s_i` (`by_scores`).
    /// Nothing, where there is none, or something to be refused.
    #[inline(always)]
    pub(super) fn short<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        by_scores: bool,
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Option<F> {
        let count = row.policy.len();
        match self.pair {
            Pair::Logistic { .. } if count <= self.plan.paired => self.of_two(row, by_scores, scratch.len(), gradient),
            _ if count <= self.plan.paired => self.of_two_otherwise(row, by_scores, scratch.len(), gradient),
            _ if count <= LONGEST => self.of_few(row, by_scores, scratch, gradient),
            _ => None,
        }
    }

    /// Where the first response is compared with one other, by the logistic pair. By itself, so that it saves no registers
    /// for the others.
    #[inline(never)]
    fn of_two<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        by_scores: bool,
        scratch: usize,
        gradient: &mut [F],
    ) -> Option<F> {
        self.compared(row, by_scores, scratch, gradient, |slope, chain, first, other| {
            logistic(&self.pair, slope, chain, first, other)
        })
    }

    /// By another pair.
    #[inline(never)]
    fn of_two_otherwise<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        by_scores: bool,
        scratch: usize,
        gradient: &mut [F],
    ) -> Option<F> {
        self.compared(row, by_scores, scratch, gradient, |slope, chain, first, other| {
            let (value, up, down) = self.pair.value_and_gradient(slope * first, slope * other);
            let (up, down) = (chain * up, chain * down);
            (value + up + down).is_finite().then_some((value, up, down))
        })
    }

    /// * `price`: `(L, ∂L/∂u, ∂L/∂v)` of `slope u` and `slope v`, the derivatives times `chain`.
    #[inline(always)]
    fn compared<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        by_scores: bool,
        scratch: usize,
        gradient: &mut [F],
        price: impl Fn(F, F, F, F) -> Option<(F, F, F)>,
    ) -> Option<F> {
        let slope = F::narrow(self.plan.slope?);
        let count = row.policy.len();
        let (place, samples) = match self.plan.drawn {
            true if row.draws().is_none() => (row.draw()?.index, Inputs::SAMPLES),
            true => return None,
            false => (count - 1, Inputs::NONE),
        };
        if !self.takes(row, samples, scratch, gradient.len()) || place >= count {
            return None;
        }
        let (mut first, mut other) = (row.policy[0], row.policy[place]);
        if self.plan.reads.has(Inputs::REFERENCE) {
            let reference = row.reference.get(..count)?;
            (first, other) = (first - reference[0], other - reference[place]);
        }
        let chain = if by_scores { F::one() } else { slope };
        let (value, up, down) = price(slope, chain, first, other)?;
        // Those between. A library's routine that fills with 0 would take longer for so few.
        let (fours, rest) = gradient.get_mut(1..count - 1)?.as_chunks_mut::<4>();
        let (twos, one) = rest.as_chunks_mut::<2>();
        if let [four, ..] = fours {
            *four = [F::zero(); 4];
        }
        if let [two, ..] = twos {
            *two = [F::zero(); 2];
        }
        if let [one, ..] = one {
            *one = F::zero();
        }
        if self.plan.drawn {
            gradient[count - 1] = F::zero();
        }
        (gradient[0], gradient[place]) = (up, down);
        Some(value)
    }

    /// Where it is compared with several.
    #[inline(never)]
    fn of_few<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        by_scores: bool,
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Option<F> {
        let slope = F::narrow(self.plan.slope?);
        let count = row.policy.len();
        if !self.takes(row, Inputs::NONE, scratch.len(), gradient.len()) {
            return None;
        }
        let reference = if self.plan.reads.has(Inputs::REFERENCE) { row.reference } else { &F::ZEROS };
        let scores = Scores { slope, policy: row.policy, reference: reference.get(..count)? };
        let chain = if by_scores { F::one() } else { slope };
        self.preference.short(&self.pair, chain, row.rewards, scores, scratch, gradient)
    }

    /// Whether a row is short, and has what is read and room for what is written.
    #[inline(always)]
    fn takes<F: Scalar>(&self, row: &Responses<'_, F>, samples: Inputs, scratch: usize, gradient: usize) -> bool {
        let (count, reads) = (row.policy.len(), self.plan.reads.with(samples));
        scratch / Loss::scratch_len(1) >= count
            && gradient == count
            && row.given.among(reads.with(Inputs::SAMPLES).with(Inputs::LARGE)) == reads
    }
}
