//! A row of few responses, from the lists to the gradient in one go: the way of a long one, through scratch and from one
//! sweep to the next, would cost more than its arithmetic.

use crate::loss::Loss;
use crate::numbers::Scalar;
use crate::preference::short::LONGEST;
use crate::responses::Responses;

impl Loss {
    /// `L` of a row that has what is read, with scores of one slope; writes `slope · ∂L/∂s_i`, or `∂L/∂s_i` (`by_scores`).
    /// Nothing, where there is no such kernel, or something to be refused.
    #[inline(always)]
    pub(super) fn short<F: Scalar>(&self, row: &Responses<'_, F>, by_scores: bool, gradient: &mut [F]) -> Option<F> {
        let count = row.policy.len();
        let slope = F::narrow(self.plan.slope?);
        if count > LONGEST {
            return None;
        }
        let other = self.preference.compared(row)?;
        let chain = if by_scores { F::one() } else { slope };
        let reference = if self.reward.reads_reference() { row.reference } else { &F::ZEROS };
        let (policy, reference, gradient) = (row.policy, &reference[..count], &mut gradient[..count]);
        let score = |(&policy, &reference): (&F, &F)| slope * (policy - reference);

        // Of all that is computed: finite, if each is. Where the sum overflows by itself, the long way decides.
        let mut total;
        let value;
        let (first, second) = (score((&policy[0], &reference[0])), score((&policy[other], &reference[other])));
        if let Some((loss, up, down)) = self.preference.of_two(&self.pair, count, first, second) {
            let (up, down) = (chain * up, chain * down);
            value = loss;
            total = (first + second) + (up + down);
            let scores = policy[1..].iter().zip(&reference[1..]).map(score);
            for (entry, score) in gradient[1..].iter_mut().zip(scores) {
                // A library's routine that fills with 0 would take longer for so few.
                #[expect(clippy::eq_op, reason = "0, or NaN")]
                let none = score - score;
                *entry = none;
                total = total + none;
            }
            (gradient[0], gradient[other]) = (up, down);
        } else {
            let mut list = [F::zero(); LONGEST];
            total = F::zero();
            for (entry, score) in list.iter_mut().zip(policy.iter().zip(reference).map(score)) {
                *entry = score;
                total = total + score;
            }
            value = self.preference.short(&self.pair, row.rewards, &list[..count], gradient)?;
            for entry in gradient {
                *entry = chain * *entry;
                total = total + *entry;
            }
        }
        (total + value).is_finite().then_some(value)
    }
}
