//! What tables show of a policy on a dataset, each a statistic of its rows.

use super::judged::EvaluatedMargins;
use super::{Bleu, BleuCounts, Bootstrap, EvaluatedRow, Interval, bootstrap};

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// BLEU of the responses against the preferred ones.
    Bleu,
    /// Mean reward of the responses, each the best of those drawn.
    Reward,
    /// RM_DPO, nats; with a β, times it.
    RmDpo,
    /// RM_R-DPO, the same less 0.01 for each token the preferred response is longer.
    RmRdpo,
    /// Margin to the hardest negative, nats; with a β, times it.
    Hardest,
    /// Share of rows whose preferred response has the greatest implicit reward.
    Accuracy,
    /// Divergence on the preferred response, nats a response.
    Kl,
    /// `ln π − ln π_ref` of the preferred response, nats.
    LogRatio,
    /// BLEU less the base's, over the same rows.
    BleuChange,
    /// Reward less the base's, row by row.
    RewardChange,
    /// Mean reward of all responses drawn.
    MeanReward,
    /// Tokens of a response.
    Tokens,
    /// Share of the responses that ended by themselves.
    Finished,
}

impl Metric {
    /// The paper's columns (Tables 2, 5 to 7), in its order.
    pub const PAPER: [Metric; 4] = [Metric::Bleu, Metric::Reward, Metric::RmDpo, Metric::RmRdpo];
    /// The others. KL is the paper's too (Table 8).
    pub const MORE: [Metric; 9] = [
        Metric::Kl,
        Metric::Hardest,
        Metric::Accuracy,
        Metric::LogRatio,
        Metric::BleuChange,
        Metric::RewardChange,
        Metric::MeanReward,
        Metric::Tokens,
        Metric::Finished,
    ];

    /// Its name in files.
    pub fn key(self) -> &'static str {
        match self {
            Metric::Bleu => "bleu",
            Metric::Reward => "reward",
            Metric::RmDpo => "rm_dpo",
            Metric::RmRdpo => "rm_rdpo",
            Metric::Hardest => "hardest_margin",
            Metric::Accuracy => "accuracy",
            Metric::Kl => "kl",
            Metric::LogRatio => "log_ratio",
            Metric::BleuChange => "bleu_change",
            Metric::RewardChange => "reward_change",
            Metric::MeanReward => "mean_reward",
            Metric::Tokens => "tokens",
            Metric::Finished => "finished",
        }
    }

    /// Its name in tables.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Bleu => "BLEU ↑",
            Metric::Reward => "Reward ↑",
            Metric::RmDpo => "RM_DPO ↑",
            Metric::RmRdpo => "RM_R-DPO ↑",
            Metric::Hardest => "hardest margin ↑",
            Metric::Accuracy => "accuracy ↑",
            Metric::Kl => "KL",
            Metric::LogRatio => "log ratio",
            Metric::BleuChange => "Δ BLEU",
            Metric::RewardChange => "Δ reward",
            Metric::MeanReward => "mean reward",
            Metric::Tokens => "tokens",
            Metric::Finished => "finished",
        }
    }

    /// Decimals that tables show.
    pub fn decimals(self, bleu: Bleu) -> usize {
        match (self, bleu) {
            (Metric::Bleu | Metric::BleuChange, Bleu::Sacrebleu) => 2,
            (Metric::Tokens, _) => 1,
            _ => 3,
        }
    }
}

/// The rows of a policy on a dataset, and what BLEU needs of them.
#[derive(Debug)]
pub(super) struct Rows {
    rows: Vec<EvaluatedRow>,
    counts: Vec<BleuCounts>,
}

/// How statistics are formed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statistics {
    pub(super) bleu: Bleu,
    pub(super) beta: f64,
    pub(super) bootstrap: Bootstrap,
}

impl Rows {
    /// * `preferred` — the preferred response of each row.
    pub(super) fn new(rows: Vec<EvaluatedRow>, preferred: &[String], bleu: Bleu) -> Rows {
        let counts = rows.iter().zip(preferred).map(|(row, preferred)| bleu.counts(&row.response, preferred)).collect();
        Rows { rows, counts }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The estimate of a metric; `None` where the rows do not have it. `base` has the base's rows of the same dataset.
    pub(super) fn estimate(&self, metric: Metric, base: Option<&Rows>, statistics: &Statistics) -> Option<Interval> {
        let Statistics { bleu, beta, .. } = *statistics;
        let of = |rows: &Rows, chosen: &[usize]| bleu.of_corpus(chosen.iter().map(|row| &rows.counts[*row]));
        let against = |value: fn(&EvaluatedMargins, f64) -> f64| {
            move |row: &EvaluatedRow| row.against.as_ref().map(|against| value(against, beta))
        };
        let draw = |statistic: &dyn Fn(&[usize]) -> f64| Some(bootstrap(self.len(), statistics.bootstrap, statistic));
        let mean = |value: &dyn Fn(&EvaluatedRow) -> Option<f64>| {
            let values: Vec<f64> = self.rows.iter().map(value).collect::<Option<_>>()?;
            draw(&|chosen| chosen.iter().map(|row| values[*row]).sum::<f64>() / chosen.len() as f64)
        };
        let reward = |row: &EvaluatedRow| row.rewards.get(row.best).copied();
        match metric {
            Metric::Bleu => draw(&|chosen| of(self, chosen)),
            Metric::Reward => mean(&reward),
            Metric::RmDpo => mean(&against(|against, beta| beta * against.rm_dpo)),
            Metric::RmRdpo => mean(&against(|against, beta| beta * against.rm_dpo + against.rm_rdpo - against.rm_dpo)),
            Metric::Hardest => mean(&against(|against, beta| beta * against.hardest)),
            Metric::Accuracy => mean(&against(|against, _| against.accuracy)),
            Metric::Kl => mean(&against(|against, _| against.kl)),
            Metric::LogRatio => mean(&against(|against, _| against.log_ratio)),
            Metric::BleuChange => {
                let base = base?;
                draw(&|chosen| of(self, chosen) - of(base, chosen))
            }
            Metric::RewardChange => {
                let before: Vec<f64> = base?.rows.iter().map(reward).collect::<Option<_>>()?;
                let after: Vec<f64> = self.rows.iter().map(reward).collect::<Option<_>>()?;
                let change = |row: &usize| after[*row] - before[*row];
                draw(&|chosen| chosen.iter().map(change).sum::<f64>() / chosen.len() as f64)
            }
            Metric::MeanReward => mean(&|row| {
                (!row.rewards.is_empty()).then(|| row.rewards.iter().sum::<f64>() / row.rewards.len() as f64)
            }),
            Metric::Tokens => mean(&|row| Some(row.tokens as f64)),
            Metric::Finished => mean(&|row| Some(f64::from(u8::from(row.finished)))),
        }
    }
}
