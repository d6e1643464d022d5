//! Low-rank adaptation: `y = x Wᵀ + s · (dropout(x) Aᵀ) Bᵀ`, `s = α / r`, or `α / sqrt(r)` with rsLoRA.
//!
//! `A` is `[r, in]`, drawn uniformly from `±1/sqrt(in)`; `B` is `[out, r]` and starts at zero, so the fresh adapter
//! changes nothing. Hu et al. 2021; rsLoRA: Kalajdzievski 2023; initialisation as PEFT's default.

use crate::backend::{Backend, Dropout, StoredTensor};
use crate::config::LlamaConfig;
use crate::digest::{Digest, Hasher};
use crate::parameter::{Parameter, Projection};
use crate::{Error, ErrorKind, Result};
use hps_core::Philox;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Counter word that sets an adapter's draws apart from other uses of the same seed.
const INITIAL: u32 = 0x4c6f_5241;
/// Counter word of dropout keys.
const DROPOUT: u32 = 0x4472_6f70;

/// An adapter's options, by PEFT's names.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// Rank.
    pub r: usize,
    /// `α`; the update is scaled by `α / r`.
    pub lora_alpha: f64,
    /// Probability that an input feature is dropped on its way into `A`, in `[0, 1)`.
    pub lora_dropout: f64,
    /// Scale by `α / sqrt(r)` instead.
    pub use_rslora: bool,
    /// Which projections are adapted: of a fresh adapter in every block, of one that is read in some block at least.
    pub target_modules: Vec<Projection>,
}

impl Default for LoraConfig {
    /// The paper's: `r` 8, `α` 16, no dropout, on queries and values (PEFT's choice for a Llama).
    fn default() -> Self {
        LoraConfig {
            r: 8,
            lora_alpha: 16.0,
            lora_dropout: 0.0,
            use_rslora: false,
            target_modules: vec![Projection::Q, Projection::V],
        }
    }
}

impl LoraConfig {
    /// `s` of the equation above.
    pub fn scale(&self) -> f32 {
        let r = self.r as f64;
        (self.lora_alpha / if self.use_rslora { r.sqrt() } else { r }) as f32
    }

    fn check(&self) -> Result<()> {
        self.check_numbers().map_err(|message| Error::new(ErrorKind::Option, message))?;
        match self.target_modules.is_empty() {
            true => Err(Error::new(ErrorKind::Option, "`target_modules` is empty")),
            false => Ok(()),
        }
    }

    /// Refuses numbers that are out of their range.
    pub(crate) fn check_numbers(&self) -> std::result::Result<(), String> {
        let LoraConfig { r, lora_alpha, lora_dropout, .. } = self;
        if *r == 0 {
            return Err("`r` is 0; an adapter needs a rank of at least 1".into());
        }
        if !self.scale().is_finite() {
            return Err(format!(
                "`lora_alpha` is {lora_alpha:e} with `r` {r}; their scale is no finite number of 32 bits"
            ));
        }
        if !(0.0..1.0).contains(lora_dropout) {
            return Err(format!("`lora_dropout` is {lora_dropout}; it lies in [0, 1)"));
        }
        Ok(())
    }

    /// The matrices a fresh adapter of this configuration has.
    pub fn parameters(&self, config: &LlamaConfig) -> Vec<Parameter> {
        let modules = self.modules(config).into_iter();
        modules.flat_map(|(block, projection)| both(block, projection)).collect()
    }

    fn modules(&self, config: &LlamaConfig) -> Vec<(usize, Projection)> {
        let adapted = |projection: &Projection| self.target_modules.contains(projection);
        let blocks = 0..config.num_hidden_layers;
        blocks.flat_map(|block| Projection::ALL.into_iter().filter(adapted).map(move |one| (block, one))).collect()
    }
}

/// The matrices of a projection.
fn both(block: usize, projection: Projection) -> [Parameter; 2] {
    [Parameter::LoraA(block, projection), Parameter::LoraB(block, projection)]
}

/// An adapter: its options and matrices.
#[derive(Debug)]
pub struct Lora<B: Backend> {
    pub(crate) config: LoraConfig,
    pub(crate) matrices: BTreeMap<Parameter, B::Weight>,
    seed: u64,
    /// What is known of its base.
    pub(crate) recorded: Recorded,
}

/// The base that an adapter's file names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    /// Digits of a [`BaseDigest`](crate::base::BaseDigest), as they stand in the file.
    pub(crate) digest: Option<String>,
    /// How the base's projections were quantised as it was loaded.
    pub(crate) quantisation: Option<String>,
    /// `base_model_name_or_path`.
    pub(crate) name: Option<String>,
    /// The file; for errors.
    pub(crate) place: String,
}

