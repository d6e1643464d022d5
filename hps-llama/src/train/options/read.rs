//! Options from a TOML file and from flags: defaults, then the preset, then the file, then the flags.

use super::names::{named_option, nearest_option, why_refused};
use super::nearest::question;
use super::value::{Given, Setting};
use super::{OptionInfo, Preset, Task, TrainOptions};
use crate::{Error, ErrorKind, Result};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use toml::de::DeTable;

/// Where flags stand, for errors.
const COMMAND_LINE: &str = "command line";

/// Options that a fresh adapter has.
const LORA: [&str; 5] = ["lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "use_rslora"];

/// Options of the implicit reward and of the reference, which a reward model and SFT do not have.
const IMPLICIT: [&str; 6] = ["beta", "alpha", "likelihood", "preference_weight", "ref_adapter", "reference_cache_dir"];

/// One option that was given.
struct Entry {
    name: &'static str,
    given: Given,
    place: String,
}

impl TrainOptions {
    /// Reads a TOML file and flags, `(name, texts)`; a flag overrides the file, both override a preset.
    ///
    /// ```
    /// use hps_llama::train::options::TrainOptions;
    ///
    /// let file = tempfile::NamedTempFile::new()?;
    /// std::fs::write(&file, "loss_type = \"dpo-pl\"\nlearning_rate = 1e-4\n")?;
    /// let flag = ("learning_rate".to_string(), vec!["5e-7".to_string()]);
    /// let options = TrainOptions::read(Some(file.path()), &[flag])?;
    /// assert_eq!((options.loss_type.to_string(), options.learning_rate), ("dpo-pl".to_string(), Some(5e-7)));
    ///
    /// std::fs::write(&file, "seed = 1\nlearning_rat = 1e-4\n")?;
    /// let error = TrainOptions::read(Some(file.path()), &[]).unwrap_err().to_string();
    /// assert!(error.ends_with(":2: unknown key `learning_rat`; did you mean `learning_rate`?"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be read or is not TOML, a key is unknown, a value is of the wrong kind or out of its range, or
    /// options contradict each other; with file and line.
    pub fn read(file: Option<&Path>, flags: &[(String, Vec<String>)]) -> Result<TrainOptions> {
        let layers = [file.map(of_file).transpose()?.unwrap_or_default(), of_flags(flags)?];
        let mut options = match named(&layers, "preset") {
            Some(entry) => match Preset::read(&entry.given) {
                Some(preset) => TrainOptions::preset(preset),
                None => return Err(refused(entry, &Preset::refused(&entry.given))),
            },
            None => TrainOptions::default(),
        };
        if let (Some(_), Some(entry)) = (options.preset, named(&layers, "loss_type")) {
            options.set(entry.name, &entry.given).map_err(|message| refused(entry, &message))?;
            let loss = options.loss_type;
            options.fit_preset(&loss);
        }
        let mut places = BTreeMap::new();
        for layer in &layers {
            let given = |name: &str| layer.iter().find(|entry| entry.name == name);
            match (given("gamma"), given("gamma_schedule")) {
                (Some(gamma), Some(_)) => {
                    let message = "`gamma` and `gamma_schedule` are both given; `gamma` is the constant one";
                    return Err(Error::new(ErrorKind::Option, message).at(&gamma.place));
                }
                (Some(_), None) => options.unset("gamma_schedule"),
                (None, Some(_)) => options.unset("gamma"),
                (None, None) => {}
            }
            for entry in layer {
                options.set(entry.name, &entry.given).map_err(|message| refused(entry, &message))?;
                places.insert(entry.name, entry.place.clone());
            }
        }
        // What a preset sets for another task.
        for option in TrainOptions::table() {
            if !options.task.reads(&option) && !places.contains_key(option.name) {
                options.unset(option.name);
            }
        }
        options.refuse_contradictions(&places)?;
        options.loss_at(|name| places.get(name).cloned())?;
        // What is left to be wrong is a loss that is not trained here.
        options.config().map_err(|error| match places.get("loss_type") {
            Some(place) => error.at(place),
            None => error,
        })?;
        Ok(options)
    }

    fn refuse_contradictions(&self, places: &BTreeMap<&'static str, String>) -> Result<()> {
        let refuse = |name: &str, message: String| Err(Error::new(ErrorKind::Option, message).at(&places[name]));
        if let Some(name) = LORA.into_iter().chain(["adapter_name_or_path"]).find(|name| places.contains_key(name)) {
            if !self.use_peft {
                return refuse(name, format!("`{name}` is given, but `use_peft` is false: all weights are trained"));
            }
            if let (Some(folder), true) = (&self.adapter_name_or_path, LORA.contains(&name)) {
                let folder = folder.display();
                return refuse(name, format!("`{name}` is given, but the adapter in {folder} has its own"));
            }
        }
        let table = TrainOptions::table();
        let given = |option: &&OptionInfo| {
            places.contains_key(option.name) && self.value(option.name) != option.default && !self.task.reads(option)
        };
        if let Some(OptionInfo { name, .. }) = table.iter().find(given) {
            return refuse(name, format!("`{name}` is given, which `task` {} does not read", self.task));
        }
        if let Some((name, message)) = self.choice().contradiction() {
            return refuse(name, message);
        }
        if self.load_in_4bit && self.load_in_gguf_type.is_some() {
            let message = "`load_in_gguf_type` and `load_in_4bit` are both given; one of them is done";
            return refuse("load_in_gguf_type", message.into());
        }
        let four_bit = ["bnb_4bit_quant_type", "bnb_4bit_use_double_quant"];
        let changed =
            |name: &&str| places.contains_key(name) && self.value(name) != TrainOptions::default().value(name);
        if let Some(name) = four_bit.into_iter().find(changed).filter(|_| !self.load_in_4bit) {
            return refuse(name, format!("`{name}` is given without `load_in_4bit`"));
        }
        if self.quantisation().is_none() && !self.llm_int8_skip_modules.is_empty() {
            let message = "`llm_int8_skip_modules` is given, but neither `load_in_4bit` nor `load_in_gguf_type`";
            return refuse("llm_int8_skip_modules", message.into());
        }
        if let (Some(quantisation), false) = (self.quantisation(), self.use_peft) {
            let name = if self.load_in_4bit { "load_in_4bit" } else { "load_in_gguf_type" };
            let message =
                format!("`{name}` is given, but `use_peft` is false: weights in {quantisation} are not trained");
            return refuse(name, message);
        }
        if self.eval_share.is_some() && !self.eval_data.is_empty() {
            return refuse("eval_share", "`eval_share` and `eval_data` are both given; one of them is read".into());
        }
        if self.eval_steps.is_some() && self.eval_share.is_none() && self.eval_data.is_empty() {
            let message = "`eval_steps` is given, but neither `eval_data` nor `eval_share` says on which rows";
            return refuse("eval_steps", message.into());
        }
        Ok(())
    }
}

impl Task {
    /// Whether an option means anything to it.
    fn reads(self, option: &OptionInfo) -> bool {
        match self {
            Task::Preference => true,
            Task::Reward => !IMPLICIT.contains(&option.name),
            Task::Sft => option.group != "loss" && !IMPLICIT.contains(&option.name),
        }
    }
}

/// The entry of that name that counts: a flag's before the file's.
fn named<'a>(layers: &'a [Vec<Entry>; 2], name: &str) -> Option<&'a Entry> {
    layers.iter().rev().flatten().find(|entry| entry.name == name)
}

