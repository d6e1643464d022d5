//! The order of a list: how to find it, and whether it agrees with the rewards.

use crate::error::{Cause, Error, expect_length};
use crate::numbers::{Scalar, lanes};
use crate::responses::Responses;

/// Writes the order in which responses come *best first*: by falling reward, ties in the order they had. `order[0]` is the
/// place of the preferred response, `order[n − 1]` that of the worst.
///
/// # Errors
/// A reward is not finite, or `order` has another length.
///
/// ```
/// let mut order = [0; 4];
/// hps_core::rank(&[0.5_f64, 2.0, -1.0, 2.0], &mut order)?;
/// assert_eq!(order, [1, 3, 0, 2]);
/// // What belongs to the responses is gathered by it.
/// let log_probs = [-30.0, -10.0, -40.0, -20.0];
/// assert_eq!(order.map(|place| log_probs[place]), [-10.0, -20.0, -30.0, -40.0]);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn rank<F: Scalar>(rewards: &[F], order: &mut [usize]) -> Result<(), Error> {
    expect_length("order", order.len(), rewards.len())?;
    lanes::expect_finite("rewards", rewards)?;
    order.iter_mut().enumerate().for_each(|(place, entry)| *entry = place);
    // Without memory of its own no sort is stable by itself; no two of these are equal. Finite numbers always compare.
    order.sort_unstable_by(|&a, &b| {
        rewards[b].partial_cmp(&rewards[a]).unwrap_or(core::cmp::Ordering::Equal).then(a.cmp(&b))
    });
    Ok(())
}

impl<F: Scalar> Responses<'_, F> {
    /// Refuses a list whose rewards rise somewhere: for data in which the order is that of the rewards.
    ///
    /// # Errors
    /// A reward is above the one before it, or the row has none.
    ///
    /// ```
    /// use hps_core::{ErrorKind, Responses};
    ///
    /// let row = Responses::new(&[-8.0, -9.0, -7.0])?;
    /// assert!(row.with_rewards(&[1.0, 0.5, 0.5])?.expect_ranked().is_ok());
    /// let error = row.with_rewards(&[1.0, 0.25, 0.5])?.expect_ranked().unwrap_err();
    /// assert_eq!((error.kind(), error.index()), (ErrorKind::NotRanked, Some(2)));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn expect_ranked(&self) -> Result<(), Error> {
        let rewards = self.rewards().ok_or(Cause::InputMissing { list: "rewards" })?;
        match rewards.windows(2).position(|pair| pair[1] > pair[0]) {
            Some(before) => {
                let (given, previous) = (rewards[before + 1].widen(), rewards[before].widen());
                Err(Cause::NotRanked { index: before + 1, given, previous }.into())
            }
            None => Ok(()),
        }
    }
}
