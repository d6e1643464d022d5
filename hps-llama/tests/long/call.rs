//! Calls of the commands that write something, with options drawn at random.

use crate::draw::Draw;
use crate::inputs::{FILES, Inputs};
use crate::process::Process;
use crate::tree::{self, Tree};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// A command, and so a kind of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Train,
    Generate,
    Score,
    Evaluate,
    Data,
    Merge,
    LogProbs,
}

impl Command {
    pub fn name(self) -> &'static str {
        match self {
            Command::Train => "train",
            Command::Generate => "generate",
            Command::Score => "score",
            Command::Evaluate => "evaluate",
            Command::Data => "data",
            Command::Merge => "merge",
            Command::LogProbs => "log-probs",
        }
    }

    /// What it writes, in the folder it is called in.
    pub fn output(self) -> &'static str {
        match self {
            Command::Train | Command::Evaluate | Command::Merge => "out",
            Command::Generate | Command::Score | Command::Data | Command::LogProbs => "out.jsonl",
        }
    }

    /// The last file it writes begins with one of these.
    pub fn last(self) -> &'static [&'static str] {
        match self {
            Command::Train => &["out/adapter_model", "out/adapter_config", "out/model.", "out/report"],
            Command::Evaluate => &["out/results", "out/table", "out/report"],
            Command::Merge => &["out/", "out.partial/config.json"],
            _ => &["out.jsonl\0"],
        }
    }

    /// What replaces an output that is there; a merged model never does.
    pub fn overwrite(self) -> Option<&'static str> {
        match self {
            Command::Train => Some("--overwrite_output_dir"),
            Command::Merge => None,
            _ => Some("--overwrite"),
        }
    }
}

/// A command and its options, but for the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub command: Command,
    options: Vec<(&'static str, String)>,
    /// What makes another run of it.
    number: usize,
}

/// What a call that nothing disturbs writes.
#[derive(Debug, Clone)]
pub struct Whole {
    pub tree: Tree,
    pub took: Duration,
}

impl Call {
    pub fn draw(command: Command, draw: &mut Draw, inputs: &Inputs) -> Call {
        let options = match command {
            Command::Train => train(draw, inputs),
            Command::Generate => generate(draw, inputs),
            Command::Score => {
                vec![("--model_name_or_path", inputs.model("tiny-reward")), tokens_of_a_pass(draw)]
            }
            Command::Evaluate => evaluate(draw, inputs),
            Command::Data => vec![("--samples", draw.below(3).to_string())],
            Command::Merge => merge(inputs),
            Command::LogProbs => vec![("--model", inputs.model("tiny"))],
        };
        let number = draw.below(FILES);
        Call { command, options, number }
    }

    /// A run that draws other negatives with another seed and keeps their reference log-probs beside its own folder.
    pub fn sharing(draw: &mut Draw, inputs: &Inputs) -> Call {
        let mut options = vec![
            ("--model_name_or_path", inputs.model("tiny")),
            ("--data", inputs.rows("lists", draw.below(FILES))),
            ("--loss_type", "dpo-hps".to_string()),
            ("--reference_cache_dir", "../cache".to_string()),
            // As of all runs here: see `train`.
            ("--memory_budget", "1GiB".to_string()),
        ];
        options.push(("--num_train_epochs", draw.one(&["1", "2"]).to_string()));
        options.push(("--per_device_train_batch_size", draw.one(&["2", "4"]).to_string()));
        Call { command: Command::Train, options, number: draw.below(FILES) }
    }

    /// The call whose result is another: with another seed, or other rows.
    pub fn other(&self, more: usize) -> Call {
        Call { number: self.number + more, ..self.clone() }
    }

    /// Whether a line of its log is the mean of several updates.
    pub fn averages(&self) -> bool {
        self.options.iter().any(|(name, value)| *name == "--logging_steps" && value != "1")
    }

    /// What `hps` is called with.
    pub fn arguments(&self, inputs: &Inputs, more: &[&str]) -> Vec<String> {
        let mut arguments = vec![self.command.name().to_string()];
        let mut add = |name: &str, value: String| {
            arguments.push(name.to_string());
            arguments.extend((!value.is_empty()).then_some(value));
        };
        self.options.iter().for_each(|(name, value)| add(name, value.clone()));
        match self.command {
            Command::Train | Command::Generate | Command::Evaluate => add("--seed", self.number.to_string()),
            Command::Score => add("--data", inputs.rows("answered", self.number)),
            Command::LogProbs => add("--data", inputs.rows("lists", self.number)),
            Command::Data => add(&inputs.rows("many", self.number), String::new()),
            Command::Merge => {
                add("--dtype", ["f32", "bf16"][self.number % 2].to_string());
                add("--max_shard_size", ["5GB", "300KB"][self.number / 2 % 2].to_string());
            }
        }
        let flag = if matches!(self.command, Command::Train | Command::Merge) { "--output_dir" } else { "--output" };
        add(flag, self.command.output().to_string());
        more.iter().for_each(|flag| add(flag, String::new()));
        arguments
    }

    /// Its result where nothing disturbs it.
    pub fn whole(&self, inputs: &Inputs, more: &[&str]) -> Result<Whole, String> {
        let parent = TempDir::new().expect("a folder");
        let folder = crate::violations::folder(parent.path(), "case");
        let arguments = self.arguments(inputs, more);
        let ended = Process::start(&arguments, &folder, 2).wait()?;
        if !ended.done() {
            return Err(format!("undisturbed, it fails: {}\nhps {}", ended.error, arguments.join(" ")));
        }
        Ok(Whole { tree: self.result(&folder), took: ended.took })
    }

