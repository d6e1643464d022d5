//! Which projections of which blocks an adapter is on: its configuration's rules, and the matrices there are.
//!
//! PEFT writes the matrices of exactly those modules that it adapts. So a rule that is not computed here, a regular
//! expression, follows from the matrices; one that is, lists of names and layers, has to agree with them.

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
    /// A regular expression of Python's on the whole path.
    Expression,
}

impl Names {
    /// Whether they name a module; `None` where that is not computed here.
    fn have(&self, path: &str) -> Option<bool> {
        match self {
            Names::All => Some(true),
            Names::List(names) => Some(names.iter().any(|name| is_of(path, name))),
            Names::Expression => None,
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
        let target = match get("target_modules") {
            Value::String(text) if text == "all-linear" => Names::All,
            Value::String(_) => Names::Expression,
            value => Names::List(list("target_modules", value)?),
        };
        let exclude = match get("exclude_modules") {
            Value::Null => None,
            Value::String(text) => (!text.is_empty()).then_some(Names::Expression),
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
        match usual.contains(&pattern.to_string().as_str()) {
            true => Ok(Modules { target, exclude, layers }),
            false => Err(format!("`layers_pattern` is {pattern}; the blocks of a Llama are in `layers`")),
        }
    }

    /// Refuses a list with a name of no projection of the model.
    pub(super) fn check(&self, model: &LlamaConfig) -> Result<(), String> {
        let Names::List(names) = &self.target else { return Ok(()) };
        let named = |name: &&String| !all(model).any(|(block, projection)| is_of(&projection.path(block), name));
        match names.iter().find(named) {
            None => Ok(()),
            Some(name) => {
                let known = Projection::ALL.map(Projection::name).join(", ");
                Err(format!("`target_modules` names {name:?}; the projections are {known}"))
            }
        }
    }

    /// The modules whose matrices have these names, in order.
    pub(super) fn of_matrices(&self, model: &LlamaConfig, names: &[&str]) -> Result<Vec<Module>, String> {
        let known: HashMap<String, Module> =
            all(model).flat_map(|module| matrices(module).map(|matrix| (matrix.to_string(), module))).collect();
        let mut found = BTreeSet::new();
        for name in names {
            match known.get(*name) {
                Some(module) if self.have(*module) != Some(false) => found.insert(*module),
                _ => {
                    let rules = "`target_modules` and what goes with them";
                    return Err(format!("`{name}` has no place in this model and {rules}"));
                }
            };
        }
        let expected = all(model).filter(|module| self.have(*module) == Some(true));
        for module in expected.chain(found.iter().copied()) {
            if let Some(missing) = matrices(module).iter().find(|matrix| !names.contains(&&*matrix.to_string())) {
                return Err(format!("`{missing}` is missing"));
            }
        }
        match found.is_empty() {
            false => Ok(found.into_iter().collect()),
            true => Err("holds no matrices of an adapter".into()),
        }
    }

    /// Whether the rules have a module; `None` where that is not computed here.
    fn have(&self, (block, projection): Module) -> Option<bool> {
        let path = projection.path(block);
        let target = self.target.have(&path);
        let kept = self.exclude.as_ref().map_or(Some(true), |exclude| exclude.have(&path).map(|excluded| !excluded));
        let layer = self.layers.as_ref().is_none_or(|layers| layers.contains(&(block as u64)));
        match (target, kept, layer) {
            (Some(false), _, _) | (_, Some(false), _) | (_, _, false) => Some(false),
            (Some(true), Some(true), true) => Some(true),
            _ => None,
        }
    }
}

fn all(model: &LlamaConfig) -> impl Iterator<Item = Module> {
    let blocks = 0..model.num_hidden_layers;
    blocks.flat_map(|block| Projection::ALL.into_iter().map(move |projection| (block, projection)))
}

fn matrices((block, projection): Module) -> [Parameter; 2] {
    [Parameter::LoraA(block, projection), Parameter::LoraB(block, projection)]
}
