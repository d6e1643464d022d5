//! What a run minimises: a loss of hps-core, or one that the program brings along.

use hps_core::{Error, ListLoss, Loss, Preference, Responses, TiePolicy};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::sync::Arc;

/// A run's loss. Made from a [`Loss`], from its name, or from any [`ListLoss`] of one's own:
///
/// ```
/// use hps_llama::train::TrainLoss;
///
/// let named: TrainLoss = "dpo-hps-full".parse()?;
/// assert!(named.reads_reference() && named.to_string() == "dpo-hps-full");
/// # Ok::<(), hps_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "a run has few of them")]
pub enum TrainLoss {
    /// One of hps-core's.
    Named(Loss),
    /// One's own, over all responses of a row. It trains with `task` preference.
    Own(Arc<dyn ListLoss + Send + Sync>),
}

impl TrainLoss {
    /// A loss of one's own.
    pub fn own(loss: impl ListLoss + Send + Sync + 'static) -> TrainLoss {
        TrainLoss::Own(Arc::new(loss))
    }

    /// The loss of hps-core, if it is one.
    pub fn named(&self) -> Option<&Loss> {
        match self {
            TrainLoss::Named(loss) => Some(loss),
            TrainLoss::Own(_) => None,
        }
    }

    /// Its name and all its numbers; two losses that have this in common compute the same.
    pub fn identity(&self) -> String {
        let mut identity = String::new();
        // A string takes all that is written.
        let written = self.as_list_loss().identity(&mut identity);
        debug_assert!(written.is_ok());
        identity
    }

    /// Whether it reads the reference's log-probs; if not, none are computed.
    pub fn reads_reference(&self) -> bool {
        self.as_list_loss().reads_reference()
    }

    /// `β`, if it is a loss of hps-core and has one.
    pub fn beta(&self) -> Option<f64> {
        self.named().and_then(Loss::beta)
    }

    /// `γ`, if it is a loss of hps-core that weighs its negatives.
    pub fn gamma(&self) -> Option<f64> {
        self.named().and_then(Loss::gamma)
    }

    /// At another `γ`.
    ///
    /// # Errors
    /// The loss weighs no negatives.
    pub fn with_gamma(&self, gamma: f64) -> Result<TrainLoss, Error> {
        match self {
            TrainLoss::Named(loss) => loss.with_gamma(gamma).map(TrainLoss::Named),
            TrainLoss::Own(_) => Err(Error::custom("a loss of one's own has no gamma")),
        }
    }

    pub(super) fn as_list_loss(&self) -> &dyn ListLoss {
        match self {
            TrainLoss::Named(loss) => loss,
            TrainLoss::Own(loss) => loss.as_ref(),
        }
    }

    /// Which responses of a list are read.
    pub(super) fn reads(&self) -> Reads<'_> {
        let TrainLoss::Named(loss) = self else { return Reads::All };
        match loss.preference() {
            Preference::BradleyTerry | Preference::Slic(_) => Reads::Ends,
            Preference::Hps(hps) if loss.reads_sample() || loss.reads_samples() => Reads::Drawn(loss, hps.ties),
            _ => Reads::All,
        }
    }

    /// A row's supervised target where the loss reads one (SLiC): the preferred response.
    pub(super) fn with_supervised<'a>(
        &self,
        row: Responses<'a, f64>,
        policy: &[f64],
    ) -> Result<Responses<'a, f64>, Error> {
        let reads = self.named().is_some_and(Loss::reads_supervised);
        if reads { row.with_supervised(policy[0]) } else { Ok(row) }
    }

    /// `L` and `∂L/∂log π` of a row.
    pub(super) fn value_and_gradient(&self, row: &Responses<'_, f64>) -> Result<(f64, Vec<f64>), Error> {
        let loss = self.as_list_loss();
        let (mut scratch, mut gradient) = (vec![0.0; loss.scratch_len(row.count())], vec![0.0; row.count()]);
        let value = loss.value_and_gradient(row, &mut scratch, &mut gradient)?;
        if let Some(loss) = self.named().filter(|loss| loss.reads_supervised()) {
            gradient[0] += loss.supervised_gradient(&gradient);
        }
        if !value.is_finite() || gradient.iter().any(|entry| !entry.is_finite()) {
            return Err(Error::custom("the loss or its gradient is not a finite number"));
        }
        Ok((value, gradient))
    }
}

/// Which responses of a list a loss reads.
pub(super) enum Reads<'a> {
    /// The first and the last.
    Ends,
    /// The first, and [`TrainConfig::draws`](super::TrainConfig) drawn of those that the tie policy leaves, with repetition.
    Drawn(&'a Loss, TiePolicy),
    /// All.
    All,
}

impl From<Loss> for TrainLoss {
    fn from(loss: Loss) -> TrainLoss {
        TrainLoss::Named(loss)
    }
}

impl FromStr for TrainLoss {
    type Err = Error;

    fn from_str(name: &str) -> Result<TrainLoss, Error> {
        name.parse().map(TrainLoss::Named)
    }
}

impl PartialEq for TrainLoss {
    fn eq(&self, other: &TrainLoss) -> bool {
        self.named() == other.named() && self.identity() == other.identity()
    }
}

impl Display for TrainLoss {
    /// The name of a loss of hps-core, the identity of another.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            TrainLoss::Named(loss) => write!(out, "{loss}"),
            TrainLoss::Own(_) => write!(out, "{}", self.identity()),
        }
    }
}
