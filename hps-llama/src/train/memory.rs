//! How much memory a micro-batch takes, and by which route it fits a budget.
//!
//! In numbers of a backend's size ([`Footprint`]; what is trained, its gradients and moments take 4 bytes each), with `d`
//! hidden features, `q` and `kv` those of the query and of the key heads, `h` query heads, `a` features of one, `f` features
//! of the feed-forward network, `L` blocks and a vocabulary of `V`. Frozen weights take what they are stored in, and on a GPU
//! the tile that they are decoded in ([`Footprint::of_frozen`]):
//!
//! ```text
//! state           weights + 3 · trained weights (gradient, two moments) + the largest trained one (a gradient to add)
//! block           4d + 2q + 2kv + h + 2f kept, d recomputed              a token of one block
//! moving          4d + 4f, and a block kept where it is recomputed        a token of the block that goes backward
//! head(S)         4d S + V min(S, L/V, 1024)                              S scored tokens, L logits of a tile
//! one pass        state + T (L block + moving + a) + head(S)              T tokens
//! chunks of C     state + P (L (block + 2kv [+ 2kv recomputed]) + a)      after a prompt of P tokens
//!                 + max(P moving, C (L block + moving + a) + 4kv (P + C) + head(C))
//! ```
//!
//! An estimate: small arrays are left out, and freed ones linger in the CPU's pool. `examples/memory_of_a_step.rs` measures
//! 498 MiB where 489 are estimated, and 68 where 58 are, of which the idle program is some 10.

use super::bytes::thousands;
use super::{ActivationPolicy, Bytes, Example, Outline, Route, TrainConfig};
use crate::backend::Footprint;
use crate::config::LlamaConfig;
use crate::model::Activations;
use crate::pack::Group;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::ops::Range;

/// Bytes of a number of what is trained, and of a logit.
const SINGLE: u64 = 4;

/// Rows whose logits exist at a time.
const LOGIT_ROWS: [u64; 2] = [16, 1024];

/// Lengths of a prompt and of the responses that a loss reads, in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListShape {
    /// Of the prompt.
    pub prompt: usize,
    /// Of each response.
    pub responses: Vec<usize>,
}

impl From<&Group> for ListShape {
    fn from(group: &Group) -> Self {
        ListShape { prompt: group.prompt.len(), responses: group.responses.iter().map(Vec::len).collect() }
    }
}

impl ListShape {
    fn scored(&self) -> u64 {
        self.responses.iter().sum::<usize>() as u64
    }

    fn tokens(&self) -> u64 {
        self.prompt as u64 + self.scored()
    }

    fn longest(&self) -> u64 {
        self.responses.iter().copied().max().unwrap_or(0) as u64
    }
}

/// What memory depends on: the model's shape, what of it is trained, and the options.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// Numbers a token: kept of one block, and its input alone.
    block: [u64; 2],
    moving: u64,
    features: u64,
    keys: u64,
    rotation: u64,
    blocks: u64,
    vocabulary: u64,
    state: u64,
    footprint: Footprint,
    budget: Option<u64>,
    route: Route,
    activations: ActivationPolicy,
    chunk_tokens: Option<usize>,
    /// Tokens that go through the model at a time, at most.
    most: u64,
}

/// How some lists of a micro-batch go through the model. `Display` says it with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Which lists: those of one pass, or one that goes in chunks.
    pub lists: Range<usize>,
    /// Responses of the longest of them.
    pub responses: usize,
    /// Tokens of the responses in a chunk; `None` for one pass.
    pub chunk_tokens: Option<usize>,
    /// What is kept of the blocks.
    pub activations: Activations,
    /// Estimated memory, weights and optimiser included.
    pub bytes: u64,
    /// What one pass with all activations would take.
    pub one_pass_bytes: u64,
    /// The budget, if there is one.
    pub budget: Option<u64>,
}

impl Memory {
    /// That of training what is outlined.
    pub fn of(outline: &Outline<'_>, config: &TrainConfig) -> Memory {
        let Outline { model, lora, stored, footprint } = *outline;
        let (base, trained) = outline.numbers(config.task);
        let [base, all, largest] =
            [base.iter().sum::<u64>(), trained.iter().sum(), trained.iter().copied().max().unwrap_or(0)];
        let (base, adapter) = match lora {
            Some(_) if stored.is_empty() => (footprint.weight.unwrap_or(SINGLE) * base, all),
            Some(_) => (footprint.of_frozen(stored), all),
            None => (SINGLE * base, 0),
        };
        let state = base + SINGLE * (adapter + 3 * all + largest);
        let dropped = lora.is_some_and(|lora| lora.lora_dropout > 0.0);
        Memory { footprint, ..Memory::new(model, state, dropped, config) }
    }

