//! Names of losses: `<reward and pair>-<preference model>`, or one word for what exists in one form only.

use crate::error::{Cause, Error, Spelling, nearest};
use crate::loss::Loss;
use crate::loss::likelihood::Terms;
use crate::preference::{
    Contrast, Hps, HpsForm, Lipo, NegativeSet, Pair, Preference, RankWeights, Reduction, Slic, Supervised,
};
use crate::responses::reward::{ResponseScale, Reward};
use core::fmt;
use core::str::FromStr;

const KNOWN: &str = "dpo-, kto-, simpo-, rdpo-, orpo-, cpo- with bt, top1, top2, …, pl, hps, hps-full, hps-multi, hps-expected, \
    hps-weighted, swepo; exo-, nca- with bt, pl, hps, hps-full, hps-expected; ipo-, sppo- with bt, pl, hps, hps-expected; \
    exo-rw, nca-k, infonca-k, sppo-soft-bt, slic, hinge, lipo";

#[rustfmt::skip]
const NAMES: [&str; 85] = [
    "dpo-bt", "dpo-top1", "dpo-top2", "dpo-pl", "dpo-hps", "dpo-hps-full", "dpo-hps-multi", "dpo-hps-expected", "dpo-hps-weighted", "dpo-swepo",
    "kto-bt", "kto-top1", "kto-top2", "kto-pl", "kto-hps", "kto-hps-full", "kto-hps-multi", "kto-hps-expected", "kto-hps-weighted", "kto-swepo",
    "simpo-bt", "simpo-top1", "simpo-top2", "simpo-pl", "simpo-hps", "simpo-hps-full", "simpo-hps-multi", "simpo-hps-expected", "simpo-hps-weighted", "simpo-swepo",
    "rdpo-bt", "rdpo-top1", "rdpo-top2", "rdpo-pl", "rdpo-hps", "rdpo-hps-full", "rdpo-hps-multi", "rdpo-hps-expected", "rdpo-hps-weighted", "rdpo-swepo",
    "orpo-bt", "orpo-top1", "orpo-top2", "orpo-pl", "orpo-hps", "orpo-hps-full", "orpo-hps-multi", "orpo-hps-expected", "orpo-hps-weighted", "orpo-swepo",
    "cpo-bt", "cpo-top1", "cpo-top2", "cpo-pl", "cpo-hps", "cpo-hps-full", "cpo-hps-multi", "cpo-hps-expected", "cpo-hps-weighted", "cpo-swepo",
    "exo-bt", "exo-pl", "exo-hps", "exo-hps-full", "exo-hps-expected",
    "nca-bt", "nca-pl", "nca-hps", "nca-hps-full", "nca-hps-expected",
    "ipo-bt", "ipo-pl", "ipo-hps", "ipo-hps-expected",
    "sppo-bt", "sppo-pl", "sppo-hps", "sppo-hps-expected",
    "exo-rw", "nca-k", "infonca-k", "sppo-soft-bt", "slic", "hinge", "lipo",
];

impl Loss {
    /// The names of all losses, those of the first choices (`topK`) up to `K` = 2.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// assert!(Loss::names().contains(&"dpo-hps"));
    /// assert!(Loss::names().iter().all(|name| name.parse::<Loss>().is_ok_and(|loss| loss.to_string() == *name)));
    /// ```
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }
}

const DPO: Reward = Reward::Dpo { beta: Reward::DEFAULT_BETA };
const EXO: Pair = Pair::Exo { label_smoothing: 1e-3 };
const SPPO: (Reward, Pair) =
    (Reward::LogRatio { per_token: false }, Pair::Sppo { beta: 1e-3, reduction: Reduction::Mean });

impl FromStr for Loss {
    type Err = Error;