impl<B: Backend> Lora<B> {
    /// A fresh adapter that changes nothing yet; `seed` draws `A` and, later, the dropout masks.
    ///
    /// # Errors
    /// An option is out of its range.
    pub fn fresh(backend: &B, model: &LlamaConfig, config: LoraConfig, seed: u64) -> Result<Self> {
        let philox = Philox::new(seed);
        let entry = |parameter: Parameter, index: usize, bound: f64| match parameter {
            Parameter::LoraA(block, projection) => {
                let counter = [index as u32 / 4, projection as u32, block as u32, INITIAL];
                let word = philox.block(counter)[index % 4];
                (bound * (2.0 * (f64::from(word) + 0.5) / 4_294_967_296.0 - 1.0)) as f32
            }
            _ => 0.0,
        };
        let modules = config.modules(model);
        Self::from_matrices(model, config, &modules, seed, |parameter, (rows, columns)| {
            let bound = 1.0 / (columns as f64).sqrt();
            let bytes: Vec<u8> =
                (0..rows * columns).flat_map(|index| entry(parameter, index, bound).to_le_bytes()).collect();
            backend.upload_weight(&StoredTensor::singles([rows, columns], &bytes)?, true)
        })
    }

    /// An adapter on some modules whose matrices `read` uploads, `[rows, columns]`, as trained ones.
    pub(crate) fn from_matrices(
        model: &LlamaConfig,
        config: LoraConfig,
        modules: &[(usize, Projection)],
        seed: u64,
        mut read: impl FnMut(Parameter, (usize, usize)) -> Result<B::Weight>,
    ) -> Result<Self> {
        config.check()?;
        let mut matrices = BTreeMap::new();
        for parameter in modules.iter().flat_map(|(block, projection)| both(*block, *projection)) {
            matrices.insert(parameter, read(parameter, parameter.shape(model, config.r))?);
        }
        Ok(Lora { config, matrices, seed, recorded: Recorded::default() })
    }

    /// Its matrices, in order; the score head that is trained beside a reward model's adapter among them.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> {
        self.matrices.keys().copied()
    }

    /// What it is on, as PEFT's `target_modules` say it: names of projections where it is on those in every block, else the
    /// paths of all its modules, `model.layers.0.self_attn.q_proj`, ….
    pub fn target_modules(&self, model: &LlamaConfig) -> Vec<String> {
        let adapted = |(block, projection): &(usize, Projection)| self.pair(*block, *projection).is_some();
        let modules = self.config.modules(model);
        if modules.iter().all(adapted) {
            return self.config.target_modules.iter().map(|projection| projection.name().to_string()).collect();
        }
        modules.into_iter().filter(adapted).map(|(block, projection)| projection.path(block)).collect()
    }

    /// Its options.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// What its dropout masks are keyed by.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Of what it adds to a model: its scale and its matrices.
    ///
    /// # Errors
    /// The device failed.
    pub fn digest(&self, backend: &B) -> Result<Digest> {
        let mut hasher = Hasher::default();
        hasher.singles(&[self.config.scale()]);
        for (parameter, matrix) in &self.matrices {
            hasher.text(&parameter.to_string()).singles(&backend.download_weight(matrix)?);
        }
        Ok(hasher.finish())
    }

    /// Whether it changes nothing yet: all of its `B` are zeros.
    ///
    /// # Errors
    /// The device failed.
    pub fn is_fresh(&self, backend: &B) -> Result<bool> {
        for (parameter, matrix) in &self.matrices {
            let up = matches!(parameter, Parameter::LoraB(..));
            if up && backend.download_weight(matrix)?.iter().any(|entry| *entry != 0.0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `(A, B)` of a projection, if it is adapted.
    pub(crate) fn pair(&self, block: usize, projection: Projection) -> Option<(&B::Weight, &B::Weight)> {
        let a = self.matrices.get(&Parameter::LoraA(block, projection))?;
        let b = self.matrices.get(&Parameter::LoraB(block, projection))?;
        Some((a, b))
    }

    /// Adds `s · B A` to the weight of an adapted projection, `W ← W + s · B A`, in f64; others stay as they are.
    ///
    /// * weight — `[out, in]`, row-major.
    /// * columns — `in`.
    pub(crate) fn add_to(&self, backend: &B, parameter: Parameter, weight: &mut [f32], columns: usize) -> Result<()> {
        let Parameter::Weight(block, projection) = parameter else { return Ok(()) };
        let Some((a, b)) = self.pair(block, projection) else { return Ok(()) };
        let (a, b) = (backend.download_weight(a)?, backend.download_weight(b)?);
        let scale = f64::from(self.config.scale());
        weight.par_chunks_mut(columns).zip(b.par_chunks(self.config.r)).for_each_init(
            || vec![0.0f64; columns],
            |sums, (weight, b)| {
                sums.fill(0.0);
                for (b, a) in b.iter().zip(a.chunks(columns)) {
                    sums.iter_mut().zip(a).for_each(|(sum, a)| *sum += f64::from(*b) * f64::from(*a));
                }
                for (weight, sum) in weight.iter_mut().zip(sums) {
                    *weight = (f64::from(*weight) + scale * *sum) as f32;
                }
            },
        );
        Ok(())
    }

    /// The mask of a projection's input in the given optimiser step; `None` where nothing is dropped.
    pub(crate) fn dropout(&self, block: usize, projection: Projection, step: u64) -> Option<Dropout> {
        if self.config.lora_dropout == 0.0 {
            return None;
        }
        let module = (block * Projection::ALL.len() + projection as usize) as u32;
        let words = Philox::new(self.seed).block([step as u32, (step >> 32) as u32, module, DROPOUT]);
        Some(Dropout { rate: self.config.lora_dropout as f32, key: [words[0], words[1]] })
    }
}
