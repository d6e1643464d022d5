//! The reference policy's log-probs, per token.
//!
//! The reference is the base with its adapter off, or a named adapter that is frozen. What it once said of a response is
//! kept, over epochs and, in a file, over runs. In full-parameter training the base moves, so what all epochs will draw is
//! computed before the first step.
//!
//! On the CPU a response's numbers do not depend on what else is in its batch. On a GPU they do, by rounding
//! ([`Backend::packing_tolerance`]). There
//!
//! * the numbers that steps to come may read go into checkpoints, so that a run that is resumed reads what it would have;
//! * without a file they are computed as the policy's are, packed alike, so that a fresh adapter's rewards are exactly zero;
//! * with a file each response is computed alone after its prompt, whatever run it is that needs it: a run is the same with
//!   an empty file and with a full one.

mod cache;
mod log_probs;

use super::options::Task;
use super::{Example, TrainConfig};
use crate::backend::Backend;
use crate::config::LlamaConfig;
use crate::digest::{Digest, Hasher};
use crate::files::{expect_folder, failed, write_whole};
use crate::lora::Lora;
use crate::model::Policy;
use crate::pack::Group;
use crate::{Error, ErrorKind, Result};
use cache::{Cache, first_apart};
use log_probs::{LogProbs, parse, to_bytes};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Cached responses that are computed again before the others are believed.
const VERIFIED: usize = 8;

/// Whose log-probs a policy is measured against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferencePolicy {
    /// The base model, its adapter off.
    Base,
    /// The base with the PEFT adapter of this folder, frozen; whichever base it was trained on, which `hps train` looks at.
    Adapter(PathBuf),
}

/// The reference of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReferenceOptions {
    /// `None` is the policy as it starts, for a fresh adapter or none: then the base is meant without a doubt.
    pub policy: Option<ReferencePolicy>,
    /// Folder of files of log-probs that runs share; made if it does not exist.
    pub cache_dir: Option<PathBuf>,
}

impl ReferenceOptions {
    /// The frozen adapter that is named, if one is, for a policy over a model of that shape.
    ///
    /// # Errors
    /// A reference is named that the task does not read; none is, and the adapter to be trained is not fresh; the
    /// reference's adapter does not fit the model; something stands in the place of the cache's folder.
    pub fn adapter<B: Backend>(
        &self,
        config: &TrainConfig,
        backend: &B,
        model: &LlamaConfig,
        trained: Option<&Lora<B>>,
    ) -> Result<Option<Lora<B>>> {
        let task = config.task;
        if task != Task::Preference && *self != ReferenceOptions::default() {
            let message = format!("a reference is named, but `task` {task} has none");
            return Err(Error::new(ErrorKind::Option, message));
        }
        // One that a loss does not read is not looked at, so that runs of several losses can share their options.
        if !config.reads_reference() {
            return Ok(None);
        }
        if let (None, Some(adapter)) = (&self.policy, trained)
            && !adapter.is_fresh(backend)?
        {
            let message = "the adapter to be trained is not fresh, so its base is another policy, and no reference is \
                           named; name the base or an adapter's folder";
            return Err(Error::new(ErrorKind::Reference, message));
        }
        if let Some(folder) = &self.cache_dir {
            expect_folder(folder, &[])?;
        }
        match &self.policy {
            Some(ReferencePolicy::Adapter(folder)) => Lora::from_folder(backend, model, folder, 0).map(Some),
            Some(ReferencePolicy::Base) | None => Ok(None),
        }
    }
}

/// Where reference log-probs come from.
#[derive(Debug)]
pub struct Reference<B: Backend> {
    description: String,
    /// For a task or a loss that reads none; its log-probs are zeros.
    absent: bool,
    adapter: Option<Lora<B>>,
    kept: LogProbs,
    /// Keys of what was computed here and is not in the cache's file yet.
    unsaved: Vec<Digest>,
    cache: Option<Cache>,
    /// How far numbers of the same tokens may be apart, nats; 0 for equal bits.
    tolerance: f32,
    computed: u64,
    reused: u64,
}

impl<B: Backend> Reference<B> {
    fn new(description: String, adapter: Option<Lora<B>>) -> Self {
        Reference {
            absent: false,
            description,
            adapter,
            kept: LogProbs::new(),
            unsaved: Vec::new(),
            cache: None,
            tolerance: 0.0,
            computed: 0,
            reused: 0,
        }
    }

