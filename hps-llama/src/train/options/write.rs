//! Options as a TOML file that reads back to them.

use super::TrainOptions;

/// How a run is begun, not what it computes: not written.
const BEGINNING: [&str; 2] = ["overwrite_output_dir", "resume_from_checkpoint"];

impl TrainOptions {
    /// The effective options as TOML, by group; what a preset set stands there by itself.
    ///
    /// Read back it gives the same options, but for `preset`, `overwrite_output_dir` and `resume_from_checkpoint`.
    pub fn to_toml(&self) -> String {
        let written = self.written();
        let width = written.iter().map(|(_, name, _)| name.len()).max().unwrap_or(0);
        let mut text = String::new();
        let mut last = "";
        for (group, name, value) in &written {
            if *group != last {
                text += if last.is_empty() { "" } else { "\n" };
                text += &format!("# {group}\n");
                last = group;
            }
            text += &format!("{name:width$} = {value}\n");
        }
        text
    }

    /// `(group, name, value)` of all that is set and has a bearing on the run.
    fn written(&self) -> Vec<(&'static str, &'static str, String)> {
        let own_adapter = self.use_peft && self.adapter_name_or_path.is_none();
        let bears = |name: &str| {
            let lora = name.starts_with("lora_") || name == "use_rslora";
            name != "preset" && !BEGINNING.contains(&name) && (own_adapter || !lora)
        };
        let table = TrainOptions::table().into_iter().filter(|option| bears(option.name));
        table.filter_map(|option| Some((option.group, option.name, self.value(option.name)?))).collect()
    }
}
