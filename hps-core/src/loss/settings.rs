//! What a loss may have beyond its name, setting by setting: a name and these are the whole loss.

use crate::loss::Loss;
use crate::negatives::weights::{NEGATIVE_SCALES, NegativeScale, TIE_POLICIES, TiePolicy};
use crate::preference::{
    Hps, HpsForm, Lipo, LogBase, NegativeSet, Pair, Preference, RankBy, RankWeights, Reduction, Supervised,
};
use crate::responses::{ResponseScale, Reward};
use core::fmt::{self, Display, Formatter};

/// What a setting is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Flag(bool),
    Word(&'static str),
    Weights(RankWeights),
}

/// How a setting is written.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "serde"), expect(dead_code, reason = "only files are read by it"))]
pub(crate) enum Kind {
    Number,
    Flag,
    /// One of two.
    Words([&'static str; 2]),
    /// One of two, or a number.
    WordsOrNumber([&'static str; 2]),
    Scale,
    Weights,
}

pub(crate) const SCALES: [&str; 3] = ["constant", "per-token", "from-row"];
pub(crate) const REDUCTIONS: [&str; 2] = ["sum", "mean"];
pub(crate) const NEGATIVES: [&str; 2] = ["non-preferred", "next-ranks"];
pub(crate) const PLACEMENTS: [&str; 2] = ["outside", "inside"];
pub(crate) const RANKS: [&str; 2] = ["scores", "rewards"];
pub(crate) const BASES: [&str; 2] = ["natural", "two"];

/// All settings, in the order in which they are written, and set: what a number is of, before the number.
pub(crate) const SETTINGS: [(&str, Kind); 21] = [
    ("scale", Kind::Scale),
    ("per_token", Kind::Flag),
    ("beta", Kind::Number),
    ("alpha", Kind::Number),
    ("label_smoothing", Kind::Number),
    ("margin", Kind::Number),
    ("reduction", Kind::Words(REDUCTIONS)),
    ("temperature", Kind::Number),
    ("likelihood", Kind::Number),
    ("preference_weight", Kind::Number),
    ("gamma", Kind::Number),
    ("negative_scale", Kind::WordsOrNumber(NEGATIVE_SCALES)),
    ("tie_policy", Kind::Words(TIE_POLICIES)),
    ("rank_weights", Kind::Weights),
    ("negatives", Kind::Words(NEGATIVES)),
    ("supervised_weight", Kind::Number),
    ("supervised_placement", Kind::Words(PLACEMENTS)),
    ("ranks", Kind::Words(RANKS)),
    ("log_base", Kind::Words(BASES)),
    ("contrast_alpha", Kind::Number),
    ("contrast_power", Kind::Number),
];

impl Loss {
    /// The loss as text: its name, and in braces all numbers and choices that its name does not say, with all their digits.
    /// Two losses are equal where their texts are.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-hps-full".parse()?;
    /// assert_eq!(loss.describe().to_string(), "dpo-hps-full");
    /// let text = loss.with_beta(0.25)?.with_gamma(2.0)?.describe().to_string();
    /// assert_eq!(text, "dpo-hps-full {beta: 0.25, gamma: 2.0}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn describe(&self) -> impl Display {
        Description(*self)
    }

    /// The settings that the loss of this name has otherwise.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let (loss, named) = (*self, self.of_its_name());
        SETTINGS.into_iter().filter_map(move |(key, _)| {
            let value = loss.setting(key)?;
            (named.setting(key) != Some(value)).then_some((key, value))
        })
    }

    /// What the setting is; nothing, if the loss has none such.
    pub(crate) fn setting(&self, key: &str) -> Option<Value> {
        let word = |words: [&'static str; 2], second: bool| Value::Word(words[usize::from(second)]);
        Some(match (key, self.reward(), self.pair(), self.preference()) {
            ("scale", Reward::Kto { scale }, ..) => Value::Word(match scale {
                ResponseScale::Constant(_) => SCALES[0],
                ResponseScale::PerToken(_) => SCALES[1],
                ResponseScale::FromRow => SCALES[2],
            }),
            ("per_token", Reward::LogRatio { per_token }, Pair::Ipo { .. }, _) => Value::Flag(per_token),
            ("beta", ..) => Value::Number(self.beta()?),
            ("alpha", Reward::RDpo { alpha, .. }, ..) => Value::Number(alpha),
            ("label_smoothing", _, Pair::Logistic { label_smoothing, .. } | Pair::Exo { label_smoothing }, _) => {
                Value::Number(label_smoothing)
            }
            ("margin", _, Pair::Logistic { margin, .. } | Pair::Hinge { margin }, _) => Value::Number(margin),
            ("reduction", _, Pair::Sppo { reduction, .. }, _)
            | ("reduction", _, _, Preference::Lipo(Lipo { reduction, .. })) => {
                word(REDUCTIONS, reduction == Reduction::Mean)
            }
            ("temperature", _, _, Preference::RewardTargets { temperature }) => Value::Number(temperature),
            ("likelihood", ..) => Value::Number(self.likelihood()),
            // Of log odds it is β.
            ("preference_weight", reward, ..) if reward != Reward::LogOdds => Value::Number(self.preference_weight()),
            ("gamma", _, _, Preference::Hps(hps)) => Value::Number(hps.gamma),
            ("negative_scale", _, _, Preference::Hps(hps)) => match hps.scale {
                NegativeScale::Custom(scale) => Value::Number(scale),
                scale => word(NEGATIVE_SCALES, scale == NegativeScale::Count),
            },
            ("tie_policy", _, _, Preference::Hps(hps)) => word(TIE_POLICIES, hps.ties == TiePolicy::MaskMax),
            (_, _, _, Preference::Hps(Hps { form: HpsForm::Weighted { weights, negatives }, .. })) => match key {
                "rank_weights" => Value::Weights(weights),
                "negatives" => word(NEGATIVES, negatives == NegativeSet::NextRanks),
                _ => return None,
            },
            ("supervised_weight", _, _, Preference::Slic(slic)) => Value::Number(slic.weight),
            ("supervised_placement", _, _, Preference::Slic(slic)) => {
                word(PLACEMENTS, slic.placement == Supervised::Inside)
            }
            ("ranks", _, _, Preference::Lipo(lipo)) => word(RANKS, lipo.ranks == RankBy::Rewards),
            ("log_base", _, _, Preference::Lipo(lipo)) => word(BASES, lipo.log_base == LogBase::Two),
            ("contrast_alpha", _, _, Preference::Contrast(contrast)) => Value::Number(contrast.alpha),
            ("contrast_power", _, _, Preference::Contrast(contrast)) => Value::Number(contrast.power),
            _ => return None,
        })
    }

    /// The loss that the name alone stands for.
    pub(crate) fn of_its_name(&self) -> Loss {
        let mut name = Name::default();
        let written = fmt::Write::write_fmt(&mut name, format_args!("{self}"));
        debug_assert!(written.is_ok());
        name.as_str().parse().unwrap_or(*self)
    }
}

struct Description(Loss);

impl Display for Description {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut separator = " {";
        for (key, value) in self.0.settings() {
            write!(f, "{separator}{key}: ")?;
            match value {
                // To 0 either zero adds up.
                Value::Number(number) => write!(f, "{:?}", number + 0.0)?,
                Value::Flag(flag) => write!(f, "{flag}")?,
                Value::Word(word) => write!(f, "{word}")?,
                Value::Weights(weights) => {
                    f.debug_list().entries(weights.as_slice().iter().map(|weight| weight + 0.0)).finish()?
                }
            }
            separator = ", ";
        }
        if separator == ", " { write!(f, "}}") } else { Ok(()) }
    }
}

/// A name in a fixed space, since nothing here allocates. The longest is `simpo-hps-weighted`, or `simpo-top4294967295`.
#[derive(Default)]
pub(crate) struct Name {
    bytes: [u8; 32],
    len: usize,
}

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        // Whole strings were written, so this is never the default.
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Write for Name {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.len + part.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(part.as_bytes());
        self.len = end;
        Ok(())
    }
}
