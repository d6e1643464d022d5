//! Names parse to what they print from.

use crate::losses::names;
use hps_core::{ErrorKind, GammaSchedule, Hps, HpsForm, Loss, NegativeScale, Pair, Preference, Reward, TiePolicy};
use std::collections::BTreeSet;

#[test]
fn losses_parse_and_print() {
    let expected = [
        ("dpo-bt", Preference::BradleyTerry),
        ("dpo-pl", Preference::PlackettLuce),
        ("dpo-hps", Preference::Hps(Hps::single())),
        ("dpo-hps-full", Preference::Hps(Hps::full())),
        ("dpo-hps-multi", Preference::Hps(Hps::multi())),
        ("dpo-hps-expected", Preference::Hps(Hps::expected())),
        ("dpo-top1", Preference::Top { choices: 1 }),
        ("dpo-top2", Preference::Top { choices: 2 }),
        ("dpo-top4294967295", Preference::Top { choices: u32::MAX }),
    ];
    for (name, preference) in expected {
        let loss: Loss = name.parse().unwrap();
        assert_eq!(loss, Loss::new(Reward::Dpo { beta: 0.1 }, Pair::LOGISTIC, preference).unwrap());
        assert_eq!(loss.to_string(), name);
        assert_eq!(loss.with_beta(0.7).unwrap().to_string(), name);
    }
}

#[test]
fn every_name_parses_and_prints() {
    let names = names();
    // The same as the crate's own, `top5` apart, which stands for any number of choices.
    let known: BTreeSet<&str> = Loss::names().iter().copied().collect();
    let tested: BTreeSet<&str> = names.iter().map(String::as_str).filter(|name| !name.ends_with("top5")).collect();
    assert_eq!(known, tested);
    for name in &names {
        let loss: Loss = name.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(&loss.to_string(), name);
        let terms = (loss.preference_weight(), loss.likelihood());
        let expected = match name.split('-').next().unwrap() {
            "orpo" => (0.1, 1.0),
            "cpo" => (1.0, 1.0),
            _ => (1.0, 0.0),
        };
        assert_eq!(terms, expected, "{name}");
        let bare = Loss::new(loss.reward(), loss.pair(), loss.preference()).unwrap();
        assert_eq!((bare.preference_weight(), bare.likelihood()), (1.0, 0.0));
        let rebuilt = bare.with_preference_weight(terms.0).unwrap().with_likelihood(terms.1);
        assert_eq!(rebuilt, Ok(loss));
        assert_eq!(loss.beta().is_none(), name == "slic", "{name}");
    }
    let losses: Vec<Loss> = names.iter().map(|name| name.parse().unwrap()).collect();
    for (index, loss) in losses.iter().enumerate() {
        assert!(!losses[..index].contains(loss), "{loss} is another's name");
    }
}

#[test]
fn options_keep_the_terms() {
    let changes: [fn(Loss) -> Result<Loss, hps_core::Error>; 6] = [
        |loss| loss.with_beta(0.7),
        |loss| loss.with_margin(0.5),
        |loss| loss.with_label_smoothing(0.1),
        |loss| loss.with_gamma(2.0),
        |loss| loss.with_alpha(0.5),
        |loss| loss.with_likelihood(0.25),
    ];
    let loss: Loss = "rdpo-hps-full".parse().unwrap();
    let weighed = loss.with_likelihood(0.25).unwrap().with_preference_weight(3.0).unwrap();
    for change in changes {
        let changed = change(weighed).unwrap();
        assert_eq!((changed.preference_weight(), changed.likelihood()), (3.0, 0.25), "{changed:?}");
    }
    let targets = "nca-k".parse::<Loss>().unwrap().with_likelihood(0.25).unwrap().with_temperature(2.0).unwrap();
    assert_eq!(targets.likelihood(), 0.25);
    // For log odds β is the weight of the preference, and the likelihood keeps its own.
    let orpo = "orpo-pl".parse::<Loss>().unwrap().with_beta(0.5).unwrap();
    assert_eq!((orpo.beta(), orpo.preference_weight(), orpo.likelihood()), (Some(0.5), 0.5, 1.0));
}

#[test]
fn families_and_models_that_do_not_go_together_are_refused() {
    let unsupported = [
        "exo-top1",
        "nca-hps-multi",
        "exo-hps-weighted",
        "ipo-hps-full",
        "sppo-hps-full",
        "ipo-top1",
        "nca-top2",
        "sppo-swepo",
    ];
    for name in unsupported {
        assert_eq!(name.parse::<Loss>().unwrap_err().kind(), ErrorKind::Unsupported, "{name}");
    }
    for name in ["slic-bt", "hinge-pl", "lipo-pl", "exo-k", "nca-rw", "dpo-soft-bt", "infonca", "dpo-hps-single"] {
        assert_eq!(name.parse::<Loss>().unwrap_err().kind(), ErrorKind::UnknownName, "{name}");
    }
}

