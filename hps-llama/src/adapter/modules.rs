//! Which projections of which blocks an adapter is on: its configuration's rules, and the matrices there are.
//!
//! PEFT adapts the modules that the rules select, and then reads those modules' matrices only. So the modules that are
//! selected and those whose matrices are stored have to be the same.

use super::expression::Expression;
use crate::config::LlamaConfig;
use crate::parameter::{Parameter, Projection};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};

/// A projection of a block.
pub(super) type Module = (usize, Projection);

/// The rules.
#[derive(Debug)]
pub(super) struct Modules {
    target: Names,
    exclude: Option<Names>,
    /// Blocks; `None` for all.
    layers: Option<Vec<u64>>,
}

/// A rule by names.
#[derive(Debug)]
enum Names {
    /// `"all-linear"`.
    All,
    /// A list: a module's path, or its end after a dot.
    List(Vec<String>),
    /// A regular expression on the whole path.
    Expression(Expression),
}

impl Names {
    fn have(&self, path: &str) -> Result<bool, String> {
        match self {
            Names::All => Ok(true),
            Names::List(names) => Ok(names.iter().any(|name| is_of(path, name))),
            Names::Expression(expression) => expression.matches(path),
        }
    }
}

/// PEFT's rule: the path, or its end after a dot.
fn is_of(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn list(name: &str, value: &Value) -> Result<Vec<String>, String> {
    let texts = value.as_array().map(|list| list.iter().map(|one| one.as_str().map(String::from)).collect());
    texts.flatten().ok_or_else(|| format!("`{name}` is {value}, not a string or a list of strings"))
}

impl Modules {
    pub(super) fn read(options: &Map<String, Value>) -> Result<Modules, String> {
        let get = |name: &str| options.get(name).unwrap_or(&Value::Null);
        let target = match options.get("target_modules").ok_or("`target_modules` is missing")? {
            Value::String(text) if text == "all-linear" => Names::All,
            Value::String(text) => Names::Expression(Expression::new("target_modules", text)?),
            value => Names::List(list("target_modules", value)?),
        };
        let exclude = match get("exclude_modules") {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(Names::Expression(Expression::new("exclude_modules", text)?)),
            value => Some(Names::List(list("exclude_modules", value)?)),
        };
        let layers = match get("layers_to_transform") {
            Value::Null => None,
            value => {
                let whole = match value.as_array() {
                    Some(list) => list.iter().map(Value::as_u64).collect(),
                    None => value.as_u64().map(|layer| vec![layer]),
                };
                let fail = || format!("`layers_to_transform` is {value}, not a whole number or a list of them");
                Some(whole.ok_or_else(fail)?).filter(|layers: &Vec<u64>| !layers.is_empty())
            }
        };
        let pattern = get("layers_pattern");
        let usual = ["null", "\"\"", "[]", "\"layers\"", "[\"layers\"]"];
        if !usual.contains(&pattern.to_string().as_str()) {
            return Err(format!("`layers_pattern` is {pattern}; the blocks of a Llama are in `layers`"));
        }
        if layers.is_some() && !matches!(target, Names::List(_)) {
            let message = "`layers_to_transform` goes with a list of `target_modules`, and that is a string";
            return Err(message.into());
        }
        Ok(Modules { target, exclude, layers })
    }

    /// The modules of a model that the rules select.
    ///
    /// # Errors
    /// A list names no projection of the model; or they select what is no projection, which is not adapted here.
    pub(super) fn selected(&self, model: &LlamaConfig) -> Result<BTreeSet<Module>, String> {
        if let Names::List(names) = &self.target {
            let named = |name: &&String| !all(model).any(|(block, projection)| is_of(&projection.path(block), name));
            if let Some(name) = names.iter().find(named) {
                let known = Projection::ALL.map(Projection::name).join(", ");
                return Err(format!("`target_modules` names {name:?}; the projections are {known}"));
            }
        }
        if let Names::Expression(_) = &self.target {
            for path in others(model) {
                if self.select(&path, None)? {
                    return Err(format!("`target_modules` selects `{path}`, which has no adapter here"));
                }
            }
        }
        let mut selected = BTreeSet::new();
        for (block, projection) in all(model) {
            if self.select(&projection.path(block), Some(block as u64))? {
                selected.insert((block, projection));
            }
        }
        Ok(selected)
    }

    /// PEFT's rules in their order: what is excluded, then what is named by its whole path, then ends of paths in the blocks
    /// that are listed.
    fn select(&self, path: &str, block: Option<u64>) -> Result<bool, String> {
        if let Some(exclude) = &self.exclude
            && exclude.have(path)?
        {
            return Ok(false);
        }
        if let Names::List(names) = &self.target
            && names.iter().any(|name| name == path)
        {
            return Ok(true);
        }
        let layer = match (&self.layers, block) {
            (Some(layers), Some(block)) => layers.contains(&block),
            _ => true,
        };
        Ok(layer && self.target.have(path)?)
    }
}

/// The modules whose matrices have these names, in order: those that are selected.
pub(super) fn of_matrices(
    model: &LlamaConfig,
    selected: &BTreeSet<Module>,
    names: &[&str],
) -> Result<Vec<Module>, String> {
    let known: HashMap<String, Module> =
        all(model).flat_map(|module| matrices(module).map(|matrix| (matrix.to_string(), module))).collect();
    for name in names {
        match known.get(*name) {
            None => return Err(format!("`{name}` has no place in this model, and would be left unread")),
            Some(module) if !selected.contains(module) => {
                let path = module.1.path(module.0);
                return Err(format!("`{name}` is there, but the rules of adapter_config.json do not select `{path}`"));
            }
            Some(_) => {}
        }
    }
    if names.is_empty() {
        return Err("holds no matrices of an adapter".into());
    }
    match selected.iter().flat_map(|module| matrices(*module)).find(|matrix| !names.contains(&&*matrix.to_string())) {
        Some(missing) => Err(format!("`{missing}` is missing")),
        None => Ok(selected.iter().copied().collect()),
    }
}

/// The modules of a model that are no projections of a block.
fn others(model: &LlamaConfig) -> impl Iterator<Item = String> {
    let whole = ["lm_head", "model.embed_tokens", "model", "model.layers", "model.norm", "model.rotary_emb"];
    let of_block = ["", ".self_attn", ".mlp", ".mlp.act_fn", ".input_layernorm", ".post_attention_layernorm"];
    let blocks = 0..model.num_hidden_layers;
    let of_blocks = blocks.flat_map(move |block| of_block.map(|name| format!("model.layers.{block}{name}")));
    whole.into_iter().map(String::from).chain(of_blocks)
}

fn all(model: &LlamaConfig) -> impl Iterator<Item = Module> {
    let blocks = 0..model.num_hidden_layers;
    blocks.flat_map(|block| Projection::ALL.into_iter().map(move |projection| (block, projection)))
}

fn matrices((block, projection): Module) -> [Parameter; 2] {
    [Parameter::LoraA(block, projection), Parameter::LoraB(block, projection)]
}