fn refused(entry: &Entry, message: &str) -> Error {
    Error::new(ErrorKind::Option, format!("`{}` is {message}", entry.name)).at(&entry.place)
}

/// The option of that name, or the error that there is none.
fn known(name: &str, what: &str) -> Result<&'static str> {
    if let Some(option) = named_option(name) {
        return Ok(option);
    }
    if let Some(why) = why_refused(name) {
        return Err(Error::new(ErrorKind::Option, format!("`{name}` {why}")));
    }
    let near = question(nearest_option(name));
    Err(Error::new(ErrorKind::Option, format!("unknown {what} `{name}`{near}")))
}

fn of_flags(flags: &[(String, Vec<String>)]) -> Result<Vec<Entry>> {
    let entry = |(name, texts): &(String, Vec<String>)| {
        let name = known(name, "flag").map_err(|error| error.at(COMMAND_LINE))?;
        Ok(Entry { name, given: Given::of_flag(texts), place: COMMAND_LINE.into() })
    };
    flags.iter().map(entry).collect()
}

fn of_file(path: &Path) -> Result<Vec<Entry>> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(source))?;
    let place = |byte: usize| {
        let before = text.as_bytes().iter().take(byte).filter(|byte| **byte == b'\n').count();
        format!("{}:{}", path.display(), before + 1)
    };
    let table = DeTable::parse(&text).map_err(|error| {
        let message = format!("not TOML: {}", error.message());
        Error::new(ErrorKind::Option, message).at(place(error.span().map_or(0, |span| span.start)))
    })?;
    // In the file's order, so that of several mistakes the first is told.
    let mut keys: Vec<_> = table.get_ref().iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    let mut entries: Vec<Entry> = Vec::with_capacity(keys.len());
    for (key, value) in keys {
        let place = place(key.span().start);
        let given: &Cow<'_, str> = key.get_ref();
        let name = known(given, "key").map_err(|error| error.at(&place))?;
        if entries.iter().any(|entry| entry.name == name) {
            let message = format!("`{given}` is given, and so is `{name}` by another name; they are one option");
            return Err(Error::new(ErrorKind::Option, message).at(place));
        }
        entries.push(Entry { name, given: Given::of_toml(value.get_ref()), place });
    }
    Ok(entries)
}
