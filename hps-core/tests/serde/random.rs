//! Any parts that make a loss, not only those that have a name.

use crate::through_json;
use hps_core::{
    Contrast, Hps, Lipo, LogBase, Loss, NegativeScale, NegativeSet, Pair, Preference, RankBy, RankWeights, Reduction,
    ResponseScale, Reward, Slic, Supervised, TiePolicy,
};
use proptest::prelude::*;
use std::collections::HashMap;

/// A number of which the name's default is one, and which is 0 with either sign.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.1), Just(1.0), Just(0.0), Just(-0.0), any::<f64>()]
}

fn positive() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.1), Just(1.0), Just(0.001), any::<f64>().prop_map(f64::abs)]
}

fn smoothing() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(0.001), 0.0..0.5]
}

fn reduction() -> impl Strategy<Value = Reduction> {
    prop_oneof![Just(Reduction::Sum), Just(Reduction::Mean)]
}

fn reward() -> impl Strategy<Value = Reward> {
    prop_oneof![
        3 => positive().prop_map(|beta| Reward::Dpo { beta }),
        1 => positive().prop_map(|beta| Reward::Kto { scale: ResponseScale::Constant(beta) }),
        1 => positive().prop_map(|beta| Reward::Kto { scale: ResponseScale::PerToken(beta) }),
        1 => Just(Reward::Kto { scale: ResponseScale::FromRow }),
        1 => positive().prop_map(|beta| Reward::SimPo { beta }),
        1 => Just(Reward::LogOdds),
        1 => positive().prop_map(|beta| Reward::Cpo { beta }),
        1 => (positive(), number()).prop_map(|(beta, alpha)| Reward::RDpo { beta, alpha }),
        3 => any::<bool>().prop_map(|per_token| Reward::LogRatio { per_token }),
        1 => Just(Reward::LogProb),
    ]
}

fn pair() -> impl Strategy<Value = Pair> {
    prop_oneof![
        2 => Just(Pair::LOGISTIC),
        2 => (smoothing(), number()).prop_map(|(label_smoothing, margin)| Pair::Logistic { label_smoothing, margin }),
        1 => smoothing().prop_map(|label_smoothing| Pair::Exo { label_smoothing }),
        1 => positive().prop_map(|beta| Pair::Ipo { beta }),
        1 => (positive(), reduction()).prop_map(|(beta, reduction)| Pair::Sppo { beta, reduction }),
        1 => Just(Pair::Nca),
        1 => number().prop_map(|margin| Pair::Hinge { margin }),
    ]
}

fn hps() -> impl Strategy<Value = Preference> {
    let weights = proptest::collection::vec(positive(), 0..RankWeights::CAPACITY);
    let set = prop_oneof![Just(NegativeSet::NonPreferred), Just(NegativeSet::NextRanks)];
    let weighted = (weights, set)
        .prop_map(|(rest, set)| Hps::weighted(RankWeights::new(&[vec![1.0], rest].concat()).unwrap(), set));
    let form = prop_oneof![Just(Hps::full()), Just(Hps::single()), Just(Hps::multi()), Just(Hps::expected()), weighted];
    let gamma = prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), number()];
    let custom = positive().prop_map(NegativeScale::Custom);
    let scale = prop_oneof![Just(NegativeScale::Unit), Just(NegativeScale::Count), custom];
    let ties = prop_oneof![Just(TiePolicy::Keep), Just(TiePolicy::MaskMax)];
    (form, gamma, scale, ties).prop_map(|(mut hps, gamma, scale, ties)| {
        (hps.gamma, hps.scale, hps.ties) = (gamma, scale, ties);
        Preference::Hps(hps)
    })
}

fn preference() -> impl Strategy<Value = Preference> {
    let log_base = prop_oneof![Just(LogBase::Natural), Just(LogBase::Two)];
    let ranks = prop_oneof![Just(RankBy::Scores), Just(RankBy::Rewards)];
    let lipo =
        (log_base, ranks, reduction()).prop_map(|(log_base, ranks, reduction)| Lipo { log_base, ranks, reduction });
    let placement = prop_oneof![Just(Supervised::Outside), Just(Supervised::Inside)];
    prop_oneof![
        Just(Preference::BradleyTerry),
        any::<u32>().prop_map(|choices| Preference::Top { choices }),
        Just(Preference::PlackettLuce),
        hps(),
        (positive(), positive()).prop_map(|(alpha, power)| Preference::Contrast(Contrast { alpha, power })),
        positive().prop_map(|temperature| Preference::RewardTargets { temperature }),
        Just(Preference::WinRates),
        (positive(), placement).prop_map(|(weight, placement)| Preference::Slic(Slic { weight, placement })),
        lipo.prop_map(Preference::Lipo),
    ]
}

fn loss() -> impl Strategy<Value = Loss> {
    let terms = (prop_oneof![Just(0.0), positive()], prop_oneof![Just(1.0), positive()]);
    (reward(), pair(), preference(), terms).prop_filter_map("no loss", |(reward, pair, preference, (nu, lambda))| {
        let bare = Loss::new(reward, pair, preference).ok()?;
        Some(bare.with_likelihood(nu).and_then(|loss| loss.with_preference_weight(lambda)).unwrap_or(bare))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_local_rejects: 10_000_000, ..ProptestConfig::default() })]

    #[test]
    fn every_loss_comes_back(loss in loss()) {
        through_json(&loss);
    }

    #[test]
    fn losses_are_equal_exactly_if_their_texts_are(losses in proptest::collection::vec(loss(), 30)) {
        let mut seen: HashMap<String, Loss> = HashMap::new();
        for loss in losses {
            let text = loss.describe().to_string();
            let unlike = seen.iter().find(|(other_text, other)| (**other_text == text) != (**other == loss));
            prop_assert!(unlike.is_none(), "{text}: {loss:?} and {unlike:?}");
            seen.insert(text, loss);
        }
    }
}

#[test]
fn zeros_of_either_sign_are_one_text() {
    let hinge = |margin| "hinge".parse::<Loss>().unwrap().with_margin(margin).unwrap();
    assert_eq!(hinge(0.0), hinge(-0.0));
    assert_eq!(hinge(0.0).describe().to_string(), "hinge {margin: 0.0}");
    assert_eq!(hinge(-0.0).describe().to_string(), "hinge {margin: 0.0}");
}
