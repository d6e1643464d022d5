//! Options as given in a test.

use hps_llama::Result;
use hps_llama::train::options::TrainOptions;
use tempfile::TempDir;

/// Flags as the program hands them on: a text with `|` stands for several.
pub fn flags(given: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
    given.iter().map(|(name, text)| (name.to_string(), text.split('|').map(String::from).collect())).collect()
}

/// Options of flags alone.
pub fn by_flags(given: &[(&str, &str)]) -> Result<TrainOptions> {
    TrainOptions::read(None, &flags(given))
}

/// Options of a file and flags.
pub fn by_both(toml: &str, given: &[(&str, &str)]) -> Result<TrainOptions> {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("train.toml");
    std::fs::write(&path, toml).expect("a file");
    TrainOptions::read(Some(&path), &flags(given))
}

/// Options of a file alone.
pub fn by_file(toml: &str) -> Result<TrainOptions> {
    by_both(toml, &[])
}

/// What a refusal says, from the file's name on.
pub fn refusal(given: Result<TrainOptions>) -> String {
    let message = given.expect_err("it is refused").to_string();
    message.find("train.toml").map_or(message.clone(), |start| message[start..].to_string())
}