    /// The names [`Loss`] lists. Defaults that are not `β = 0.1`, `γ = 0`, no smoothing, no margin:
    ///
    /// | name | default |
    /// |---|---|
    /// | `kto-…` | the same factor `k_i = β` for all responses: DPO's reward |
    /// | `simpo-…` | `β = 2`; no target margin, which the paper has: [`with_margin`](Self::with_margin), in the unit of the scores |
    /// | `rdpo-…` | `α = 0.01` |
    /// | `orpo-…` | the likelihood, and 0.1 of the preference: `β` is its weight |
    /// | `cpo-…` | the likelihood too |
    /// | `exo-…` | `ε = 0.001` |
    /// | `ipo-…` | log ratios per token |
    /// | `sppo-…` | `β = 0.001`, mean of the squares |
    /// | `…-hps-weighted` | `λ = (1, ½)`, negatives of neither |
    /// | `…-swepo` | `α = 1`, `p = 1` |
    /// | `exo-rw`, `nca-k`, `infonca-k` | `T` 0.1, 1 and 1 |
    /// | `slic` | `δ = 1`, `λ = 0.1`, supervised term outside |
    /// | `hinge` | `δ = 1` |
    /// | `lipo` | natural logarithm, sum of the pairs |
    ///
    /// ```
    /// use hps_core::{Loss, Preference};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "orpo-top3".parse()?;
    /// assert_eq!(loss.preference(), Preference::Top { choices: 3 });
    /// assert_eq!((loss.beta(), loss.likelihood(), loss.to_string().as_str()), (Some(0.1), 1.0, "orpo-top3"));
    /// assert_eq!("simpo-hps".parse::<Loss>()?.beta(), Some(2.0));
    /// # Ok(())
    /// # }
    /// ```
    fn from_str(name: &str) -> Result<Loss, Error> {
        let unknown = || {
            let names = || Loss::names().iter().copied();
            // Half a name: `hps` is asked for over DPO's reward, `simpo` over pairs.
            let half = names().find(|known| known.strip_prefix("dpo-") == Some(name));
            let half = half.or_else(|| names().find(|known| known.strip_suffix("-bt") == Some(name)));
            let nearest = half.or_else(|| nearest(name, names()));
            Cause::UnknownName { what: "loss", given: Spelling::of(name), nearest, known: KNOWN }
        };
        if let Some((reward, pair, preference)) = whole(name) {
            return Loss::new(reward, pair, preference);
        }
        let (family, model) = name.split_once('-').ok_or_else(unknown)?;
        let beta = Reward::DEFAULT_BETA;
        let (reward, pair) = match family {
            "dpo" => (DPO, Pair::LOGISTIC),
            "kto" => (Reward::Kto { scale: ResponseScale::Constant(beta) }, Pair::LOGISTIC),
            "simpo" => (Reward::SimPo { beta: 2.0 }, Pair::LOGISTIC),
            "rdpo" => (Reward::RDpo { beta, alpha: 0.01 }, Pair::LOGISTIC),
            "orpo" => (Reward::LogOdds, Pair::LOGISTIC),
            "cpo" => (Reward::Cpo { beta }, Pair::LOGISTIC),
            "exo" => (DPO, EXO),
            "nca" => (DPO, Pair::Nca),
            "ipo" => (Reward::LogRatio { per_token: true }, Pair::Ipo { beta }),
            "sppo" => SPPO,
            _ => return Err(unknown().into()),
        };
        let preference = match model {
            "bt" => Preference::BradleyTerry,
            "swepo" => Preference::Contrast(Contrast::default()),
            "pl" => Preference::PlackettLuce,
            "hps" => Preference::Hps(Hps::single()),
            "hps-full" => Preference::Hps(Hps::full()),
            "hps-multi" => Preference::Hps(Hps::multi()),
            "hps-expected" => Preference::Hps(Hps::expected()),
            "hps-weighted" => Preference::Hps(Hps::weighted(RankWeights::new(&[1.0, 0.5])?, NegativeSet::NonPreferred)),
            _ => Preference::Top { choices: choices(model).ok_or_else(unknown)? },
        };
        let terms = match reward {
            Reward::LogOdds => Terms { preference: 0.1, likelihood: 1.0 },
            Reward::Cpo { .. } => Terms { preference: 1.0, likelihood: 1.0 },
            _ => Terms::BARE,
        };
        Loss::new(reward, pair, preference)?.with_terms(terms)
    }
}

/// `K` of `topK`, in plain decimal.
fn choices(model: &str) -> Option<u32> {
    let digits = model.strip_prefix("top")?;
    // `parse` would take a sign and leading zeros, and one name is enough.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

/// What has a name of its own.
fn whole(name: &str) -> Option<(Reward, Pair, Preference)> {
    let targets = |temperature| Preference::RewardTargets { temperature };
    Some(match name {
        "exo-rw" => (DPO, EXO, targets(0.1)),
        "nca-k" => (DPO, Pair::Nca, targets(1.0)),
        "infonca-k" => (DPO, Pair::LOGISTIC, targets(1.0)),
        "sppo-soft-bt" => (SPPO.0, SPPO.1, Preference::WinRates),
        "slic" => {
            let slic = Slic { weight: 0.1, placement: Supervised::Outside };
            (Reward::LogProb, Pair::Hinge { margin: 1.0 }, Preference::Slic(slic))
        }
        "hinge" => (DPO, Pair::Hinge { margin: 1.0 }, Preference::BradleyTerry),
        "lipo" => (DPO, Pair::LOGISTIC, Preference::Lipo(Lipo::default())),
        _ => return None,
    })
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match (self.reward(), self.pair()) {
            (Reward::Kto { .. }, _) => "kto",
            (Reward::SimPo { .. }, _) => "simpo",
            (Reward::RDpo { .. }, _) => "rdpo",
            (Reward::LogOdds, _) => "orpo",
            (Reward::Cpo { .. }, _) => "cpo",
            (_, Pair::Exo { .. }) => "exo",
            (_, Pair::Nca) => "nca",
            (_, Pair::Ipo { .. }) => "ipo",
            (_, Pair::Sppo { .. }) => "sppo",
            (_, Pair::Hinge { .. }) => "hinge",
            (_, Pair::Logistic { .. }) => "dpo",
        };
        let model = match (self.preference(), self.pair()) {
            (Preference::Slic(_), _) => return write!(f, "slic"),
            (Preference::Lipo(_), _) => return write!(f, "lipo"),
            (Preference::BradleyTerry, Pair::Hinge { .. }) => return write!(f, "hinge"),
            (Preference::RewardTargets { .. }, Pair::Logistic { .. }) => return write!(f, "infonca-k"),
            (Preference::RewardTargets { .. }, Pair::Exo { .. }) => "rw",
            (Preference::RewardTargets { .. }, _) => "k",
            (Preference::WinRates, _) => "soft-bt",
            (Preference::BradleyTerry, _) => "bt",
            (Preference::Top { choices }, _) => return write!(f, "{family}-top{choices}"),
            (Preference::PlackettLuce, _) => "pl",
            (Preference::Contrast(_), _) => "swepo",
            (Preference::Hps(hps), _) => match hps.form {
                HpsForm::Single => "hps",
                HpsForm::Full => "hps-full",
                HpsForm::Multi => "hps-multi",
                HpsForm::Expected => "hps-expected",
                HpsForm::Weighted { .. } => "hps-weighted",
            },
        };
        write!(f, "{family}-{model}")
    }
}
