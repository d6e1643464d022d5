//! The experiments: which arms, and which are compared.

use crate::arm::{Arm, BASE};
use crate::lists::Annotation;
use clap::ValueEnum;
use std::fmt;

/// A question, and the arms that answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Experiment {
    /// Does hardness help beyond a random negative? Constant γ from the easiest to the hardest, and schedules, at a cosine and
    /// at a constant learning rate.
    Gamma,
    /// Does HPS win where what is hard is harmful? The annotator's weight of harm from 2 to 0.
    Harm,
    /// What do more draws buy? One, two, four, seven, the expectation over one, and all.
    Draws,
}

impl Experiment {
    /// Its arms; the first one is what the others are compared with.
    pub fn arms(self, quick: bool) -> Vec<Arm> {
        let uniform = "constant:0";
        let arms: Vec<Arm> = match self {
            Experiment::Gamma => {
                let mut arms = vec![Arm::of("dpo-hps", uniform), Arm::of(BASE, ""), Arm::of("dpo-bt", "")];
                let gammas = ["constant:-inf", "constant:-2", "constant:2", "constant:5", "constant:inf"];
                arms.extend(gammas.map(|gamma| Arm::of("dpo-hps", gamma)));
                arms.extend(["linspace-fifths", "continuous"].map(|gamma| Arm::of("dpo-hps", gamma)));
                let constant = |arm: &Arm| Arm { lr_scheduler_type: "constant_with_warmup".into(), ..arm.clone() };
                arms.extend(arms.iter().filter(|arm| arm.loss != BASE).map(constant).collect::<Vec<_>>());
                arms
            }
            Experiment::Harm => {
                let weights = if quick { vec![2.0, 0.0] } else { vec![2.0, 1.0, 0.5, 0.0] };
                let mut methods = vec![("dpo-hps", uniform), ("dpo-bt", "")];
                if !quick {
                    methods.extend([("dpo-pl", ""), ("dpo-top1", "")]);
                    methods.extend(["constant:2", "constant:5", "linspace-fifths"].map(|gamma| ("dpo-hps", gamma)));
                }
                let of = |weight: f64| {
                    let annotation = Annotation::HarmWeight(weight);
                    methods.clone().into_iter().map(move |(loss, gamma)| Arm { annotation, ..Arm::of(loss, gamma) })
                };
                weights.into_iter().flat_map(of).collect()
            }
            Experiment::Draws => {
                let gamma = "constant:2";
                let several = |num_negatives| Arm { num_negatives, ..Arm::of("dpo-hps-multi", gamma) };
                let mut arms = vec![Arm::of("dpo-hps-full", gamma)];
                arms.extend([1, 2, 4, 7].map(several));
                arms.push(Arm::of("dpo-hps-expected", gamma));
                arms
            }
        };
        if quick { arms.into_iter().take(4).collect() } else { arms }
    }

    /// What an arm is compared with: the first arm of the same annotation and learning rate.
    pub fn control<'a>(self, arms: &'a [Arm], arm: &Arm) -> &'a Arm {
        let alike = |other: &&Arm| {
            other.annotation == arm.annotation && (other.lr_scheduler_type == arm.lr_scheduler_type || arm.loss == BASE)
        };
        arms.iter().find(alike).unwrap_or(&arms[0])
    }
}

impl fmt::Display for Experiment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Experiment::Gamma => "gamma",
            Experiment::Harm => "harm",
            Experiment::Draws => "draws",
        })
    }
}