    /// Opens the reference of a policy that has not been trained yet; `base` is its base's digest, needed for a cache.
    ///
    /// # Errors
    /// The adapter to be trained is not fresh and no reference is named; the reference's adapter does not fit; the cache
    /// is malformed or a number in it is not what is computed here.
    pub(super) fn open(
        config: &TrainConfig,
        policy: &Policy<B>,
        examples: &[Example],
        options: &ReferenceOptions,
        base: Option<Digest>,
    ) -> Result<Self> {
        let backend = policy.model.backend();
        let adapter = options.adapter(config, backend, policy.model.config(), policy.adapter.as_ref())?;
        if !config.reads_reference() {
            return Ok(Reference { absent: true, ..Self::new("none".to_string(), None) });
        }
        let description = match &adapter {
            Some(adapter) => format!("adapter {}", adapter.digest(backend)?),
            None => "base".to_string(),
        };
        let mut reference = Self::new(description, adapter);
        reference.tolerance = backend.packing_tolerance();
        if let (Some(folder), Some(base)) = (&options.cache_dir, base) {
            let (arithmetic, hardware) = (policy.model.arithmetic(), backend.hardware());
            let identity = format!("base {base}, reference {}, {arithmetic}, {hardware}", reference.description);
            let (cache, kept) = Cache::open(folder, identity)?;
            (reference.cache, reference.kept) = (Some(cache), kept);
            reference.verify(policy, examples)?;
        }
        Ok(reference)
    }

    /// What it is, for logs: `base`, or `adapter` and its digest; `none` where none is read.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What decides the bits of its numbers besides the device.
    pub(super) fn identity(&self) -> String {
        match self.is_alone() {
            true => format!("{}, each response alone", self.description),
            false => self.description.clone(),
        }
    }

    /// Whether each response is computed alone after its prompt.
    fn is_alone(&self) -> bool {
        self.tolerance > 0.0 && self.cache.is_some()
    }

    /// By which route responses are computed that are trained by the route of `chunk_tokens`.
    fn route(&self, chunk_tokens: Option<usize>) -> Option<usize> {
        if self.is_alone() { Some(1) } else { chunk_tokens }
    }

    /// The frozen adapter, if it is one.
    pub(super) fn adapter(&self) -> Option<&Lora<B>> {
        self.adapter.as_ref()
    }

    /// Responses computed so far, those computed again for verification aside.
    pub fn computed(&self) -> u64 {
        self.computed
    }

    /// How often a response's numbers were taken from what was kept.
    pub fn reused(&self) -> u64 {
        self.reused
    }

    /// Log-probs of the tokens of the responses that `drawn` names by (example, response), in that order. Those not seen
    /// before are computed, each prompt once: in one pass, or each prompt's in chunks of so many tokens.
    pub(super) fn log_probs(
        &mut self,
        policy: &Policy<B>,
        examples: &[Example],
        drawn: &[(usize, usize)],
        chunk_tokens: Option<usize>,
    ) -> Result<Vec<f32>> {
        if self.absent {
            let tokens = drawn.iter().map(|(example, response)| examples[*example].group.responses[*response].len());
            return Ok(vec![0.0; tokens.sum()]);
        }
        let computed = self.computed;
        if policy.adapter.is_some() {
            self.score(policy, examples, drawn, chunk_tokens)?;
        }
        self.reused += drawn.len() as u64 - (self.computed - computed);
        let mut log_probs = Vec::new();
        for &(example, response) in drawn {
            let key = key(&examples[example], response, self.route(chunk_tokens).is_some());
            let kept = self.kept.get(&key).ok_or_else(|| {
                let message = format!("response {response} (best first) was not scored before the base was trained");
                Error::new(ErrorKind::Reference, message).at(&examples[example].place)
            })?;
            log_probs.extend(kept);
        }
        Ok(log_probs)
    }

    /// Adds what is new to the cache's file, if there is one; what other runs have added to it meanwhile stays.
    ///
    /// # Errors
    /// The file cannot be written, or it holds other numbers for a response that was computed here.
    pub fn save(&mut self) -> Result<()> {
        let Some(cache) = self.cache.as_ref().filter(|_| !self.unsaved.is_empty()) else { return Ok(()) };
        let computed = self.unsaved.iter().filter_map(|key| Some((*key, self.kept.get(key)?.clone())));
        cache.add(computed.collect(), self.tolerance)?;
        self.unsaved.clear();
        Ok(())
    }