    /// What of a folder is its result. TensorBoard's files hold times; how often a run was resumed stands in its options.
    pub fn result(&self, folder: &Path) -> Tree {
        let mut tree = tree::read(folder);
        tree.retain(|name, _| name.starts_with(self.command.output()) && !name.starts_with("out/runs/"));
        for (name, bytes) in &mut tree {
            if ["out/train.toml", "out/report.html"].contains(&name.as_str()) {
                let text = String::from_utf8_lossy(bytes);
                let text: Vec<&str> = text.lines().filter(|line| !line.contains("resume_from_checkpoint")).collect();
                *bytes = text.join("\n").into_bytes();
            }
        }
        tree
    }
}

fn tokens_of_a_pass(draw: &mut Draw) -> (&'static str, String) {
    ("--max_num_batched_tokens", draw.one(&["32", "64", "200"]).to_string())
}

/// A task, a loss, what is trained, and all that a run leaves.
fn train(draw: &mut Draw, inputs: &Inputs) -> Vec<(&'static str, String)> {
    let mut options = vec![
        ("--model_name_or_path", inputs.model("tiny")),
        ("--data", inputs.rows("lists", draw.below(FILES))),
        ("--learning_rate", "1e-3".to_string()),
        // What is free differs from call to call, and is recorded where no budget is given.
        ("--memory_budget", "1GiB".to_string()),
        ("--num_train_epochs", draw.one(&["1", "2", "3"]).to_string()),
        ("--per_device_train_batch_size", draw.one(&["2", "3", "4"]).to_string()),
        ("--gradient_accumulation_steps", draw.one(&["1", "2"]).to_string()),
        ("--save_steps", draw.one(&["1", "2", "3", "500"]).to_string()),
        ("--report_to", draw.one(&["none", "html", "tensorboard", "all"]).to_string()),
        ("--logging_steps", draw.one(&["1", "1", "3"]).to_string()),
    ];
    let mut perhaps = |percent: usize, name: &'static str, values: &[&str]| {
        let value = draw.one(values).to_string();
        options.extend(draw.chance(percent).then_some((name, value)));
    };
    perhaps(50, "--shuffle", &["true", "false"]);
    perhaps(50, "--save_total_limit", &["1", "2"]);
    if draw.chance(40) {
        options.extend([("--eval_share", "0.25".to_string()), ("--eval_steps", draw.one(&["2", "3"]).to_string())]);
    }
    match draw.chance(25) {
        true => options.push(("--use_peft", "false".to_string())),
        false => {
            options.push(("--lora_r", draw.one(&["2", "4"]).to_string()));
            options.push(("--lora_dropout", draw.one(&["0", "0.1"]).to_string()));
        }
    }
    let losses = ["dpo-hps", "dpo-hps-full", "dpo-hps-expected", "dpo-bt", "dpo-pl", "exo-pl", "simpo-hps", "kto-bt"];
    let (task, loss) = match draw.below(8) {
        0 => ("sft", "dpo-hps"),
        1 => ("reward", "dpo-bt"),
        _ => ("preference", draw.one(&losses)),
    };
    options.extend([("--task", task.to_string()), ("--loss_type", loss.to_string())]);
    if task == "preference" && draw.chance(40) {
        options.push(("--reference_cache_dir", "cache".to_string()));
    }
    options
}

fn generate(draw: &mut Draw, inputs: &Inputs) -> Vec<(&'static str, String)> {
    let mut options = vec![
        ("--model_name_or_path", inputs.model("tiny")),
        ("--data", inputs.rows("prompts", draw.below(FILES))),
        ("--n", draw.one(&["1", "2", "5"]).to_string()),
        ("--temperature", draw.one(&["0.7", "0.9", "1.3"]).to_string()),
        ("--max_tokens", draw.one(&["10", "40", "90"]).to_string()),
        ("--max_num_seqs", draw.one(&["1", "2", "7", "64"]).to_string()),
        ("--top_p", draw.one(&["1", "0.9"]).to_string()),
        ("--top_k", draw.one(&["0", "50"]).to_string()),
    ];
    if draw.chance(40) {
        options.push(("--adapter", inputs.model("tiny/adapter-11")));
    }
    options
}

fn evaluate(draw: &mut Draw, inputs: &Inputs) -> Vec<(&'static str, String)> {
    let mut options = vec![
        ("--model_name_or_path", inputs.model("tiny")),
        ("--data", format!("one={}", inputs.rows("few", draw.below(FILES)))),
        ("--max_tokens", draw.one(&["6", "12"]).to_string()),
        ("--batch_size", draw.one(&["2", "3", "8"]).to_string()),
    ];
    if draw.chance(50) {
        options.push(("--adapter", format!("a={}", inputs.model("tiny/adapter-11"))));
    }
    if draw.chance(30) {
        options.push(("--data", format!("two={}", inputs.rows("few", draw.below(FILES)))));
    }
    if draw.chance(50) {
        options.push(("--reward_model", inputs.model("tiny-reward")));
        options.push(("--best_of", draw.one(&["2", "4"]).to_string()));
        options.push(tokens_of_a_pass(draw));
    }
    options
}

fn merge(inputs: &Inputs) -> Vec<(&'static str, String)> {
    vec![("--model", inputs.model("tiny")), ("--adapter", inputs.model("tiny/adapter-11"))]
}
