//! Options as a TOML file that reads back to them.

use super::TrainOptions;
use crate::train::{TrainConfig, TrainLoss};

/// How a run is begun, not what it computes: not written.
const BEGINNING: [&str; 2] = ["overwrite_output_dir", "resume_from_checkpoint"];

impl TrainOptions {
    /// The effective options as TOML, by group; what a preset set stands there by itself.
    ///
    /// Read back it gives the same options, but for `preset`, `overwrite_output_dir` and `resume_from_checkpoint`; a
    /// `learning_rate` that was not given stands there as the one that is taken.
    pub fn to_toml(&self) -> String {
        text(&self.written())
    }

    /// [`to_toml`](Self::to_toml) of a run with this config, for its `train.toml`. Where the config's loss is not one of
    /// hps-core, its identity stands in the place of `loss_type`, with a line that says that the file cannot repeat the run
    /// by itself: to read it back is refused.
    ///
    /// ```
    /// # use core::fmt;
    /// # use hps_core::{Error, ListLoss, Responses};
    /// use hps_llama::train::TrainLoss;
    /// use hps_llama::train::options::TrainOptions;
    ///
    /// #[derive(Debug)]
    /// struct Lead;
    ///
    /// impl ListLoss for Lead {
    ///     fn identity(&self, out: &mut dyn fmt::Write) -> fmt::Result {
    ///         write!(out, "lead")
    ///     }
    ///     # fn value_and_gradient(&self, _: &Responses<'_, f64>, _: &mut [f64], _: &mut [f64]) -> Result<f64, Error> { Ok(0.0) }
    ///     // …
    /// }
    ///
    /// # fn main() -> hps_llama::Result<()> {
    /// let options = TrainOptions::default();
    /// let mut config = options.config()?;
    /// config.loss = TrainLoss::own(Lead);
    /// let text = options.record(&config);
    /// assert!(text.starts_with("# The loss is the program's own: this file cannot repeat the run by itself.\n"));
    /// assert!(text.lines().any(|line| line.starts_with("loss_type") && line.ends_with("= \"lead\"")));
    /// # Ok(())
    /// # }
    /// ```
    pub fn record(&self, config: &TrainConfig) -> String {
        let TrainLoss::Own(_) = config.loss else { return self.to_toml() };
        let mut written = self.written();
        written.retain(|(group, name, _)| *group != "loss" || *name == "loss_type");
        for (_, _, value) in written.iter_mut().filter(|(_, name, _)| *name == "loss_type") {
            *value = serde_json::Value::from(config.loss.identity()).to_string();
        }
        format!("# The loss is the program's own: this file cannot repeat the run by itself.\n{}", text(&written))
    }

    /// `(group, name, value)` of all that is set and has a bearing on the run.
    fn written(&self) -> Vec<(&'static str, &'static str, String)> {
        let own_adapter = self.use_peft && self.adapter_name_or_path.is_none();
        let bears = |name: &str| {
            let lora = name.starts_with("lora_") || name == "use_rslora";
            name != "preset" && !BEGINNING.contains(&name) && (own_adapter || !lora)
        };
        let table = TrainOptions::table().into_iter().filter(|option| bears(option.name));
        // So that the run is what it was where later versions know a better rate.
        let value = |name: &str| match (name, self.learning_rate) {
            ("learning_rate", None) => Some(format!("{:?}", self.usual_rate())),
            _ => self.value(name),
        };
        table.filter_map(|option| Some((option.group, option.name, value(option.name)?))).collect()
    }
}

/// As TOML, by group.
fn text(written: &[(&str, &str, String)]) -> String {
    let width = written.iter().map(|(_, name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut last = "";
    for (group, name, value) in written {
        if *group != last {
            text += if last.is_empty() { "" } else { "\n" };
            text += &format!("# {group}\n");
            last = group;
        }
        text += &format!("{name:width$} = {value}\n");
    }
    text
}
