//! A row of few responses, from the lists to the gradient in one go: the way of a long one, through scratch and from one
//! sweep to the next, would cost more than its arithmetic.

use crate::loss::Loss;
use crate::numbers::Scalar;
use crate::preference::short::LONGEST;
use crate::responses::Responses;

impl Loss {
    /// As [`value_and_gradient`](Loss::value_and_gradient), of a row that has what is read, with scores of one slope;
    /// nothing, where there is no such kernel, or something to be refused.
    #[inline(always)]
    pub(super) fn short<F: Scalar>(&self, row: &Responses<'_, F>, gradient: &mut [F]) -> Option<F> {
        let count = row.policy.len();
        let slope = F::narrow(self.plan.slope?);
        if count > LONGEST || row.names_samples() {
            return None;
        }
        let reference = if self.reward.reads_reference() { row.reference } else { &F::ZEROS };
        let (policy, reference, gradient) = (row.policy, &reference[..count], &mut gradient[..count]);
        let score = |(&policy, &reference): (&F, &F)| slope * (policy - reference);

        // Of all that is computed: finite, if each is. Where the sum overflows by itself, the long way decides.
        let mut total;
        let value;
        let (first, last) = (score((&policy[0], &reference[0])), score((&policy[count - 1], &reference[count - 1])));
        if let Some((loss, up, down)) = self.preference.of_two(&self.pair, count, first, last) {
            let (up, down) = (slope * up, slope * down);
            (gradient[0], gradient[count - 1]) = (up, down);
            value = loss;
            total = (first + last) + (up + down);
            let between = 1..count - 1;
            let scores = policy[between.clone()].iter().zip(&reference[between.clone()]).map(score);
            for (entry, score) in gradient[between].iter_mut().zip(scores) {
                // A library's routine that fills with 0 would take longer for so few.
                #[expect(clippy::eq_op, reason = "0, or NaN")]
                let none = score - score;
                *entry = none;
                total = total + none;
            }
        } else {
            let mut list = [F::zero(); LONGEST];
            total = F::zero();
            for (entry, score) in list.iter_mut().zip(policy.iter().zip(reference).map(score)) {
                *entry = score;
                total = total + score;
            }
            value = self.preference.short(&self.pair, row.rewards, &list[..count], gradient)?;
            for entry in gradient {
                *entry = slope * *entry;
                total = total + *entry;
            }
        }
        (total + value).is_finite().then_some(value)
    }
}
