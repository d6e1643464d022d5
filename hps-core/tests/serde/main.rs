//! Losses and their options in files: `cargo test -p hps-core --features serde`.

mod random;

use hps_core::{
    Contrast, GammaSchedule, Hps, Lipo, LogBase, Loss, NegativeScale, NegativeSet, Pair, Preference, RankBy,
    RankWeights, Reduction, ResponseScale, Reward, Slic, Supervised, TiePolicy,
};
use std::collections::HashSet;

/// There and back, in JSON.
fn through_json(loss: &Loss) {
    let text = serde_json::to_string(loss).unwrap();
    assert_eq!(serde_json::from_str::<Loss>(&text).unwrap(), *loss, "{text}");
}

fn named(name: &str) -> Loss {
    name.parse().unwrap()
}

/// Each named loss, and with each of its options changed; and what only its parts say.
fn losses() -> Vec<Loss> {
    let mut losses = Vec::new();
    for name in Loss::names() {
        let loss = named(name);
        let changed = [
            loss.with_beta(0.1 + 0.2),
            loss.with_gamma(2.0),
            loss.with_gamma(f64::INFINITY),
            loss.with_gamma(f64::NEG_INFINITY),
            loss.with_gamma(-1e-300),
            loss.with_label_smoothing(0.125),
            loss.with_margin(-1.5),
            loss.with_alpha(-3e-7),
            loss.with_temperature(7.0),
            loss.with_likelihood(0.3),
            loss.with_likelihood(0.0),
            loss.with_preference_weight(1e300),
            loss.with_negative_scale(NegativeScale::Unit),
            loss.with_negative_scale(NegativeScale::Count),
            loss.with_negative_scale(NegativeScale::Custom(12.5)),
            loss.with_tie_policy(TiePolicy::MaskMax),
            loss.with_gamma(2.0).and_then(|loss| loss.with_beta(3.0)).and_then(|loss| loss.with_likelihood(1.0)),
        ];
        losses.push(loss);
        losses.extend(changed.into_iter().flatten());
    }
    let dpo = Reward::Dpo { beta: 0.5 };
    let ratio = Reward::LogRatio { per_token: false };
    let weighted = Hps::weighted(RankWeights::new(&[1.0, 0.25, 0.0, 2.0]).unwrap(), NegativeSet::NextRanks);
    let parts = [
        (Reward::Kto { scale: ResponseScale::PerToken(0.7) }, Pair::LOGISTIC, Preference::PlackettLuce),
        (Reward::Kto { scale: ResponseScale::FromRow }, Pair::LOGISTIC, Preference::BradleyTerry),
        (ratio, Pair::Ipo { beta: 0.1 }, Preference::BradleyTerry),
        (ratio, Pair::Sppo { beta: 1e-3, reduction: Reduction::Sum }, Preference::PlackettLuce),
        (dpo, Pair::LOGISTIC, Preference::Hps(weighted)),
        (dpo, Pair::LOGISTIC, Preference::Contrast(Contrast { alpha: 0.5, power: 2.0 })),
        (dpo, Pair::LOGISTIC, Preference::Top { choices: u32::MAX }),
        (dpo, Pair::Exo { label_smoothing: 0.25 }, Preference::RewardTargets { temperature: 2.0 }),
        (
            dpo,
            Pair::LOGISTIC,
            Preference::Lipo(Lipo { log_base: LogBase::Two, ranks: RankBy::Rewards, reduction: Reduction::Mean }),
        ),
        (
            Reward::LogProb,
            Pair::Hinge { margin: 2.0 },
            Preference::Slic(Slic { weight: 0.0, placement: Supervised::Inside }),
        ),
    ];
    losses.extend(parts.map(|(reward, pair, preference)| Loss::new(reward, pair, preference).unwrap()));
    losses
}

#[test]
fn every_loss_is_written_and_read_back() {
    let losses = losses();
    assert!(losses.len() > 600, "{}", losses.len());
    let (mut texts, mut different) = (HashSet::new(), Vec::<Loss>::new());
    for loss in losses {
        let text = serde_json::to_string(&loss).unwrap();
        assert_eq!(serde_json::from_str::<Loss>(&text).unwrap(), loss, "{text}");
        // By way of a tree, where numbers and keys are in an order of their own.
        let tree = serde_json::to_value(loss).unwrap();
        assert_eq!(serde_json::from_value::<Loss>(tree).unwrap(), loss, "{text}");
        assert_eq!(text.starts_with('"'), named(&loss.to_string()) == loss, "{text}");
        // The description too says all.
        let is_new = texts.insert(loss.describe().to_string());
        assert_eq!(is_new, !different.contains(&loss), "{}", loss.describe());
        if is_new {
            different.push(loss);
        }
    }
}

