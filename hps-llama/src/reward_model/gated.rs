//! ArmoRM (Wang et al. 2024): a response's reward is a mixture of many objectives' ratings, and its prompt mixes them.
//!
//! `r = R h_end` (`regression_layer.weight`, one row an objective), `g = gate(h_prompt)`, `score = Σ_k g_k (rᵀ T)_k`
//! (`reward_transform_matrix`, which takes verbosity out of the ratings). `h` are normed last hidden states: `h_end` of the
//! last token that is not padding, `h_prompt` of the token where the last `<|eot_id|>`, header of the assistant, begins. As in the model's own
//! code, which looks in the whole conversation: of an answer of several turns the gate reads the last header.
//!
//! The paper's evaluation does not read the score but the plain mean of `r`: [`Objectives::mean`].

use super::expect_ends;
use super::gating::{Gating, Matrix};
use crate::backend::Backend;
use crate::config::LlamaConfig;
use crate::model::{Llama, ModelFolder, ModelSource, Policy, names};
use crate::pack::{Group, Packed, Scored, unpadded};
use crate::parameter::Parameter;
use crate::tokens::Tokenizer;
use crate::{Error, ErrorKind, Result};

/// The objectives' weights, and what takes verbosity out of the ratings.
const REGRESSION: &str = "regression_layer.weight";
const TRANSFORM: &str = "reward_transform_matrix";
/// What ends a prompt and opens the answer.
const HEADER: &str = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n";
/// The special tokens in it.
const SPECIAL: [&str; 3] = ["<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"];

/// A Llama that rates responses by many objectives.
#[derive(Debug)]
pub struct GatedRewardModel<B: Backend> {
    trunk: Policy<B>,
    regression: Matrix,
    transform: Matrix,
    gating: Gating,
    header: Vec<u32>,
    objectives: usize,
}

/// What it says of one response.
#[derive(Debug, Clone, PartialEq)]
pub struct Objectives {
    /// The rating by each objective.
    pub rewards: Vec<f64>,
    /// Each objective's share of the score, from the prompt.
    pub shares: Vec<f64>,
    /// The gated score, the model's own.
    pub score: f64,
}

impl Objectives {
    /// The plain mean of the ratings.
    pub fn mean(&self) -> f64 {
        self.rewards.iter().sum::<f64>() / self.rewards.len() as f64
    }
}

impl<B: Backend> GatedRewardModel<B> {
    /// Reads a folder of `LlamaForRewardModelWithGating`, its tokenizer among its files.
    ///
    /// # Errors
    /// The folder holds another model, a file is missing or malformed; a tensor is missing, has another shape, a number that
    /// is not finite, or no place in the model; the tokenizer does not know Llama 3's special tokens.
    pub fn from_folder(backend: B, source: impl Into<ModelSource>) -> Result<Self> {
        let ModelSource { path, quantisation } = source.into();
        let folder = path.as_path();
        let config = LlamaConfig::gating(folder)?.ok_or_else(|| {
            let place = folder.join("config.json").display().to_string();
            let message = "`architectures` is not [\"LlamaForRewardModelWithGating\"]";
            Error::new(ErrorKind::Config, message).at(place)
        })?;
        let header = header(&Tokenizer::from_folder(folder)?).map_err(|error| error.at(folder.display()))?;
        let folder = ModelFolder::open(folder)?;
        let parameters = Parameter::of_trunk(folder.config());
        let (hidden, objectives) = (folder.config().hidden_size, config.num_objectives);
        let mut known = names(&parameters);
        known.extend([REGRESSION, TRANSFORM].map(String::from));
        known.extend(Gating::names(&config));
        folder.weights().expect_only(&known)?;
        let model = Llama::with_parameters(backend, &folder, false, quantisation, &parameters, &mut |_, _| ())?;
        let read = |name, shape| Matrix::read(model.backend(), folder.weights(), name, shape);
        let regression = read(REGRESSION, (objectives, hidden))?;
        let transform = read(TRANSFORM, (objectives, objectives))?;
        let gating = Gating::read(model.backend(), folder.weights(), &config, hidden)?;
        let trunk = Policy { model, adapter: None };
        Ok(GatedRewardModel { trunk, regression, transform, gating, header, objectives })
    }

