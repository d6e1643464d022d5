//! Names of losses: `<reward and pair>-<preference model>`.

use crate::error::{Cause, Error};
use crate::hps::{Hps, HpsForm};
use crate::loss::Loss;
use crate::pair::Pair;
use crate::preference::Preference;
use crate::reward::Reward;
use core::fmt;
use core::str::FromStr;

const KNOWN: &str = "dpo-bt, dpo-pl, dpo-hps, dpo-hps-full";

impl FromStr for Loss {
    type Err = Error;

    fn from_str(name: &str) -> Result<Loss, Error> {
        let unknown = Cause::UnknownName { what: "loss", known: KNOWN };
        let (family, model) = name.split_once('-').ok_or(unknown)?;
        let (reward, pair) = match family {
            "dpo" => (Reward::Dpo { beta: Reward::DEFAULT_BETA }, Pair::LOGISTIC),
            _ => return Err(unknown.into()),
        };
        let preference = match model {
            "bt" => Preference::BradleyTerry,
            "pl" => Preference::PlackettLuce,
            "hps" => Preference::Hps(Hps::single()),
            "hps-full" => Preference::Hps(Hps::full()),
            _ => return Err(unknown.into()),
        };
        Loss::new(reward, pair, preference)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match (self.reward(), self.pair()) {
            (Reward::Dpo { .. }, Pair::Logistic { .. }) => "dpo",
        };
        let model = match self.preference() {
            Preference::BradleyTerry => "bt",
            Preference::PlackettLuce => "pl",
            Preference::Hps(Hps { form: HpsForm::Single, .. }) => "hps",
            Preference::Hps(Hps { form: HpsForm::Full, .. }) => "hps-full",
        };
        write!(f, "{family}-{model}")
    }
}
