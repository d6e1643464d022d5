//! Losses in configuration files (feature `serde`), for formats that say what stands in them: JSON, TOML, YAML.

use crate::loss::Loss;
use crate::loss::settings::{BASES, Kind, NEGATIVES, Name, PLACEMENTS, RANKS, REDUCTIONS, SCALES, SETTINGS, Value};
use crate::negatives::weights::{NEGATIVE_SCALES, NegativeScale, TIE_POLICIES, TiePolicy};
use crate::preference::{
    Contrast, Hps, HpsForm, Lipo, LogBase, NegativeSet, Pair, Preference, RankBy, RankWeights, Reduction, Slic,
    Supervised,
};
use crate::responses::{ResponseScale, Reward};
use core::fmt::{self, Write};
use serde_core::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_core::ser::{SerializeMap, Serializer};
use serde_core::{Deserialize, Serialize};

/// Written as its name where that says all, `"dpo-hps-full"`; else as a map with the name and what differs from the loss of
/// that name: `{"name": "dpo-hps-full", "gamma": 2.0, "negative_scale": "unit"}`. Infinite numbers are `"inf"` and `"-inf"`.
/// Read back it is the same loss; from JSON with the feature `float_roundtrip` of `serde_json`, without which that crate reads
/// some numbers a last digit off.
impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut name = Name::default();
        write!(name, "{self}").map_err(|_| serde_core::ser::Error::custom("the loss's name is too long"))?;
        let count = self.settings().count();
        if count == 0 {
            return serializer.serialize_str(name.as_str());
        }
        let mut map = serializer.serialize_map(Some(1 + count))?;
        map.serialize_entry("name", name.as_str())?;
        for (key, value) in self.settings() {
            match value {
                Value::Number(number) if number == f64::INFINITY => map.serialize_entry(key, "inf")?,
                Value::Number(number) if number == f64::NEG_INFINITY => map.serialize_entry(key, "-inf")?,
                Value::Number(number) => map.serialize_entry(key, &number)?,
                Value::Flag(flag) => map.serialize_entry(key, &flag)?,
                Value::Word(word) => map.serialize_entry(key, word)?,
                Value::Weights(weights) => map.serialize_entry(key, weights.as_slice())?,
            }
        }
        map.end()
    }
}

/// A name, or a map with `name` and settings in any order: `beta`, `gamma`, `label_smoothing`, `margin`, `alpha`, `temperature`,
/// `likelihood`, `preference_weight`, `negative_scale` (`unit`, `count` or a number), `tie_policy` (`keep`, `mask-max`);
/// `scale` of KTO (`constant`, `per-token`, `from-row`), `per_token` of IPO, `reduction` of SPPO and LiPO (`sum`, `mean`),
/// `rank_weights` and `negatives` of HPS weighted (`non-preferred`, `next-ranks`), `supervised_weight` and
/// `supervised_placement` of SLiC (`outside`, `inside`), `ranks` and `log_base` of LiPO (`scores`, `rewards`; `natural`,
/// `two`), `contrast_alpha` and `contrast_power`. What the loss does not have, a key that stands twice and a number out of its
/// range are errors.
impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Loss, D::Error> {
        deserializer.deserialize_any(LossVisitor)
    }
}

struct LossVisitor;

impl<'de> Visitor<'de> for LossVisitor {
    type Value = Loss;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a loss, or a map with its name and settings")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Loss, E> {
        name.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loss, A::Error> {
        let (mut named, mut values): (Option<Loss>, _) = (None, [None; SETTINGS.len()]);
        while let Some(key) = map.next_key_seed(Key)? {
            let Some(index) = key else {
                if named.replace(map.next_value_seed(NameSeed)?).is_some() {
                    return Err(A::Error::duplicate_field("name"));
                }
                continue;
            };
            let (key, kind) = SETTINGS[index];
            if values[index].replace(map.next_value_seed(kind)?).is_some() {
                return Err(A::Error::duplicate_field(key));
            }
        }
        let named = named.ok_or_else(|| A::Error::missing_field("name"))?;
        let mut loss = named;
        for (value, (key, _)) in values.into_iter().zip(SETTINGS) {
            let Some(value) = value else { continue };
            if loss.setting(key).is_none() {
                return Err(A::Error::custom(format_args!("{named} has no `{key}`")));
            }
            let refused = |error| A::Error::custom(format_args!("`{key}` of {named}: {error}"));
            loss = loss.with_setting(key, value).map_err(refused)?;
        }
        Ok(loss)
    }
}