    /// That of a model's shape, in f32, beside `state` bytes of weights, gradients and moments.
    ///
    /// * dropped — whether the adapter's inputs are, which takes a copy of the widest.
    pub fn new(model: &LlamaConfig, state: u64, dropped: bool, config: &TrainConfig) -> Memory {
        let [features, inner, heads, dimension] =
            [model.hidden_size, model.intermediate_size, model.num_attention_heads, model.head_dim]
                .map(|number| number as u64);
        let (queries, keys) = (heads * dimension, model.num_key_value_heads as u64 * dimension);
        let kept = 4 * features + 2 * queries + 2 * keys + heads + 2 * inner;
        Memory {
            block: [kept, features],
            moving: 4 * features + (4 + u64::from(dropped)) * inner,
            features,
            keys,
            rotation: dimension,
            blocks: model.num_hidden_layers as u64,
            vocabulary: model.vocab_size as u64,
            state,
            footprint: Footprint::default(),
            budget: config.memory_budget,
            route: config.route,
            activations: config.activations,
            chunk_tokens: config.chunk_tokens,
            most: config.max_tokens_per_batch.map_or(u64::MAX, |tokens| tokens as u64),
        }
    }

    /// Into how many tokens a list's responses are cut where all of them are only scored; `None` for one pass. What does not
    /// fit goes response by response.
    pub(super) fn chunk_tokens(&self, list: &ListShape) -> Option<usize> {
        self.plan(std::slice::from_ref(list)).map_or(Some(1), |mut plans| plans.swap_remove(0).chunk_tokens)
    }

    /// How the lists of a micro-batch go through the model, in order: as many as fit in one pass together; one that does
    /// not fit alone by the cheapest way that does. Without a budget and a greatest number of tokens, all in one pass unless
    /// the options say otherwise.
    ///
    /// The ways by their cost: activations kept in one pass; chunks, whose responses go forward twice; recomputing, where
    /// all tokens do; both. A pair recomputes before it is cut.
    ///
    /// # Errors
    /// Not even one response fits the budget, or `max_tokens_per_batch`.
    pub fn plan(&self, lists: &[ListShape]) -> Result<Vec<Plan>> {
        let mut plans: Vec<Plan> = Vec::new();
        let mut start = 0;
        while start < lists.len() {
            let together = (start + 1..=lists.len()).rev().find_map(|end| self.together(lists, start..end));
            let plan = match together {
                Some(plan) => plan,
                None => self.alone(&lists[start], start)?,
            };
            start = plan.lists.end;
            plans.push(plan);
        }
        Ok(plans)
    }