#[test]
fn defaults_of_hps() {
    let (single, full) = (Hps::single(), Hps::full());
    assert_eq!((single.form, single.scale, single.gamma), (HpsForm::Single, NegativeScale::Unit, 0.0));
    assert_eq!((full.form, full.scale, full.gamma), (HpsForm::Full, NegativeScale::Count, 0.0));
    assert_eq!((single.ties, full.ties), (TiePolicy::Keep, TiePolicy::Keep));
}

#[test]
fn unknown_names_are_refused() {
    for name in
        ["", "dpo", "bt", "dpo-", "dpo-BT", "dpo-hps-", "dpo-hps-full-", "ipo-hps-full-full", " dpo-bt", "dpo-top"]
    {
        assert_eq!(name.parse::<Loss>().unwrap_err().kind(), ErrorKind::UnknownName, "{name:?}");
    }
    for name in ["dpo-top0", "dpo-top01", "dpo-top+1", "dpo-top1 ", "dpo-topk", "dpo-top4294967296"] {
        assert_eq!(name.parse::<Loss>().unwrap_err().kind(), ErrorKind::UnknownName, "{name:?}");
    }
    for name in ["", "linear", "constant:", "constant:x", "Continuous"] {
        assert_eq!(name.parse::<GammaSchedule>().unwrap_err().kind(), ErrorKind::UnknownName, "{name:?}");
    }
    assert_eq!("constant:nan".parse::<GammaSchedule>().unwrap_err().kind(), ErrorKind::BadHyper);
}

#[test]
fn schedules_parse_and_print() {
    let schedules = [
        ("linspace-fifths", GammaSchedule::LinspaceFifths),
        ("continuous", GammaSchedule::Continuous),
        ("official-code", GammaSchedule::OfficialCode),
        ("constant:2.5", GammaSchedule::Constant(2.5)),
        ("constant:-inf", GammaSchedule::Constant(f64::NEG_INFINITY)),
    ];
    for (name, schedule) in schedules {
        assert_eq!(name.parse::<GammaSchedule>().unwrap(), schedule);
        assert_eq!(schedule.to_string(), name);
    }
    assert_eq!("constant".parse::<GammaSchedule>().unwrap(), GammaSchedule::Constant(0.0));
}

#[test]
fn schedules_at_the_edges() {
    use GammaSchedule::*;
    for schedule in [LinspaceFifths, Continuous, OfficialCode] {
        assert_eq!(schedule.at(0, 0), -5.0);
        assert_eq!(schedule.at(0, 1), -5.0);
        assert_eq!(schedule.at(9, 5), schedule.at(4, 5));
        assert_eq!(schedule.at(4, 5), 5.0);
    }
    assert_eq!(Constant(f64::INFINITY).at(7, 3), f64::INFINITY);
    // The highest level of the authors' program, for 100 rows; it never reaches 5.
    let top = (0..100).map(|index| OfficialCode.at(index, 100)).fold(f64::MIN, f64::max);
    assert!((top - (-5.0 + 800.0 / 99.0)).abs() < 1e-12);
    for index in 1..1000 {
        assert!(Continuous.at(index, 1000) > Continuous.at(index - 1, 1000));
        assert!(LinspaceFifths.at(index, 1000) >= LinspaceFifths.at(index - 1, 1000));
    }
}

/// What is no letter of a name is not shown as it is, and a long name is cut.
#[test]
fn unknown_names_are_repeated_safely() {
    let said = |name: &str| name.parse::<Loss>().unwrap_err().to_string();
    let hidden = said("\u{202e}dpo\n\u{200b}");
    assert!(hidden.starts_with("no loss is named `\\u{202e}dpo\\n\\u{200b}`; "), "{hidden}");
    let long = said(&"dpö".repeat(4000));
    assert!(long.len() < 600 && long.contains("…`; known are"), "{long}");
    assert_eq!("DPO-HPS".parse::<Loss>().unwrap_err().nearest(), Some("dpo-hps"));
    assert_eq!("".parse::<Loss>().unwrap_err().nearest(), None);
}

#[test]
fn half_a_name_is_completed() {
    let suggested = |name: &str| name.parse::<Loss>().unwrap_err().nearest();
    for (given, meant) in [
        ("hps", "dpo-hps"),
        ("hps-full", "dpo-hps-full"),
        ("pl", "dpo-pl"),
        ("top1", "dpo-top1"),
        ("dpo", "dpo-bt"),
        ("simpo", "simpo-bt"),
        ("exo", "exo-bt"),
        ("dpo-hsp", "dpo-hps"),
    ] {
        assert_eq!(suggested(given), Some(meant), "{given}");
    }
    assert_eq!(suggested("no loss at all"), None);
}