    /// Writes the numbers of some examples for [`Self::restore`], where computing them again may give others.
    pub(super) fn keep<'a>(&self, path: &Path, examples: impl Iterator<Item = &'a Example>) -> Result<()> {
        if self.tolerance == 0.0 || self.absent {
            return Ok(());
        }
        let mut kept = LogProbs::new();
        for example in examples {
            let responses = 0..example.group.responses.len();
            for (response, in_chunks) in responses.flat_map(|response| [(response, false), (response, true)]) {
                let key = key(example, response, in_chunks);
                if let Some(numbers) = self.kept.get(&key) {
                    kept.insert(key, numbers.clone());
                }
            }
        }
        write_whole(path, &to_bytes(&self.identity(), kept.iter(), path)?)
    }

    /// Takes the numbers that [`Self::keep`] wrote for what they are of, before the cache's.
    pub(super) fn restore(&mut self, path: &Path) -> Result<()> {
        if self.tolerance == 0.0 || self.absent || !path.exists() {
            return Ok(());
        }
        let bytes = std::fs::read(path).map_err(|source| failed("cannot be read", path, source))?;
        self.kept.extend(parse(&bytes, path)?.1);
        Ok(())
    }

    /// Computes those of the drawn responses that are not kept yet, and keeps them.
    pub(super) fn score(
        &mut self,
        policy: &Policy<B>,
        examples: &[Example],
        drawn: &[(usize, usize)],
        chunk_tokens: Option<usize>,
    ) -> Result<()> {
        if self.absent {
            return Ok(());
        }
        let chunk_tokens = self.route(chunk_tokens);
        let mut groups: Vec<Group> = Vec::new();
        let (mut keys, mut pending, mut last) = (Vec::new(), BTreeSet::new(), None);
        for &(number, response) in drawn {
            let example = &examples[number];
            let key = key(example, response, chunk_tokens.is_some());
            if self.kept.contains_key(&key) || !pending.insert(key) {
                continue;
            }
            if last != Some(number) {
                let Group { row, prompt, .. } = &example.group;
                groups.push(Group { row: *row, prompt: prompt.clone(), responses: Vec::new() });
                last = Some(number);
            }
            if let Some(group) = groups.last_mut() {
                group.responses.push(example.group.responses[response].clone());
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Ok(());
        }
        self.computed += keys.len() as u64;
        let numbers = self.numbers(policy, &groups, chunk_tokens)?;
        if self.cache.is_some() {
            self.unsaved.extend(&keys);
        }
        self.kept.extend(keys.into_iter().zip(numbers));
        Ok(())
    }

    /// The reference's log-probs of each response of some groups, in one pass or each group's in chunks.
    fn numbers(&self, policy: &Policy<B>, groups: &[Group], chunk_tokens: Option<usize>) -> Result<Vec<Vec<f32>>> {
        policy.response_log_probs(groups, self.adapter.as_ref(), chunk_tokens)
    }

    /// Computes some of the cached responses again, spread over the examples.
    fn verify(&self, policy: &Policy<B>, examples: &[Example]) -> Result<()> {
        let responses =
            examples.iter().flat_map(|example| (0..example.group.responses.len()).map(move |i| (example, i)));
        let cached: Vec<_> = responses
            .flat_map(|(example, response)| [false, true].map(|in_chunks| (example, response, in_chunks)))
            .filter_map(|(example, response, in_chunks)| {
                Some((example, response, in_chunks, self.kept.get(&key(example, response, in_chunks))?))
            })
            .collect();
        for number in 0..cached.len().min(VERIFIED) {
            let (example, response, in_chunks, kept) = cached[number * cached.len() / cached.len().min(VERIFIED)];
            let Group { row, prompt, responses } = &example.group;
            let group = Group { row: *row, prompt: prompt.clone(), responses: vec![responses[response].clone()] };
            let computed = self.numbers(policy, &[group], in_chunks.then_some(1))?.concat();
            let message = match first_apart(kept, &computed, self.tolerance) {
                Some(token) => format!("token {token} has {} there but {} here", kept[token], computed[token]),
                None if kept.len() != computed.len() => format!("{} tokens there, {} here", kept.len(), computed.len()),
                None => continue,
            };
            let file = self.cache.as_ref().map(|cache| cache.path().display().to_string()).unwrap_or_default();
            let message = format!(
                "the reference log-probs in {file} are not this model's: response {response} (best first), {message}"
            );
            return Err(Error::new(ErrorKind::Reference, message).at(&example.place));
        }
        Ok(())
    }
}

/// Of a response's tokens and its prompt's, and by which route they are computed: the two round differently.
fn key(example: &Example, response: usize, in_chunks: bool) -> Digest {
    let mut hasher = Hasher::default();
    hasher.tokens(&[u32::from(in_chunks)]);
    hasher.tokens(&example.group.prompt).tokens(&example.group.responses[response]);
    hasher.finish()
}
