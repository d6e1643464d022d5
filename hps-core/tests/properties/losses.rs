//! Every loss, with every option that changes its arithmetic.

use hps_core::{
    Contrast, Hps, HpsForm, Lipo, LogBase, Loss, NegativeScale, NegativeSet, Pair, Preference, RankBy, RankWeights,
    Reduction, ResponseScale, Reward, Slic, Supervised, TiePolicy,
};

pub const LOGISTIC_FAMILIES: [&str; 6] = ["dpo", "kto", "simpo", "rdpo", "orpo", "cpo"];
pub const LOGISTIC_MODELS: [&str; 11] =
    ["bt", "top1", "top2", "top5", "pl", "hps", "hps-full", "hps-multi", "hps-expected", "hps-weighted", "swepo"];
pub const EXPONENTIAL_FAMILIES: [&str; 2] = ["exo", "nca"];
pub const EXPONENTIAL_MODELS: [&str; 5] = ["bt", "pl", "hps", "hps-full", "hps-expected"];
pub const SQUARE_FAMILIES: [&str; 2] = ["ipo", "sppo"];
pub const SQUARE_MODELS: [&str; 4] = ["bt", "pl", "hps", "hps-expected"];
pub const WHOLE: [&str; 7] = ["exo-rw", "nca-k", "infonca-k", "sppo-soft-bt", "slic", "hinge", "lipo"];

/// Every name there is.
pub fn names() -> Vec<String> {
    let product = |families: &[&str], models: &[&str]| -> Vec<String> {
        families.iter().flat_map(|family| models.iter().map(move |model| format!("{family}-{model}"))).collect()
    };
    let mut names = product(&LOGISTIC_FAMILIES, &LOGISTIC_MODELS);
    names.extend(product(&EXPONENTIAL_FAMILIES, &EXPONENTIAL_MODELS));
    names.extend(product(&SQUARE_FAMILIES, &SQUARE_MODELS));
    names.extend(WHOLE.map(String::from));
    names
}

pub fn losses() -> Vec<Loss> {
    let loss = |name: &str| name.parse::<Loss>().unwrap();
    let mut losses: Vec<Loss> = names().iter().map(|name| loss(name)).collect();
    for name in ["dpo-bt", "simpo-top1", "exo-bt", "exo-pl", "exo-hps-full"] {
        losses.push(loss(name).with_label_smoothing(0.1).unwrap());
    }
    for name in ["dpo-pl", "dpo-top3"] {
        losses.push(loss(name).with_margin(0.7).unwrap());
    }
    for name in ["dpo-hps", "dpo-hps-full", "dpo-hps-multi", "dpo-hps-expected", "dpo-hps-weighted", "nca-hps-full"] {
        for gamma in [f64::NEG_INFINITY, -5.0, 0.0, 2.5, 1e3, f64::INFINITY] {
            for scale in [NegativeScale::Unit, NegativeScale::Count, NegativeScale::Custom(7.5)] {
                losses.push(loss(name).with_gamma(gamma).unwrap().with_negative_scale(scale).unwrap());
            }
        }
    }
    for name in ["dpo-hps", "dpo-hps-full", "dpo-hps-multi", "dpo-hps-expected"] {
        let adjusted = loss(name).with_label_smoothing(0.2).unwrap().with_margin(-0.4).unwrap();
        losses.push(adjusted.with_tie_policy(TiePolicy::MaskMax).unwrap().with_gamma(1.0).unwrap());
    }
    losses.push(loss("ipo-hps-expected").with_gamma(1.0).unwrap());
    for negatives in [NegativeSet::NextRanks, NegativeSet::NonPreferred] {
        losses.push(weighted(&[1.0, 0.25, 3.0], negatives).with_gamma(0.5).unwrap());
    }

    let new = |reward, pair, preference| Loss::new(reward, pair, preference).unwrap();
    for scale in [ResponseScale::PerToken(5.0), ResponseScale::FromRow] {
        losses.push(new(Reward::Kto { scale }, Pair::LOGISTIC, Preference::PlackettLuce));
    }
    let sppo = Pair::Sppo { beta: 0.1, reduction: Reduction::Sum };
    for preference in [Preference::BradleyTerry, Preference::PlackettLuce, Preference::WinRates] {
        losses.push(new(Reward::LogRatio { per_token: false }, sppo, preference));
    }
    losses.push(new(Reward::LogRatio { per_token: false }, Pair::Ipo { beta: 0.05 }, Preference::PlackettLuce));
    for name in ["dpo-bt", "dpo-hps", "dpo-hps-multi", "dpo-hps-weighted", "ipo-pl", "nca-k", "lipo", "rdpo-swepo"] {
        losses.push(loss(name).with_likelihood(0.3).unwrap());
        losses.push(loss(name).with_likelihood(2.0).unwrap().with_preference_weight(0.7).unwrap());
    }
    losses.push(loss("orpo-pl").with_likelihood(0.0).unwrap().with_preference_weight(1.0).unwrap());
    for placement in [Supervised::Outside, Supervised::Inside] {
        let slic = Preference::Slic(Slic { weight: 0.3, placement });
        losses.push(new(Reward::LogProb, Pair::Hinge { margin: 40.0 }, slic));
    }
    for (alpha, power) in [(0.0, 1.0), (0.5, 0.0), (0.4, 2.0), (2.0, 0.5)] {
        let contrast = Preference::Contrast(Contrast { alpha, power });
        losses.push(new(Reward::Dpo { beta: 0.1 }, Pair::Logistic { label_smoothing: 0.1, margin: -0.3 }, contrast));
        losses.push(new(Reward::RDpo { beta: 0.1, alpha: 0.01 }, Pair::LOGISTIC, contrast));
    }
    for ranks in [RankBy::Scores, RankBy::Rewards] {
        let lipo = Preference::Lipo(Lipo { log_base: LogBase::Two, ranks, reduction: Reduction::Mean });
        losses.push(new(Reward::Dpo { beta: 0.1 }, Pair::LOGISTIC, lipo));
    }
    losses
}

pub fn weighted(weights: &[f64], negatives: NegativeSet) -> Loss {
    let hps = Hps::weighted(RankWeights::new(weights).unwrap(), negatives);
    Loss::new(Reward::Dpo { beta: 0.1 }, Pair::LOGISTIC, Preference::Hps(hps)).unwrap()
}

/// The fewest responses the loss is defined for.
pub fn fewest_responses(loss: &Loss) -> usize {
    match loss.preference() {
        Preference::Hps(Hps { form: HpsForm::Weighted { weights, .. }, .. }) => weights.count() + 1,
        _ => 2,
    }
}