/// Nothing for `name`, else the place in [`SETTINGS`].
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`name` or a setting of a loss")
    }

    fn visit_str<E: Error>(self, given: &str) -> Result<Option<usize>, E> {
        if given == "name" {
            return Ok(None);
        }
        let place = SETTINGS.iter().position(|(key, _)| *key == given);
        place.map(Some).ok_or_else(|| E::custom(format_args!("a loss has no setting `{given}`")))
    }
}

struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Loss;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Loss, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Loss;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a loss")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Loss, E> {
        name.parse().map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Kind {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Kind {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Number => write!(f, "a number, \"inf\" or \"-inf\""),
            Kind::Flag => write!(f, "true or false"),
            Kind::Words([one, other]) => write!(f, "\"{one}\" or \"{other}\""),
            Kind::WordsOrNumber([one, other]) => write!(f, "\"{one}\", \"{other}\" or a number"),
            Kind::Scale => write!(f, "\"{}\", \"{}\" or \"{}\"", SCALES[0], SCALES[1], SCALES[2]),
            Kind::Weights => write!(f, "a list of numbers, the first of them 1"),
        }
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        match self {
            Kind::Flag => Ok(Value::Flag(flag)),
            _ => Err(E::invalid_type(serde_core::de::Unexpected::Bool(flag), &self)),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        match self {
            Kind::Number | Kind::WordsOrNumber(_) => Ok(Value::Number(number)),
            _ => Err(E::invalid_type(serde_core::de::Unexpected::Float(number), &self)),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        self.visit_f64(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        let words: &[&'static str] = match &self {
            Kind::Words(words) | Kind::WordsOrNumber(words) => words,
            Kind::Scale => &SCALES,
            Kind::Number if text == "inf" => return Ok(Value::Number(f64::INFINITY)),
            Kind::Number if text == "-inf" => return Ok(Value::Number(f64::NEG_INFINITY)),
            _ => &[],
        };
        let word = words.iter().find(|word| **word == text).copied();
        word.map(Value::Word).ok_or_else(|| E::invalid_value(serde_core::de::Unexpected::Str(text), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let Kind::Weights = self else {
            return Err(A::Error::invalid_type(serde_core::de::Unexpected::Seq, &self));
        };
        let (mut weights, mut count) = ([0.0; RankWeights::CAPACITY], 0);
        while let Some(weight) = list.next_element::<f64>()? {
            *weights.get_mut(count).ok_or_else(|| A::Error::invalid_length(count + 1, &"at most 16 weights"))? = weight;
            count += 1;
        }
        RankWeights::new(&weights[..count]).map(Value::Weights).map_err(A::Error::custom)
    }
}

impl Loss {
    /// The loss with a setting that it has, at a value of its kind.
    pub(crate) fn with_setting(self, key: &str, value: Value) -> Result<Loss, crate::Error> {
        let number = if let Value::Number(number) = value { number } else { f64::NAN };
        let second = |words: [&'static str; 2]| value == Value::Word(words[1]);
        let (reward, pair, preference) = (self.reward(), self.pair(), self.preference());
        let preferring = |preference| self.rebuilt(reward, pair, preference);
        match (key, preference) {
            ("scale", _) => {
                let beta = self.beta().unwrap_or(Reward::DEFAULT_BETA);
                let scale = match value {
                    Value::Word(word) if word == SCALES[0] => ResponseScale::Constant(beta),
                    Value::Word(word) if word == SCALES[1] => ResponseScale::PerToken(beta),
                    _ => ResponseScale::FromRow,
                };
                self.rebuilt(Reward::Kto { scale }, pair, preference)
            }
            ("per_token", _) => {
                self.rebuilt(Reward::LogRatio { per_token: value == Value::Flag(true) }, pair, preference)
            }
            ("beta", _) => self.with_beta(number),
            ("alpha", _) => self.with_alpha(number),
            ("label_smoothing", _) => match pair {
                Pair::Exo { .. } => self.rebuilt(reward, Pair::Exo { label_smoothing: number }, preference),
                _ => self.with_label_smoothing(number),
            },
            ("margin", _) => self.with_margin(number),
            ("reduction", _) => {
                let reduction = if second(REDUCTIONS) { Reduction::Mean } else { Reduction::Sum };
                match (pair, preference) {
                    (_, Preference::Lipo(lipo)) => preferring(Preference::Lipo(Lipo { reduction, ..lipo })),
                    (Pair::Sppo { beta, .. }, _) => self.rebuilt(reward, Pair::Sppo { beta, reduction }, preference),
                    _ => Ok(self),
                }
            }
            ("temperature", _) => self.with_temperature(number),
            ("likelihood", _) => self.with_likelihood(number),
            ("preference_weight", _) => self.with_preference_weight(number),
            ("gamma", _) => self.with_gamma(number),
            ("negative_scale", _) => self.with_negative_scale(match value {
                Value::Number(scale) => NegativeScale::Custom(scale),
                _ if second(NEGATIVE_SCALES) => NegativeScale::Count,
                _ => NegativeScale::Unit,
            }),
            ("tie_policy", _) => {
                self.with_tie_policy(if second(TIE_POLICIES) { TiePolicy::MaskMax } else { TiePolicy::Keep })
            }
            (_, Preference::Hps(Hps { form: HpsForm::Weighted { weights, negatives }, .. })) => {
                let form = match value {
                    Value::Weights(weights) => HpsForm::Weighted { weights, negatives },
                    _ if second(NEGATIVES) => HpsForm::Weighted { weights, negatives: NegativeSet::NextRanks },
                    _ => HpsForm::Weighted { weights, negatives: NegativeSet::NonPreferred },
                };
                self.with_hps(|hps| Hps { form, ..hps })
            }
            ("supervised_weight", Preference::Slic(slic)) => {
                preferring(Preference::Slic(Slic { weight: number, ..slic }))
            }
            (_, Preference::Slic(slic)) => {
                let placement = if second(PLACEMENTS) { Supervised::Inside } else { Supervised::Outside };
                preferring(Preference::Slic(Slic { placement, ..slic }))
            }
            ("ranks", Preference::Lipo(lipo)) => {
                let ranks = if second(RANKS) { RankBy::Rewards } else { RankBy::Scores };
                preferring(Preference::Lipo(Lipo { ranks, ..lipo }))
            }
            (_, Preference::Lipo(lipo)) => {
                let log_base = if second(BASES) { LogBase::Two } else { LogBase::Natural };
                preferring(Preference::Lipo(Lipo { log_base, ..lipo }))
            }
            ("contrast_alpha", Preference::Contrast(contrast)) => {
                preferring(Preference::Contrast(Contrast { alpha: number, ..contrast }))
            }
            (_, Preference::Contrast(contrast)) => {
                preferring(Preference::Contrast(Contrast { power: number, ..contrast }))
            }
            _ => Ok(self),
        }
    }
}

/// A type that is written by `Display` and read by `FromStr`.
macro_rules! as_text {
    ($Type:ty, $what:literal) => {
        impl Serialize for $Type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $Type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$Type, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $Type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, $what)
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$Type, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }
    };
}

as_text!(crate::GammaSchedule, "the name of a schedule of gamma");
as_text!(TiePolicy, "`keep` or `mask-max`");

impl Serialize for NegativeScale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            NegativeScale::Custom(scale) => serializer.serialize_f64(*scale),
            named => serializer.collect_str(named),
        }
    }
}

/// `unit`, `count`, or a number, which may be text too.
impl<'de> Deserialize<'de> for NegativeScale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NegativeScale, D::Error> {
        struct Scale;

        impl Visitor<'_> for Scale {
            type Value = NegativeScale;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`unit`, `count` or a number")
            }

            fn visit_f64<E: Error>(self, scale: f64) -> Result<NegativeScale, E> {
                let scale = NegativeScale::Custom(scale);
                scale.validate().map_err(E::custom).map(|()| scale)
            }

            fn visit_i64<E: Error>(self, scale: i64) -> Result<NegativeScale, E> {
                self.visit_f64(scale as f64)
            }

            fn visit_u64<E: Error>(self, scale: u64) -> Result<NegativeScale, E> {
                self.visit_f64(scale as f64)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<NegativeScale, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Scale)
    }
}
