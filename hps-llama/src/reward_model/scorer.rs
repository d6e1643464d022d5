//! A reward model with its chat template: from prompts and responses as text to their rewards.

use super::{GatedRewardModel, Objectives, RewardModel, expect_ends};
use crate::backend::Backend;
use crate::chat::{Chat, TemplateDate};
use crate::config::LlamaConfig;
use crate::data::{Prompt, Response};
use crate::hub::expect_here;
use crate::model::ModelSource;
use crate::pack::{self, Group};
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

/// Which number of ArmoRM's is the reward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ArmoScore {
    /// The gated score, the model's own.
    #[default]
    Gated,
    /// The plain mean of the objectives' ratings, which the paper's evaluation reads.
    Mean,
}

impl fmt::Display for ArmoScore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            ArmoScore::Gated => "gated",
            ArmoScore::Mean => "mean",
        })
    }
}

impl FromStr for ArmoScore {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "gated" => Ok(ArmoScore::Gated),
            "mean" => Ok(ArmoScore::Mean),
            _ => Err(Error::new(ErrorKind::Option, format!("`score` is \"{name}\"; there are `gated` and `mean`"))),
        }
    }
}

/// A reward model of either form, and how it reads text.
#[derive(Debug)]
pub struct Scorer<B: Backend> {
    form: Form<B>,
    chat: Chat,
    label: String,
}

#[derive(Debug)]
enum Form<B: Backend> {
    Single(RewardModel<B>),
    Gated(GatedRewardModel<B>, ArmoScore),
}

impl<B: Backend> Scorer<B> {
    /// Reads a folder of `LlamaForSequenceClassification` or `LlamaForRewardModelWithGating` with its tokenizer and template.
    ///
    /// * `score` — which of ArmoRM's numbers, unset the gated one; only to be given for that model.
    ///
    /// # Errors
    /// It holds neither, it is malformed, or `score` is given for a model of one score.
    pub fn from_folder(backend: B, source: impl Into<ModelSource>, score: Option<ArmoScore>) -> Result<Self> {
        let source = source.into();
        let folder = source.path();
        expect_here(folder)?;
        let name = folder.display();
        let (form, label) = match (LlamaConfig::gating(folder)?, score) {
            (Some(_), score) => {
                let score = score.unwrap_or_default();
                let model = GatedRewardModel::from_folder(backend, source.clone())?;
                let label = match score {
                    ArmoScore::Gated => format!("{name}, gated score"),
                    ArmoScore::Mean => format!("{name}, mean of {} objectives", model.objectives()),
                };
                (Form::Gated(model, score), label)
            }
            (None, None) => (Form::Single(RewardModel::from_folder(backend, source.clone(), false)?), name.to_string()),
            (None, Some(score)) => {
                LlamaConfig::expect_reward_model(folder)?;
                let message = format!("`score` is {score}, but the model has one score only");
                return Err(Error::new(ErrorKind::Option, message).at(name));
            }
        };
        Ok(Scorer { form, chat: Chat::from_folder(folder)?, label })
    }

    /// The day that its template writes: see [`Chat::template_date`].
    #[must_use]
    pub fn template_date(mut self, date: Option<TemplateDate>) -> Self {
        self.chat = self.chat.template_date(date);
        self
    }

    /// Whether sequences may be longer than it has positions: see [`Chat::allow_long_positions`].
    #[must_use]
    pub fn allow_long_positions(mut self, allow: bool) -> Self {
        self.chat = self.chat.allow_long_positions(allow);
        self
    }

    /// How it reads text.
    pub fn chat(&self) -> &Chat {
        &self.chat
    }

    /// Its folder, and which of its numbers is the reward where it has several.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its device and number type (see [`Backend::arithmetic`]).
    pub fn arithmetic(&self) -> String {
        match &self.form {
            Form::Single(model) => model.policy().model.arithmetic(),
            Form::Gated(model, _) => model.arithmetic(),
        }
    }

    /// A prompt and responses as the model reads them: messages by its chat template, text as text (see [`Chat::group`]).
    ///
    /// # Errors
    /// See there; a response and a prompt's end that are padding; a sequence beyond the model's positions.
    pub fn group(&self, row: u32, prompt: &Prompt, responses: &[Response]) -> Result<Group> {
        let (prompt, responses) = self.chat.group(prompt, responses)?;
        let group = Group { row, prompt, responses };
        match &self.form {
            Form::Single(model) => expect_ends(model.policy().model.config(), &group)?,
            Form::Gated(model, _) => model.expect_one_end(&group)?,
        }
        self.chat.expect_positions(&group)?;
        Ok(group)
    }

    /// The reward of each group's responses. Passes have `max_tokens` tokens at most, or one response with its prompt; the
    /// rewards do not depend on it, nor on what else is asked for.
    ///
    /// # Errors
    /// A reward is not finite, a token lies outside the vocabulary, or the device failed.
    pub fn rewards(&self, groups: &[Group], max_tokens: usize) -> Result<Vec<Vec<f64>>> {
        let mut pieces = Vec::new();
        for (index, group) in groups.iter().enumerate() {
            for range in group.chunks(max_tokens.saturating_sub(group.prompt.len()).max(1)) {
                let (prompt, responses) = (group.prompt.clone(), group.responses[range].to_vec());
                pieces.push((index, Group { row: group.row, prompt, responses }));
            }
        }
        let mut rewards: Vec<Vec<f64>> = vec![Vec::new(); groups.len()];
        for run in pack::runs(&pieces, max_tokens, |(_, piece)| piece.tokens()) {
            let packed: Vec<Group> = run.iter().map(|(_, piece)| piece.clone()).collect();
            for ((index, _), numbers) in run.iter().zip(self.pass(&packed)?) {
                rewards[*index].extend(numbers);
            }
        }
        for (group, rewards) in groups.iter().zip(&rewards) {
            if let Some(response) = rewards.iter().position(|reward| !reward.is_finite()) {
                let message = format!("row {}: response {response} has a reward of {}", group.row, rewards[response]);
                return Err(Error::new(ErrorKind::NonFinite, message));
            }
        }
        Ok(rewards)
    }

    fn pass(&self, groups: &[Group]) -> Result<Vec<Vec<f64>>> {
        match &self.form {
            Form::Single(model) => model.rewards(groups),
            Form::Gated(model, score) => {
                let number = |one: &Objectives| match score {
                    ArmoScore::Gated => one.score,
                    ArmoScore::Mean => one.mean(),
                };
                Ok(model.rate(groups)?.iter().map(|responses| responses.iter().map(number).collect()).collect())
            }
        }
    }
}