    /// How many objectives there are.
    pub fn objectives(&self) -> usize {
        self.objectives
    }

    /// Its trunk's shape.
    pub fn config(&self) -> &LlamaConfig {
        self.trunk.model.config()
    }

    pub(super) fn arithmetic(&self) -> String {
        self.trunk.model.arithmetic()
    }

    /// What it says of each group's responses, each prompt computed once; they do not depend on what else is asked for.
    ///
    /// # Errors
    /// There is no response, a token lies outside the vocabulary, a conversation has the padding token before its end, no
    /// header of the assistant is in one, or the device failed.
    pub fn rate(&self, groups: &[Group]) -> Result<Vec<Vec<Objectives>>> {
        groups.iter().try_for_each(|group| self.expect_one_end(group))?;
        let mut packed = Packed::scored(groups, Scored::End { padding: self.config().pad_token_id });
        let ends = packed.sources.len();
        let mut first = 0;
        for group in groups {
            let mut own = first + group.prompt.len();
            for (index, response) in group.responses.iter().enumerate() {
                let at = self.gate(group, index)?;
                packed.sources.push(match at.checked_sub(group.prompt.len()) {
                    None => first + at,
                    Some(at) => own + at,
                } as u32);
                own += response.len();
            }
            first = own;
        }
        let batch = self.trunk.model.batch(&packed)?;
        let hidden = self.trunk.model.backend().download(&self.trunk.hidden(&batch, false)?)?;
        let features = self.config().hidden_size;
        let state = |source: usize| -> Vec<f64> {
            hidden[source * features..][..features].iter().copied().map(f64::from).collect()
        };
        let mut gated: Option<(u32, Vec<f64>)> = None;
        let mut rate = |end: usize| {
            let place = packed.sources[ends + end];
            let shares = match &gated {
                Some((same, shares)) if *same == place => shares.clone(),
                _ => gated.insert((place, self.gating.shares(&state(ends + end)))).1.clone(),
            };
            let rewards = self.regression.times(&state(end));
            let score = self.transform.transposed_times(&rewards).iter().zip(&shares).map(|(r, g)| r * g).sum();
            Objectives { rewards, shares, score }
        };
        Ok(packed.responses.iter().map(|ends| ends.iter().map(|end| rate(end.start)).collect()).collect())
    }

    /// Refuses a conversation with padding before its end: ArmoRM's own code reads before the first such token, and
    /// transformers' models before the last ones.
    pub(super) fn expect_one_end(&self, group: &Group) -> Result<()> {
        expect_ends(self.config(), group)?;
        let Some(padding) = self.config().pad_token_id else { return Ok(()) };
        let message = |place: String| {
            format!(
                "{place} has token {padding}, the model's `pad_token_id`, before its end, where ArmoRM stops reading"
            )
        };
        if group.prompt.contains(&padding) {
            return Err(Error::new(ErrorKind::Tokens, message("the prompt".into())));
        }
        let inside = |response: &Vec<u32>| response[..unpadded(response, Some(padding))].contains(&padding);
        match group.responses.iter().position(inside) {
            Some(index) => Err(Error::new(ErrorKind::Tokens, message(format!("response {index}")))),
            None => Ok(()),
        }
    }

    /// The token of a conversation, counted from the prompt's first, that the gate reads.
    fn gate(&self, group: &Group, response: usize) -> Result<usize> {
        let whole = [&group.prompt[..], &group.responses[response]].concat();
        whole.windows(self.header.len()).rposition(|tokens| tokens == self.header).ok_or_else(|| {
            let message = format!("response {response}: its conversation has no {HEADER:?}, where the gate reads");
            Error::new(ErrorKind::Tokens, message)
        })
    }
}

/// The header's tokens.
fn header(tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    let special = tokenizer.special_tokens();
    match SPECIAL.iter().find(|name| special.iter().all(|token| token.content != **name)) {
        Some(name) => {
            let message = format!("the tokenizer has no special token `{name}`, which the gate looks for");
            Err(Error::new(ErrorKind::Tokens, message))
        }
        None => tokenizer.encode_with_special(HEADER),
    }
}