#[test]
fn what_is_written() {
    let written = |loss: Loss| serde_json::to_string(&loss).unwrap();
    assert_eq!(written(named("dpo-hps-full")), "\"dpo-hps-full\"");
    assert_eq!(written(named("dpo-hps").with_gamma(2.0).unwrap()), r#"{"name":"dpo-hps","gamma":2.0}"#);
    let loss = named("dpo-hps").with_gamma(f64::INFINITY).unwrap().with_negative_scale(NegativeScale::Count).unwrap();
    assert_eq!(written(loss), r#"{"name":"dpo-hps","gamma":"inf","negative_scale":"count"}"#);
    let loss = named("dpo-bt").with_beta(0.25).unwrap().with_label_smoothing(0.1).unwrap();
    assert_eq!(loss.describe().to_string(), "dpo-bt {beta: 0.25, label_smoothing: 0.1}");
}

#[test]
fn what_is_read() {
    let read = |text: &str| serde_json::from_str::<Loss>(text);
    let loss = read(r#"{"gamma": "-inf", "beta": 1, "tie_policy": "mask-max", "name": "dpo-hps-full"}"#).unwrap();
    assert_eq!(loss.describe().to_string(), "dpo-hps-full {beta: 1.0, gamma: -inf, tie_policy: mask-max}");
    assert_eq!(read(r#"{"name": "dpo-bt"}"#).unwrap(), named("dpo-bt"));
    for (text, said) in [
        (r#""dpo-nothing""#, "no loss is named `dpo-nothing`"),
        (r#"{"name": "dpo-hsp"}"#, "the nearest name is `dpo-hps`"),
        (r#"{"gamma": 2.0}"#, "missing field `name`"),
        (r#"{"name": "dpo-bt", "name": "dpo-pl"}"#, "duplicate field `name`"),
        (r#"{"name": "dpo-bt", "beta": 1.0, "beta": 2.0}"#, "duplicate field `beta`"),
        (r#"{"name": "dpo-bt", "gamma": 2.0}"#, "dpo-bt has no `gamma`"),
        (r#"{"name": "dpo-bt", "betta": 2.0}"#, "a loss has no setting `betta`"),
        (r#"{"name": "dpo-bt", "beta": -1.0}"#, "`beta` of dpo-bt: beta = -1 is outside (0, inf)"),
        (r#"{"name": "dpo-bt", "beta": "much"}"#, "expected a number"),
        (r#"{"name": "dpo-bt", "beta": null}"#, "expected a number"),
        (r#"{"name": "dpo-hps", "tie_policy": "drop"}"#, r#"expected "keep" or "mask-max""#),
        (r#"{"name": "ipo-bt", "per_token": 1}"#, "expected true or false"),
        (r#"{"name": "dpo-hps-weighted", "rank_weights": [0.5]}"#, "rank weight = 0.5"),
        ("3", "the name of a loss, or a map"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn schedules_tie_policies_and_scales_are_text() {
    fn round<T: serde_core::Serialize + for<'de> serde_core::Deserialize<'de> + PartialEq + std::fmt::Debug>(
        value: T,
        text: &str,
    ) {
        assert_eq!(serde_json::to_string(&value).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<T>(&format!("\"{text}\"")).unwrap(), value);
        assert!(serde_json::from_str::<T>("\"nothing\"").is_err());
    }
    round(GammaSchedule::LinspaceFifths, "linspace-fifths");
    round(GammaSchedule::Constant(f64::INFINITY), "constant:inf");
    round(TiePolicy::MaskMax, "mask-max");
    round(TiePolicy::Keep, "keep");
    round(NegativeScale::Unit, "unit");
    round(NegativeScale::Count, "count");
    // A number is one, and as text it is read too.
    let scale = NegativeScale::Custom(0.1 + 0.2);
    assert_eq!(serde_json::to_string(&scale).unwrap(), "0.30000000000000004");
    for text in ["0.30000000000000004", "\"0.30000000000000004\""] {
        assert_eq!(serde_json::from_str::<NegativeScale>(text).unwrap(), scale);
    }
    assert_eq!(serde_json::from_str::<NegativeScale>("2").unwrap(), NegativeScale::Custom(2.0));
    assert!(serde_json::from_str::<NegativeScale>("-2.5").unwrap_err().to_string().contains("negative scale = -2.5"));
}