    /// The plan of the list that takes most when it goes alone.
    ///
    /// # Errors
    /// One of them does not fit the budget, with its place; or there is none.
    pub(super) fn largest<'a>(&self, lists: impl Iterator<Item = (&'a Example, ListShape)>) -> Result<Plan> {
        let mut largest: Option<Plan> = None;
        for (example, list) in lists {
            let plan = self.plan(&[list]).map_err(|error| error.at(&example.place))?.swap_remove(0);
            if largest.as_ref().is_none_or(|other| other.one_pass_bytes < plan.one_pass_bytes) {
                largest = Some(plan);
            }
        }
        largest.ok_or_else(|| Error::new(ErrorKind::Row, "there are no examples to train on"))
    }

    /// One pass over several lists, if it is allowed and fits without computing anything twice unasked.
    fn together(&self, lists: &[ListShape], range: Range<usize>) -> Option<Plan> {
        let activations = match self.activations {
            ActivationPolicy::Recompute => Activations::Recompute,
            ActivationPolicy::Auto | ActivationPolicy::Keep => Activations::Keep,
        };
        let bytes = self.one_pass(&lists[range.clone()], activations);
        let tokens: u64 = lists[range.clone()].iter().map(ListShape::tokens).sum();
        let plan = self.planned(&lists[range.clone()], range, None, activations, bytes);
        (self.route != Route::Chunks && tokens <= self.most && self.fits(bytes)).then_some(plan)
    }

    fn alone(&self, list: &ListShape, index: usize) -> Result<Plan> {
        use Activations::{Keep, Recompute};
        let ways: [(Route, Activations); 4] = if list.responses.len() == 2 {
            [(Route::Keep, Keep), (Route::Keep, Recompute), (Route::Chunks, Keep), (Route::Chunks, Recompute)]
        } else {
            [(Route::Keep, Keep), (Route::Chunks, Keep), (Route::Keep, Recompute), (Route::Chunks, Recompute)]
        };
        let allowed = |way: &&(Route, Activations)| {
            (self.route == Route::Auto || self.route == way.0) && self.activations.allows(way.1)
        };
        let mut least = u64::MAX;
        for (route, activations) in ways.iter().filter(allowed) {
            let (chunk, bytes, tokens) = match route {
                Route::Chunks => {
                    let chunk = self.chunk(list, *activations);
                    (Some(chunk as usize), self.chunks(list, chunk, *activations), chunk.max(list.prompt as u64))
                }
                Route::Auto | Route::Keep => {
                    (None, self.one_pass(std::slice::from_ref(list), *activations), list.tokens())
                }
            };
            if tokens > self.most {
                continue;
            }
            if self.fits(bytes) {
                return Ok(self.planned(std::slice::from_ref(list), index..index + 1, chunk, *activations, bytes));
            }
            least = least.min(bytes);
        }
        Err(Error::new(ErrorKind::Option, self.refusal(list, least)))
    }

    /// Tokens of a chunk: as asked, or the most that fit, or so many that the list takes about the memory of a pair.
    fn chunk(&self, list: &ListShape, activations: Activations) -> u64 {
        let (longest, all) = (list.longest().max(1), list.scored().max(1));
        if let Some(tokens) = self.chunk_tokens {
            return (tokens as u64).min(self.most).max(longest);
        }
        if self.budget.is_none() {
            return (2 * longest).max(list.prompt as u64 / 4).min(all).min(self.most).max(longest);
        }
        // The most is at least `low` and below `high`.
        let (mut low, mut high) = (longest, all.min(self.most).max(longest) + 1);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if self.fits(self.chunks(list, middle, activations)) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    fn fits(&self, bytes: u64) -> bool {
        self.budget.is_none_or(|budget| bytes <= budget)
    }

    fn block(&self, activations: Activations) -> u64 {
        self.block[usize::from(activations == Activations::Recompute)]
    }

    fn moving(&self, activations: Activations) -> u64 {
        self.moving + if activations == Activations::Recompute { self.block[0] } else { 0 }
    }

    /// Bytes.
    fn head(&self, scored: u64) -> u64 {
        let Footprint { activation, logits, .. } = self.footprint;
        let rows = (logits / SINGLE / self.vocabulary).clamp(LOGIT_ROWS[0], LOGIT_ROWS[1]);
        4 * activation * self.features * scored + SINGLE * self.vocabulary * scored.min(rows)
    }

    fn one_pass(&self, lists: &[ListShape], activations: Activations) -> u64 {
        let tokens: u64 = lists.iter().map(ListShape::tokens).sum();
        let scored = lists.iter().map(ListShape::scored).sum();
        let token = self.blocks * self.block(activations) + self.moving(activations) + self.rotation;
        self.state + self.footprint.activation * tokens * token + self.head(scored)
    }

    fn chunks(&self, list: &ListShape, chunk: u64, activations: Activations) -> u64 {
        let prompt = list.prompt as u64;
        let keys = if activations == Activations::Recompute { 4 * self.keys } else { 2 * self.keys };
        let kept = prompt * (self.blocks * (self.block(activations) + keys) + self.rotation);
        let token = self.blocks * self.block(activations) + self.moving(activations) + self.rotation;
        let number = self.footprint.activation;
        let moving = number * (chunk * token + 4 * self.keys * (prompt + chunk)) + self.head(chunk);
        self.state + number * kept + moving.max(number * prompt * self.moving(activations))
    }

    fn planned(
        &self,
        lists: &[ListShape],
        range: Range<usize>,
        chunk_tokens: Option<usize>,
        activations: Activations,
        bytes: u64,
    ) -> Plan {
        let responses = lists.iter().map(|list| list.responses.len()).max().unwrap_or(0);
        let one_pass_bytes = self.one_pass(lists, Activations::Keep);
        Plan { lists: range, responses, chunk_tokens, activations, bytes, one_pass_bytes, budget: self.budget }
    }

    /// * least — the fewest bytes of the ways that keep to the greatest number of tokens; `u64::MAX` if none does.
    fn refusal(&self, list: &ListShape, least: u64) -> String {
        let (prompt, longest, count) = (list.prompt, list.longest(), list.responses.len());
        let forced = match (self.route, self.activations) {
            (Route::Auto, ActivationPolicy::Auto) => String::new(),
            (route, activations) => format!(" with `route` {route} and `activations` {activations}"),
        };
        if least == u64::MAX {
            return format!(
                "`max_tokens_per_batch` is {}, but a prompt of {prompt} tokens and {count} responses of up to {longest} cannot \
                 go through the model in so few{forced}",
                self.most
            );
        }
        let (least, state, budget) = (Bytes(least), Bytes(self.state), Bytes(self.budget.unwrap_or(u64::MAX)));
        format!(
            "`memory_budget` is {budget}, but a prompt of {prompt} tokens and {count} responses of up to {longest} take \
             about {least} at the least{forced}, {state} of it weights and optimiser"
        )
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "about {}", Bytes(self.bytes))?;
        if let Some(budget) = self.budget {
            write!(out, " of {}", Bytes(budget))?;
        }
        match (self.lists.len(), self.responses) {
            (0 | 1, 1) => out.write_str(": 1 response")?,
            (0 | 1, responses) => write!(out, ": a list of {responses} responses")?,
            (lists, responses) => write!(out, ": {lists} lists of at most {responses} responses")?,
        }
        match self.chunk_tokens {
            None => out.write_str(" in one pass")?,
            Some(tokens) => write!(out, " in two passes, in chunks of {} tokens", thousands(tokens))?,
        }
        match self.activations {
            Activations::Keep => out.write_str(", activations kept")?,
            Activations::Recompute => out.write_str(", activations recomputed")?,
        }
        if self.chunk_tokens.is_some() || self.activations == Activations::Recompute {
            write!(out, " (one pass, all kept: {})", Bytes(self.one_pass_bytes))?;
        }
        Ok(())
    }
}
