//! The program and what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The workspace's folder, where the program is started.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of `tests/data`.
pub fn data(name: &str) -> PathBuf {
    root().join("tests/data").join(name)
}

/// What a call ended with.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub error: String,
}

/// Calls `hps`, without a terminal, from the workspace's folder.
pub fn hps(arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_hps"))
        .args(arguments)
        .current_dir(root())
        .env_remove("CLICOLOR_FORCE")
        .output()
        .expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ended { code: output.status.code(), out: text(output.stdout), error: text(output.stderr) }
}

/// Starts a call of the program and kills it (`kill -9`) as soon as it is `due`; whether it ran until then.
pub fn killed_when(command: &mut Command, due: impl Fn() -> bool) -> bool {
    let silent = command.current_dir(root()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = silent.spawn().expect("the program starts");
    while !due() && child.try_wait().expect("its state").is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    let running = child.try_wait().expect("its state").is_none();
    child.kill().expect("a kill, or it has ended");
    child.wait().expect("it is gone");
    running
}

/// Calls `hps train`, which has to succeed.
pub fn train(arguments: &[&str]) -> String {
    let ended = hps(&[&["train"], arguments].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    ended.out
}

/// Calls `hps train`, which has to fail; what it says after `error: `.
pub fn refused(arguments: &[&str]) -> String {
    let ended = hps(&[&["train"], arguments].concat());
    assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.error);
    let line = ended.error.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").expect("an error").to_string()
}

/// A folder for outputs, and a file of options in it: the reference model on TRL's rows, four prompts an update.
pub struct Folder(TempDir);

impl Folder {
    pub fn new(toml: &str) -> Folder {
        let folder = Folder(TempDir::new().expect("a folder"));
        let options = format!(
            "model_name_or_path = {:?}\ndata = {:?}\noutput_dir = {:?}\nper_device_train_batch_size = 4\ngradient_accumulation_steps = 1\nlearning_rate = 1e-3\n{toml}\n",
            "tests/data/models/tiny",
            "tests/data/trl-sigmoid/preferences.jsonl",
            folder.path("out")
        );
        std::fs::write(folder.path("options.toml"), options).expect("a file");
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The path as an argument.
    pub fn argument(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A file of the output folder.
    pub fn out(&self, name: &str) -> Vec<u8> {
        read(&self.path("out").join(name))
    }
}

pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a run.
pub fn metrics(bytes: &[u8]) -> Vec<serde_json::Value> {
    let text = std::str::from_utf8(bytes).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}
